// Images of one size from images of another: adaptive average pooling and upsampling, with their
// gradients.
#pragma once

#include <cstdint>

namespace rot180 {

// x is (batch, height, width, channels), y is (batch, out_height, out_width, channels).
struct Resize2dShape {
    int64_t batch, height, width, channels;
    int64_t out_height, out_width;

    int64_t input_size() const { return batch * height * width * channels; }
    int64_t output_size() const { return batch * out_height * out_width * channels; }

    // Throws std::invalid_argument unless every size is in range.
    void validate() const;
};

// y[n,i,j,c] = mean of x over rows floor(i * height / out_height) to, but not including,
// ceil((i + 1) * height / out_height), and columns likewise.
template <class T>
void adaptive_avg_pool2d(const Resize2dShape& shape, const T* x, T* y);

// dx[n,h,w,c] = sum of dy / count over the windows that cover the pixel.
template <class T>
void adaptive_avg_pool2d_grad_input(const Resize2dShape& shape, const T* dy, T* dx);

// Where an output pixel i lies in x, with `scale` outputs to a pixel; beyond the last one it is the
// last one:
//   nearest           floor(i / scale)
//   bilinear          max((i + 1/2) / scale - 1/2, 0), between pixels mixed of the two
//   bilinear_aligned  i * (size - 1) / (out_size - 1), whatever the scale
enum class Interpolation { nearest, bilinear, bilinear_aligned };

// y[n,i,j,c] = x[n, row of i, column of j, c].
template <class T>
void upsample2d(const Resize2dShape& shape, Interpolation mode, double scale_h, double scale_w,
                const T* x, T* y);

// dx = the transpose of that linear map, applied to dy.
template <class T>
void upsample2d_grad_input(const Resize2dShape& shape, Interpolation mode, double scale_h,
                           double scale_w, const T* dy, T* dx);

}  // namespace rot180
