// The transposed convolution as a sum of windows: each pixel of dy gives its window of dx
// R * S * C numbers, a matrix product without borders, and windows overlap. One row of dx at a
// time: what all pixels of a column of dy give to it is summed in registers, so that only rows of
// windows, S * C numbers each, are left to be added.
#pragma once

#include "rot180/conv2d.h"

namespace rot180 {

// What that takes, in multiply-adds of whole vectors.
template <class T>
double sum_of_windows_steps(const Conv2dShape& shape);

// Whether that is less than the correlation that transposes takes: few channels C, which fill no
// vector by themselves, and wide borders, whose zeros a full-mode correlation multiplies.
template <class T>
bool sum_of_windows_pays(const Conv2dShape& shape);

// dx as conv_transpose2d; bias may be null.
template <class T>
void sum_of_windows(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                    const T* bias, Activation activation, T* dx);

}  // namespace rot180
