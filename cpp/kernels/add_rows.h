// Sums over rows: bias gradients, and partial sums put together.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// sum[c] += sum over rows of x[row, c], a vector of channels at a time.
template <class T>
inline void add_wide_rows(const T* x, int64_t rows, int64_t stride, int64_t channels, T* sum) {
    for_lanes<T>(channels, [&](auto lanes, int64_t channel) {
        constexpr int W = decltype(lanes)::count;
        Vector<T, W> total = load<T, W>(sum + channel);
        for (int64_t row = 0; row < rows; ++row) total += load<T, W>(x + row * stride + channel);
        store<T, W>(sum + channel, total);
    });
}

// Rows shorter than a vector are taken `width` at a time, as one row of channels * width values,
// where they lie together.
template <class T>
void add_rows(const T* x, int64_t rows, int64_t stride, int64_t channels, T* sum) {
    if (channels >= width<T> || stride != channels) {
        return add_wide_rows(x, rows, stride, channels, sum);
    }
    const int64_t wide_rows = rows / width<T>;
    T wide[width<T> * width<T>] = {};
    add_wide_rows(x, wide_rows, channels * width<T>, channels * width<T>, wide);
    for (int64_t c = 0; c < channels; ++c) {
        T total = sum[c];
        for (int64_t i = 0; i < width<T>; ++i) total += wide[i * channels + c];
        for (int64_t row = wide_rows * width<T>; row < rows; ++row) total += x[row * channels + c];
        sum[c] = total;
    }
}

}  // namespace
}  // namespace rot180
