#include "rot180/pool2d.h"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <stdexcept>
#include <type_traits>
#include <vector>

#include "epilogue.h"
#include "instruction_set.h"
#include "resampling.h"

namespace rot180 {
namespace {

// One axis of a Pool2dShape.
struct Axis {
    int64_t size, kernel, out, stride, pad, pad_after;
};

Axis vertical(const Pool2dShape& s) {
    return {s.height, s.kernel_height, s.out_height, s.stride_h, s.pad_top, s.pad_bottom};
}
Axis horizontal(const Pool2dShape& s) {
    return {s.width, s.kernel_width, s.out_width, s.stride_w, s.pad_left, s.pad_right};
}

Images images(const Pool2dShape& s) { return {s.batch, s.height, s.width, s.channels}; }

// What the windows cover of x; `at` is which of its taps a window's first pixel is under.
Windows windows(const Axis& axis) {
    Windows result;
    result.reserve(size_t(axis.out));
    for (int64_t i = 0; i < axis.out; ++i) {
        const int64_t begin = i * axis.stride - axis.pad;
        const int64_t first = std::max<int64_t>(begin, 0);
        const int64_t last = std::min(begin + axis.kernel, axis.size);
        result.push_back({int32_t(first), int32_t(last - first), first - begin});
    }
    return result;
}

// The same; `at` is how many cells count for the mean.
Windows mean_windows(const Axis& axis, bool count_include_pad) {
    Windows result = windows(axis);
    for (int64_t i = 0; i < axis.out; ++i) {
        const int64_t begin = i * axis.stride - axis.pad;
        const int64_t end = std::min(begin + axis.kernel, axis.size + axis.pad_after);
        result[i].at = count_include_pad ? end - begin : result[i].count;
    }
    return result;
}

double operations(const Pool2dShape& shape) {
    return double(shape.output_size()) * double(shape.kernel_height) * double(shape.kernel_width) /
           2;
}

// An index of 32 bits counts the pixels of an image, one of 8 the taps of a window.
template <class I>
inline constexpr bool counts_taps = std::is_same_v<I, uint8_t>;

template <class T, class I>
auto max_pool_row() {
    if constexpr (counts_taps<I>) return kernels<T>().max_pool_tap_row;
    if constexpr (!counts_taps<I>) return kernels<T>().max_pool_row;
}
template <class T, class I>
auto max_pool_grad_row() {
    if constexpr (counts_taps<I>) return kernels<T>().max_pool_tap_grad_row;
    if constexpr (!counts_taps<I>) return kernels<T>().max_pool_grad_row;
}

// How far the index grows from one row of x to the next.
template <class I>
int32_t index_row_step(const Pool2dShape& shape) {
    return int32_t(counts_taps<I> ? shape.kernel_width : shape.width);
}

}  // namespace

void Pool2dShape::validate() const {
    constexpr int64_t largest_extent = (int64_t(1) << 31) - 1;
    constexpr double largest_array = double(int64_t(1) << 59);
    for (const int64_t size : {height, width, channels, kernel_height, kernel_width, out_height,
                               out_width, stride_h, stride_w}) {
        if (size < 1 || size > largest_extent) {
            throw std::invalid_argument("Pool2dShape: a size is out of range");
        }
    }
    if (batch < 0 || batch > largest_extent ||
        double(batch) * double(height) * double(width) * double(channels) > largest_array ||
        double(batch) * double(out_height) * double(out_width) * double(channels) > largest_array) {
        throw std::invalid_argument("Pool2dShape: an array is too large");
    }
    const auto holds = [](int64_t pad, int64_t pad_after, int64_t kernel, int64_t size, int64_t out,
                          int64_t stride) {
        return pad >= 0 && pad < kernel && pad_after >= 0 && pad_after < kernel &&
               double(out - 1) * double(stride) - double(pad) < double(size);
    };
    if (!holds(pad_top, pad_bottom, kernel_height, height, out_height, stride_h) ||
        !holds(pad_left, pad_right, kernel_width, width, out_width, stride_w)) {
        throw std::invalid_argument("Pool2dShape: a window would hold no pixel of x");
    }
}

template <class T, class I>
void max_pool2d(const Pool2dShape& shape, const T* x, Activation activation, T* y, I* index) {
    const auto kernel = max_pool_row<T, I>();
    Windows rows = windows(vertical(shape)), columns = windows(horizontal(shape));
    if (!counts_taps<I>) {
        for (Span& span : rows) span.at = span.first;
        for (Span& span : columns) span.at = span.first;
    }
    const int64_t x_row = shape.width * shape.channels, y_row = shape.out_width * shape.channels;
    parallel_rows(shape.batch, shape.out_height, shape.kernel_height * x_row, operations(shape),
                  [&](int64_t n, int64_t i) {
                      MaxPoolRow<T, I> row = {};
                      row.x = x + (n * shape.height + rows[i].first) * x_row;
                      row.x_row_stride = x_row;
                      row.channels = shape.channels;
                      row.rows = rows[i].count;
                      row.windows = columns.data();
                      row.out_width = shape.out_width;
                      row.activation = in_kernel(activation);
                      row.y = y + (n * shape.out_height + i) * y_row;
                      row.index = index ? index + (row.y - y) : nullptr;
                      row.index_row_step = index_row_step<I>(shape);
                      row.index_start = int32_t(rows[i].at * row.index_row_step);
                      kernel(row);
                      after_kernel(kernels<T>(), activation, 1, y_row, y_row, row.y);
                  });
}

template <class I>
bool valid_pool_indices(const Pool2dShape& shape, const I* index) {
    using Unsigned = std::make_unsigned_t<I>;  // in which negative numbers are too large
    const int64_t count =
        counts_taps<I> ? shape.kernel_height * shape.kernel_width : shape.height * shape.width;
    const Unsigned last = Unsigned(count - 1);
    std::atomic<bool> valid{true};
    parallel_elements(shape.output_size(), 0.5, [&](int64_t first, int64_t size, int) {
        Unsigned wrong = 0;
        for (int64_t i = first; i < first + size; ++i) wrong |= Unsigned(Unsigned(index[i]) > last);
        if (wrong) valid = false;
    });
    return valid;
}

template <class T, class I>
void max_pool2d_grad_input(const Pool2dShape& shape, const OutputGradient<T>& dy, const I* index,
                           T* dx) {
    const auto kernel = max_pool_grad_row<T, I>();
    Windows rows = transposed(windows(vertical(shape)), shape.height);
    Windows columns = transposed(windows(horizontal(shape)), shape.width);
    if (!counts_taps<I>) {
        for (int64_t h = 0; h < shape.height; ++h) rows[h].at = h;
        for (int64_t w = 0; w < shape.width; ++w) columns[w].at = w;
    }
    const int64_t dx_row = shape.width * shape.channels, dy_row = shape.out_width * shape.channels;
    parallel_rows(shape.batch, shape.height, dx_row, operations(shape), [&](int64_t n, int64_t h) {
        const int64_t at = (n * shape.out_height + rows[h].first) * dy_row;
        MaxPoolGradRow<T, I> row = {};
        row.dy = {dy.dy + at, dy.activation, dy.y ? dy.y + at : nullptr};
        row.index = index + at;
        row.row_stride = dy_row;
        row.channels = shape.channels;
        row.rows = rows[h].count;
        row.windows = columns.data();
        row.width = shape.width;
        row.index_start = int32_t(rows[h].at * index_row_step<I>(shape));
        if (counts_taps<I>) {
            row.index_row_step = int32_t(shape.stride_h * shape.kernel_width);
            row.index_column_step = int32_t(shape.stride_w);
        }
        row.dx = dx + (n * shape.height + h) * dx_row;
        kernel(row);
    });
}

template <class T>
void avg_pool2d(const Pool2dShape& shape, bool count_include_pad, const T* x, T* y) {
    mean_over_windows<T>(images(shape), mean_windows(vertical(shape), count_include_pad),
                         mean_windows(horizontal(shape), count_include_pad), x, y);
}

template <class T>
void avg_pool2d_grad_input(const Pool2dShape& shape, bool count_include_pad, const T* dy, T* dx) {
    mean_over_windows_grad<T>(images(shape), mean_windows(vertical(shape), count_include_pad),
                              mean_windows(horizontal(shape), count_include_pad), dy, dx);
}

#define INSTANTIATE(T)                                                                \
    template void max_pool2d(const Pool2dShape&, const T*, Activation, T*, int32_t*); \
    template void max_pool2d_grad_input(const Pool2dShape&, const OutputGradient<T>&, \
                                        const int32_t*, T*);                          \
    template void max_pool2d(const Pool2dShape&, const T*, Activation, T*, uint8_t*); \
    template void max_pool2d_grad_input(const Pool2dShape&, const OutputGradient<T>&, \
                                        const uint8_t*, T*);                          \
    template void avg_pool2d(const Pool2dShape&, bool, const T*, T*);                 \
    template void avg_pool2d_grad_input(const Pool2dShape&, bool, const T*, T*);
template bool valid_pool_indices(const Pool2dShape&, const int32_t*);
template bool valid_pool_indices(const Pool2dShape&, const uint8_t*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
