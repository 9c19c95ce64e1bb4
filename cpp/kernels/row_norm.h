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

// The mean, rounded; off by what sums in T round.
template <class T>
inline T near_mean(const T* x, int64_t length) {
    double sum = 0;
    with_lanes<T>(length, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        for_pieces(length, [&](int64_t begin, int64_t end) {
            Vector<T, W> sums[4] = {};
            for_row<T, W>(begin, end,
                          [&](int64_t i, int a, auto&& seen) __attribute__((always_inline)) {
                              sums[a] += seen(load<T, W>(x + i));
                          });
            sum += sum_of_four<T, W>(sums);
        });
    });
    return T(sum / double(length));
}

struct Moments {
    double mean, variance;
};

// From differences to a number near the mean, whose sum says how near.
template <class T>
inline Moments row_moments(const T* x, int64_t length, T middle) {
    double off = 0, square = 0;
    with_lanes<T>(length, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        for_pieces(length, [&](int64_t begin, int64_t end) {
            Vector<T, W> sums[4] = {}, squares[4] = {};
            for_row<T, W>(begin, end,
                          [&](int64_t i, int a, auto&& seen) __attribute__((always_inline)) {
                              const Vector<T, W> difference = seen(load<T, W>(x + i) - middle);
                              sums[a] += difference;
                              squares[a] += difference * difference;
                          });
            off += sum_of_four<T, W>(sums);
            square += sum_of_four<T, W>(squares);
        });
    });
    off /= double(length);
    const double variance = square / double(length) - off * off;
    return {double(middle) + off, variance < 0 ? 0 : variance};  // NaN stays
}

// xhat * weight + bias, in row g of a sample.
template <class T, int W>
inline Vector<T, W> scale_and_shift(const RowNorm<T>& norm, int64_t g, int64_t i,
                                    Vector<T, W> xhat) {
    if (norm.weight) xhat *= load<T, W>(norm.weight + g * norm.length + i);
    if (norm.bias) xhat += load<T, W>(norm.bias + g * norm.length + i);
    return xhat;
}

// Short rows are taken so many at a time, each step for all of them before the next: what one waits
// for at its end, a sum over lanes and a division, the others fill.
constexpr int64_t rows_together = 8, longest_short_row = 512;

// body(first, count) over all rows.
template <class T, class Body>
inline void for_rows_of(const RowNorm<T>& norm, Body&& body) {
    const int64_t rows = norm.samples * norm.groups;
    const int64_t together = norm.length <= longest_short_row ? rows_together : 1;
    for (int64_t row = 0; row < rows; row += together) {
        body(row, rows - row < together ? rows - row : together);
    }
}

// The kernels work on copies of their arguments: what they store might change the originals, as far
// as compilers can tell.
template <class T>
void normalize_rows(const RowNorm<T>& given, double eps, T* y, T* mean, T* inv_std) {
    const RowNorm<T> norm = given;
    for_rows_of(norm, [&](int64_t first, int64_t count) {
        T middles[rows_together];
        Moments moments[rows_together];
        const T* const x = norm.x + first * norm.length;
        for (int64_t r = 0; r < count; ++r) {
            middles[r] = near_mean(x + r * norm.length, norm.length);
        }
        for (int64_t r = 0; r < count; ++r) {
            moments[r] = row_moments(x + r * norm.length, norm.length, middles[r]);
        }
        for (int64_t r = 0; r < count; ++r) {
            mean[first + r] = T(moments[r].mean);
            inv_std[first + r] = T(1 / __builtin_sqrt(moments[r].variance + eps));
        }
        for (int64_t r = 0; r < count; ++r) {
            const T middle = mean[first + r], factor = inv_std[first + r];
            const int64_t at = (first + r) * norm.length, g = (first + r) % norm.groups;
            with_lanes<T>(norm.length, [&](auto lanes) {
                constexpr int W = decltype(lanes)::count;
                for_overlapping_lanes<W>(norm.length, [&](int64_t i) {
                    const Vector<T, W> xhat = (load<T, W>(norm.x + at + i) - middle) * factor;
                    const Vector<T, W> z = scale_and_shift<T, W>(norm, g, i, xhat);
                    store<T, W>(y + at + i, rectify<T>(norm.activation, z));
                });
            });
        }
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

struct GradSums {
    double sum, product;
};

// Sums of g * weight and of g * weight * xhat.
template <class T>
inline GradSums row_grad_sums(const RowGradient<T> row) {
    const int64_t length = row.norm.length;
    GradSums total = {};
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
            total.sum += sum_of_four<T, W>(sums);
            total.product += sum_of_four<T, W>(products);
        });
    });
    return total;
}

// mean and slope are those sums divided by the row's length.
template <class T>
inline void row_grad(const RowGradient<T> row, T mean, T slope, T* dx, T* dweight, T* dbias) {
    with_lanes<T>(row.norm.length, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        for_row<T, W>(0, row.norm.length,
                      [&](int64_t i, int, auto&& seen) __attribute__((always_inline)) {
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
void normalize_rows_grad(const RowNorm<T>& given, const T* dy, const T* mean, const T* inv_std,
                         T* dx, T* dweight, T* dbias) {
    const RowNorm<T> norm = given;
    const auto gradient = [&](int64_t row) -> RowGradient<T> {
        const int64_t at = row * norm.length;
        return {norm, norm.x + at, dy + at, row % norm.groups, mean[row], inv_std[row]};
    };
    for_rows_of(norm, [&](int64_t first, int64_t count) {
        GradSums sums[rows_together] = {};
        for (int64_t r = 0; dx && r < count; ++r) sums[r] = row_grad_sums(gradient(first + r));
        for (int64_t r = 0; r < count; ++r) {
            const int64_t row = first + r, column = row % norm.groups * norm.length;
            const double length = double(norm.length);
            row_grad(gradient(row), T(sums[r].sum / length), T(sums[r].product / length),
                     dx ? dx + row * norm.length : nullptr, dweight + column, dbias + column);
        }
    });
}

}  // namespace
}  // namespace rot180
