// Optimizer steps, in place, over any number of tensors in one parallel region.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rot180 {

enum class WeightDecay { coupled, decoupled };

// One parameter tensor with its gradient and its moments, all of `size` elements.
template <class T>
struct AdamTensor {
    int64_t size;
    T* param;
    const T* grad;
    T* m;
    T* v;
};

struct AdamOptions {
    int64_t step;  // counts from 1, one for the whole model
    double lr, beta1, beta2, eps;
    double weight_decay;
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
};

struct SgdOptions {
    double lr, momentum;
    bool nesterov;
    double weight_decay;
    WeightDecay decay;
};

// velocity = momentum velocity + g;   param -= lr velocity, or lr (g + momentum velocity) with
// nesterov, or lr g without momentum; g and weight_decay as in adam_step.
template <class T>
void sgd_step(const SgdTensor<T>* tensors, size_t count, const SgdOptions& options);

}  // namespace rot180
