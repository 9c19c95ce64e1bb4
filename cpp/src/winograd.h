// Winograd's algorithm: sums over tiles of outputs, with fewer multiplications than the direct
// ones. What it can compute, winograd_refuses says.
#pragma once

#include "correlation.h"

namespace rot180 {

// Points of a tile along one side, for kernels of 2 to 5 taps along theirs. Tiles of 4x4 outputs
// cover images of 8, 16 and 32 pixels evenly: two taps need only five points for them.
constexpr int winograd_points(int64_t taps) { return taps == 2 ? 5 : 6; }

// A convolution whose stride divides the kernel is one of stride 1 over stride * stride times as
// many channels, the phases of x: phase (a, b) has every stride-th pixel from (a, b) on, and every
// stride-th tap.

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
