// Activation functions and their derivatives, and sums, element by element.
#pragma once

#include <cstdint>

namespace rot180 {

enum class Activation { none, relu, leaky_relu, sigmoid, tanh };

// The slope that a leaky ReLU has when none is given.
inline constexpr double leaky_relu_slope = 0.01;

// y[i] = activation(x[i]). `slope` matters to leaky_relu alone. x and y may be the same array.
template <class T>
void activate(Activation activation, int64_t size, const T* x, T slope, T* y);

// y[i] = activation(a[i] + b[i]), a leaky ReLU with `leaky_relu_slope`. y may be a or b.
template <class T>
void add(Activation activation, int64_t size, const T* a, const T* b, T* y);

// dx[i] = dy[i] * activation'(z[i]), taken from the saved output y = activation(z):
// relu y > 0, leaky_relu y > 0 ? 1 : slope (slope >= 0), sigmoid y (1 - y), tanh 1 - y*y.
template <class T>
void activate_grad_input(Activation activation, int64_t size, const T* dy, const T* y, T slope,
                         T* dx);

}  // namespace rot180
