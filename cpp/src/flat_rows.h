// Convolutions of few channels on both sides, such as a network's first: vectors run along a row of
// outputs as it lies in memory, over pixels and channels alike.
#pragma once

#include "correlation.h"

namespace rot180 {

// Whether that takes less than vectors of output channels, which few channels fill in part. pass is
// forward, of any correlation, or grad_weight.
template <class T>
bool flat_rows_pay(Pass pass, const Correlation& part);

// As correlate. Returns false, and leaves y alone, where a weight is not finite: zeros around the
// image would make NaN of it.
template <class T>
bool correlate_flat_rows(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                         const T* bias, Activation activation, T* y);

// As conv2d_grad_weight, for a batch of at least one. Returns false, and leaves dweight unfinished,
// where a result is not finite: zeros around x meet values of dy that they have nothing to do with.
template <class T>
bool grad_weight_by_flat_rows(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                              T* dweight, T* dbias);

}  // namespace rot180
