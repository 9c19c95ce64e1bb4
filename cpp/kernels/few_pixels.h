// The kernels of a pointwise convolution of few pixels, which a dense layer is for a small batch:
// each weight meets so few values that to pack it would cost more than the product. A last vector
// that would be partly filled lies over the one before instead. Pixels are taken four at a time.
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

// Lines of weights that stay in the first-level cache for the pixels after the first four.
constexpr int64_t lines_of_product = 96;

// Lines [begin, end) for vectors [first, first + VECTORS) of the outputs. `sums`, (pixels, VECTORS)
// vectors, hold what the lines before have added up to. y does not: vectors that lie over one
// another may be the work of two threads.
template <class T, int PIXELS, int VECTORS>
inline void few_pixels_outputs(const FewPixels<T>& few, int64_t first, int64_t begin, int64_t end,
                               T* sums) {
    int64_t at[VECTORS];
    Vector<T> sum[PIXELS][VECTORS];
#pragma GCC unroll 4
    for (int j = 0; j < VECTORS; ++j) {
        at[j] = vector_at<T>(first + j, few.outputs);
        const Vector<T> start = few.bias ? load(few.bias + at[j]) : Vector<T>{};
#pragma GCC unroll 4
        for (int i = 0; i < PIXELS; ++i) {
            sum[i][j] = begin == 0 ? start : load(sums + (i * VECTORS + j) * width<T>);
        }
    }
    const T* line = few.weight + begin * few.weight_stride;
    for (int64_t c = begin; c < end; ++c, line += few.weight_stride) {
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
            if (end < few.inputs) {
                store(sums + (i * VECTORS + j) * width<T>, sum[i][j]);
            } else {
                store(few.y + i * few.outputs + at[j], rectify<T>(few.activation, sum[i][j]));
            }
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

template <int N>
struct Pixels {
    static constexpr int count = N;
};

// body(Pixels<N>, p) for pixels p, four at a time.
template <class Body>
inline void for_pixels(int64_t pixels, Body&& body) {
    int64_t p = 0;
    for (; p + 4 <= pixels; p += 4) body(Pixels<4>{}, p);
    if (pixels - p == 1) body(Pixels<1>{}, p);
    if (pixels - p == 2) body(Pixels<2>{}, p);
    if (pixels - p == 3) body(Pixels<3>{}, p);
}

template <class T>
inline FewPixels<T> from_pixel(FewPixels<T> few, int64_t p) {
    few.x += p * few.inputs;
    few.y += p * few.outputs;
    return few;
}

template <class T, int VECTORS>
inline void few_pixels_vectors(const FewPixels<T>& few, int64_t first) {
    T sums[most_few_pixels * VECTORS * width<T>];
    const int64_t lines = few.pixels <= 4 ? few.inputs : lines_of_product;
    for (int64_t begin = 0; begin < few.inputs; begin += lines) {
        const int64_t end = begin + lines < few.inputs ? begin + lines : few.inputs;
        for_pixels(few.pixels, [&](auto pixels, int64_t p) {
            few_pixels_outputs<T, decltype(pixels)::count, VECTORS>(
                from_pixel(few, p), first, begin, end, sums + p * VECTORS * width<T>);
        });
    }
}

template <class T, int CHANNELS>
inline void few_pixels_channels(const FewPixels<T>& few, int64_t first) {
    for_pixels(few.pixels, [&](auto pixels, int64_t p) {
        few_pixels_sums<T, decltype(pixels)::count, CHANNELS>(from_pixel(few, p), first);
    });
}

template <class T>
void correlate_few_pixels(const FewPixels<T>& few, int64_t first, int64_t last) {
    if (few.outputs_together) {
        for (; first + 4 <= last; first += 4) few_pixels_vectors<T, 4>(few, first);
        for (; first < last; ++first) few_pixels_vectors<T, 1>(few, first);
    } else {
        for (; first + 4 <= last; first += 4) few_pixels_channels<T, 4>(few, first);
        for (; first < last; ++first) few_pixels_channels<T, 1>(few, first);
    }
}

template <class T, int PIXELS>
inline void few_pixels_grad_weight_of(const FewPixelsGrad<T>& few, int64_t first, int64_t last) {
    const int64_t vectors = (few.outputs + width<T> - 1) / width<T>;
    for (int64_t c = first; c < last; ++c) {
        Vector<T> x[PIXELS];
#pragma GCC unroll 8
        for (int i = 0; i < PIXELS; ++i) x[i] = broadcast(few.x[i * few.inputs + c]);
        T* to = few.dw + c * few.outputs;
        for (int64_t v = 0; v < vectors; ++v) {
            const int64_t at = vector_at<T>(v, few.outputs);
            Vector<T> sum = x[0] * load(few.dy + at);
#pragma GCC unroll 8
            for (int i = 1; i < PIXELS; ++i) sum += x[i] * load(few.dy + i * few.outputs + at);
            store(to + at, sum);
        }
    }
}

template <class T, int PIXELS = most_few_pixels_grad>
void few_pixels_grad_weight(const FewPixelsGrad<T>& few, int64_t first, int64_t last) {
    if (few.pixels == PIXELS) return few_pixels_grad_weight_of<T, PIXELS>(few, first, last);
    if constexpr (PIXELS > 1) few_pixels_grad_weight<T, PIXELS - 1>(few, first, last);
}

}  // namespace
}  // namespace rot180
