// The part of an image that a block of output pixels reads, with zeros where it leaves the image.
#pragma once

#include <cstdint>
#include <cstring>

#include "kernels.h"
#include "rot180/conv2d.h"

namespace rot180 {

// Rows [top, top + rows) and columns [left, left + columns) of images that are (height, width,
// channels); any of them may lie outside.
struct Window {
    int64_t top, left, rows, columns;

    bool inside(int64_t height, int64_t width) const {
        return top >= 0 && left >= 0 && top + rows <= height && left + columns <= width;
    }
};

// Values [from, from + count) of an output gradient: dy, times the activation's derivative.
template <class T>
void read_values(const Kernels<T>& kernels, const OutputGradient<T>& gradient, int64_t from,
                 int64_t count, T* to) {
    if (gradient.activation == Activation::none) {
        std::memcpy(to, gradient.dy + from, size_t(count) * sizeof(T));
    } else {
        kernels.activate_grad(gradient.activation, count, gradient.dy + from, gradient.y + from,
                              T(leaky_relu_slope), to);
    }
}

// Copies a window of the image that begins at x[image], as (rows, columns, channels), zeros
// outside.
template <class T>
void copy_window(const Kernels<T>& kernels, const Window& window, int64_t height, int64_t width,
                 int64_t channels, const OutputGradient<T>& x, int64_t image, T* to) {
    const int64_t row_size = window.columns * channels;
    // Columns [inside_first, inside_last) of the window are columns of the image.
    const int64_t before = window.left < 0 ? -window.left : 0;
    const int64_t reach = width - window.left;
    const int64_t inside_first = before < window.columns ? before : window.columns;
    const int64_t last = reach < window.columns ? reach : window.columns;
    const int64_t inside_last = last > inside_first ? last : inside_first;
    for (int64_t i = 0; i < window.rows; ++i, to += row_size) {
        const int64_t h = window.top + i;
        if (h < 0 || h >= height) {
            std::memset(to, 0, size_t(row_size) * sizeof(T));
            continue;
        }
        std::memset(to, 0, size_t(inside_first * channels) * sizeof(T));
        if (inside_last > inside_first) {
            const int64_t from = image + (h * width + window.left + inside_first) * channels;
            read_values(kernels, x, from, (inside_last - inside_first) * channels,
                        to + inside_first * channels);
        }
        std::memset(to + inside_last * channels, 0,
                    size_t((window.columns - inside_last) * channels) * sizeof(T));
    }
}

// Inputs that a run of `count` outputs covers, `taps` taps each.
inline int64_t extent(int64_t count, int64_t stride, int64_t taps, int64_t dilation) {
    return (count - 1) * stride + (taps - 1) * dilation + 1;
}

// A block of outputs whose window would be larger than this is computed without a copy.
inline constexpr int64_t largest_window = int64_t(1) << 24;

inline bool window_too_large(const Window& window, int64_t channels) {
    return window.rows > largest_window / window.columns ||
           window.rows * window.columns > largest_window / channels;
}

}  // namespace rot180
