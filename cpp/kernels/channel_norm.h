// Normalisation by channel: sums for the statistics and for their gradient, and the passes that use
// them. Memory sets the pace, and x is read in its order, as far as the prefetchers can tell.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector_math.h"

namespace rot180 {
namespace {

template <int R>
struct Rows {
    static constexpr int count = R;
};

// body(Lanes<W>, Rows<R>, column, at) for every vector of columns of R rows; `at` is its place in
// the first of them. Four rows at a time share what belongs to the column.
template <class T, class Body>
inline void for_rows(int64_t size, int64_t period, bool by_four, Body&& body) {
    int64_t first = 0;
    for (; by_four && first + 4 * period <= size; first += 4 * period) {
        for_lanes<T>(period, [&](auto lanes, int64_t column) {
            body(lanes, Rows<4>{}, column, first + column);
        });
    }
    for (; first < size; first += period) {
        for_lanes<T>(
            size - first < period ? size - first : period,
            [&](auto lanes, int64_t column) { body(lanes, Rows<1>{}, column, first + column); });
    }
}

// Results are written in order: several rows at a time only where they are so short that they lie
// together.
template <class T>
inline bool short_rows(int64_t period) {
    return period <= 4 * width<T>;
}

// Sums are loaded and stored for each column, so that rows are better taken by four, however long.
// Four streams at once are more than prefetchers follow: the kernels ask for what comes some rows
// later.
template <class T>
constexpr int64_t prefetch_distance = 8192 / int64_t(sizeof(T));

template <class T>
void add_moments(const T* x, int64_t size, int64_t period, const T* center, T* sum, T* squares) {
    const auto add = [&](auto lanes, auto rows, int64_t column, int64_t at) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V middle = load<T, W>(center + column);
        V differences = {}, their_squares = {};
#pragma GCC unroll 4
        for (int row = 0; row < decltype(rows)::count; ++row) {
            const int64_t i = at + row * period;
            prefetch_later(x, i + prefetch_distance<T>);
            const V difference = load<T, W>(x + i) - middle;
            differences += difference;
            their_squares += difference * difference;
        }
        store<T, W>(sum + column, load<T, W>(sum + column) + differences);
        store<T, W>(squares + column, load<T, W>(squares + column) + their_squares);
    };
    for_rows<T>(size, period, true, add);
}

template <class T, bool ADDED>
void normalize_rows(const ChannelNorm<T>& norm, Activation activation, T* y) {
    const auto write = [&](auto lanes, auto rows, int64_t column, int64_t at) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V scale = load<T, W>(norm.scale + column), shift = load<T, W>(norm.shift + column);
#pragma GCC unroll 4
        for (int row = 0; row < decltype(rows)::count; ++row) {
            const int64_t i = at + row * norm.period;
            V z = load<T, W>(norm.x + i) * scale + shift;
            if (ADDED) z += load<T, W>(norm.residual + i);
            store<T, W>(y + i, rectify<T>(activation, z));
        }
    };
    for_rows<T>(norm.size, norm.period, short_rows<T>(norm.period), write);
}

template <class T>
void normalize(const ChannelNorm<T>& norm, Activation activation, T* y) {
    if (norm.residual) {
        normalize_rows<T, true>(norm, activation, y);
    } else {
        normalize_rows<T, false>(norm, activation, y);
    }
}

// dy times the activation's derivative at z.
template <class T, int W>
inline Vector<T, W> gradient_at(Activation activation, Vector<T, W> dy, Vector<T, W> z) {
    // The derivatives of the others are the same at z as at the output.
    if (activation == Activation::sigmoid) z = sigmoid<T, W>(z);
    if (activation == Activation::tanh) z = tanh<T, W>(z);
    return times_derivative<T>(activation, dy, z, T(leaky_relu_slope));
}

template <class T>
void add_grad_moments(const ChannelNorm<T>& norm, const T* dy, Activation activation, T* sum,
                      T* products) {
    const auto add = [&](auto lanes, auto rows, int64_t column, int64_t at) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V middle = load<T, W>(norm.center + column);
        const V scale = load<T, W>(norm.scale + column), shift = load<T, W>(norm.shift + column);
        V gradients = {}, their_products = {};
#pragma GCC unroll 4
        for (int row = 0; row < decltype(rows)::count; ++row) {
            const int64_t i = at + row * norm.period;
            prefetch_later(norm.x, i + prefetch_distance<T>);
            prefetch_later(dy, i + prefetch_distance<T>);
            const V x = load<T, W>(norm.x + i);
            const V gradient = gradient_at<T, W>(activation, load<T, W>(dy + i), x * scale + shift);
            gradients += gradient;
            their_products += gradient * (x - middle);
        }
        store<T, W>(sum + column, load<T, W>(sum + column) + gradients);
        store<T, W>(products + column, load<T, W>(products + column) + their_products);
    };
    for_rows<T>(norm.size, norm.period, true, add);
}

template <class T>
void normalize_grad(const ChannelNorm<T>& norm, const T* dy, Activation activation, const T* slope,
                    const T* offset, T* dx) {
    const auto write = [&](auto lanes, auto rows, int64_t column, int64_t at) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V middle = load<T, W>(norm.center + column);
        const V scale = load<T, W>(norm.scale + column), shift = load<T, W>(norm.shift + column);
        const V factor = load<T, W>(slope + column), constant = load<T, W>(offset + column);
#pragma GCC unroll 4
        for (int row = 0; row < decltype(rows)::count; ++row) {
            const int64_t i = at + row * norm.period;
            const V x = load<T, W>(norm.x + i);
            const V gradient = gradient_at<T, W>(activation, load<T, W>(dy + i), x * scale + shift);
            store<T, W>(dx + i, gradient * scale + ((x - middle) * factor + constant));
        }
    };
    for_rows<T>(norm.size, norm.period, short_rows<T>(norm.period), write);
}

}  // namespace
}  // namespace rot180
