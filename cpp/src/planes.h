// Convolutions of few channels on both sides, such as a network's first: each channel of an image
// becomes a plane by itself, and vectors run over the pixels of planes.
#pragma once

#include "correlation.h"

namespace rot180 {

// Whether vectors over pixels take less than vectors over output channels, which few channels fill
// in part. pass is forward, of any correlation, or grad_weight.
template <class T>
bool planes_pay(Pass pass, const Correlation& part);

// As correlate. Returns false, and leaves y alone, where a weight is not finite: zeros around the
// image would make NaN of it.
template <class T>
bool correlate_by_planes(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                         const T* bias, Activation activation, T* y);

// As conv2d_grad_weight, for a batch of at least one. Returns false, and leaves dweight unfinished,
// where a result is not finite: between the rows of a plane zeros of dy meet pixels of x that they
// have nothing to do with.
template <class T>
bool grad_weight_by_planes(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                           T* dweight, T* dbias);

}  // namespace rot180
