// Depthwise convolution, one input channel for each output channel, and its gradients. Memory sets
// the pace here: x, weights and y are read and written where they lie, and taps outside the image
// are left out instead of met by zeros.
#pragma once

#include <vector>

#include "correlation.h"

namespace rot180 {

// As `correlate`, where `is_depthwise`.
template <class T>
void correlate_depthwise(const std::vector<Correlation>& parts, const OutputGradient<T>& x,
                         const T* weight, const T* bias, Activation activation, T* y);

// As `conv2d_grad_weight`, where in_channels == out_channels == groups.
template <class T>
void depthwise_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                           T* dweight, T* dbias);

}  // namespace rot180
