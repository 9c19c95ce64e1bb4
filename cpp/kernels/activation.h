// Activations, their derivatives, and sums with an activation, of whole arrays.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector_math.h"

namespace rot180 {
namespace {

template <class T, int W>
inline Vector<T, W> fused_at(Activation activation, Vector<T, W> z, T alpha) {
    if (activation == Activation::leaky_relu) return z < T(0) ? z * alpha : z;
    if (activation == Activation::sigmoid) return sigmoid<T, W>(z);
    if (activation == Activation::tanh) return tanh<T, W>(z);
    return rectify<T>(activation, z);
}

// Beyond this the sigmoids of silu and gelu_tanh are 0 and 1. An infinite z counts as this much
// where z is a factor: infinity times zero would be NaN, where the limit is a number.
template <class T>
constexpr T saturated(Activation activation) {
    if (activation == Activation::silu) return -FloatFormat<T>::exp_lowest;
    return sizeof(T) == 4 ? T(13) : T(22);
}

// The argument of gelu_tanh's sigmoid, (1 + tanh(u)) / 2 being sigmoid(2 u), and its derivative.
constexpr double gelu_factor = 1.595769121605730711760, gelu_cubic = gelu_factor * 0.044715;
template <class T, int W>
inline Vector<T, W> gelu_tanh_argument(Vector<T, W> z) {
    return z * (T(gelu_factor) + T(gelu_cubic) * (z * z));
}
template <class T, int W>
inline Vector<T, W> gelu_tanh_slope(Vector<T, W> z) {
    return T(gelu_factor) + T(3 * gelu_cubic) * (z * z);
}

template <class T, int W>
inline Vector<T, W> smooth_at(Activation activation, Vector<T, W> z, T alpha) {
    using V = Vector<T, W>;
    if (activation == Activation::elu) return z > T(0) ? z : alpha * expm1<T, W>(z);
    if (activation == Activation::gelu) {
        const T lowest = -FloatFormat<T>::normal_vanishes;
        const V factor = z < lowest ? V{} + lowest : z;
        return factor * normal<T, W>(z).below;
    }
    const T limit = saturated<T>(activation);
    const V inside = clamp<T, W>(z, -limit, limit);
    const V factor = z < -limit ? inside : z;
    if (activation == Activation::silu) return factor * sigmoid<T, W>(inside);
    return factor * sigmoid<T, W>(gelu_tanh_argument<T, W>(inside));
}

template <class T, int W>
inline Vector<T, W> smooth_derivative_at(Activation activation, Vector<T, W> saved, T alpha) {
    using V = Vector<T, W>;
    if (activation == Activation::elu) return saved > T(0) ? V{} + T(1) : saved + alpha;
    if (activation == Activation::gelu) {
        const T limit = FloatFormat<T>::normal_vanishes;
        const Normal<T, W> at = normal<T, W>(saved);
        return at.below + clamp<T, W>(saved, -limit, limit) * at.density;
    }
    const T limit = saturated<T>(activation);
    const V z = clamp<T, W>(saved, -limit, limit);
    if (activation == Activation::silu) {
        const V s = sigmoid<T, W>(z);
        return s * (T(1) + z * (T(1) - s));
    }
    const V s = sigmoid<T, W>(gelu_tanh_argument<T, W>(z));
    return s * (T(1) + z * (T(1) - s) * gelu_tanh_slope<T, W>(z));
}

template <class T>
void activate(Activation activation, int64_t size, const T* x, T alpha, T* y) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> z = load<T, W>(x + i);
        store<T, W>(y + i, can_be_fused(activation) ? fused_at<T, W>(activation, z, alpha)
                                                    : smooth_at<T, W>(activation, z, alpha));
    });
}

template <class T>
void add(Activation activation, int64_t size, const T* a, const T* b, T* y) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> z = load<T, W>(a + i) + load<T, W>(b + i);
        store<T, W>(y + i, fused_at<T, W>(activation, z, T(leaky_relu_slope)));
    });
}

template <class T>
void activate_grad(Activation activation, int64_t size, const T* dy, const T* saved, T alpha,
                   T* dx) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> upstream = load<T, W>(dy + i), at = load<T, W>(saved + i);
        store<T, W>(dx + i, can_be_fused(activation)
                                ? times_derivative<T>(activation, upstream, at, alpha)
                                : upstream * smooth_derivative_at<T, W>(activation, at, alpha));
    });
}

}  // namespace
}  // namespace rot180
