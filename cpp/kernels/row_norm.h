// Normalisation of rows, each by its own mean and variance. A row, one pixel's channels or a whole
// image, is read three times, mostly from a cache. A last vector that would be partly filled lies
// over the one before instead; in sums its old lanes count as zero.
#pragma once

#include "channel_norm.h"
#include "vector.h"

namespace rot180 {
namespace {

template <class T, int W>
inline Vector<T, W> in_last_lanes(Vector<T, W> value, int64_t lanes) {
    Vector<IntOf<T>, W> mask;
#pragma GCC unroll 16
    for (int i = 0; i < W; ++i) mask[i] = i >= W - lanes ? -1 : 0;
    return (Vector<T, W>)((Vector<IntOf<T>, W>)value & mask);
}

// A sum in T over that many elements, so few that it rounds little; then it goes on in double.
constexpr int64_t summed_together = 4096;

// body(i, a, seen) for W elements from i on, up to `end`; a goes from 0 to 3, so that sums need not
// wait on one another. seen(value) is value, with zeros for lanes seen before.
template <class T, int W, class Body>
inline void for_row(int64_t begin, int64_t end, Body&& body) {
    const auto all = [](Vector<T, W> value) __attribute__((always_inline)) { return value; };
    int64_t i = begin;
    for (; i + 4 * W <= end; i += 4 * W) {
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a) body(i + a * W, a, all);
    }
    for (; i + W <= end; i += W) body(i, 0, all);
    if (i < end) {
        body(end - W, 0, [&](Vector<T, W> value) __attribute__((always_inline)) {
            return in_last_lanes<T, W>(value, end - i);
        });
    }
}

template <class T, int W>
inline double sum_of_four(const Vector<T, W> (&sums)[4]) {
    return double(sum_of_lanes<T, W>((sums[0] + sums[1]) + (sums[2] + sums[3])));
}

// body(begin, end) over pieces of `summed_together` elements.
template <class Body>
inline void for_pieces(int64_t size, Body&& body) {
    for (int64_t begin = 0; begin < size; begin += summed_together) {
        body(begin, size - begin < summed_together ? size : begin + summed_together);
    }
}

struct Moments {
    double mean, variance;
};

// Differences from a mean that was rounded are summed too: it need not be exact.
template <class T>
inline Moments row_moments(const T* x, int64_t length) {
    Moments moments;
    with_lanes<T>(length, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        double sum = 0, off = 0, square = 0;
        for_pieces(length, [&](int64_t begin, int64_t end) {
            V sums[4] = {};
            for_row<T, W>(begin, end,
                          [&](int64_t i, int a, auto&& seen) __attribute__((always_inline)) {
                              sums[a] += seen(load<T, W>(x + i));
                          });
            sum += sum_of_four<T, W>(sums);
        });
        const T middle = T(sum / double(length));
        for_pieces(length, [&](int64_t begin, int64_t end) {
            V sums[4] = {}, squares[4] = {};
            for_row<T, W>(begin, end,
                          [&](int64_t i, int a, auto&& seen) __attribute__((always_inline)) {
                              const V difference = seen(load<T, W>(x + i) - middle);
                              sums[a] += difference;
                              squares[a] += difference * difference;
                          });
            off += sum_of_four<T, W>(sums);
            square += sum_of_four<T, W>(squares);
        });
        off /= double(length);
        const double variance = square / double(length) - off * off;
        moments = {double(middle) + off, variance < 0 ? 0 : variance};  // NaN stays
    });
    return moments;
}

// xhat * weight + bias, in row g of a sample.
template <class T, int W>
inline Vector<T, W> scale_and_shift(const RowNorm<T>& norm, int64_t g, int64_t i,
                                    Vector<T, W> xhat) {
    if (norm.weight) xhat *= load<T, W>(norm.weight + g * norm.length + i);
    if (norm.bias) xhat += load<T, W>(norm.bias + g * norm.length + i);
    return xhat;
}

// body(row, g) for every row, g the one of its sample.
template <class T, class Body>
inline void for_rows_of(const RowNorm<T>& norm, Body&& body) {
    for (int64_t n = 0; n < norm.samples; ++n) {
        for (int64_t g = 0; g < norm.groups; ++g) body(n * norm.groups + g, g);
    }
}

// The kernels work on copies of their arguments: what they store might change the originals, as far
// as compilers can tell.
template <class T>
void normalize_rows(const RowNorm<T>& given, double eps, T* y, T* mean, T* inv_std) {
    const RowNorm<T> norm = given;
    for_rows_of(norm, [&](int64_t row, int64_t g) {
        const T* x = norm.x + row * norm.length;
        const Moments moments = row_moments(x, norm.length);
        const T middle = mean[row] = T(moments.mean);
        const T factor = inv_std[row] = T(1 / __builtin_sqrt(moments.variance + eps));
        with_lanes<T>(norm.length, [&](auto lanes) {
            constexpr int W = decltype(lanes)::count;
            for_overlapping_lanes<W>(norm.length, [&](int64_t i) {
                const Vector<T, W> xhat = (load<T, W>(x + i) - middle) * factor;
                const Vector<T, W> z = scale_and_shift<T, W>(norm, g, i, xhat);
                store<T, W>(y + row * norm.length + i, rectify<T>(norm.activation, z));
            });
        });
    });
}

// A row of the gradient: what every pass over it computes first.
template <class T>
struct RowGradient {
    RowNorm<T> norm;
    const T* x;
    const T* dy;
    int64_t g;
    T mean, inv_std;

    template <int W>
    Vector<T, W> xhat(int64_t i) const {
        return (load<T, W>(x + i) - mean) * inv_std;
    }
    template <int W>
    Vector<T, W> gradient(int64_t i, Vector<T, W> xhat) const {
        const Vector<T, W> delta = load<T, W>(dy + i);
        if (norm.activation == Activation::none) return delta;
        return gradient_at<T, W>(norm.activation, delta, scale_and_shift<T, W>(norm, g, i, xhat));
    }
    template <int W>
    Vector<T, W> weighted(int64_t i, Vector<T, W> gradient) const {
        return norm.weight ? gradient * load<T, W>(norm.weight + g * norm.length + i) : gradient;
    }
};

template <class T>
inline void row_grad(const RowGradient<T> row, T* dx, T* dweight, T* dbias) {
    const int64_t length = row.norm.length;
    double sum = 0, product = 0;
    if (dx) {
        with_lanes<T>(length, [&](auto lanes) {
            constexpr int W = decltype(lanes)::count;
            for_pieces(length, [&](int64_t begin, int64_t end) {
                Vector<T, W> sums[4] = {}, products[4] = {};
                for_row<T, W>(begin, end,
                              [&](int64_t i, int a, auto&& seen) __attribute__((always_inline)) {
                                  const auto xhat = row.template xhat<W>(i);
                                  const auto gradient = row.template gradient<W>(i, xhat);
                                  const auto weighted = seen(row.template weighted<W>(i, gradient));
                                  sums[a] += weighted;
                                  products[a] += weighted * xhat;
                              });
                sum += sum_of_four<T, W>(sums);
                product += sum_of_four<T, W>(products);
            });
        });
    }
    const T mean = T(sum / double(length)), slope = T(product / double(length));
    with_lanes<T>(length, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        for_row<T, W>(0, length, [&](int64_t i, int, auto&& seen) __attribute__((always_inline)) {
            const auto xhat = row.template xhat<W>(i);
            const auto gradient = row.template gradient<W>(i, xhat);
            store<T, W>(dweight + i, load<T, W>(dweight + i) + seen(gradient * xhat));
            store<T, W>(dbias + i, load<T, W>(dbias + i) + seen(gradient));
            if (!dx) return;
            const auto weighted = row.template weighted<W>(i, gradient);
            store<T, W>(dx + i, (weighted - mean - xhat * slope) * row.inv_std);
        });
    });
}

template <class T>
void normalize_rows_grad(const RowNorm<T>& norm, const T* dy, const T* mean, const T* inv_std,
                         T* dx, T* dweight, T* dbias) {
    for_rows_of(norm, [&](int64_t row, int64_t g) {
        const int64_t at = row * norm.length, column = g * norm.length;
        const RowGradient<T> gradient = {norm, norm.x + at, dy + at, g, mean[row], inv_std[row]};
        row_grad(gradient, dx ? dx + at : nullptr, dweight + column, dbias + column);
    });
}

}  // namespace
}  // namespace rot180
