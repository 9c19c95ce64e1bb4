#include "correlation.h"
#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

// Adds the sum over the taps of one output pixel to out, all its channels.
template <class T>
void exact_pixel(const Kernels<T>& kernels, const Correlation& part, const OutputGradient<T>& x,
                 const T* weight, int64_t n, int64_t i, int64_t j, T* out) {
    for (int64_t r = 0; r < part.tap_rows; ++r) {
        const int64_t h = i * part.stride_h + r * part.dilation_h - part.top;
        if (h < 0 || h >= part.height) continue;
        for (int64_t s = 0; s < part.tap_columns; ++s) {
            const int64_t w = j * part.stride_w + s * part.dilation_w - part.left;
            if (w < 0 || w >= part.width) continue;
            const int64_t pixel = ((n * part.height + h) * part.width + w) * part.channels;
            const T* tap = weight + part.weight_offset + r * part.weight_row_stride +
                           s * part.weight_column_stride;
            for (int64_t in = 0; in < part.groups * part.run; ++in) {
                const int64_t group = in / part.run;
                T value;
                read_values(kernels, x, pixel + in, 1, &value);
                const T* line =
                    tap + group * part.weight_group_stride + in % part.run * part.weight_in_stride;
                for (int64_t k = 0; k < part.group_out; ++k) {
                    out[group * part.group_out + k] += value * line[k * part.weight_out_stride];
                }
            }
        }
    }
}

}  // namespace

template <class T>
void correlate_exactly(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                       const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t out_channels = part.groups * part.group_out;
    const int64_t pixels = part.batch * part.out_rows * part.out_columns;
    const double operations = double(pixels) * double(out_channels) * double(part.run) *
                              double(part.tap_rows) * double(part.tap_columns);
    parallel_for(pixels, team_size(pixels, operations), [&](int64_t pixel, int) {
        const int64_t j = pixel % part.out_columns;
        const int64_t i = pixel / part.out_columns % part.out_rows;
        const int64_t n = pixel / part.out_columns / part.out_rows;
        T* out = y + part.y_offset + n * part.y_image_stride + i * part.y_row_stride +
                 j * part.y_column_stride;
        for (int64_t k = 0; k < out_channels; ++k) out[k] = bias ? bias[k] : T(0);
        exact_pixel(kernels, part, x, weight, n, i, j, out);
        kernels.activate(activation, out_channels, out, T(leaky_relu_slope), out);
    });
}

template void correlate_exactly(const Correlation&, const OutputGradient<float>&, const float*,
                                const float*, Activation, float*);
template void correlate_exactly(const Correlation&, const OutputGradient<double>&, const double*,
                                const double*, Activation, double*);

}  // namespace rot180
