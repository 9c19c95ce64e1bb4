// The one correlation that conv2d, and each phase of conv2d_grad_input, is an instance of.
#pragma once

#include <cstdint>
#include <vector>

#include "rot180/conv2d.h"
#include "window.h"

namespace rot180 {

// y[n,i,j,k] = activation(bias[k] + sum over r,s,c of
//     x[n, i*stride_h + r*dilation_h - top, j*stride_w + s*dilation_w - left, g*run + c]
//     * weight[r,s,c,k])   for k in group g, with x zero outside the image.
// The strides of y and weight say where their elements lie, so that a turned kernel, exchanged
// channels or every second pixel of an output need no copy.
struct Correlation {
    int64_t batch, height, width, channels;  // x
    int64_t groups, run;                     // run = channels of x in one group
    int64_t tap_rows, tap_columns;
    int64_t stride_h, stride_w, dilation_h, dilation_w;
    int64_t top, left;  // padding; negative where the first window begins inside the image

    int64_t out_rows, out_columns, group_out;  // group_out = channels of y in one group
    int64_t y_offset, y_image_stride, y_row_stride, y_column_stride;

    int64_t weight_offset, weight_row_stride, weight_column_stride;
    int64_t weight_in_stride, weight_out_stride;  // one of them is 1
    int64_t weight_group_stride;
};

// y of the forward pass.
Correlation forward_correlation(const Conv2dShape& shape);

inline bool is_depthwise(const Correlation& part) {
    return part.run == 1 && part.group_out == 1 && part.groups > 1;
}

inline Window window_of(const Correlation& part, int64_t i, int64_t j, int64_t rows,
                        int64_t columns) {
    return {i * part.stride_h - part.top, j * part.stride_w - part.left,
            extent(rows, part.stride_h, part.tap_rows, part.dilation_h),
            extent(columns, part.stride_w, part.tap_columns, part.dilation_w)};
}

inline bool has_border(const Correlation& part) {
    return !window_of(part, 0, 0, part.out_rows, part.out_columns).inside(part.height, part.width);
}

// All parts in one parallel region. They share x, weight, bias (may be null) and y, and agree in
// batch, groups, run and group_out. x carries an activation where the pass is a gradient.
template <class T>
void correlate(const std::vector<Correlation>& parts, const OutputGradient<T>& x, const T* weight,
               const T* bias, Activation activation, T* y);

// The same sum over the taps inside the image, one by one. Slow, and right where zeros are not: an
// infinite weight times a zero of the padding would be NaN. Also needs no memory for windows.
template <class T>
void correlate_exactly(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                       const T* bias, Activation activation, T* y);

}  // namespace rot180
