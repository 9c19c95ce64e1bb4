// Activations on values that are in registers already: as a convolution writes y, or reads dy.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// A cheap activation at z. V is T, or a vector of T.
template <class T, class V>
inline V rectify(Activation activation, V z) {
    if (activation == Activation::relu) return z < T(0) ? V{} : z;
    if (activation == Activation::leaky_relu) return z < T(0) ? z * T(leaky_relu_slope) : z;
    if (activation == Activation::relu6) {
        const V positive = z < T(0) ? V{} : z;
        return positive > T(6) ? V{} + T(6) : positive;
    }
    return z;
}

// dy times the derivative of one that can be fused, where it returned y. V is a vector of T.
template <class T, class V>
inline V times_derivative(Activation activation, V dy, V y, T alpha) {
    if (activation == Activation::relu) return y > T(0) ? dy : V{};
    if (activation == Activation::leaky_relu) return y > T(0) ? dy : dy * alpha;
    if (activation == Activation::relu6) return (y > T(0)) & (y < T(6)) ? dy : V{};
    if (activation == Activation::sigmoid) return dy * (y * (T(1) - y));
    if (activation == Activation::tanh) return dy * (T(1) - y * y);
    return dy;
}

}  // namespace
}  // namespace rot180
