#include "few_pixels.h"

#include <algorithm>

#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

// Vectors of outputs, or outputs, of one task; whole tiles of 4.
constexpr int64_t vectors_per_task = 4, outputs_per_task = 128;

// To pack costs so much that up to four pixels are always few. More are where measuring said so:
// sums along the reduction end with a sum over lanes, and where lines of weights lie multiples of
// a page apart, they push one another out of the first-level cache.
constexpr int64_t always_few_pixels = 4, most_summed_pixels = 12, page_bytes = 4096;

template <class T>
bool few_enough(const Correlation& part, int64_t width) {
    const int64_t pixels = part.out_columns;
    if (part.weight_out_stride != 1) {
        return part.run >= width && (pixels <= always_few_pixels ||
                                     (pixels <= most_summed_pixels && part.run >= 4 * width));
    }
    const bool apart = part.weight_in_stride * int64_t(sizeof(T)) % page_bytes != 0;
    return part.group_out >= width && pixels <= (apart ? most_few_pixels : always_few_pixels);
}

// dy times the activation's derivative, in scratch memory unless there is none.
template <class T>
const T* gradient(const Kernels<T>& kernels, const OutputGradient<T>& x, int64_t size, T* to) {
    if (x.activation == Activation::none) return x.dy;
    kernels.activate_grad(x.activation, size, x.dy, x.y, T(leaky_relu_slope), to);
    return to;
}

template <class T>
size_t gradient_bytes(const OutputGradient<T>& x, int64_t size) {
    ScratchPlan memory;
    memory.add(x.activation == Activation::none ? 0 : size, sizeof(T));
    return memory.bytes();
}

}  // namespace

template <class T>
bool has_few_pixels(const Correlation& part) {
    const int64_t width = rot180::kernels<T>().width;
    return part.batch == 1 && part.height == 1 && part.tap_rows == 1 && part.tap_columns == 1 &&
           part.groups == 1 && part.stride_w == 1 && part.out_columns == part.width &&
           part.left == 0 && part.top == 0 && part.out_rows == 1 &&
           part.y_column_stride == part.group_out && few_enough<T>(part, width);
}

template <class T>
void correlate_few_pixels(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                          const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    FewPixels<T> few = {};
    few.pixels = part.out_columns;
    few.inputs = part.run;
    few.outputs = part.group_out;
    few.outputs_together = part.weight_out_stride == 1;
    few.weight = weight + part.weight_offset;
    few.weight_stride = few.outputs_together ? part.weight_in_stride : part.weight_out_stride;
    few.bias = bias;
    few.activation = in_kernel(activation);
    few.y = y + part.y_offset;
    const Scratch scratch(gradient_bytes(x, few.pixels * few.inputs));
    few.x = gradient(kernels, x, few.pixels * few.inputs, reinterpret_cast<T*>(scratch.data()));

    const int64_t size = few.outputs_together ? divide_up(few.outputs, kernels.width) : few.outputs;
    const int64_t per_task = few.outputs_together ? vectors_per_task : outputs_per_task;
    const int64_t tasks = divide_up(size, per_task);
    const int team = team_size(tasks, double(few.inputs) * double(few.outputs) / 4);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t first = task * per_task;
        kernels.correlate_few_pixels(few, first, std::min(size, first + per_task));
    });
    after_kernel(kernels, activation, few.pixels, few.outputs, few.outputs, few.y);
}

template <class T>
bool few_pixels_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                            T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    if (shape.batch != 1 || shape.height != 1 || shape.kernel_height != 1 ||
        shape.kernel_width != 1 || shape.groups != 1 || shape.width != shape.out_width ||
        shape.width > most_few_pixels_grad || shape.out_channels < kernels.width) {
        return false;
    }
    FewPixelsGrad<T> few = {};
    few.pixels = shape.width;
    few.inputs = shape.in_channels;
    few.outputs = shape.out_channels;
    few.x = x;
    few.dw = dweight;
    const Scratch scratch(gradient_bytes(dy, few.pixels * few.outputs));
    few.dy = gradient(kernels, dy, few.pixels * few.outputs, reinterpret_cast<T*>(scratch.data()));

    const int64_t per_task = std::max<int64_t>(1, elements_per_task / few.outputs);
    const int64_t tasks = divide_up(few.inputs, per_task);
    const int team = team_size(tasks, double(few.inputs) * double(few.outputs) / 2);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t first = task * per_task;
        kernels.few_pixels_grad_weight(few, first, std::min(few.inputs, first + per_task));
    });
    if (dbias) {
        std::fill(dbias, dbias + few.outputs, T(0));
        kernels.add_rows(few.dy, few.pixels, few.outputs, few.outputs, dbias);
    }
    return true;
}

#define INSTANTIATE(T)                                                                           \
    template bool has_few_pixels<T>(const Correlation&);                                         \
    template void correlate_few_pixels(const Correlation&, const OutputGradient<T>&, const T*,   \
                                       const T*, Activation, T*);                                \
    template bool few_pixels_grad_weight(const Conv2dShape&, const T*, const OutputGradient<T>&, \
                                         T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
