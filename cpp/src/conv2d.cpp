#include "rot180/conv2d.h"

#include <algorithm>
#include <initializer_list>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "correlation.h"
#include "flat_rows.h"
#include "parallel.h"
#include "sum_of_windows.h"
#include "winograd.h"

namespace rot180 {
namespace {

constexpr int64_t largest_extent = (int64_t(1) << 31) - 1;
constexpr int64_t largest_array = int64_t(1) << 59;

void require(bool condition, const char* what) {
    if (!condition) throw std::invalid_argument(std::string("Conv2dShape: ") + what);
}

bool in_range(std::initializer_list<int64_t> values, int64_t smallest) {
    for (const int64_t value : values) {
        if (value < smallest || value > largest_extent) return false;
    }
    return true;
}

bool fits(std::initializer_list<int64_t> sizes) {
    double product = 1;
    for (const int64_t size : sizes) product *= double(size);
    return product <= double(largest_array);
}

// The taps of one axis that reach phase `phase` of the input gradient, where p + pad = phase modulo
// the stride: r = first, first + step, ... (count of them). Tap number t reads dy at
// u + begin - t * spacing for the phase's output u, so turned round they are a correlation.
struct PhaseTaps {
    int64_t count, first, step, spacing, begin;
};

PhaseTaps phase_taps(int64_t phase, int64_t kernel, int64_t stride, int64_t dilation) {
    const int64_t common = std::gcd(stride, dilation);
    PhaseTaps taps = {0, 0, stride / common, dilation / common, 0};
    for (int64_t r = 0; r < std::min(kernel, taps.step); ++r) {
        const int64_t distance = phase - r * dilation;
        if (distance % stride == 0) {
            taps.first = r;
            taps.count = (kernel - 1 - r) / taps.step + 1;
            taps.begin = distance / stride;
            break;
        }
    }
    return taps;
}

// The rows (or columns) of dx in one phase: the first one, and how many.
struct PhaseRows {
    int64_t first, count;
};

PhaseRows phase_rows(int64_t phase, int64_t size, int64_t stride, int64_t pad) {
    const int64_t first = ((phase - pad) % stride + stride) % stride;
    return {first, first < size ? (size - 1 - first) / stride + 1 : 0};
}

// Whether Winograd's algorithm has computed all parts. It leaves alone what it would spread:
// results that are not finite.
template <class T>
bool all_by_winograd(const std::vector<Correlation>& parts, const OutputGradient<T>& x,
                     const T* weight, const T* bias, Activation activation, T* y) {
    return std::all_of(parts.begin(), parts.end(), [&](const Correlation& part) {
        return correlate_winograd(part, x, weight, bias, activation, y);
    });
}

// Row p of dx, with p + pad_top = phase + stride_h * u, collects dy[i] * w[r] wherever
// i * stride_h + r * dilation_h = p + pad_top. Within one phase the taps r that divide are evenly
// spaced, and i falls as r grows: a stride-1 correlation of dy with those taps turned round, input
// and output channels exchanged. Zeros are never interleaved, nor multiplied.
template <class T>
void transposed(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                const T* bias, Activation activation, T* dx, Algorithm algorithm) {
    const Algorithm chosen = conv2d_algorithm<T>(Pass::grad_input, shape, algorithm);
    const int64_t weight_column = shape.group_in_channels() * shape.out_channels;
    const int64_t weight_row = shape.kernel_width * weight_column;
    const int64_t dx_row = shape.width * shape.in_channels;
    std::vector<Correlation> parts;
    bool untouched = false;  // a phase that no tap reaches
    for (int64_t a = 0; a < std::min(shape.stride_h, shape.height); ++a) {
        // Phases in the order of the rows of dx: row a is the first of its phase.
        const int64_t phase_h = (a + shape.pad_top) % shape.stride_h;
        const PhaseRows rows = phase_rows(phase_h, shape.height, shape.stride_h, shape.pad_top);
        const PhaseTaps vertical =
            phase_taps(phase_h, shape.kernel_height, shape.stride_h, shape.dilation_h);
        for (int64_t b = 0; b < std::min(shape.stride_w, shape.width); ++b) {
            const int64_t phase_w = (b + shape.pad_left) % shape.stride_w;
            const PhaseRows columns =
                phase_rows(phase_w, shape.width, shape.stride_w, shape.pad_left);
            const PhaseTaps horizontal =
                phase_taps(phase_w, shape.kernel_width, shape.stride_w, shape.dilation_w);
            if (vertical.count == 0 || horizontal.count == 0) {
                untouched = true;
                continue;
            }

            Correlation part = {};
            part.batch = shape.batch;
            part.height = shape.out_height;
            part.width = shape.out_width;
            part.channels = shape.out_channels;
            part.groups = shape.groups;
            part.run = shape.group_out_channels();
            part.tap_rows = vertical.count;
            part.tap_columns = horizontal.count;
            part.stride_h = part.stride_w = 1;
            part.dilation_h = vertical.spacing;
            part.dilation_w = horizontal.spacing;
            // The last tap reads the smallest i; u of the first row is (first + pad) / stride.
            part.top = (vertical.count - 1) * vertical.spacing - vertical.begin -
                       (rows.first + shape.pad_top) / shape.stride_h;
            part.left = (horizontal.count - 1) * horizontal.spacing - horizontal.begin -
                        (columns.first + shape.pad_left) / shape.stride_w;
            part.out_rows = rows.count;
            part.out_columns = columns.count;
            part.group_out = shape.group_in_channels();
            part.y_offset = rows.first * dx_row + columns.first * shape.in_channels;
            part.y_image_stride = shape.height * dx_row;
            part.y_row_stride = shape.stride_h * dx_row;
            part.y_column_stride = shape.stride_w * shape.in_channels;
            part.weight_offset =
                (vertical.first + (vertical.count - 1) * vertical.step) * weight_row +
                (horizontal.first + (horizontal.count - 1) * horizontal.step) * weight_column;
            part.weight_row_stride = -vertical.step * weight_row;
            part.weight_column_stride = -horizontal.step * weight_column;
            part.weight_in_stride = 1;
            part.weight_out_stride = shape.out_channels;
            part.weight_group_stride = shape.group_out_channels();
            parts.push_back(part);
        }
    }
    if (chosen == Algorithm::winograd && all_by_winograd(parts, dy, weight, bias, activation, dx)) {
        return;
    }
    const bool flat = parts.size() == 1 && flat_rows_pay<T>(Pass::forward, parts[0]);
    if (!flat && sum_of_windows_pays<T>(shape)) {
        return sum_of_windows(shape, dy, weight, bias, activation, dx);
    }
    if (untouched) {
        // What no tap reaches is activation(bias).
        std::vector<T> empty(size_t(shape.in_channels), T(0));
        if (bias) std::copy(bias, bias + shape.in_channels, empty.begin());
        activate(activation, shape.in_channels, empty.data(), T(leaky_relu_slope), empty.data());
        const int64_t rows = shape.batch * shape.height;
        parallel_for(rows, team_size(rows, double(shape.input_size())), [&](int64_t row, int) {
            T* to = dx + row * dx_row;
            for (int64_t q = 0; q < shape.width; ++q, to += shape.in_channels) {
                std::copy(empty.begin(), empty.end(), to);
            }
        });
    }
    correlate(parts, dy, weight, bias, activation, dx);
}

}  // namespace

Correlation forward_correlation(const Conv2dShape& shape) {
    const int64_t out_channels = shape.out_channels, run = shape.group_in_channels();
    Correlation part = {};
    part.batch = shape.batch;
    part.height = shape.height;
    part.width = shape.width;
    part.channels = shape.in_channels;
    part.groups = shape.groups;
    part.run = run;
    part.tap_rows = shape.kernel_height;
    part.tap_columns = shape.kernel_width;
    part.stride_h = shape.stride_h;
    part.stride_w = shape.stride_w;
    part.dilation_h = shape.dilation_h;
    part.dilation_w = shape.dilation_w;
    part.top = shape.pad_top;
    part.left = shape.pad_left;
    part.out_rows = shape.out_height;
    part.out_columns = shape.out_width;
    part.group_out = shape.group_out_channels();
    part.y_column_stride = out_channels;
    part.y_row_stride = shape.out_width * part.y_column_stride;
    part.y_image_stride = shape.out_height * part.y_row_stride;
    part.weight_out_stride = 1;
    part.weight_in_stride = out_channels;
    part.weight_column_stride = run * part.weight_in_stride;
    part.weight_row_stride = shape.kernel_width * part.weight_column_stride;
    part.weight_group_stride = part.group_out;
    return part;
}

void Conv2dShape::validate() const {
    require(in_range({batch, pad_top, pad_left}, 0), "batch or padding out of range");
    require(in_range({height, width, in_channels, kernel_height, kernel_width, out_channels, groups,
                      out_height, out_width, stride_h, stride_w, dilation_h, dilation_w},
                     1),
            "a size is out of range");
    require(in_channels % groups == 0 && out_channels % groups == 0,
            "groups must divide the input and the output channels");
    require(fits({batch, height, width, in_channels}) &&
                fits({batch, out_height, out_width, out_channels}) &&
                fits({kernel_height, kernel_width, in_channels / groups, out_channels}),
            "an array is too large");
    // Windows may reach past the image by less than 2^31; further is a mistake.
    const double reach_h = double(out_height - 1) * double(stride_h) +
                           double(kernel_height - 1) * double(dilation_h) - double(pad_top);
    const double reach_w = double(out_width - 1) * double(stride_w) +
                           double(kernel_width - 1) * double(dilation_w) - double(pad_left);
    require(reach_h <= double(height) + double(largest_extent) &&
                reach_w <= double(width) + double(largest_extent),
            "the output is larger than the padded input allows");
}

template <class T>
void conv2d(const Conv2dShape& shape, const T* x, const T* weight, const T* bias,
            Activation activation, T* y, Algorithm algorithm) {
    const Algorithm chosen = conv2d_algorithm<T>(Pass::forward, shape, algorithm);
    const std::vector<Correlation> parts = {forward_correlation(shape)};
    if (chosen == Algorithm::winograd &&
        all_by_winograd<T>(parts, {x}, weight, bias, activation, y)) {
        return;
    }
    correlate<T>(parts, {x}, weight, bias, activation, y);
}

template <class T>
void conv2d_grad_input(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                       T* dx, Algorithm algorithm) {
    transposed<T>(shape, dy, weight, nullptr, Activation::none, dx, algorithm);
}

template <class T>
void conv_transpose2d(const Conv2dShape& shape, const T* x, const T* weight, const T* bias,
                      Activation activation, T* y, Algorithm algorithm) {
    transposed<T>(shape, {x}, weight, bias, activation, y, algorithm);
}

template void conv2d(const Conv2dShape&, const float*, const float*, const float*, Activation,
                     float*, Algorithm);
template void conv2d(const Conv2dShape&, const double*, const double*, const double*, Activation,
                     double*, Algorithm);
template void conv2d_grad_input(const Conv2dShape&, const OutputGradient<float>&, const float*,
                                float*, Algorithm);
template void conv2d_grad_input(const Conv2dShape&, const OutputGradient<double>&, const double*,
                                double*, Algorithm);
template void conv_transpose2d(const Conv2dShape&, const float*, const float*, const float*,
                               Activation, float*, Algorithm);
template void conv_transpose2d(const Conv2dShape&, const double*, const double*, const double*,
                               Activation, double*, Algorithm);

}  // namespace rot180
