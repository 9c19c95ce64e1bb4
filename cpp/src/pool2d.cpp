#include "rot180/pool2d.h"

#include <algorithm>
#include <atomic>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

struct Range {
    int64_t first, count;
};

// Rows of x that the window of output row i covers.
Range window_rows(const Pool2dShape& shape, int64_t i) {
    const int64_t first = i * shape.stride_h - shape.pad_top;
    const int64_t inside = std::max<int64_t>(first, 0);
    return {inside, std::min(first + shape.kernel_height, shape.height) - inside};
}

// Output rows whose windows cover row h of x. The lower bound is a ceiling, both are clamped.
Range covering_rows(const Pool2dShape& shape, int64_t h) {
    const int64_t padded = h + shape.pad_top;
    const int64_t first =
        padded < shape.kernel_height ? 0 : (padded - shape.kernel_height) / shape.stride_h + 1;
    const int64_t last = std::min(padded / shape.stride_h + 1, shape.out_height);
    return {first, std::max<int64_t>(last - first, 0)};
}

// Cells that count for the average along one axis, for output i.
int64_t cells(int64_t i, int64_t stride, int64_t pad, int64_t pad_after, int64_t kernel,
              int64_t size, bool count_include_pad) {
    const int64_t first = i * stride - pad, last = first + kernel;
    if (count_include_pad) return std::min(last, size + pad_after) - first;
    return std::min(last, size) - std::max<int64_t>(first, 0);
}

// What each output pixel divides by, (out_height, out_width).
template <class T>
std::vector<T> counts(const Pool2dShape& shape, bool count_include_pad) {
    std::vector<T> result;
    result.reserve(size_t(shape.out_height * shape.out_width));
    for (int64_t i = 0; i < shape.out_height; ++i) {
        const int64_t rows = cells(i, shape.stride_h, shape.pad_top, shape.pad_bottom,
                                   shape.kernel_height, shape.height, count_include_pad);
        for (int64_t j = 0; j < shape.out_width; ++j) {
            const int64_t columns = cells(j, shape.stride_w, shape.pad_left, shape.pad_right,
                                          shape.kernel_width, shape.width, count_include_pad);
            result.push_back(T(rows * columns));
        }
    }
    return result;
}

// body(image, row) for every row of every image.
template <class Body>
void parallel_image_rows(const Pool2dShape& shape, int64_t rows, const Body& body) {
    const int64_t tasks = shape.batch * rows;
    const double operations =
        double(shape.output_size()) * double(shape.kernel_height) * double(shape.kernel_width) / 2;
    parallel_for(tasks, team_size(tasks, operations),
                 [&](int64_t task, int) { body(task / rows, task % rows); });
}

template <class T>
PoolRow<T> pool_row(const Pool2dShape& shape, const T* x, T* y, int64_t n, int64_t i) {
    const Range window = window_rows(shape, i);
    PoolRow<T> row = {};
    row.x_row_stride = shape.width * shape.channels;
    row.x = x + (n * shape.height + window.first) * row.x_row_stride;
    row.width = shape.width;
    row.channels = shape.channels;
    row.first_row = window.first;
    row.rows = window.count;
    row.kernel_width = shape.kernel_width;
    row.stride_w = shape.stride_w;
    row.pad_left = shape.pad_left;
    row.out_width = shape.out_width;
    row.y = y + (n * shape.out_height + i) * shape.out_width * shape.channels;
    return row;
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

template <class T>
void max_pool2d(const Pool2dShape& shape, const T* x, T* y, int32_t* index) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_image_rows(shape, shape.out_height, [&](int64_t n, int64_t i) {
        PoolRow<T> row = pool_row(shape, x, y, n, i);
        if (index) row.index = index + (row.y - y);
        kernels.max_pool_row(row);
    });
}

bool valid_pool_indices(const Pool2dShape& shape, const int32_t* index) {
    const uint32_t pixels = uint32_t(shape.height * shape.width);
    std::atomic<bool> valid{true};
    parallel_elements(shape.output_size(), 0.5, [&](int64_t first, int64_t count, int) {
        bool all = true;
        for (int64_t i = first; i < first + count; ++i) all &= uint32_t(index[i]) < pixels;
        if (!all) valid = false;
    });
    return valid;
}

template <class T>
void max_pool2d_grad_input(const Pool2dShape& shape, const T* dy, const int32_t* index, T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t image_out = shape.out_height * shape.out_width * shape.channels;
    parallel_image_rows(shape, shape.height, [&](int64_t n, int64_t h) {
        const Range covering = covering_rows(shape, h);
        MaxPoolGradRow<T> row = {};
        row.dy = dy + n * image_out;
        row.index = index + n * image_out;
        row.out_width = shape.out_width;
        row.channels = shape.channels;
        row.first_row = covering.first;
        row.rows = covering.count;
        row.kernel_width = shape.kernel_width;
        row.stride_w = shape.stride_w;
        row.pad_left = shape.pad_left;
        row.width = shape.width;
        row.row_index = int32_t(h * shape.width);
        row.dx = dx + (n * shape.height + h) * shape.width * shape.channels;
        kernels.max_pool_grad_row(row);
    });
}

template <class T>
void avg_pool2d(const Pool2dShape& shape, bool count_include_pad, const T* x, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const std::vector<T> count = counts<T>(shape, count_include_pad);
    parallel_image_rows(shape, shape.out_height, [&](int64_t n, int64_t i) {
        PoolRow<T> row = pool_row(shape, x, y, n, i);
        row.count = count.data() + i * shape.out_width;
        kernels.avg_pool_row(row);
    });
}

template <class T>
void avg_pool2d_grad_input(const Pool2dShape& shape, bool count_include_pad, const T* dy, T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const std::vector<T> count = counts<T>(shape, count_include_pad);
    const int64_t image_out = shape.out_height * shape.out_width * shape.channels;
    parallel_image_rows(shape, shape.height, [&](int64_t n, int64_t h) {
        const Range covering = covering_rows(shape, h);
        AvgPoolGradRow<T> row = {};
        row.dy = dy + n * image_out;
        row.out_width = shape.out_width;
        row.channels = shape.channels;
        row.first_row = covering.first;
        row.rows = covering.count;
        row.kernel_width = shape.kernel_width;
        row.stride_w = shape.stride_w;
        row.pad_left = shape.pad_left;
        row.width = shape.width;
        row.count = count.data();
        row.dx = dx + (n * shape.height + h) * shape.width * shape.channels;
        kernels.avg_pool_grad_row(row);
    });
}

#define INSTANTIATE(T)                                                                     \
    template void max_pool2d(const Pool2dShape&, const T*, T*, int32_t*);                  \
    template void max_pool2d_grad_input(const Pool2dShape&, const T*, const int32_t*, T*); \
    template void avg_pool2d(const Pool2dShape&, bool, const T*, T*);                      \
    template void avg_pool2d_grad_input(const Pool2dShape&, bool, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
