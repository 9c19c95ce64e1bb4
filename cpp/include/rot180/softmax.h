// Softmax of the rows of a matrix, alone and with cross-entropy, and their gradients.
#pragma once

#include <cstdint>

namespace rot180 {

// y[i,j] = exp(x[i,j]) / sum over l of exp(x[i,l]), computed with the row's maximum subtracted.
// Both are (rows, classes).
template <class T>
void softmax(int64_t rows, int64_t classes, const T* x, T* y);

// dx[i,j] = y[i,j] (dy[i,j] - sum over l of dy[i,l] y[i,l]).
template <class T>
void softmax_grad_input(int64_t rows, int64_t classes, const T* dy, const T* y, T* dx);

// What the rows of logits ought to be, with w the class weights:
//   target[i,j] = w[j] ((1 - smoothing) q[i,j] + smoothing / classes)
// where q[i,j] is 1 for j = labels[i] and 0 for the others, or a probability.
template <class T>
struct ClassTarget {
    const int64_t* labels;   // (rows), each in [0, classes), or null:
    const T* probabilities;  // (rows, classes)
    double smoothing;
    const double* class_weights;  // (classes), or null: all are 1
};

// What losses and gradients are divided by: with labels the sum over rows of w[labels[i]], which
// must not be 0, else the number of rows.
template <class T>
double total_weight(int64_t rows, const ClassTarget<T>& target);

// Returns -(sum over i, j of target[i,j] log softmax(logits)[i,j]) / total_weight and writes the
// probabilities, softmax(logits).
template <class T>
double softmax_cross_entropy(int64_t rows, int64_t classes, const T* logits,
                             const ClassTarget<T>& target, T* probabilities);

// dlogits[i,j] = (probabilities[i,j] sum over l of target[i,l] - target[i,j]) / total_weight.
template <class T>
void softmax_cross_entropy_grad_input(int64_t rows, int64_t classes, const T* probabilities,
                                      const ClassTarget<T>& target, T* dlogits);

}  // namespace rot180
