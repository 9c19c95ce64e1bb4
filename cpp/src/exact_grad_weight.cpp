#include "exact_grad_weight.h"

#include <algorithm>

#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {

template <class T>
void exact_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                       T* dweight) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t in_channels = shape.group_in_channels();
    const int64_t group_out = shape.group_out_channels();
    const int64_t lines = shape.kernel_height * shape.kernel_width * in_channels;
    const double operations = double(shape.output_size()) * double(lines);
    parallel_for(lines, team_size(lines, operations), [&](int64_t line, int) {
        const int64_t c = line % in_channels;
        const int64_t s = line / in_channels % shape.kernel_width;
        const int64_t r = line / in_channels / shape.kernel_width;
        T* sum = dweight + line * shape.out_channels;
        std::fill(sum, sum + shape.out_channels, T(0));
        for (int64_t n = 0; n < shape.batch; ++n) {
            for (int64_t i = 0; i < shape.out_height; ++i) {
                const int64_t h = i * shape.stride_h + r * shape.dilation_h - shape.pad_top;
                if (h < 0 || h >= shape.height) continue;
                for (int64_t j = 0; j < shape.out_width; ++j) {
                    const int64_t w = j * shape.stride_w + s * shape.dilation_w - shape.pad_left;
                    if (w < 0 || w >= shape.width) continue;
                    const T* pixel =
                        x + ((n * shape.height + h) * shape.width + w) * shape.in_channels + c;
                    const int64_t at =
                        ((n * shape.out_height + i) * shape.out_width + j) * shape.out_channels;
                    for (int64_t k = 0; k < shape.out_channels; ++k) {
                        T delta;
                        read_values(kernels, dy, at + k, 1, &delta);
                        sum[k] += pixel[k / group_out * in_channels] * delta;
                    }
                }
            }
        }
    });
}

template <class T>
void exact_grad_bias(const Conv2dShape& shape, const OutputGradient<T>& dy, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t row_size = shape.out_width * shape.out_channels;
    ScratchPlan memory;
    memory.add(row_size, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* row = reinterpret_cast<T*>(scratch.data());
    std::fill(dbias, dbias + shape.out_channels, T(0));
    for (int64_t i = 0; i < shape.batch * shape.out_height; ++i) {
        read_values(kernels, dy, i * row_size, row_size, row);
        kernels.add_rows(row, shape.out_width, shape.out_channels, shape.out_channels, dbias);
    }
}

template void exact_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                float*);
template void exact_grad_weight(const Conv2dShape&, const double*, const OutputGradient<double>&,
                                double*);
template void exact_grad_bias(const Conv2dShape&, const OutputGradient<float>&, float*);
template void exact_grad_bias(const Conv2dShape&, const OutputGradient<double>&, double*);

}  // namespace rot180
