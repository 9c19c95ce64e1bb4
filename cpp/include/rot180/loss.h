// Losses that are a mean over elements, with their gradients.
#pragma once

#include <cstdint>

namespace rot180 {

enum class ElementLoss { mean_squared_error, mean_absolute_error, huber };

// Returns the mean of a term of d = prediction[i] - target[i]; size is at least 1:
//   mean_squared_error d^2; mean_absolute_error |d|;
//   huber |d| <= delta ? d^2 / 2 : delta (|d| - delta / 2)
// delta matters to huber alone.
template <class T>
double element_loss(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                    double delta);

// dprediction[i] = the term's derivative / size: 2 d; the sign of d; d clipped to [-delta, delta].
template <class T>
void element_loss_grad_input(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                             double delta, T* dprediction);

// Returns the mean of -(w t log sigmoid(z) + (1 - t) log(1 - sigmoid(z))), z = logits[i],
// t = target[i] and w = pos_weight[i % period]; size is at least 1.
template <class T>
double binary_cross_entropy(int64_t size, const T* logits, const T* target, const T* pos_weight,
                            int64_t period);

// dlogits[i] = ((1 - t) sigmoid(z) - w t (1 - sigmoid(z))) / size.
template <class T>
void binary_cross_entropy_grad_input(int64_t size, const T* logits, const T* target,
                                     const T* pos_weight, int64_t period, T* dlogits);

}  // namespace rot180
