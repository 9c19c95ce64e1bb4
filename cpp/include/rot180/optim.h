// Optimizer steps and what goes with them, in place, over any number of tensors in one parallel
// region.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rot180 {

enum class WeightDecay { coupled, decoupled };

// One parameter tensor with its gradient and its moments, all of `size` elements, and the two
// options that differ between tensors of one call.
template <class T>
struct AdamTensor {
    int64_t size;
    T* param;
    const T* grad;
    T* m;
    T* v;
    double lr, weight_decay;
};

struct AdamOptions {
    int64_t step;  // counts from 1, one for the whole model
    double beta1, beta2, eps;
    WeightDecay decay;
    bool eps_hat;  // add eps before the bias correction, as Keras and ONNX do
};

// Kingma & Ba (2015), Algorithm 1, with g = grad (+ weight_decay * param when coupled):
//   m = beta1 m + (1 - beta1) g;   v = beta2 v + (1 - beta2) g^2
//   param -= lr (m / (1 - beta1^step)) / (sqrt(v / (1 - beta2^step)) + eps)
// Decoupled decay (AdamW) first takes lr * weight_decay * param off the parameter.
template <class T>
void adam_step(const AdamTensor<T>* tensors, size_t count, const AdamOptions& options);

// One parameter tensor with its gradient and velocity; velocity is null without momentum.
template <class T>
struct SgdTensor {
    int64_t size;
    T* param;
    const T* grad;
    T* velocity;
    double lr, weight_decay;
};

struct SgdOptions {
    double momentum;
    bool nesterov;
    WeightDecay decay;
};

// velocity = momentum velocity + g;   param -= lr velocity, or lr (g + momentum velocity) with
// nesterov, or lr g without momentum; g and weight_decay as in adam_step.
template <class T>
void sgd_step(const SgdTensor<T>* tensors, size_t count, const SgdOptions& options);

// One parameter tensor with its gradient and the moving means of g^2 and, when centered, of g; m is
// null otherwise, and velocity is null without momentum: for all tensors or for none.
template <class T>
struct RmspropTensor {
    int64_t size;
    T* param;
    const T* grad;
    T* v;
    T* m;
    T* velocity;
    double lr, weight_decay;
};

struct RmspropOptions {
    double alpha, eps, momentum;
    WeightDecay decay;
};

// Tieleman & Hinton (2012), Lecture 6.5; centered: Graves (2013), eq. 38-41 without his momentum:
//   v = alpha v + (1 - alpha) g^2;   m = alpha m + (1 - alpha) g;   s = sqrt(v) or sqrt(v - m^2)
//   velocity = momentum velocity + g / (s + eps);   param -= lr velocity
// without momentum param -= lr g / (s + eps); g and weight_decay as in adam_step. Rounding never
// takes v - m^2 below 0.
template <class T>
void rmsprop_step(const RmspropTensor<T>* tensors, size_t count, const RmspropOptions& options);

// average and param, both of `size` elements.
template <class T>
struct EmaTensor {
    int64_t size;
    T* average;
    const T* param;
};

// average += (1 - decay) (param - average)
template <class T>
void ema_step(const EmaTensor<T>* tensors, size_t count, double decay);

template <class T>
struct GradTensor {
    int64_t size;
    T* grad;
};

// The two halves of clip_grad_norm, because a model may have tensors of both types: the sum of
// grad^2 of each tensor, in double, and grad *= factor.
template <class T>
void sums_of_squares(const GradTensor<T>* tensors, size_t count, double* sums);
template <class T>
void scale(const GradTensor<T>* tensors, size_t count, double factor);

}  // namespace rot180
