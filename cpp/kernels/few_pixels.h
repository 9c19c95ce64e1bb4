// The kernels of a pointwise convolution of one to four pixels, which a dense layer is for a small
// batch: each weight meets so few values that to pack it would cost more than the product. A last
// vector that would be partly filled lies over the one before instead.
#pragma once

#include "correlate_few.h"

namespace rot180 {
namespace {

// Where vector v of `size` >= width elements begins.
template <class T>
inline int64_t vector_at(int64_t v, int64_t size) {
    const int64_t at = v * width<T>, last = size - width<T>;
    return at < last ? at : last;
}

// The next lines of a narrow stripe, which hardware does not foresee.
constexpr int64_t lines_ahead_of_product = 12;

// Vectors [first, first + VECTORS) of the outputs.
template <class T, int PIXELS, int VECTORS>
inline void few_pixels_outputs(const FewPixels<T>& few, int64_t first) {
    int64_t at[VECTORS];
    Vector<T> sum[PIXELS][VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
        at[j] = vector_at<T>(first + j, few.outputs);
        const Vector<T> start = few.bias ? load(few.bias + at[j]) : Vector<T>{};
#pragma GCC unroll 4
        for (int i = 0; i < PIXELS; ++i) sum[i][j] = start;
    }
    const T* line = few.weight;
    for (int64_t c = 0; c < few.inputs; ++c, line += few.weight_stride) {
        prefetch(line, lines_ahead_of_product * few.weight_stride + at[0]);
        prefetch(line, lines_ahead_of_product * few.weight_stride + at[VECTORS - 1]);
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
            const Vector<T> weight = load(line + at[j]);
#pragma GCC unroll 4
            for (int i = 0; i < PIXELS; ++i) {
                sum[i][j] += broadcast(few.x[i * few.inputs + c]) * weight;
            }
        }
    }
#pragma GCC unroll 4
    for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 4
        for (int j = 0; j < VECTORS; ++j) {
            store(few.y + i * few.outputs + at[j], rectify<T>(few.activation, sum[i][j]));
        }
    }
}

// CHANNELS outputs from `first` on, whose weights each lie together.
template <class T, int PIXELS, int CHANNELS>
inline void few_pixels_sums(const FewPixels<T>& few, int64_t first) {
    constexpr int W = width<T>;
    const T* weight = few.weight + first * few.weight_stride;
    Vector<T> sum[PIXELS][CHANNELS] = {};
    const auto add = [&](int64_t c, auto&& seen) __attribute__((always_inline)) {
        Vector<T> value[PIXELS];
#pragma GCC unroll 4
        for (int i = 0; i < PIXELS; ++i) value[i] = seen(load(few.x + i * few.inputs + c));
#pragma GCC unroll 4
        for (int k = 0; k < CHANNELS; ++k) {
            const Vector<T> tap = seen(load(weight + k * few.weight_stride + c));
#pragma GCC unroll 4
            for (int i = 0; i < PIXELS; ++i) sum[i][k] += value[i] * tap;
        }
    };
    int64_t c = 0;
    for (; c + W <= few.inputs; c += W) add(c, [](Vector<T> value) { return value; });
    if (c < few.inputs) {
        const Vector<IntOf<T>> mask = new_lanes<T>(few.inputs);
        add(few.inputs - W, [&](Vector<T> value) { return masked<T>(value, mask); });
    }
#pragma GCC unroll 4
    for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 4
        for (int k = 0; k < CHANNELS; ++k) {
            const T start = few.bias ? few.bias[first + k] : T(0);
            few.y[i * few.outputs + first + k] =
                rectify<T>(few.activation, start + sum_of_lanes<T, W>(sum[i][k]));
        }
    }
}

template <class T, int PIXELS>
void correlate_few_pixels_of(const FewPixels<T>& few, int64_t first, int64_t last) {
    if (few.outputs_together) {
        for (; first + 4 <= last; first += 4) few_pixels_outputs<T, PIXELS, 4>(few, first);
        for (; first < last; ++first) few_pixels_outputs<T, PIXELS, 1>(few, first);
    } else {
        for (; first + 4 <= last; first += 4) few_pixels_sums<T, PIXELS, 4>(few, first);
        for (; first < last; ++first) few_pixels_sums<T, PIXELS, 1>(few, first);
    }
}

template <class T>
void correlate_few_pixels(const FewPixels<T>& few, int64_t first, int64_t last) {
    if (few.pixels == 1) correlate_few_pixels_of<T, 1>(few, first, last);
    if (few.pixels == 2) correlate_few_pixels_of<T, 2>(few, first, last);
    if (few.pixels == 3) correlate_few_pixels_of<T, 3>(few, first, last);
    if (few.pixels == 4) correlate_few_pixels_of<T, 4>(few, first, last);
}

template <class T, int PIXELS>
inline void few_pixels_grad_weight_of(const FewPixelsGrad<T>& few, int64_t first, int64_t last) {
    const int64_t vectors = (few.outputs + width<T> - 1) / width<T>;
    for (int64_t c = first; c < last; ++c) {
        Vector<T> x[PIXELS];
#pragma GCC unroll 4
        for (int i = 0; i < PIXELS; ++i) x[i] = broadcast(few.x[i * few.inputs + c]);
        T* to = few.dw + c * few.outputs;
        for (int64_t v = 0; v < vectors; ++v) {
            const int64_t at = vector_at<T>(v, few.outputs);
            Vector<T> sum = x[0] * load(few.dy + at);
#pragma GCC unroll 4
            for (int i = 1; i < PIXELS; ++i) sum += x[i] * load(few.dy + i * few.outputs + at);
            store(to + at, sum);
        }
    }
}

template <class T>
void few_pixels_grad_weight(const FewPixelsGrad<T>& few, int64_t first, int64_t last) {
    if (few.pixels == 1) few_pixels_grad_weight_of<T, 1>(few, first, last);
    if (few.pixels == 2) few_pixels_grad_weight_of<T, 2>(few, first, last);
    if (few.pixels == 3) few_pixels_grad_weight_of<T, 3>(few, first, last);
    if (few.pixels == 4) few_pixels_grad_weight_of<T, 4>(few, first, last);
}

}  // namespace
}  // namespace rot180
