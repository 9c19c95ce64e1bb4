// Winograd's algorithm: sums over tiles of outputs, with fewer multiplications than the direct
// ones. What it can compute, winograd_refuses says.
#pragma once

#include "correlation.h"

namespace rot180 {

// As correlate. Returns false, and leaves y unfinished, where a result is not finite: a tile's
// outputs share their sums, so an infinity or NaN would spread over all of them.
template <class T>
bool correlate_winograd(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                        const T* bias, Activation activation, T* y);

// As conv2d_grad_weight, and false as above.
template <class T>
bool winograd_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                          T* dweight, T* dbias);

}  // namespace rot180
