#include "correlation.h"

#include <algorithm>
#include <atomic>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {
namespace {

// Enough tasks that threads which come free late or early still share the work evenly.
constexpr int64_t plenty_of_tasks = 32;
// What a task reads of x should stay in a second-level cache, beside its panel of weights.
constexpr int64_t window_bytes = 256 * 1024;
constexpr int64_t widest_block = 192;

// How one part is cut into tasks: an image, a block of output rows and columns, a range of panels.
struct Schedule {
    int64_t rows, columns;
    int64_t row_blocks, column_blocks, panel_ranges;
    int64_t first_task;
    bool exact;  // no copies: tap by tap, leaving out what lies outside the image

    int64_t tasks(const Correlation& part) const {
        return part.batch * row_blocks * column_blocks * panel_ranges;
    }
};

bool is_depthwise(const Correlation& part) { return part.run == 1 && part.group_out == 1; }

Window window_of(const Correlation& part, int64_t i, int64_t j, int64_t rows, int64_t columns) {
    return {i * part.stride_h - part.top, j * part.stride_w - part.left,
            extent(rows, part.stride_h, part.tap_rows, part.dilation_h),
            extent(columns, part.stride_w, part.tap_columns, part.dilation_w)};
}

bool has_border(const Correlation& part) {
    return !window_of(part, 0, 0, part.out_rows, part.out_columns).inside(part.height, part.width);
}

// A pointwise convolution knows no rows: one row of all pixels makes full tiles.
Correlation flattened(Correlation part) {
    const bool pointwise = part.tap_rows == 1 && part.tap_columns == 1 && part.stride_h == 1 &&
                           part.stride_w == 1 && !has_border(part) &&
                           part.out_rows == part.height && part.out_columns == part.width &&
                           part.y_row_stride == part.out_columns * part.y_column_stride &&
                           part.y_image_stride == part.out_rows * part.y_row_stride;
    if (!pointwise) return part;
    part.width = part.out_columns = part.batch * part.height * part.width;
    part.batch = part.height = part.out_rows = 1;
    return part;
}

template <class T>
Schedule schedule(const Correlation& part, int64_t panels) {
    Schedule plan = {};
    const int64_t pixel_bytes = part.channels * int64_t(sizeof(T));
    const int64_t fitting = std::clamp<int64_t>(window_bytes / pixel_bytes, 48, widest_block);
    plan.column_blocks = divide_up(part.out_columns, fitting);
    plan.columns = divide_up(part.out_columns, plan.column_blocks);

    const Window row = window_of(part, 0, 0, 1, plan.columns);
    const int64_t row_bytes = row.columns * pixel_bytes * part.stride_h;
    int64_t rows = std::max<int64_t>(1, (window_bytes / row_bytes) - row.rows / part.stride_h);
    const int64_t wanted = divide_up(plenty_of_tasks, part.batch * plan.column_blocks);
    rows = std::clamp<int64_t>(rows, 1, std::max<int64_t>(1, part.out_rows / wanted));
    plan.row_blocks = divide_up(part.out_rows, rows);
    plan.rows = divide_up(part.out_rows, plan.row_blocks);

    const int64_t blocks = part.batch * plan.row_blocks * plan.column_blocks;
    plan.panel_ranges = std::clamp<int64_t>(divide_up(plenty_of_tasks / 2, blocks), 1, panels);

    const Window block = window_of(part, 0, 0, plan.rows, plan.columns);
    plan.exact = has_border(part) && (block.rows > largest_window / block.columns ||
                                      block.rows * block.columns > largest_window / part.channels);
    return plan;
}

// Elements of T that a thread needs for the copy of a window.
int64_t window_size(const Correlation& part, const Schedule& plan) {
    if (plan.exact || !has_border(part)) return 0;
    const Window block = window_of(part, 0, 0, plan.rows, plan.columns);
    return block.rows * block.columns * part.channels;
}

template <class T>
struct Operands {
    const T* x;
    const T* weight;
    const T* bias;
    Activation activation;
    T* y;
};

// Packs one panel as (tap_rows, tap_columns, run, lanes), zero past the last channel; says whether
// every weight is finite.
template <class T>
bool pack_panel(const Correlation& part, const Panels& panels, int64_t panel, const T* weight,
                T* to) {
    const int64_t lanes = panels.lanes(panel), channels = panels.channels(panel);
    const T* group = weight + part.weight_offset + panels.group(panel) * part.weight_group_stride +
                     panels.first_channel(panel) * part.weight_out_stride;
    T sum_of_zeros = 0;  // 0 * w is zero unless w is infinite or NaN
    for (int64_t r = 0; r < part.tap_rows; ++r) {
        for (int64_t s = 0; s < part.tap_columns; ++s) {
            const T* tap = group + r * part.weight_row_stride + s * part.weight_column_stride;
            for (int64_t c = 0; c < part.run; ++c, to += lanes) {
                const T* line = tap + c * part.weight_in_stride;
                for (int64_t k = 0; k < channels; ++k) {
                    to[k] = line[k * part.weight_out_stride];
                    sum_of_zeros += T(0) * to[k];
                }
                std::fill(to + channels, to + lanes, T(0));
            }
        }
    }
    return sum_of_zeros == T(0);
}

// One block of outputs: which image, where it begins, how large it is, which panels.
struct Block {
    int64_t image, i, j, rows, columns, first_panel, last_panel;
};

Block block_of(const Correlation& part, const Schedule& plan, int64_t panels, int64_t task) {
    Block block;
    const int64_t range = task % plan.panel_ranges;
    task /= plan.panel_ranges;
    block.j = task % plan.column_blocks * plan.columns;
    task /= plan.column_blocks;
    block.i = task % plan.row_blocks * plan.rows;
    block.image = task / plan.row_blocks;
    // The last blocks may be short, or have nothing left.
    block.rows = std::clamp<int64_t>(part.out_rows - block.i, 0, plan.rows);
    block.columns = std::clamp<int64_t>(part.out_columns - block.j, 0, plan.columns);
    block.first_panel = range * panels / plan.panel_ranges;
    block.last_panel = (range + 1) * panels / plan.panel_ranges;
    return block;
}

// x as the tiles see it: the image itself, or a copy with zeros around it.
template <class T>
struct Source {
    const T* origin;
    int64_t row_stride;
};

template <class T>
Source<T> source_of(const Correlation& part, const Block& block, const T* x, T* copy) {
    const T* image = x + block.image * part.height * part.width * part.channels;
    const Window window = window_of(part, block.i, block.j, block.rows, block.columns);
    if (window.inside(part.height, part.width)) {
        return {image + (window.top * part.width + window.left) * part.channels,
                part.width * part.channels};
    }
    copy_window(window, part.height, part.width, part.channels, image, copy);
    return {copy, window.columns * part.channels};
}

template <class T>
T* output_of(const Correlation& part, const Block& block, T* y) {
    return y + part.y_offset + block.image * part.y_image_stride + block.i * part.y_row_stride +
           block.j * part.y_column_stride;
}

// sigmoid and tanh, over the block that was just written.
template <class T>
void finish_activation(const Kernels<T>& kernels, const Correlation& part, const Block& block,
                       int64_t first, int64_t channels, Activation activation, T* y) {
    if (activation != Activation::sigmoid && activation != Activation::tanh) return;
    for (int64_t i = 0; i < block.rows; ++i) {
        T* row = y + i * part.y_row_stride + first;
        if (part.y_column_stride == channels) {
            kernels.activate(activation, block.columns * channels, row, T(0), row);
            continue;
        }
        for (int64_t j = 0; j < block.columns; ++j) {
            T* pixel = row + j * part.y_column_stride;
            kernels.activate(activation, channels, pixel, T(0), pixel);
        }
    }
}

Activation in_tile(Activation activation) {
    const bool tile = activation == Activation::relu || activation == Activation::leaky_relu;
    return tile ? activation : Activation::none;
}

template <class T>
void dense_block(const Kernels<T>& kernels, const Correlation& part, const Panels& panels,
                 const Block& block, const Operands<T>& packed, T* copy) {
    const Source<T> source = source_of(part, block, packed.x, copy);
    T* y = output_of(part, block, packed.y);
    const int64_t taps = part.tap_rows * part.tap_columns * part.run;
    // Without dilation and groups, a window row is contiguous: one long run.
    const bool one_run = part.dilation_w == 1 && part.groups == 1;
    CorrelateRow<T> row = {};
    row.x_stride = part.stride_w * part.channels;
    row.tap_row_stride = part.dilation_h * source.row_stride;
    row.tap_column_stride = part.dilation_w * part.channels;
    row.tap_rows = part.tap_rows;
    row.tap_columns = one_run ? 1 : part.tap_columns;
    row.run = one_run ? part.tap_columns * part.run : part.run;
    row.y_stride = part.y_column_stride;
    row.pixels = block.columns;
    row.activation = in_tile(packed.activation);
    for (int64_t panel = block.first_panel; panel < block.last_panel; ++panel) {
        const int64_t group = panels.group(panel);
        const int64_t first = group * part.group_out + panels.first_channel(panel);
        row.weight = packed.weight + panels.lanes_before(panel) * taps;
        row.bias = packed.bias + panels.lanes_before(panel);
        row.vectors = panels.vectors(panel);
        row.channels = panels.channels(panel);
        for (int64_t i = 0; i < block.rows; ++i) {
            row.x = source.origin + i * part.stride_h * source.row_stride + group * part.run;
            row.y = y + i * part.y_row_stride + first;
            kernels.correlate_row(row);
        }
        finish_activation(kernels, part, block, first, row.channels, packed.activation, y);
    }
}

template <class T>
void depthwise_block(const Kernels<T>& kernels, const Correlation& part, const Block& block,
                     const Operands<T>& packed, T* copy) {
    const Source<T> source = source_of(part, block, packed.x, copy);
    T* y = output_of(part, block, packed.y);
    DepthwiseRow<T> row = {};
    row.x_stride = part.stride_w * part.channels;
    row.tap_row_stride = part.dilation_h * source.row_stride;
    row.tap_column_stride = part.dilation_w * part.channels;
    row.tap_rows = part.tap_rows;
    row.tap_columns = part.tap_columns;
    row.weight = packed.weight;
    row.bias = packed.bias;
    row.y_stride = part.y_column_stride;
    row.pixels = block.columns;
    row.channels = part.groups;
    row.activation = in_tile(packed.activation);
    for (int64_t i = 0; i < block.rows; ++i) {
        row.x = source.origin + i * part.stride_h * source.row_stride;
        row.y = y + i * part.y_row_stride;
        kernels.depthwise_row(row);
    }
    finish_activation(kernels, part, block, 0, part.groups, packed.activation, y);
}

// The direct sum over the taps inside the image. Slow, and right where zeros are not: an infinite
// weight times a zero of the padding would be NaN.
template <class T>
void exact_block(const Kernels<T>& kernels, const Correlation& part, const Block& block,
                 const Operands<T>& plain) {
    const int64_t out_channels = part.groups * part.group_out;
    const T* image = plain.x + block.image * part.height * part.width * part.channels;
    T* y = output_of(part, block, plain.y);
    for (int64_t i = 0; i < block.rows; ++i) {
        for (int64_t j = 0; j < block.columns; ++j) {
            T* out = y + i * part.y_row_stride + j * part.y_column_stride;
            for (int64_t k = 0; k < out_channels; ++k) out[k] = plain.bias ? plain.bias[k] : T(0);
            for (int64_t r = 0; r < part.tap_rows; ++r) {
                const int64_t h = (block.i + i) * part.stride_h + r * part.dilation_h - part.top;
                if (h < 0 || h >= part.height) continue;
                for (int64_t s = 0; s < part.tap_columns; ++s) {
                    const int64_t w =
                        (block.j + j) * part.stride_w + s * part.dilation_w - part.left;
                    if (w < 0 || w >= part.width) continue;
                    const T* pixel = image + (h * part.width + w) * part.channels;
                    const T* tap = plain.weight + part.weight_offset + r * part.weight_row_stride +
                                   s * part.weight_column_stride;
                    for (int64_t k = 0; k < out_channels; ++k) {
                        const int64_t group = k / part.group_out;
                        const T* column = tap + group * part.weight_group_stride +
                                          k % part.group_out * part.weight_out_stride;
                        for (int64_t c = 0; c < part.run; ++c) {
                            out[k] +=
                                pixel[group * part.run + c] * column[c * part.weight_in_stride];
                        }
                    }
                }
            }
            kernels.activate(plain.activation, out_channels, out, T(leaky_relu_slope), out);
        }
    }
}

}  // namespace

template <class T>
void correlate(const std::vector<Correlation>& given, const T* x, const T* weight, const T* bias,
               Activation activation, T* y) {
    std::vector<Correlation> parts;
    for (const Correlation& part : given) {
        if (part.batch > 0 && part.out_rows > 0 && part.out_columns > 0) {
            parts.push_back(flattened(part));
            if (is_depthwise(part)) parts.back().weight_out_stride = part.weight_group_stride;
        }
    }
    if (parts.empty()) return;

    const Kernels<T>& kernels = rot180::kernels<T>();
    const bool depthwise = is_depthwise(parts[0]);
    const int64_t groups = parts[0].groups, group_out = parts[0].group_out;
    const Panels panels(kernels, groups, group_out, depthwise);
    const int64_t panel_count = panels.count();
    const int64_t lanes = panels.all_lanes();

    std::vector<Schedule> schedules;
    ScratchPlan plan;
    std::vector<size_t> weight_at;
    int64_t tasks = 0, window = 0;
    double operations = 0;
    for (const Correlation& part : parts) {
        Schedule next = schedule<T>(part, panel_count);
        next.first_task = tasks;
        tasks += next.tasks(part);
        window = std::max(window, window_size(part, next));
        const int64_t taps = part.tap_rows * part.tap_columns * part.run;
        weight_at.push_back(plan.add(taps * lanes, sizeof(T)));
        operations += double(part.batch) * double(part.out_rows) * double(part.out_columns) *
                      double(lanes) * double(taps + 1) / 8;
        schedules.push_back(next);
    }
    const size_t bias_at = plan.add(lanes, sizeof(T));
    const int team = team_size(tasks, operations);
    // A multiple of the cache line, so that threads share none.
    const int64_t window_stride = divide_up(window, 16) * 16;
    const size_t windows_at = plan.add(window_stride * team, sizeof(T));
    const Scratch scratch(plan.bytes());

    T* packed_bias = reinterpret_cast<T*>(scratch.data() + bias_at);
    std::fill(packed_bias, packed_bias + lanes, T(0));
    for (int64_t panel = 0; bias && panel < panel_count; ++panel) {
        const T* first = bias + panels.group(panel) * group_out + panels.first_channel(panel);
        std::copy(first, first + panels.channels(panel), packed_bias + panels.lanes_before(panel));
    }

    const auto packed_weight = [&](size_t part) {
        return reinterpret_cast<T*>(scratch.data() + weight_at[part]);
    };
    std::vector<std::atomic<bool>> finite(parts.size());
    for (auto& flag : finite) flag = true;
    parallel_for(int64_t(parts.size()) * panel_count, team, [&](int64_t task, int) {
        const size_t p = size_t(task / panel_count);
        const Correlation& part = parts[p];
        const int64_t panel = task % panel_count;
        const int64_t taps = part.tap_rows * part.tap_columns * part.run;
        T* to = packed_weight(p) + panels.lanes_before(panel) * taps;
        if (!pack_panel(part, panels, panel, weight, to)) finite[p] = false;
    });
    for (size_t p = 0; p < parts.size(); ++p) {
        if (!finite[p] && has_border(parts[p])) schedules[p].exact = true;
    }

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const auto next = std::upper_bound(
            schedules.begin(), schedules.end(), task,
            [](int64_t index, const Schedule& schedule) { return index < schedule.first_task; });
        const size_t p = size_t(next - schedules.begin()) - 1;
        const Correlation& part = parts[p];
        const Schedule& schedule = schedules[p];
        const Block block = block_of(part, schedule, panel_count, task - schedule.first_task);
        if (block.rows == 0 || block.columns == 0) return;
        T* copy = reinterpret_cast<T*>(scratch.data() + windows_at) + thread * window_stride;
        const Operands<T> packed = {x, packed_weight(p), packed_bias, activation, y};
        if (schedule.exact) {
            if (block.first_panel == 0) {
                exact_block(kernels, part, block, Operands<T>{x, weight, bias, activation, y});
            }
        } else if (depthwise) {
            depthwise_block(kernels, part, block, packed, copy);
        } else {
            dense_block(kernels, part, panels, block, packed, copy);
        }
    });
}

template void correlate(const std::vector<Correlation>&, const float*, const float*, const float*,
                        Activation, float*);
template void correlate(const std::vector<Correlation>&, const double*, const double*,
                        const double*, Activation, double*);

}  // namespace rot180
