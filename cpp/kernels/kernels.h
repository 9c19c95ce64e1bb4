// The table of vector kernels: the contract between the drivers in cpp/src and the code here, which
// is compiled once per instruction set. Only C headers and our own may be included from here on: an
// inline function of the standard library, merged by the linker from the AVX-512 object, would
// crash an older CPU.
//
// A panel is a block of output channels as the tiles read it: `vectors` vectors of `width` lanes,
// zero in the lanes past the last channel. No kernel reads or writes past the sizes it is given.
#pragma once

#include <stdint.h>

#include "rot180/activation.h"

namespace rot180 {

// One row of output pixels of a dense correlation, one panel of channels:
//   y[p*y_stride + k] = activation(bias[k] + sum over r,s,c of
//       x[p*x_stride + r*tap_row_stride + s*tap_column_stride + c] * weight[r,s,c,k])
// weight is (tap_rows, tap_columns, run, vectors*width), bias (vectors*width).
// Any activation but sigmoid and tanh, whose drivers make a second pass.
template <class T>
struct CorrelateRow {
    const T* x;
    int64_t x_stride, tap_row_stride, tap_column_stride;
    int64_t tap_rows, tap_columns, run;
    const T* weight;
    const T* bias;
    T* y;
    int64_t y_stride;
    int64_t pixels, channels;  // channels <= vectors*width
    int vectors;
    Activation activation;
};

// The same with one input channel for each output channel:
//   y[p*y_stride + k] = activation(bias[k] + sum over r,s of
//       x[p*x_stride + r*tap_row_stride + s*tap_column_stride + k] * weight[r,s,k])
template <class T>
struct DepthwiseRow {
    const T* x;
    int64_t x_stride, tap_row_stride, tap_column_stride;
    int64_t tap_rows, tap_columns;
    const T* weight;  // (tap_rows, tap_columns, channels)
    const T* bias;    // (channels)
    T* y;
    int64_t y_stride;
    int64_t pixels, channels;
    Activation activation;
};

// A block of pixels seen by a weight gradient: (images, rows, columns), x and dy with strides of
// their own.
template <class T>
struct PixelBlock {
    int64_t images, rows, columns;
    const T* x;
    int64_t x_image_stride, x_row_stride, x_stride;
    const T* dy;
    int64_t dy_image_stride, dy_row_stride, dy_stride;
};

// dw[m*vectors*width + k] += sum over pixels of x[m] * dy[k], m in [0, rows), one panel of k.
// dy must be readable for vectors*width lanes at every pixel.
template <class T>
struct OuterProduct {
    PixelBlock<T> pixels;
    T* dw;  // (rows, vectors*width)
    int64_t rows;
    int vectors;
};

// dw[s*dw_stride + k] += sum over pixels of x[s*tap_column_stride + k] * dy[k] for every tap
// column.
template <class T>
struct DepthwiseOuterProduct {
    PixelBlock<T> pixels;
    int64_t tap_columns, tap_column_stride;
    T* dw;
    int64_t dw_stride;
    int64_t channels;
};

// One output row of a pooling: window columns clipped by the kernel, window rows by the driver.
template <class T>
struct PoolRow {
    const T* x;  // the image's channel 0 at (first_row, 0)
    int64_t x_row_stride, width, channels;
    int64_t first_row, rows;  // rows of x in the window
    int64_t kernel_width, stride_w, pad_left;
    int64_t out_width;
    T* y;
    int32_t* index;  // max only; may be null
    const T* count;  // average only: the cells to divide by, for each output column
};

// One input row of max pooling's gradient: every window that covers it, in rows of dy.
template <class T>
struct MaxPoolGradRow {
    const T* dy;  // (out_height, out_width, channels) of this image
    const int32_t* index;
    int64_t out_width, channels;
    int64_t first_row, rows;  // rows of dy whose windows cover the input row
    int64_t kernel_width, stride_w, pad_left;
    int64_t width;
    int32_t row_index;  // h * width
    T* dx;
};

// One input row of average pooling's gradient.
template <class T>
struct AvgPoolGradRow {
    const T* dy;
    int64_t out_width, channels;
    int64_t first_row, rows;
    int64_t kernel_width, stride_w, pad_left;
    int64_t width;
    const T* count;  // (out_height, out_width)
    T* dx;
};

// param -= alpha * m / (sqrt(v) * scale + eps); see adam_step for where the constants come from.
template <class T>
struct AdamConstants {
    T beta1, one_minus_beta1, beta2, one_minus_beta2;
    T alpha, scale, eps;
    T l2;      // weight decay added to the gradient
    T shrink;  // factor on the parameter before the step: 1 - lr * decoupled decay
};

template <class T>
struct SgdConstants {
    T lr, momentum;
    bool nesterov;
    T l2, shrink;
};

template <class T>
struct Kernels {
    int width;        // lanes of one vector
    int max_vectors;  // widest panel, in vectors

    void (*correlate_row)(const CorrelateRow<T>&);
    void (*depthwise_row)(const DepthwiseRow<T>&);
    void (*outer_product)(const OuterProduct<T>&);
    void (*depthwise_outer_product)(const DepthwiseOuterProduct<T>&);
    // sum[c] = sum over rows of x[row*channels + c]
    void (*sum_rows)(const T* x, int64_t rows, int64_t channels, T* sum);

    void (*max_pool_row)(const PoolRow<T>&);
    void (*avg_pool_row)(const PoolRow<T>&);
    void (*max_pool_grad_row)(const MaxPoolGradRow<T>&);
    void (*avg_pool_grad_row)(const AvgPoolGradRow<T>&);

    void (*activate)(Activation, int64_t size, const T* x, T slope, T* y);
    void (*activate_grad)(Activation, int64_t size, const T* dy, const T* y, T slope, T* dx);

    // Writes softmax(logits) of one row; returns log(sum exp(logits - max)) and the max.
    void (*softmax_row)(const T* logits, int64_t classes, T* probabilities, T* log_sum, T* max);
    // sum of (a[i] - b[i])^2
    double (*squared_distance)(const T* a, const T* b, int64_t size);
    // out[i] = scale * (a[i] - b[i])
    void (*scaled_difference)(const T* a, const T* b, T scale, int64_t size, T* out);

    void (*adam)(int64_t size, T* param, const T* grad, T* m, T* v, const AdamConstants<T>&);
    void (*sgd)(int64_t size, T* param, const T* grad, T* velocity, const SgdConstants<T>&);
};

// What one instruction set's object exports, its only symbol.
struct KernelTable {
    Kernels<float> float32;
    Kernels<double> float64;
};

extern "C" {
extern const KernelTable rot180_kernels_baseline;
extern const KernelTable rot180_kernels_avx2;
extern const KernelTable rot180_kernels_avx512;
}

}  // namespace rot180
