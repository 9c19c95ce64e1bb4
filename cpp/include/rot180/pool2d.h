// Maximum and average pooling over NHWC images, with their gradients.
#pragma once

#include <cstdint>

#include "activation.h"

namespace rot180 {

// x is (batch, height, width, channels), y is (batch, out_height, out_width, channels). A window
// covers rows i*stride_h - pad_top ... + kernel_height - 1 of x, columns likewise.
struct Pool2dShape {
    int64_t batch, height, width, channels;
    int64_t kernel_height, kernel_width;
    int64_t out_height, out_width;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_bottom, pad_left, pad_right;

    int64_t input_size() const { return batch * height * width * channels; }
    int64_t output_size() const { return batch * out_height * out_width * channels; }

    // Throws std::invalid_argument unless every window holds at least one pixel of x.
    void validate() const;
};

// y[n,i,j,c] = activation(max of x over the window). index[n,i,j,c] says where it came from: of
// type int32_t, the pixel h * width + w; of type uint8_t, the tap r * kernel_width + s of the
// window, which then has at most 256. The first of equal values wins; the first NaN wins over
// everything. index may be null.
template <class T, class I>
void max_pool2d(const Pool2dShape& shape, const T* x, Activation activation, T* y, I* index);

// Whether every index is that of a pixel, or of a tap.
template <class I>
bool valid_pool_indices(const Pool2dShape& shape, const I* index);

// dx[n,h,w,c] = sum of dy over the windows that chose the pixel. Indices of no pixel do no harm.
template <class T, class I>
void max_pool2d_grad_input(const Pool2dShape& shape, const OutputGradient<T>& dy, const I* index,
                           T* dx);

// y = (sum of x over the window) / count; count is the window's cells inside x, or inside the
// padded image when count_include_pad.
template <class T>
void avg_pool2d(const Pool2dShape& shape, bool count_include_pad, const T* x, T* y);

// dx[n,h,w,c] = sum of dy / count over the windows that cover the pixel.
template <class T>
void avg_pool2d_grad_input(const Pool2dShape& shape, bool count_include_pad, const T* dy, T* dx);

}  // namespace rot180
