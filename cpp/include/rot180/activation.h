// Activation functions and their derivatives, and sums, element by element.
#pragma once

#include <cstdint>

namespace rot180 {

// In this order: those that are a comparison or two, those that a convolution or a sum can apply to
// its output too, those whose derivative can be had from the output, and the others.
enum class Activation { none, relu, relu6, leaky_relu, sigmoid, tanh, elu, silu, gelu, gelu_tanh };

constexpr bool is_cheap(Activation activation) { return activation <= Activation::leaky_relu; }
constexpr bool can_be_fused(Activation activation) { return activation <= Activation::tanh; }

// The slope that a leaky ReLU has when none is given.
inline constexpr double leaky_relu_slope = 0.01;

// The loss's gradient by the output of a layer that ends with an activation, as its backward passes
// read it: dy, times the derivative at the saved output y unless the activation is none.
template <class T>
struct OutputGradient {
    const T* dy;
    Activation activation = Activation::none;
    const T* y = nullptr;
};

// y[i] = activation(x[i]):
//   relu max(x, 0); relu6 min(max(x, 0), 6); leaky_relu x > 0 ? x : alpha x;
//   sigmoid 1 / (1 + exp(-x)); elu x > 0 ? x : alpha (exp(x) - 1); silu x sigmoid(x);
//   gelu x P(X < x), X of the standard normal distribution;
//   gelu_tanh x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2
// alpha matters to leaky_relu and elu alone. x and y may be the same array.
template <class T>
void activate(Activation activation, int64_t size, const T* x, T alpha, T* y);

// y[i] = activation(a[i] + b[i]), of those that can be fused, a leaky ReLU with `leaky_relu_slope`.
// y may be a or b.
template <class T>
void add(Activation activation, int64_t size, const T* a, const T* b, T* y);

// dx[i] = dy[i] * activation'(x[i]). `saved` is x itself for silu, gelu and gelu_tanh. For the
// others it is the output y, and alpha >= 0: relu y > 0; relu6 0 < y < 6;
// leaky_relu y > 0 ? 1 : alpha; sigmoid y (1 - y); tanh 1 - y*y; elu y > 0 ? 1 : y + alpha.
template <class T>
void activate_grad_input(Activation activation, int64_t size, const T* dy, const T* saved, T alpha,
                         T* dx);

}  // namespace rot180
