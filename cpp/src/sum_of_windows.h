// The transposed convolution as a sum of windows: each pixel of dy gives its window of dx
// R * S * C numbers, a matrix product without borders, and windows overlap.
#pragma once

#include "rot180/conv2d.h"

namespace rot180 {

// Whether that takes less than the correlation that transposes: few channels C, which fill no
// vector by themselves, and wide borders, whose zeros a full-mode correlation multiplies.
template <class T>
bool sum_of_windows_pays(const Conv2dShape& shape);

// dx as conv_transpose2d; bias may be null.
template <class T>
void sum_of_windows(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                    const T* bias, Activation activation, T* dx);

}  // namespace rot180
