// Normalisation of images, with its gradients.
#pragma once

#include <cstdint>

#include "rot180/activation.h"

namespace rot180 {

// What follows the division by the standard deviation: activation(xhat * weight + bias). weight and
// bias are (channels); null stands for ones and for zeros.
template <class T>
struct Affine {
    const T* weight;
    const T* bias;
    Activation activation;
};

// Batch normalisation takes x, y and their gradients as (pixels, channels), the pixels of all
// images together, and all statistics as (channels):
//   y = activation((x - mean) / sqrt(var + eps) * weight + bias + residual)
// residual is of x's shape, or null for none.
template <class T>
void batch_norm(int64_t pixels, int64_t channels, const T* x, const T* mean, const T* var,
                double eps, const Affine<T>& affine, const T* residual, T* y);

// The same by the mean and the biased variance of x itself. Writes the mean and
// inv_std = 1 / sqrt(var + eps), and moves the running statistics, which may both be null, to
// (1 - momentum) * running + momentum * of x; the variance it takes there is the unbiased one.
// pixels != 1. Without pixels the running statistics stay.
template <class T>
void batch_norm_training(int64_t pixels, int64_t channels, const T* x, double eps,
                         const Affine<T>& affine, const T* residual, double momentum,
                         T* running_mean, T* running_var, T* y, T* mean, T* inv_std);

// The gradients are of y without a residual. With xhat = (x - mean) * inv_std and
// g = dy * activation'(xhat * weight + bias):
//   dweight = sum over pixels of g * xhat,   dbias = sum over pixels of g
template <class T>
void batch_norm_grad_weight(int64_t pixels, int64_t channels, const T* dy, const T* x,
                            const T* mean, const T* inv_std, const Affine<T>& affine, T* dweight,
                            T* dbias);

// The gradient by x of batch_norm_training, and the two sums beside it:
//   dx = weight * inv_std * (g - dbias / pixels - xhat * dweight / pixels)
template <class T>
void batch_norm_grad_input(int64_t pixels, int64_t channels, const T* dy, const T* x, const T* mean,
                           const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias);

// Group normalisation takes x, y and their gradients as (samples, pixels, channels). Each sample's
// channels are cut into groups of channels / groups, and each group has a mean and a variance of
// its own over all pixels: (samples, groups). weight and bias are (channels) as above. With one
// pixel and one group it is layer normalisation.
struct GroupNormShape {
    int64_t samples, pixels, channels, groups;
};

// y = activation(xhat * weight + bias), xhat = (x - mean) * inv_std, inv_std = 1 / sqrt(var + eps).
// Writes mean and inv_std.
template <class T>
void group_norm(const GroupNormShape& shape, const T* x, double eps, const Affine<T>& affine, T* y,
                T* mean, T* inv_std);

// With g = dy * activation'(xhat * weight + bias):
//   dweight = sum over samples and pixels of g * xhat,   dbias = that of g
template <class T>
void group_norm_grad_weight(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                            const T* inv_std, const Affine<T>& affine, T* dweight, T* dbias);

// The gradient by x, and the two sums beside it. With h = g * weight and means over a group:
//   dx = inv_std * (h - mean of h - xhat * mean of (h * xhat))
template <class T>
void group_norm_grad_input(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                           const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias);

}  // namespace rot180
