// Two-dimensional convolution (cross-correlation) and its three gradients, on NHWC activations.
#pragma once

#include <cstdint>
#include <string_view>

#include "rot180/activation.h"
#include "rot180/algorithm.h"

namespace rot180 {

// Sizes of one convolution. x is (batch, height, width, in_channels), weight is
// (kernel_height, kernel_width, in_channels / groups, out_channels), y is
// (batch, out_height, out_width, out_channels). Padding below and to the right follows from the
// output's size: whatever a window reaches outside x counts as zero.
struct Conv2dShape {
    int64_t batch, height, width, in_channels;
    int64_t kernel_height, kernel_width, out_channels, groups;
    int64_t out_height, out_width;
    int64_t stride_h, stride_w;
    int64_t pad_top, pad_left;
    int64_t dilation_h, dilation_w;

    int64_t group_in_channels() const { return in_channels / groups; }
    int64_t group_out_channels() const { return out_channels / groups; }
    int64_t input_size() const { return batch * height * width * in_channels; }
    int64_t output_size() const { return batch * out_height * out_width * out_channels; }
    int64_t weight_size() const {
        return kernel_height * kernel_width * group_in_channels() * out_channels;
    }

    // Throws std::invalid_argument unless every size is in range and groups divide the channels.
    void validate() const;
};

// In all of them: dense row-major pointers, T is float or double, results overwrite, x[...] is zero
// outside the image, g(k) is the group of output channel k. Any thread count gives the same bits.
// They throw std::invalid_argument where the algorithm that is asked for cannot compute the shape.

// y[n,i,j,k] = activation(bias[k] + sum over r,s,c of
//     x[n, i*stride_h + r*dilation_h - pad_top, j*stride_w + s*dilation_w - pad_left, g(k)*C/G + c]
//     * weight[r,s,c,k]).   bias may be null.
template <class T>
void conv2d(const Conv2dShape& shape, const T* x, const T* weight, const T* bias,
            Activation activation, T* y, Algorithm algorithm = Algorithm::automatic);

// dx[n,p,q,c] = sum over k and over (i,r), (j,s) with p = i*stride_h + r*dilation_h - pad_top,
//     q = j*stride_w + s*dilation_w - pad_left of dy[n,i,j,k] * weight[r,s,c,k].
template <class T>
void conv2d_grad_input(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                       T* dx, Algorithm algorithm = Algorithm::automatic);

// dweight[r,s,c,k] = sum over n,i,j of
//     x[n, i*stride_h + r*dilation_h - pad_top, j*stride_w + s*dilation_w - pad_left, g(k)*C/G + c]
//     * dy[n,i,j,k],
// and in the same read dbias[k] = sum over n,i,j of dy[n,i,j,k], unless dbias is null.
template <class T>
void conv2d_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                        T* dweight, T* dbias, Algorithm algorithm = Algorithm::automatic);

// dbias[k] = sum over all pixels p of dy[p,k]; dy is (pixels, channels).
template <class T>
void conv2d_grad_bias(int64_t pixels, int64_t channels, const T* dy, T* dbias);

// The transposed convolution: the map that takes the convolution's outputs to its inputs,
//     y = activation(bias + conv2d_grad_input(shape, x, weight)),
// so x is (batch, out_height, out_width, out_channels), y is (batch, height, width, in_channels)
// and bias, which may be null, is (in_channels). Its gradients are conv2d (by x),
// conv2d_grad_weight with x and dy exchanged (by weight) and conv2d_grad_bias.
template <class T>
void conv_transpose2d(const Conv2dShape& shape, const T* x, const T* weight, const T* bias,
                      Activation activation, T* y, Algorithm algorithm = Algorithm::automatic);

// What a pass is computed by when `requested` is asked for; throws as the passes do. Depends on the
// shape, the instruction set and set_algorithm, never on the number of threads.
enum class Pass { forward, grad_input, grad_weight };
template <class T>
Algorithm conv2d_algorithm(Pass pass, const Conv2dShape& shape,
                           Algorithm requested = Algorithm::automatic);

// Why Winograd's algorithm cannot compute a shape; empty if it can.
std::string_view winograd_refuses(const Conv2dShape& shape);

}  // namespace rot180
