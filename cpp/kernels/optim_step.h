// Optimizer steps, and what belongs to them: averages of weights, norms of gradients.
#pragma once

#include "kernels.h"
#include "sum_in_double.h"

namespace rot180 {
namespace {

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

template <class T>
void adam(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict m,
          T* __restrict v, const AdamConstants<T>& constants) {
    const AdamConstants<T> k = constants;
    for (int64_t i = 0; i < size; ++i) {
        const T p = param[i];
        const T g = grad[i] + k.l2 * p;
        const T first = k.beta1 * m[i] + k.one_minus_beta1 * g;
        const T second = k.beta2 * v[i] + k.one_minus_beta2 * (g * g);
        m[i] = first;
        v[i] = second;
        param[i] = p * k.shrink - k.alpha * first / (square_root(second) * k.scale + k.eps);
    }
}

template <class T>
void sgd(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict velocity,
         const SgdConstants<T>& constants) {
    const SgdConstants<T> k = constants;
    if (!velocity) {
        for (int64_t i = 0; i < size; ++i) {
            const T g = grad[i] + k.l2 * param[i];
            param[i] = param[i] * k.shrink - k.lr * g;
        }
        return;
    }
    for (int64_t i = 0; i < size; ++i) {
        const T g = grad[i] + k.l2 * param[i];
        const T moving = k.momentum * velocity[i] + g;
        velocity[i] = moving;
        param[i] = param[i] * k.shrink - k.lr * (k.nesterov ? g + k.momentum * moving : moving);
    }
}

// m and velocity are read and written only if they are meant to be there.
template <bool centered, bool with_momentum, class T>
void rmsprop_variant(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict v,
                     T* __restrict m, T* __restrict velocity, const RmspropConstants<T>& k) {
    for (int64_t i = 0; i < size; ++i) {
        const T p = param[i];
        const T g = grad[i] + k.l2 * p;
        const T second = k.alpha * v[i] + k.one_minus_alpha * (g * g);
        v[i] = second;
        T variance = second;
        if (centered) {
            const T first = k.alpha * m[i] + k.one_minus_alpha * g;
            m[i] = first;
            variance = second - first * first;
            variance = variance < T(0) ? T(0) : variance;  // NaN stays NaN
        }
        T moving = g / (square_root(variance) + k.eps);
        if (with_momentum) {
            moving += k.momentum * velocity[i];
            velocity[i] = moving;
        }
        param[i] = p * k.shrink - k.lr * moving;
    }
}

template <class T>
void rmsprop(int64_t size, T* param, const T* grad, T* v, T* m, T* velocity,
             const RmspropConstants<T>& constants) {
    const RmspropConstants<T> k = constants;
    if (m) {
        if (velocity) return rmsprop_variant<true, true>(size, param, grad, v, m, velocity, k);
        return rmsprop_variant<true, false>(size, param, grad, v, m, velocity, k);
    }
    if (velocity) return rmsprop_variant<false, true>(size, param, grad, v, m, velocity, k);
    rmsprop_variant<false, false>(size, param, grad, v, m, velocity, k);
}

template <class T>
void move_towards(int64_t size, const T* __restrict x, T share, T* __restrict y) {
    for (int64_t i = 0; i < size; ++i) y[i] += share * (x[i] - y[i]);
}

template <class T>
double sum_of_squares(int64_t size, const T* x) {
    return sum_in_double(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<double, W> value = in_double<T, W>(load<T, W>(x + i));
        return value * value;
    });
}

template <class T>
void scale(int64_t size, double factor, T* x) {
    for (int64_t i = 0; i < size; ++i) x[i] = T(double(x[i]) * factor);
}

}  // namespace
}  // namespace rot180
