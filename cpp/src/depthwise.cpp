#include "depthwise.h"

#include <algorithm>

#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

constexpr int64_t plenty_of_tasks = 32;
constexpr int64_t fewest_row_values = 4096;  // in one task
constexpr int64_t copied_channels = 64;

// Taps [first, first + count) of an axis lie inside the image for an output at `origin`, where the
// first tap is. Where none does, first is 0 too: no pointer to it leaves the weights.
struct Taps {
    int64_t first, count;
};

Taps taps_inside(int64_t origin, int64_t taps, int64_t dilation, int64_t size) {
    const int64_t first = origin < 0 ? std::min(taps, divide_up(-origin, dilation)) : 0;
    const int64_t last = origin < size ? std::min(taps, divide_up(size - origin, dilation)) : 0;
    if (last <= first) return {0, 0};
    return {first, last - first};
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

// Pixels so far apart in memory that those of a window fall into few sets of a first-level cache
// and push one another out.
template <class T>
bool pixels_collide(int64_t channels) {
    return channels * int64_t(sizeof(T)) % 1024 == 0;
}

// Some channels of some rows of an image, in place or copied side by side.
template <class T>
struct Rows {
    const T* data;  // of `first` row
    int64_t first, last;
    int64_t row_stride, pixel_stride;

    const T* at(int64_t h, int64_t w) const {
        return data + (h - first) * row_stride + w * pixel_stride;
    }
};

// How the drivers below read images of (height, width, channels), and where their copies end up.
template <class T>
class RowReader {
 public:
    RowReader(const OutputGradient<T>& x, int64_t height, int64_t width, int64_t channels)
        : kernels_(rot180::kernels<T>()),
          x_(x),
          height_(height),
          width_(width),
          channels_(channels),
          copies_(x.activation != Activation::none || pixels_collide<T>(channels)) {}

    bool copies() const { return copies_; }
    int64_t copy_size(int64_t rows, int64_t channels) const {
        return copies_ ? std::min(rows, height_) * width_ * channels : 0;
    }

    // Rows [first, last) as far as the image has them, channels [channel, channel + count).
    Rows<T> read(int64_t image, int64_t first, int64_t last, int64_t channel, int64_t count,
                 T* copy) const {
        Rows<T> rows = {};
        rows.first = std::clamp<int64_t>(first, 0, height_);
        rows.last = std::clamp<int64_t>(last, rows.first, height_);
        const int64_t at = (image * height_ + rows.first) * width_ * channels_ + channel;
        if (!copies_) {
            rows.data = x_.dy + at;
            rows.pixel_stride = channels_;
        } else {
            rows.data = copy;
            rows.pixel_stride = count;
            const int64_t pixels = (rows.last - rows.first) * width_;
            for (int64_t p = 0; p < pixels; ++p) {
                read_values(kernels_, x_, at + p * channels_, count, copy + p * count);
            }
        }
        rows.row_stride = width_ * rows.pixel_stride;
        return rows;
    }

 private:
    const Kernels<T>& kernels_;
    const OutputGradient<T>& x_;
    int64_t height_, width_, channels_;
    bool copies_;
};

// Rows [used, next), as far as they have been read: what the next row of outputs reads beside the
// rows already in use.
template <class T>
Ahead<T> ahead_of(const Rows<T>& rows, int64_t used, int64_t next) {
    const int64_t last = std::min(next, rows.last);
    if (last <= used || used < rows.first) return {nullptr, 0};
    return {rows.at(used, 0), (last - used) * rows.row_stride};
}

template <class T>
struct DepthwiseOperands {
    const T* weight;  // of tap (0, 0), first channel
    int64_t weight_row_stride, weight_column_stride;
    const T* bias;
    Activation activation;
};

// One row of outputs, `channels` of them.
template <class T>
void depthwise_output_row(const Kernels<T>& kernels, const Correlation& part,
                          const DepthwiseOperands<T>& operands, const Rows<T>& x, int64_t i,
                          int64_t channels, T* y) {
    const int64_t top = i * part.stride_h - part.top;
    const Taps rows = taps_inside(top, part.tap_rows, part.dilation_h, part.height);
    DepthwiseRow<T> row = {};
    row.x_stride = part.stride_w * x.pixel_stride;
    row.tap_row_stride = part.dilation_h * x.row_stride;
    row.tap_column_stride = part.dilation_w * x.pixel_stride;
    row.tap_rows = rows.count;
    row.weight_row_stride = operands.weight_row_stride;
    row.weight_column_stride = operands.weight_column_stride;
    row.bias = operands.bias;
    row.y_stride = part.y_column_stride;
    row.channels = channels;
    row.activation = in_kernel(operands.activation);
    // Where no tap row is inside, no pointer may leave the image either.
    const int64_t h = rows.count > 0 ? top + rows.first * part.dilation_h : x.first;
    const int64_t used = top + (part.tap_rows - 1) * part.dilation_h + 1;
    const Ahead<T> ahead = ahead_of(x, used, used + part.stride_h);
    for_columns(part.out_columns, part.stride_w, part.left, part.tap_columns, part.dilation_w,
                part.width, [&](int64_t j, int64_t columns, Taps taps) {
                    const int64_t w = taps.count > 0 ? j * part.stride_w - part.left +
                                                           taps.first * part.dilation_w
                                                     : 0;
                    row.x = x.at(h, w);
                    row.weight = operands.weight + rows.first * row.weight_row_stride +
                                 taps.first * row.weight_column_stride;
                    row.tap_columns = taps.count;
                    row.y = y + j * part.y_column_stride;
                    row.pixels = columns;
                    row.ahead = columns > 1 ? ahead : Ahead<T>{};
                    kernels.depthwise_row(row);
                });
    after_kernel(kernels, operands.activation, part.out_columns, channels, part.y_column_stride, y);
}

// Weights of some channels side by side: (tap_rows, tap_columns, count).
template <class T>
void copy_weight(const Correlation& part, const T* weight, int64_t channel, int64_t count, T* to) {
    for (int64_t r = 0; r < part.tap_rows; ++r) {
        for (int64_t s = 0; s < part.tap_columns; ++s, to += count) {
            const T* tap = weight + part.weight_offset + r * part.weight_row_stride +
                           s * part.weight_column_stride + channel;
            std::copy(tap, tap + count, to);
        }
    }
}

}  // namespace

template <class T>
void correlate_depthwise(const std::vector<Correlation>& parts, const OutputGradient<T>& x,
                         const T* weight, const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t channels = parts[0].channels;
    const RowReader<T> reader(x, parts[0].height, parts[0].width, channels);
    const int64_t together = reader.copies() ? std::min(channels, copied_channels) : channels;

    std::vector<int64_t> first_task = {0}, block_rows;
    double operations = 0;
    int64_t copy_size = 0, weight_size = 0;
    for (const Correlation& part : parts) {
        const int64_t rows = rows_per_task(part.batch, part.out_rows, part.out_columns * channels);
        block_rows.push_back(rows);
        first_task.push_back(first_task.back() + part.batch * divide_up(part.out_rows, rows));
        const double values = double(part.batch) * double(part.out_rows) *
                              double(part.out_columns) * double(channels);
        operations += values * double(part.tap_rows * part.tap_columns + 4) / 8;
        copy_size =
            std::max(copy_size, reader.copy_size(window_of(part, 0, 0, rows, 1).rows, together));
        weight_size = std::max(weight_size, part.tap_rows * part.tap_columns * together);
    }
    const int64_t tasks = first_task.back();
    const int team = team_size(tasks, operations);
    ScratchPlan own;
    const size_t weight_at = own.add(reader.copies() ? weight_size : 0, sizeof(T));
    const size_t copy_at = own.add(copy_size, sizeof(T));
    ScratchPlan memory;
    memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const size_t p = size_t(std::upper_bound(first_task.begin(), first_task.end(), task) -
                                first_task.begin() - 1);
        const Correlation& part = parts[p];
        const int64_t blocks = divide_up(part.out_rows, block_rows[p]);
        const int64_t n = (task - first_task[p]) / blocks;
        const int64_t begin = (task - first_task[p]) % blocks * block_rows[p];
        const int64_t end = std::min(begin + block_rows[p], part.out_rows);
        const Window window = window_of(part, begin, 0, end - begin, 1);
        char* mine = scratch.data() + size_t(thread) * own.bytes();
        T* packed_weight = reinterpret_cast<T*>(mine + weight_at);
        for (int64_t channel = 0; channel < channels; channel += together) {
            const int64_t count = std::min(together, channels - channel);
            const Rows<T> rows = reader.read(n, window.top, window.top + window.rows, channel,
                                             count, reinterpret_cast<T*>(mine + copy_at));
            DepthwiseOperands<T> operands = {weight + part.weight_offset, part.weight_row_stride,
                                             part.weight_column_stride,
                                             bias ? bias + channel : nullptr, activation};
            if (reader.copies()) {
                copy_weight(part, weight, channel, count, packed_weight);
                operands.weight = packed_weight;
                operands.weight_row_stride = part.tap_columns * count;
                operands.weight_column_stride = count;
            }
            for (int64_t i = begin; i < end; ++i) {
                depthwise_output_row(
                    kernels, part, operands, rows, i, count,
                    y + part.y_offset + n * part.y_image_stride + i * part.y_row_stride + channel);
            }
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
    const OutputGradient<T> plain_x = {x};
    const RowReader<T> x_reader(plain_x, shape.height, shape.width, channels);
    const RowReader<T> dy_reader(dy, shape.out_height, shape.out_width, channels);
    const bool copies = x_reader.copies() || dy_reader.copies();
    const int64_t together = copies ? std::min(channels, copied_channels) : channels;

    // Each slot sums its rows in order into memory of its own: the taps, and the bias behind them.
    const int64_t slot_size = (taps + 1) * channels;
    const int64_t slots = std::min(
        {plenty_of_tasks / 2, rows, std::max<int64_t>(1, rows * row_size / fewest_row_values)});
    const int64_t block = std::min(shape.out_height, divide_up(rows, slots));
    const int64_t reach = extent(block, shape.stride_h, shape.kernel_height, shape.dilation_h);
    const int team = team_size(slots, double(rows) * double(row_size) * double(taps + 4) / 8);
    ScratchPlan own;
    const size_t x_at = own.add(x_reader.copy_size(reach, together), sizeof(T));
    const size_t dy_at = own.add(dy_reader.copy_size(block, together), sizeof(T));
    const size_t sum_at = own.add(slot_size, sizeof(T));
    ScratchPlan memory;
    const size_t sums_at = memory.add(slots * slot_size, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    T* sums = reinterpret_cast<T*>(scratch.data() + sums_at);

    // Output rows [begin, end) of image n, channels [channel, channel + count), into sum, which is
    // (taps + 1, count).
    const auto add_rows = [&](int64_t n, int64_t begin, int64_t end, int64_t channel, int64_t count,
                              char* mine, T* sum) {
        const int64_t first_top = begin * shape.stride_h - shape.pad_top;
        const Rows<T> images = x_reader.read(
            n, first_top,
            first_top + extent(end - begin, shape.stride_h, shape.kernel_height, shape.dilation_h),
            channel, count, reinterpret_cast<T*>(mine + x_at));
        const Rows<T> deltas =
            dy_reader.read(n, begin, end, channel, count, reinterpret_cast<T*>(mine + dy_at));
        DepthwiseGradRow<T> row = {};
        row.x_stride = shape.stride_w * images.pixel_stride;
        row.tap_row_stride = shape.dilation_h * images.row_stride;
        row.tap_column_stride = shape.dilation_w * images.pixel_stride;
        row.dy_stride = deltas.pixel_stride;
        row.dw_row_stride = shape.kernel_width * count;
        row.dw_column_stride = count;
        row.channels = count;
        for (int64_t i = begin; i < end; ++i) {
            if (dbias) {
                kernels.add_rows(deltas.at(i, 0), shape.out_width, deltas.pixel_stride, count,
                                 sum + taps * count);
            }
            const int64_t top = i * shape.stride_h - shape.pad_top;
            const Taps down = taps_inside(top, shape.kernel_height, shape.dilation_h, shape.height);
            if (down.count == 0) continue;
            row.tap_rows = down.count;
            const int64_t h = top + down.first * shape.dilation_h;
            const int64_t used = top + (shape.kernel_height - 1) * shape.dilation_h + 1;
            const Ahead<T> x_ahead = ahead_of(images, used, used + shape.stride_h);
            const Ahead<T> dy_ahead = ahead_of(deltas, i + 1, i + 2);
            for_columns(
                shape.out_width, shape.stride_w, shape.pad_left, shape.kernel_width,
                shape.dilation_w, shape.width, [&](int64_t j, int64_t columns, Taps across) {
                    if (across.count == 0) return;
                    row.x = images.at(
                        h, j * shape.stride_w - shape.pad_left + across.first * shape.dilation_w);
                    row.tap_columns = across.count;
                    row.dy = deltas.at(i, j);
                    row.pixels = columns;
                    row.dw =
                        sum + down.first * row.dw_row_stride + across.first * row.dw_column_stride;
                    row.x_ahead = columns > 1 ? x_ahead : Ahead<T>{};
                    row.dy_ahead = columns > 1 ? dy_ahead : Ahead<T>{};
                    kernels.depthwise_grad_row(row);
                });
        }
    };

    parallel_for(slots, team, [&](int64_t slot, int thread) {
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* sum = reinterpret_cast<T*>(mine + sum_at);
        const int64_t first = slot * rows / slots, last = (slot + 1) * rows / slots;
        for (int64_t channel = 0; channel < channels; channel += together) {
            const int64_t count = std::min(together, channels - channel);
            std::fill(sum, sum + (taps + 1) * count, T(0));
            for (int64_t index = first; index < last;) {
                const int64_t n = index / shape.out_height, i = index % shape.out_height;
                const int64_t end = std::min({shape.out_height, i + last - index, i + block});
                add_rows(n, i, end, channel, count, mine, sum);
                index += end - i;
            }
            for (int64_t tap = 0; tap <= taps; ++tap) {
                std::copy(sum + tap * count, sum + (tap + 1) * count,
                          sums + slot * slot_size + tap * channels + channel);
            }
        }
    });

    for (int64_t slot = 1; slot < slots; ++slot) {
        kernels.add_rows(sums + slot * slot_size, 1, slot_size, slot_size, sums);
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
