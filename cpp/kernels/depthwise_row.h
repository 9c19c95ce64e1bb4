// The depthwise correlation kernel: vectors run over channels, PIXELS accumulators share a weight.
#pragma once

#include "correlate_row.h"

namespace rot180 {
namespace {

template <class T, int PIXELS, int W>
inline void depthwise_tile(const DepthwiseRow<T>& row, const T* x, T* y, int64_t channel) {
    using V = Vector<T, W>;
    V sum[PIXELS];
    for (int i = 0; i < PIXELS; ++i) sum[i] = load<T, W>(row.bias + channel);
    const T* weight = row.weight + channel;
    for (int64_t r = 0; r < row.tap_rows; ++r) {
        for (int64_t s = 0; s < row.tap_columns; ++s) {
            const T* window = x + channel + r * row.tap_row_stride + s * row.tap_column_stride;
            const V tap = load<T, W>(weight);
            weight += row.channels;
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) {
                sum[i] += load<T, W>(window + i * row.x_stride) * tap;
            }
        }
    }
    for (int i = 0; i < PIXELS; ++i) {
        if (row.activation == Activation::relu) {
            sum[i] = sum[i] < T(0) ? V{} : sum[i];
        } else if (row.activation == Activation::leaky_relu) {
            sum[i] = sum[i] < T(0) ? sum[i] * T(leaky_relu_slope) : sum[i];
        }
        store<T, W>(y + i * row.y_stride + channel, sum[i]);
    }
}

template <class T>
void depthwise_row(const DepthwiseRow<T>& row) {
    constexpr int PIXELS = 8;
    int64_t p = 0;
    for (; p + PIXELS <= row.pixels; p += PIXELS) {
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            depthwise_tile<T, PIXELS, decltype(lanes)::count>(row, row.x + p * row.x_stride,
                                                              row.y + p * row.y_stride, channel);
        });
    }
    for (; p < row.pixels; ++p) {
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            depthwise_tile<T, 1, decltype(lanes)::count>(row, row.x + p * row.x_stride,
                                                         row.y + p * row.y_stride, channel);
        });
    }
}

}  // namespace
}  // namespace rot180
