// Losses that are a mean over the batch, with their gradients.
#pragma once

#include <cstdint>

namespace rot180 {

// probabilities[i,j] = exp(logits[i,j]) / sum over l of exp(logits[i,l]), computed with the row's
// maximum subtracted. Both are (rows, classes).
template <class T>
void softmax(int64_t rows, int64_t classes, const T* logits, T* probabilities);

// Returns the mean over rows of -log softmax(logits)[i, labels[i]] and writes the probabilities.
// Every label is in [0, classes); rows is at least 1.
template <class T>
double softmax_cross_entropy(int64_t rows, int64_t classes, const T* logits, const int64_t* labels,
                             T* probabilities);

// dlogits[i,j] = (probabilities[i,j] - (j == labels[i])) / rows.
template <class T>
void softmax_cross_entropy_grad_input(int64_t rows, int64_t classes, const T* probabilities,
                                      const int64_t* labels, T* dlogits);

// Returns the mean of (prediction[i] - target[i])^2; size is at least 1.
template <class T>
double mean_squared_error(int64_t size, const T* prediction, const T* target);

// dprediction[i] = 2 (prediction[i] - target[i]) / size.
template <class T>
void mean_squared_error_grad_input(int64_t size, const T* prediction, const T* target,
                                   T* dprediction);

}  // namespace rot180
