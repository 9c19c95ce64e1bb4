// Pointwise convolutions of so few pixels that their weights are read as they lie.
#pragma once

#include "correlation.h"

namespace rot180 {

// Whether correlate_few_pixels can compute a part, which stands alone and is flattened.
template <class T>
bool has_few_pixels(const Correlation& part);

// As correlate.
template <class T>
void correlate_few_pixels(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                          const T* bias, Activation activation, T* y);

// As conv2d_grad_weight, for a flattened shape: true if it has few pixels and this was all.
template <class T>
bool few_pixels_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                            T* dweight, T* dbias);

}  // namespace rot180
