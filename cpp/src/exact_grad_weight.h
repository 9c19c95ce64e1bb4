// The weight gradient tap by tap, leaving out what lies outside the image. Slow, and right where
// zeros are not: the padding times an infinite dy would be NaN. Also needs no memory for windows.
#pragma once

#include "rot180/conv2d.h"

namespace rot180 {

template <class T>
void exact_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                       T* dweight);

// The bias gradient from a dy that nothing has packed.
template <class T>
void exact_grad_bias(const Conv2dShape& shape, const OutputGradient<T>& dy, T* dbias);

}  // namespace rot180
