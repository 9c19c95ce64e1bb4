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
#include "rot180/loss.h"

namespace rot180 {

// Elements of a cache line.
template <class T>
inline constexpr int64_t line_size = 64 / int64_t(sizeof(T));

// No register tile of any instruction set has more rows.
inline constexpr int most_tile_pixels = 12;

// `length` consecutive values of x in a pixel's window, `offset` from where the window begins. The
// runs of a window, one after the other, are the lines of a panel of weights.
struct Run {
    int64_t offset, length;
};

// Any output pixels of a dense correlation, one panel of channels, some runs of the reduction:
//   y[y_at[p] + k] = activation(start[k] + sum over runs and c < run.length of
//       x[x_at[p] + run.offset + c] * weight[line, k])
// where start is bias or, if that is null, y as an earlier call left it. weight is
// (lines, vectors*width), bias (vectors*width). activation is cheap; of the others the drivers make
// a second pass.
template <class T>
struct CorrelateTiles {
    const T* x;
    const int64_t* x_at;
    const Run* runs;
    int64_t run_count;
    const T* weight;
    const T* bias;
    T* y;
    const int64_t* y_at;
    int64_t pixels, channels;  // channels <= vectors*width
    int vectors;
    bool prefetch_next;  // the next call's weight follows this one's
    bool prefetch_y;     // as soon as a tile begins
    Activation activation;
};

// Rows of outputs in which vectors run over pixels and channels alike, `row_size` values a row, at
// least a vector; x has tap_rows - 1 rows more. Vector v begins with value v*width, the last one
// ends with the row. With phase = v % phases, or `phases` for a last one that begins elsewhere, its
// lane l reads of row r and column t of the taps
//   x[(row + r)*x_row_stride + v/phases*x_period + x_at[phase] + tap_at[t] + index[phase, l]]
// (of the last phase without the period), index being less than width. A vector may be read
// wherever its first value is one of those.
inline constexpr int most_flat_tap_rows = 7;
template <class T>
struct FlatRows {
    const T* x;
    int64_t rows, row_size, x_row_stride;
    int64_t phases, x_period;
    const int64_t* x_at;   // (phases + 1)
    const int32_t* index;  // (phases + 1, width)
    int64_t tap_rows, taps;
    const int64_t* tap_at;
};

// y = activation(bias + sum over taps of x * weight), weight being (phases + 1, taps, tap_rows,
// width), bias (phases + 1, width). activation as above.
template <class T>
struct FlatCorrelation {
    const T* weight;
    const T* bias;
    Activation activation;
    T* y;
    int64_t y_row_stride;
};

// Its weight gradient, lane by lane: sums, as weight, grow by x * dy. dy has no gaps between rows,
// and tap_rows - 1 rows of zeros before and behind, the first of which it points to.
template <class T>
struct FlatGradient {
    const T* dy;
    T* sums;
};

// A pointwise correlation of at most so many pixels, whose weights are read as they lie:
//   y[p*outputs + k] = activation(bias[k] + sum over c < inputs of
//       x[p*inputs + c] * weight[c*weight_stride + k])      if outputs_together,
//       x[p*inputs + c] * weight[k*weight_stride + c])      else.
// bias may be null; at least `width` outputs, or inputs, lie together. activation as above.
inline constexpr int64_t most_few_pixels = 16;
template <class T>
struct FewPixels {
    const T* x;
    const T* weight;
    int64_t weight_stride;
    bool outputs_together;
    const T* bias;
    Activation activation;
    T* y;
    int64_t pixels, inputs, outputs;
};

// Its weight gradient: dw[c*outputs + k] = sum over p of x[p*inputs + c] * dy[p*outputs + k], for
// at least `width` outputs, and at most so many pixels.
inline constexpr int most_few_pixels_grad = 8;
template <class T>
struct FewPixelsGrad {
    const T* x;
    const T* dy;
    T* dw;
    int64_t pixels, inputs, outputs;
};

// Packs a panel: to[line*lanes + k] = from[line*line_stride + k*channel_stride], zero from
// `channels` on. Returns whether all are finite, if that is to be checked. lanes are whole vectors,
// the last of them not empty, and one of the strides is 1.
template <class T>
struct PackLines {
    const T* from;
    int64_t line_stride, channel_stride;
    int64_t lines, channels, lanes;
    T* to;
    bool checked;
};

// Memory that a later call will read, to be asked for meanwhile; size 0 for none.
template <class T>
struct Ahead {
    const T* data;
    int64_t size;
};

// Output pixels of one row of a depthwise correlation, one input channel for each output channel:
//   y[p*y_stride + k] = activation(bias[k] + sum over r,s of
//       x[p*x_stride + r*tap_row_stride + s*tap_column_stride + k]
//       * weight[r*weight_row_stride + s*weight_column_stride + k])
template <class T>
struct DepthwiseRow {
    const T* x;
    int64_t x_stride, tap_row_stride, tap_column_stride;
    int64_t tap_rows, tap_columns;
    const T* weight;
    int64_t weight_row_stride, weight_column_stride;
    const T* bias;  // (channels), may be null
    T* y;
    int64_t y_stride;
    int64_t pixels, channels;
    Ahead<T> ahead;
    Activation activation;  // as in CorrelateTiles
};

// The weight gradient of such a row:
//   dw[r*dw_row_stride + s*dw_column_stride + k] += sum over p of
//       x[p*x_stride + r*tap_row_stride + s*tap_column_stride + k] * dy[p*dy_stride + k]
template <class T>
struct DepthwiseGradRow {
    const T* x;
    int64_t x_stride, tap_row_stride, tap_column_stride;
    int64_t tap_rows, tap_columns;
    const T* dy;
    int64_t dy_stride;
    T* dw;
    int64_t dw_row_stride, dw_column_stride;
    int64_t pixels, channels;
    Ahead<T> x_ahead, dy_ahead;
};

// Rows of windows, `length` values each, added to a row of an image where each lies:
//   to[p*to_stride + c] += from[p*from_stride + c]
// Both are readable, and `to` writable, for a vector more.
template <class T>
struct AddWindows {
    const T* from;
    int64_t from_stride, pixels, length;
    T* to;
    int64_t to_stride;
};

// A weight gradient summed over a block of pixels, (images, rows, columns), one panel of channels:
//   dw[m*dw_stride + k] = start + sum over pixels of x[m] * dy[k],   m < tile_rows
// where start is dw itself, or zero if dw is to be overwritten. x and dy have strides of their own;
// dy must be readable for vectors*width lanes at every pixel.
template <class T>
struct OuterProduct {
    int64_t images, rows, columns;
    const T* x;
    int64_t x_image_stride, x_row_stride, x_stride;
    const T* dy;
    int64_t dy_image_stride, dy_row_stride, dy_stride;
    T* dw;
    int64_t dw_stride;
    int64_t tile_rows;
    int vectors;
    bool overwrite;
    Ahead<T> x_ahead, dy_ahead;  // what the pixels after these will read
};

// Winograd's transform of one tile into its P x P points, of every channel alike:
//   to[(P*i + j)*point_stride + c] = point (i, j) of the pixels
//       from[from_at + r*row_stride + s*column_stride + c]
// times the activation's derivative at `saved`, which lies as `from` does, if there is one. Pixels
// outside [first_row, last_row) x [first_column, last_column) count as zero. `to` has room for
// whole vectors; what a last one has too many are any numbers. sum[c], unless it is null, grows by
// every pixel.
template <class T>
struct ToPoints {
    const T* from;
    int64_t from_size;  // elements that may be read
    Activation activation;
    const T* saved;
    int64_t from_at, row_stride, column_stride;
    int64_t first_row, last_row, first_column, last_column;
    int64_t channels;
    T* to;
    int64_t point_stride;
    T* sum;
    int64_t next_at;  // the next call's from_at, to be asked for meanwhile
};

// The products of points, of some tiles, with panels that lie side by side:
//   y[p*y_point_stride + t*y_tile_stride + k] = start + sum over c < channels of
//       x[p*x_point_stride + t*x_tile_stride + c] * weight[p*weight_point_stride, c, k]
// where start is y if it is to accumulate, else zero. The panels of a point follow one another in
// weight, each of them (channels, vectors*width).
template <class T>
struct PointProducts {
    const T* x;
    int64_t x_point_stride, x_tile_stride;
    const T* weight;
    int64_t weight_point_stride;
    T* y;
    int64_t y_point_stride, y_tile_stride;
    int64_t points, tiles, channels;
    const int* panel_vectors;  // of each panel
    int64_t panels;
    bool accumulate;
};

// Their weight gradient, a sum over tiles:
//   dw[p*dw_point_stride + c*dw_stride + k] = start + sum over t < tiles of
//       x[p*x_point_stride + t*x_tile_stride + c] * dy[p*dy_point_stride + t*dy_tile_stride + k]
// for c < channels and all lanes of the panels; start as above.
template <class T>
struct PointSums {
    const T* x;
    int64_t x_point_stride, x_tile_stride;
    const T* dy;
    int64_t dy_point_stride, dy_tile_stride;
    T* dw;
    int64_t dw_point_stride, dw_stride;
    int64_t points, tiles, channels;
    const int* panel_vectors;
    int64_t panels;
    bool accumulate;
};

// The transform of P x P points into the first `rows` x `columns` pixels of a tile:
//   to[i*row_stride + j*column_stride + c] = activation(bias[c] + pixel (i, j) of the points
//       from[p*point_stride + c])
// bias may be null; it and `from` are readable for whole vectors. activation as in CorrelateTiles.
// Lane c % width of zeros becomes NaN if a pixel is not finite, or if a row of them is too large
// for its sum; what lanes that have no channel become says nothing.
template <class T>
struct FromPoints {
    const T* from;
    int64_t point_stride;
    const T* bias;
    Activation activation;
    int64_t channels;
    T* to;
    int64_t row_stride, column_stride;
    int64_t rows, columns;
    T* next_to;  // the next call's `to`, to be asked for meanwhile; or null
    T* zeros;    // a vector
};

// A normalisation by channel of `size` values: rows of `period` values, one pixel or several, the
// last of them perhaps shorter. Each place in a row has its coefficients:
//   z = x * scale + shift
// and the center from which its gradients count x.
template <class T>
struct ChannelNorm {
    const T* x;
    int64_t size, period;
    const T* center;
    const T* scale;
    const T* shift;
    const T* residual = nullptr;  // for y alone: of x's size, added to z
};

// A normalisation of rows, each by its own statistics: `samples` times `groups` rows of `length`
// values. Row g of a sample has `length` values of weight and bias from g*length on:
//   y = activation(xhat * weight + bias),  xhat = (x - mean) * inv_std
// Null stands for ones and for zeros.
template <class T>
struct RowNorm {
    const T* x;
    int64_t samples, groups, length;
    const T* weight;
    const T* bias;
    Activation activation;
};

// Along one axis: the `count` pixels from `first` on that an output is made of, or the outputs that
// a pixel is part of. `at` is what each of the rows below says.
struct Span {
    int32_t first, count;
    int64_t at;
};

// One output row of max pooling, `rows` rows of x. Row r and column s of a window have the index
// index_start + r*index_row_step + s + at. activation as in CorrelateTiles.
template <class T, class I>
struct MaxPoolRow {
    const T* x;
    int64_t x_row_stride, channels;
    int64_t rows;
    const Span* windows;  // out_width of them, columns of x
    int64_t out_width;
    Activation activation;
    T* y;
    I* index;  // may be null
    int32_t index_start, index_row_step;
};

// One input row of its gradient: `rows` rows of dy whose windows cover it. The pixel's own index in
// row i and column j of them is index_start + at - i*index_row_step - j*index_column_step.
template <class T, class I>
struct MaxPoolGradRow {
    OutputGradient<T> dy;
    const I* index;
    int64_t row_stride, channels;
    int64_t rows;
    const Span* windows;  // `width` of them, columns of dy
    int64_t width;
    int32_t index_start, index_row_step, index_column_step;
    T* dx;
};

// One row of means over windows: y[j] = sum of x over `rows` rows and the columns of windows[j],
// divided by cells * at.
template <class T>
struct MeanRow {
    const T* x;
    int64_t x_row_stride, channels;
    int64_t rows;
    const Span* windows;
    int64_t width;
    int64_t cells;
    T* y;
};

// One row of weighted sums over windows: y[j] = sum over r, s of
//     row_weights[r] * column_weights[at + s] * x[r, first + s].
template <class T>
struct WeightedRow {
    const T* x;
    int64_t x_row_stride, channels;
    int64_t rows;
    const Span* windows;
    int64_t width;
    const T* row_weights;
    const T* column_weights;
    T* y;
};

// param -= alpha * m / (sqrt(v) * scale + eps); see adam_step for where the constants come from.
template <class T>
struct AdamConstants {
    T beta1, one_minus_beta1, beta2, one_minus_beta2;
    T alpha, scale, eps;
    T l2;      // weight decay added to the gradient
    T shrink;  // factor on the parameter before the step: 1 - lr * decoupled decay
};

// The step is that of sgd_step, which says what velocity is; null without momentum.
template <class T>
struct SgdConstants {
    T lr, momentum;
    bool nesterov;
    T l2, shrink;  // as in AdamConstants
};

// The step is that of rmsprop_step, which says what m and velocity are, and when they are null.
template <class T>
struct RmspropConstants {
    T alpha, one_minus_alpha;
    T lr, eps, momentum;
    T l2, shrink;  // as in AdamConstants
};

template <class T>
struct Kernels {
    int width;                        // lanes of one vector
    int max_vectors;                  // widest panel, in vectors
    int (*tile_pixels)(int vectors);  // rows of a register tile, at most most_tile_pixels

    bool (*pack_lines)(const PackLines<T>&);
    void (*correlate_tiles)(const CorrelateTiles<T>&);
    // The same for so few channels that vectors run along the reduction instead: every run is at
    // least a vector long, and weight is (channels, steps * width) with divide_up(length, width)
    // steps a run. A run's last step covers its last `width` values, with zeros for those that the
    // step before had.
    void (*correlate_few)(const CorrelateTiles<T>&);
    void (*correlate_flat_rows)(const FlatRows<T>&, const FlatCorrelation<T>&);
    void (*add_flat_gradient)(const FlatRows<T>&, const FlatGradient<T>&);
    // Vectors of outputs [first, last) if they lie together, else outputs.
    void (*correlate_few_pixels)(const FewPixels<T>&, int64_t first, int64_t last);
    // Inputs [first, last).
    void (*few_pixels_grad_weight)(const FewPixelsGrad<T>&, int64_t first, int64_t last);
    void (*outer_product)(const OuterProduct<T>&);
    void (*add_windows)(const AddWindows<T>&);
    void (*depthwise_row)(const DepthwiseRow<T>&);
    void (*depthwise_grad_row)(const DepthwiseGradRow<T>&);
    // sum[c] += sum over rows of x[row*stride + c]
    void (*add_rows)(const T* x, int64_t rows, int64_t stride, int64_t channels, T* sum);

    // B^T d B of points x points inputs, five or six.
    void (*winograd_input)(int points, const ToPoints<T>&);
    // G g G^T of a filter of taps x taps: 2 to 5 of six points, 2 or 4 of five.
    void (*winograd_filter)(int points, int taps, const ToPoints<T>&);
    void (*multiply_points)(const PointProducts<T>&);
    void (*sum_points)(const PointSums<T>&);
    // A^T m A, of size x size: 2 to 5 from six points, 2 or 4 from five.
    void (*winograd_output)(int points, int size, const FromPoints<T>&);

    // sum[j] += sum over rows of x - center, squares[j] += sum over rows of (x - center)^2, rows
    // and center as in ChannelNorm.
    void (*add_moments)(const T* x, int64_t size, int64_t period, const T* center, T* sum,
                        T* squares);
    // y = activation(z + residual); activation as in CorrelateTiles.
    void (*normalize)(const ChannelNorm<T>&, Activation, T* y);
    // With gradient = dy * activation'(z), here of any activation:
    // sum[j] += sum over rows of gradient, products[j] += sum over rows of gradient * (x - center)
    void (*add_grad_moments)(const ChannelNorm<T>&, const T* dy, Activation, T* sum, T* products);
    // dx = gradient * scale + (x - center) * slope + offset, slope and offset being (period) too
    void (*normalize_grad)(const ChannelNorm<T>&, const T* dy, Activation, const T* slope,
                           const T* offset, T* dx);

    // Writes y, and mean and inv_std = 1 / sqrt(var + eps) of each row. activation as in
    // CorrelateTiles.
    void (*normalize_rows)(const RowNorm<T>&, double eps, T* y, T* mean, T* inv_std);
    // With g = dy * activation'(y), here of any activation:
    //   dweight += g * xhat,  dbias += g,
    //   dx = inv_std * (g * weight - mean of (g * weight) - xhat * mean of (g * weight * xhat))
    // dx may be null.
    void (*normalize_rows_grad)(const RowNorm<T>&, const T* dy, const T* mean, const T* inv_std,
                                T* dx, T* dweight, T* dbias);

    void (*max_pool_row)(const MaxPoolRow<T, int32_t>&);
    void (*max_pool_grad_row)(const MaxPoolGradRow<T, int32_t>&);
    void (*max_pool_tap_row)(const MaxPoolRow<T, uint8_t>&);
    void (*max_pool_tap_grad_row)(const MaxPoolGradRow<T, uint8_t>&);
    void (*mean_row)(const MeanRow<T>&);
    void (*weighted_row)(const WeightedRow<T>&);

    // y[i] = activation(x[i]); y may be x.
    void (*activate)(Activation, int64_t size, const T* x, T alpha, T* y);
    // y[i] = activation(a[i] + b[i]); y may be a or b.
    void (*add)(Activation, int64_t size, const T* a, const T* b, T* y);
    // dx[i] = dy[i] times the derivative; `saved` is y or x, as in activate_grad_input.
    void (*activate_grad)(Activation, int64_t size, const T* dy, const T* saved, T alpha, T* dx);

    // y[i] = x[i] * scale where the number of element first + i is at least the threshold, else 0;
    // see rot180::dropout for the numbers. first is a multiple of 64.
    void (*dropout)(int64_t first, int64_t size, const T* x, uint64_t key, uint32_t threshold,
                    T scale, T* y);

    // y = softmax(x), row by row, and each row's log(sum over j of exp(x[j])).
    void (*softmax_rows)(int64_t rows, int64_t classes, const T* x, T* y, double* log_sum);
    // dx = y (dy - sum of dy y), row by row.
    void (*softmax_grad_rows)(int64_t rows, int64_t classes, const T* dy, const T* y, T* dx);

    // The sum of the loss's terms, and its derivatives times scale: but for the squared error half
    // of them.
    double (*element_loss)(ElementLoss, int64_t size, const T* prediction, const T* target,
                           double delta);
    void (*element_loss_grad)(ElementLoss, int64_t size, const T* prediction, const T* target,
                              T delta, T scale, T* dprediction);
    // The same of rot180::binary_cross_entropy. The weight of element i is pos_weight[(first + i) %
    // period]; a vector's width of them follows the first period.
    double (*binary_cross_entropy)(int64_t size, const T* logits, const T* target,
                                   const T* pos_weight, int64_t period, int64_t first);
    void (*binary_cross_entropy_grad)(int64_t size, const T* logits, const T* target,
                                      const T* pos_weight, int64_t period, int64_t first, T scale,
                                      T* dlogits);

    void (*adam)(int64_t size, T* param, const T* grad, T* m, T* v, const AdamConstants<T>&);
    void (*sgd)(int64_t size, T* param, const T* grad, T* velocity, const SgdConstants<T>&);
    void (*rmsprop)(int64_t size, T* param, const T* grad, T* v, T* m, T* velocity,
                    const RmspropConstants<T>&);
    // y[i] += share * (x[i] - y[i])
    void (*move_towards)(int64_t size, const T* x, T share, T* y);
    double (*sum_of_squares)(int64_t size, const T* x);
    // x[i] *= factor, which may be too small or large for T
    void (*scale)(int64_t size, double factor, T* x);
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
