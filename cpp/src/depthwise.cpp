#include "depthwise.h"

#include <algorithm>

#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

constexpr int64_t plenty_of_tasks = 32;
constexpr int64_t fewest_row_values = 4096;  // in one task

// Taps [first, first + count) of an axis lie inside the image for an output at `origin`, where the
// first tap is.
struct Taps {
    int64_t first, count;
};

Taps taps_inside(int64_t origin, int64_t taps, int64_t dilation, int64_t size) {
    const int64_t first = origin < 0 ? std::min(taps, divide_up(-origin, dilation)) : 0;
    const int64_t last = origin < size ? std::min(taps, divide_up(size - origin, dilation)) : 0;
    return {first, std::max<int64_t>(0, last - first)};
}

// body(j, columns, taps) for stretches of output columns that have the same taps inside: the
// borders column by column, the interior at once.
template <class Body>
void for_columns(int64_t columns, int64_t stride, int64_t left, int64_t taps, int64_t dilation,
                 int64_t width, const Body& body) {
    const int64_t reach = (taps - 1) * dilation;
    const int64_t begin = std::min(columns, left > 0 ? divide_up(left, stride) : 0);
    const int64_t room = width - reach + left;  // j * stride < room: the last tap is inside
    const int64_t end = std::max(begin, std::min(columns, room > 0 ? divide_up(room, stride) : 0));
    const auto border = [&](int64_t j) {
        const Taps inside = taps_inside(j * stride - left, taps, dilation, width);
        body(j, 1, inside);
    };
    for (int64_t j = 0; j < begin; ++j) border(j);
    if (end > begin) body(begin, end - begin, Taps{0, taps});
    for (int64_t j = end; j < columns; ++j) border(j);
}

// Rows of output in one task.
int64_t rows_per_task(int64_t batch, int64_t rows, int64_t row_values) {
    const int64_t worth_it = divide_up(fewest_row_values, row_values);
    const int64_t fair = rows / divide_up(plenty_of_tasks, batch);
    return std::clamp<int64_t>(std::max(worth_it, fair), 1, rows);
}

template <class T>
struct DepthwiseOperands {
    const T* weight;
    const T* bias;
    Activation activation;
    T* y;
};

// One row of outputs; `image` is x's, or that of a copy whose first row is `first_row`.
template <class T>
void depthwise_output_row(const Kernels<T>& kernels, const Correlation& part,
                          const DepthwiseOperands<T>& operands, const T* image, int64_t first_row,
                          int64_t i, T* y) {
    const int64_t top = i * part.stride_h - part.top;
    const Taps rows = taps_inside(top, part.tap_rows, part.dilation_h, part.height);
    DepthwiseRow<T> row = {};
    row.x_stride = part.stride_w * part.channels;
    row.tap_row_stride = part.dilation_h * part.width * part.channels;
    row.tap_column_stride = part.dilation_w * part.channels;
    row.tap_rows = rows.count;
    row.weight_row_stride = part.weight_row_stride;
    row.weight_column_stride = part.weight_column_stride;
    row.bias = operands.bias;
    row.y_stride = part.y_column_stride;
    row.channels = part.channels;
    const bool in_kernel =
        operands.activation == Activation::relu || operands.activation == Activation::leaky_relu;
    row.activation = in_kernel ? operands.activation : Activation::none;
    // Where no tap row is inside, no pointer may leave the image either.
    const int64_t h = rows.count > 0 ? top + rows.first * part.dilation_h - first_row : 0;
    for_columns(part.out_columns, part.stride_w, part.left, part.tap_columns, part.dilation_w,
                part.width, [&](int64_t j, int64_t columns, Taps taps) {
                    const int64_t w = taps.count > 0 ? j * part.stride_w - part.left +
                                                           taps.first * part.dilation_w
                                                     : 0;
                    row.x = image + (h * part.width + w) * part.channels;
                    row.weight = operands.weight + part.weight_offset +
                                 rows.first * part.weight_row_stride +
                                 taps.first * part.weight_column_stride;
                    row.tap_columns = taps.count;
                    row.y = y + j * part.y_column_stride;
                    row.pixels = columns;
                    kernels.depthwise_row(row);
                });
    if (in_kernel || operands.activation == Activation::none) return;
    for (int64_t j = 0; j < part.out_columns; ++j) {
        T* pixel = y + j * part.y_column_stride;
        kernels.activate(operands.activation, part.channels, pixel, T(0), pixel);
    }
}

}  // namespace

template <class T>
void correlate_depthwise(const std::vector<Correlation>& parts, const OutputGradient<T>& x,
                         const T* weight, const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const DepthwiseOperands<T> operands = {weight, bias, activation, y};
    const bool copied = x.activation != Activation::none;

    std::vector<int64_t> first_task = {0}, block_rows;
    double operations = 0;
    int64_t copy_size = 0;
    for (const Correlation& part : parts) {
        const int64_t rows =
            rows_per_task(part.batch, part.out_rows, part.out_columns * part.channels);
        block_rows.push_back(rows);
        first_task.push_back(first_task.back() + part.batch * divide_up(part.out_rows, rows));
        const double values = double(part.batch) * double(part.out_rows) *
                              double(part.out_columns) * double(part.channels);
        operations += values * double(part.tap_rows * part.tap_columns + 4) / 8;
        if (copied) {
            const Window window = window_of(part, 0, 0, rows, 1);
            const int64_t reach = std::min(window.rows, part.height);
            copy_size = std::max(copy_size, reach * part.width * part.channels);
        }
    }
    const int64_t tasks = first_task.back();
    const int team = team_size(tasks, operations);
    ScratchPlan memory;
    const int64_t copy_stride = divide_up(copy_size, 16) * 16;
    memory.add(copy_stride * team, sizeof(T));
    const Scratch scratch(memory.bytes());

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const size_t p = size_t(std::upper_bound(first_task.begin(), first_task.end(), task) -
                                first_task.begin() - 1);
        const Correlation& part = parts[p];
        const int64_t blocks = divide_up(part.out_rows, block_rows[p]);
        const int64_t n = (task - first_task[p]) / blocks;
        const int64_t begin = (task - first_task[p]) % blocks * block_rows[p];
        const int64_t end = std::min(begin + block_rows[p], part.out_rows);
        const int64_t image_at = n * part.height * part.width * part.channels;
        const T* image = x.dy + image_at;
        int64_t first_row = 0;
        if (copied) {
            const Window window = window_of(part, begin, 0, end - begin, 1);
            first_row = std::clamp<int64_t>(window.top, 0, part.height);
            const int64_t last = std::clamp<int64_t>(window.top + window.rows, 0, part.height);
            T* copy = reinterpret_cast<T*>(scratch.data()) + thread * copy_stride;
            const int64_t row_size = part.width * part.channels;
            read_values(kernels, x, image_at + first_row * row_size,
                        std::max<int64_t>(0, last - first_row) * row_size, copy);
            image = copy;
        }
        for (int64_t i = begin; i < end; ++i) {
            depthwise_output_row(
                kernels, part, operands, image, first_row, i,
                y + part.y_offset + n * part.y_image_stride + i * part.y_row_stride);
        }
    });
}

template <class T>
void depthwise_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                           T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t channels = shape.in_channels, taps = shape.kernel_height * shape.kernel_width;
    const int64_t rows = shape.batch * shape.out_height;
    const int64_t row_size = shape.out_width * channels;
    if (rows == 0) {
        std::fill(dweight, dweight + taps * channels, T(0));
        if (dbias) std::fill(dbias, dbias + channels, T(0));
        return;
    }
    const bool copied = dy.activation != Activation::none;
    // Each slot sums its rows in order into memory of its own: the taps, and the bias behind them.
    const int64_t slot_size = (taps + 1) * channels;
    const int64_t slots = std::min(
        {plenty_of_tasks / 2, rows, std::max<int64_t>(1, rows * row_size / fewest_row_values)});
    const int team = team_size(slots, double(rows) * double(row_size) * double(taps + 4) / 8);
    ScratchPlan memory;
    const size_t sums_at = memory.add(slots * slot_size, sizeof(T));
    const int64_t copy_stride = divide_up(copied ? row_size : 0, 16) * 16;
    const size_t copies_at = memory.add(copy_stride * team, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* sums = reinterpret_cast<T*>(scratch.data() + sums_at);

    parallel_for(slots, team, [&](int64_t slot, int thread) {
        T* sum = sums + slot * slot_size;
        std::fill(sum, sum + slot_size, T(0));
        T* copy = reinterpret_cast<T*>(scratch.data() + copies_at) + thread * copy_stride;
        for (int64_t index = slot * rows / slots; index < (slot + 1) * rows / slots; ++index) {
            const int64_t n = index / shape.out_height, i = index % shape.out_height;
            const T* delta = dy.dy + index * row_size;
            if (copied) {
                read_values(kernels, dy, index * row_size, row_size, copy);
                delta = copy;
            }
            if (dbias) {
                kernels.add_rows(delta, shape.out_width, channels, sum + taps * channels);
            }
            const int64_t top = i * shape.stride_h - shape.pad_top;
            const Taps inside =
                taps_inside(top, shape.kernel_height, shape.dilation_h, shape.height);
            if (inside.count == 0) continue;
            DepthwiseGradRow<T> row = {};
            row.x_stride = shape.stride_w * channels;
            row.tap_row_stride = shape.dilation_h * shape.width * channels;
            row.tap_column_stride = shape.dilation_w * channels;
            row.tap_rows = inside.count;
            row.dy_stride = channels;
            row.dw_row_stride = shape.kernel_width * channels;
            row.dw_column_stride = channels;
            row.channels = channels;
            const T* x_row = x + (n * shape.height + top + inside.first * shape.dilation_h) *
                                     shape.width * channels;
            for_columns(shape.out_width, shape.stride_w, shape.pad_left, shape.kernel_width,
                        shape.dilation_w, shape.width,
                        [&](int64_t j, int64_t columns, Taps across) {
                            if (across.count == 0) return;
                            row.x = x_row + (j * shape.stride_w - shape.pad_left +
                                             across.first * shape.dilation_w) *
                                                channels;
                            row.tap_columns = across.count;
                            row.dy = delta + j * channels;
                            row.pixels = columns;
                            row.dw = sum + inside.first * row.dw_row_stride +
                                     across.first * row.dw_column_stride;
                            kernels.depthwise_grad_row(row);
                        });
        }
    });

    for (int64_t slot = 1; slot < slots; ++slot) {
        kernels.add_rows(sums + slot * slot_size, 1, slot_size, sums);
    }
    std::copy(sums, sums + taps * channels, dweight);
    if (dbias) std::copy(sums + taps * channels, sums + slot_size, dbias);
}

template void correlate_depthwise(const std::vector<Correlation>&, const OutputGradient<float>&,
                                  const float*, const float*, Activation, float*);
template void correlate_depthwise(const std::vector<Correlation>&, const OutputGradient<double>&,
                                  const double*, const double*, Activation, double*);
template void depthwise_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                    float*, float*);
template void depthwise_grad_weight(const Conv2dShape&, const double*,
                                    const OutputGradient<double>&, double*, double*);

}  // namespace rot180
