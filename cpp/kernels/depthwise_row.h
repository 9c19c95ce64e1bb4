// The depthwise kernels: vectors run over channels, each of which meets its own weights alone.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

constexpr int depthwise_pixels = 4;
constexpr int depthwise_grad_pixels = 16;

// These kernels walk over several pixels at once, a pattern that hardware does not foresee: they
// ask for what the next row reads, and for what they will write, themselves.
template <class T>
inline void prefetch_share(const Ahead<T>& ahead, int64_t first, int64_t count, int64_t of) {
    const int64_t end = ahead.size * (first + count) / of;
    for (int64_t i = ahead.size * first / of; i < end; i += line_size<T>) prefetch(ahead.data, i);
}

// COLUMNS > 0 says that there are so many tap columns and that neighbouring pixels are as far apart
// as neighbouring taps: then pixels share their loads of x.
template <class T, int PIXELS, int COLUMNS, int W>
inline void depthwise_tile(const DepthwiseRow<T>& row, const T* x, T* y, int64_t channel) {
    using V = Vector<T, W>;
    V sum[PIXELS];
    const V start = row.bias ? load<T, W>(row.bias + channel) : V{};
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
        sum[i] = start;
        prefetch_to_write(y, channel + (PIXELS + i) * row.y_stride);
    }
    for (int64_t r = 0; r < row.tap_rows; ++r) {
        const T* window = x + channel + r * row.tap_row_stride;
        const T* weight = row.weight + channel + r * row.weight_row_stride;
        if constexpr (COLUMNS > 0) {
            V tap[COLUMNS];
#pragma GCC unroll 16
            for (int s = 0; s < COLUMNS; ++s) {
                tap[s] = load<T, W>(weight + s * row.weight_column_stride);
            }
#pragma GCC unroll 16
            for (int q = 0; q < PIXELS + COLUMNS - 1; ++q) {
                const V value = load<T, W>(window + q * row.x_stride);
#pragma GCC unroll 16
                for (int s = 0; s < COLUMNS; ++s) {
                    if (q - s >= 0 && q - s < PIXELS) sum[q - s] += value * tap[s];
                }
            }
        } else {
            for (int64_t s = 0; s < row.tap_columns; ++s) {
                const V tap = load<T, W>(weight + s * row.weight_column_stride);
#pragma GCC unroll 16
                for (int i = 0; i < PIXELS; ++i) {
                    sum[i] +=
                        tap * load<T, W>(window + s * row.tap_column_stride + i * row.x_stride);
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
        store<T, W>(y + i * row.y_stride + channel, rectify<T>(row.activation, sum[i]));
    }
}

// All channels of exactly `pixels` pixels, at most PIXELS.
template <class T, int PIXELS, int COLUMNS>
inline void depthwise_tiles(const DepthwiseRow<T>& row, int64_t pixels, const T* x, T* y) {
    if constexpr (PIXELS > 0) {
        if (pixels < PIXELS) return depthwise_tiles<T, PIXELS - 1, COLUMNS>(row, pixels, x, y);
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            depthwise_tile<T, PIXELS, COLUMNS, decltype(lanes)::count>(row, x, y, channel);
        });
    }
}

template <class T, int COLUMNS>
void depthwise_row_of(const DepthwiseRow<T>& row) {
    for (int64_t p = 0; p < row.pixels; p += depthwise_pixels) {
        const int64_t left = row.pixels - p;
        prefetch_share(row.ahead, p, left < depthwise_pixels ? left : depthwise_pixels, row.pixels);
        depthwise_tiles<T, depthwise_pixels, COLUMNS>(
            row, left < depthwise_pixels ? left : depthwise_pixels, row.x + p * row.x_stride,
            row.y + p * row.y_stride);
    }
}

template <class T>
void depthwise_row(const DepthwiseRow<T>& row) {
    const bool shared = row.x_stride == row.tap_column_stride;
    if (shared && row.tap_columns == 3) return depthwise_row_of<T, 3>(row);
    if (shared && row.tap_columns == 5) return depthwise_row_of<T, 5>(row);
    return depthwise_row_of<T, 0>(row);
}

// ROWS x COLUMNS taps from (r, s) on share each load of dy.
template <class T, int ROWS, int COLUMNS, int W>
inline void depthwise_grad_tile(const DepthwiseGradRow<T>& row, int64_t r, int64_t s, int64_t first,
                                int64_t pixels, int64_t channel) {
    using V = Vector<T, W>;
    V sum[ROWS][COLUMNS];
    T* dw = row.dw + r * row.dw_row_stride + s * row.dw_column_stride + channel;
    const T* x =
        row.x + first * row.x_stride + r * row.tap_row_stride + s * row.tap_column_stride + channel;
    const T* dy = row.dy + first * row.dy_stride + channel;
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < COLUMNS; ++j) {
            sum[i][j] = load<T, W>(dw + i * row.dw_row_stride + j * row.dw_column_stride);
        }
    }
    for (int64_t p = 0; p < pixels; ++p) {
        const V value = load<T, W>(dy);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
            for (int j = 0; j < COLUMNS; ++j) {
                sum[i][j] +=
                    value * load<T, W>(x + i * row.tap_row_stride + j * row.tap_column_stride);
            }
        }
        x += row.x_stride;
        dy += row.dy_stride;
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < COLUMNS; ++j) {
            store<T, W>(dw + i * row.dw_row_stride + j * row.dw_column_stride, sum[i][j]);
        }
    }
}

template <class T, int ROWS>
inline void depthwise_grad_columns(const DepthwiseGradRow<T>& row, int64_t r, int64_t s,
                                   int64_t first, int64_t pixels) {
    for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
        constexpr int W = decltype(lanes)::count;
        const int64_t left = row.tap_columns - s;
        if (left >= 3) {
            depthwise_grad_tile<T, ROWS, 3, W>(row, r, s, first, pixels, channel);
        } else if (left == 2) {
            depthwise_grad_tile<T, ROWS, 2, W>(row, r, s, first, pixels, channel);
        } else {
            depthwise_grad_tile<T, ROWS, 1, W>(row, r, s, first, pixels, channel);
        }
    });
}

template <class T>
void depthwise_grad_row(const DepthwiseGradRow<T>& row) {
    for (int64_t first = 0; first < row.pixels; first += depthwise_grad_pixels) {
        const int64_t rest = row.pixels - first;
        const int64_t pixels = rest < depthwise_grad_pixels ? rest : depthwise_grad_pixels;
        prefetch_share(row.x_ahead, first, pixels, row.pixels);
        prefetch_share(row.dy_ahead, first, pixels, row.pixels);
        for (int64_t r = 0; r < row.tap_rows; r += 3) {
            for (int64_t s = 0; s < row.tap_columns; s += 3) {
                const int64_t left = row.tap_rows - r;
                if (left >= 3) {
                    depthwise_grad_columns<T, 3>(row, r, s, first, pixels);
                } else if (left == 2) {
                    depthwise_grad_columns<T, 2>(row, r, s, first, pixels);
                } else {
                    depthwise_grad_columns<T, 1>(row, r, s, first, pixels);
                }
            }
        }
    }
}

}  // namespace
}  // namespace rot180
