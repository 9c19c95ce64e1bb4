// The activations that the convolution kernels apply as they write y.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// V is T, or a vector of T.
template <class T, class V>
inline V rectify(Activation activation, V z) {
    if (activation == Activation::relu) return z < T(0) ? V{} : z;
    if (activation == Activation::leaky_relu) return z < T(0) ? z * T(leaky_relu_slope) : z;
    return z;
}

}  // namespace
}  // namespace rot180
