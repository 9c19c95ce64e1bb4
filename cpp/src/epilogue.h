// The activation at the end of a convolution: kernels apply some as they write y, the others follow
// in a pass over what was just written.
#pragma once

#include <cstdint>

#include "kernels.h"

namespace rot180 {

// What of it the kernels apply.
inline Activation in_kernel(Activation activation) {
    return is_cheap(activation) ? activation : Activation::none;
}

// What they do not, to `pixels` pixels `stride` apart, `channels` of each.
template <class T>
void after_kernel(const Kernels<T>& kernels, Activation activation, int64_t pixels,
                  int64_t channels, int64_t stride, T* y) {
    if (in_kernel(activation) == activation) return;
    if (stride == channels) {
        kernels.activate(activation, pixels * channels, y, T(0), y);
        return;
    }
    for (int64_t p = 0; p < pixels; ++p) {
        kernels.activate(activation, channels, y + p * stride, T(0), y + p * stride);
    }
}

// The same to `rows` rows of pixels.
template <class T>
void after_kernel(const Kernels<T>& kernels, Activation activation, int64_t rows,
                  int64_t row_stride, int64_t pixels, int64_t channels, int64_t stride, T* y) {
    if (row_stride == pixels * stride) {  // one long row
        return after_kernel(kernels, activation, rows * pixels, channels, stride, y);
    }
    for (int64_t row = 0; row < rows; ++row) {
        after_kernel(kernels, activation, pixels, channels, stride, y + row * row_stride);
    }
}

}  // namespace rot180
