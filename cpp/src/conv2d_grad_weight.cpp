#include <algorithm>
#include <atomic>
#include <vector>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "rot180/conv2d.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {
namespace {

constexpr int64_t plenty_of_tasks = 32;
// Accumulators live in registers for this many pixels before they go back to memory.
constexpr int64_t pixels_per_block = 128;
constexpr int64_t widest_block = 192;
constexpr int64_t largest_slots = int64_t(1) << 23;  // elements of partial sums

// How the sum over pixels is cut: into blocks of pixels, and the blocks into slots. Each slot sums
// its blocks in order into memory of its own, and the slots are added in order at the end.
struct Schedule {
    int64_t images, rows, columns;  // of one block
    int64_t image_blocks, row_blocks, column_blocks;
    int64_t slots;

    int64_t blocks() const { return image_blocks * row_blocks * column_blocks; }
};

Conv2dShape flattened(Conv2dShape shape) {
    const bool pointwise = shape.kernel_height == 1 && shape.kernel_width == 1 &&
                           shape.stride_h == 1 && shape.stride_w == 1 && shape.pad_top == 0 &&
                           shape.pad_left == 0 && shape.out_height == shape.height &&
                           shape.out_width == shape.width;
    if (!pointwise) return shape;
    shape.width = shape.out_width = shape.batch * shape.height * shape.width;
    shape.batch = shape.height = shape.out_height = 1;
    return shape;
}

Window window_of(const Conv2dShape& shape, int64_t i, int64_t j, int64_t rows, int64_t columns) {
    return {i * shape.stride_h - shape.pad_top, j * shape.stride_w - shape.pad_left,
            extent(rows, shape.stride_h, shape.kernel_height, shape.dilation_h),
            extent(columns, shape.stride_w, shape.kernel_width, shape.dilation_w)};
}

bool has_border(const Conv2dShape& shape) {
    return !window_of(shape, 0, 0, shape.out_height, shape.out_width)
                .inside(shape.height, shape.width);
}

Schedule schedule(const Conv2dShape& shape, int64_t panels, int64_t slot_size) {
    Schedule plan = {};
    plan.column_blocks = divide_up(shape.out_width, widest_block);
    plan.columns = divide_up(shape.out_width, plan.column_blocks);
    const int64_t rows = std::clamp<int64_t>(pixels_per_block / plan.columns, 1, shape.out_height);
    plan.row_blocks = divide_up(shape.out_height, rows);
    plan.rows = divide_up(shape.out_height, plan.row_blocks);
    plan.images = 1;
    if (plan.row_blocks == 1 && plan.column_blocks == 1) {
        const int64_t fitting = pixels_per_block / (plan.rows * plan.columns);
        plan.images = std::clamp<int64_t>(fitting, 1, std::max<int64_t>(1, shape.batch / 16));
    }
    plan.image_blocks = divide_up(shape.batch, plan.images);
    const int64_t wanted = divide_up(plenty_of_tasks, panels);
    const int64_t affordable = std::max<int64_t>(1, largest_slots / slot_size);
    plan.slots = std::min({wanted, affordable, plan.blocks()});
    return plan;
}

template <class T>
PixelBlock<T> pixel_block(const Conv2dShape& shape, const Schedule& plan, int64_t index, const T* x,
                          const T* dy, T* copy) {
    const int64_t j = index % plan.column_blocks * plan.columns;
    index /= plan.column_blocks;
    const int64_t i = index % plan.row_blocks * plan.rows;
    const int64_t n = index / plan.row_blocks * plan.images;

    PixelBlock<T> block = {};
    block.images = std::clamp<int64_t>(shape.batch - n, 0, plan.images);
    block.rows = std::clamp<int64_t>(shape.out_height - i, 0, plan.rows);
    block.columns = std::clamp<int64_t>(shape.out_width - j, 0, plan.columns);
    if (block.rows == 0 || block.columns == 0) block.images = 0;

    block.dy_stride = shape.out_channels;
    block.dy_row_stride = shape.out_width * block.dy_stride;
    block.dy_image_stride = shape.out_height * block.dy_row_stride;
    block.dy = dy + n * block.dy_image_stride + i * block.dy_row_stride + j * block.dy_stride;

    const Window window = window_of(shape, i, j, block.rows, block.columns);
    const int64_t image_size = shape.height * shape.width * shape.in_channels;
    const T* image = x + n * image_size;
    int64_t row_stride = shape.width * shape.in_channels;
    if (window.inside(shape.height, shape.width)) {
        block.x = image + (window.top * shape.width + window.left) * shape.in_channels;
        block.x_image_stride = image_size;
    } else {
        row_stride = window.columns * shape.in_channels;
        block.x = copy;
        block.x_image_stride = window.rows * row_stride;
        for (int64_t m = 0; m < block.images; ++m) {
            copy_window(window, shape.height, shape.width, shape.in_channels,
                        image + m * image_size, copy + m * block.x_image_stride);
        }
    }
    block.x_row_stride = shape.stride_h * row_stride;
    block.x_stride = shape.stride_w * shape.in_channels;
    return block;
}

// dy of one panel as (pixels, lanes), zero past the last channel: the tile reads whole vectors, and
// reads them once for each of its rows, so they had better lie together in the first-level cache.
template <class T>
void pack_dy(PixelBlock<T>& block, int64_t channels, int64_t lanes, T* to) {
    const T* packed = to;
    for (int64_t n = 0; n < block.images; ++n) {
        for (int64_t i = 0; i < block.rows; ++i) {
            const T* from = block.dy + n * block.dy_image_stride + i * block.dy_row_stride;
            for (int64_t j = 0; j < block.columns; ++j, from += block.dy_stride, to += lanes) {
                std::copy(from, from + channels, to);
                std::fill(to + channels, to + lanes, T(0));
            }
        }
    }
    block.dy = packed;
    block.dy_stride = lanes;
    block.dy_row_stride = block.columns * lanes;
    block.dy_image_stride = block.rows * block.dy_row_stride;
}

// One panel's share of a slot: sum is (kernel_height, kernel_width, in channels, lanes).
template <class T>
void add_block(const Kernels<T>& kernels, const Conv2dShape& shape, const Panels& panels,
               int64_t panel, PixelBlock<T> block, int64_t row_stride, T* dy_copy, T* sum) {
    const int64_t group = panels.group(panel), lanes = panels.lanes(panel);
    const int64_t in_channels = shape.group_in_channels();
    block.x += group * in_channels;
    block.dy += group * shape.group_out_channels() + panels.first_channel(panel);
    pack_dy(block, panels.channels(panel), lanes, dy_copy);

    // Without dilation and groups, a window row is contiguous in x and in dweight.
    const bool one_run = shape.dilation_w == 1 && shape.groups == 1;
    const int64_t tap_columns = one_run ? 1 : shape.kernel_width;
    OuterProduct<T> product = {};
    product.pixels = block;
    product.rows = one_run ? shape.kernel_width * in_channels : in_channels;
    product.vectors = panels.vectors(panel);
    for (int64_t r = 0; r < shape.kernel_height; ++r) {
        for (int64_t s = 0; s < tap_columns; ++s) {
            product.pixels.x = block.x + r * shape.dilation_h * row_stride +
                               s * shape.dilation_w * shape.in_channels;
            product.dw = sum + (r * tap_columns + s) * product.rows * lanes;
            kernels.outer_product(product);
        }
    }
}

template <class T>
void add_depthwise_block(const Kernels<T>& kernels, const Conv2dShape& shape,
                         const PixelBlock<T>& block, int64_t row_stride, T* sum) {
    DepthwiseOuterProduct<T> product = {};
    product.pixels = block;
    product.tap_columns = shape.kernel_width;
    product.tap_column_stride = shape.dilation_w * shape.in_channels;
    product.dw_stride = product.channels = shape.in_channels;
    for (int64_t r = 0; r < shape.kernel_height; ++r) {
        product.pixels.x = block.x + r * shape.dilation_h * row_stride;
        product.dw = sum + r * shape.kernel_width * shape.in_channels;
        kernels.depthwise_outer_product(product);
    }
}

// Tap by tap, leaving out what lies outside the image. Slow, and right where zeros are not: the
// padding times an infinite dy would be NaN.
template <class T>
void exact_grad_weight(const Conv2dShape& shape, const T* x, const T* dy, T* dweight) {
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
                    const T* delta = dy + ((n * shape.out_height + i) * shape.out_width + j) *
                                              shape.out_channels;
                    for (int64_t k = 0; k < shape.out_channels; ++k) {
                        sum[k] += pixel[k / group_out * in_channels] * delta[k];
                    }
                }
            }
        }
    });
}

bool window_too_large(const Conv2dShape& shape, const Schedule& plan) {
    const Window block = window_of(shape, 0, 0, plan.rows, plan.columns);
    const int64_t row = shape.in_channels * plan.images;
    return block.rows > largest_window / block.columns ||
           block.rows * block.columns > largest_window / row;
}

}  // namespace

template <class T>
void plain_grad_weight(const Conv2dShape& given, const T* x, const T* dy, T* dweight) {
    const Conv2dShape shape = flattened(given);
    if (given.output_size() == 0) {
        std::fill(dweight, dweight + given.weight_size(), T(0));
        return;
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t in_channels = shape.group_in_channels();
    const int64_t group_out = shape.group_out_channels();
    const bool depthwise = in_channels == 1 && group_out == 1;
    const Panels panels(kernels, shape.groups, group_out, depthwise);
    const int64_t panel_count = panels.count();
    const int64_t lanes = panels.all_lanes();
    const int64_t lines = shape.kernel_height * shape.kernel_width * in_channels;
    const bool border = has_border(shape);
    const Schedule plan = schedule(shape, panel_count, lines * lanes);
    if (border && window_too_large(shape, plan)) return exact_grad_weight(shape, x, dy, dweight);

    const int64_t tasks = plan.slots * panel_count;
    const double pixels = double(shape.batch) * double(shape.out_height) * double(shape.out_width);
    const int team = team_size(tasks, pixels * double(lanes) * double(lines) / 8);
    const Window window = window_of(shape, 0, 0, plan.rows, plan.columns);
    const int64_t window_size =
        border ? divide_up(plan.images * window.rows * window.columns * shape.in_channels, 16) * 16
               : 0;
    const int64_t dy_size =
        plan.images * plan.rows * plan.columns * kernels.width * kernels.max_vectors;
    ScratchPlan memory;
    const size_t sums_at = memory.add(plan.slots * lines * lanes, sizeof(T));
    const size_t copies_at = memory.add((window_size + dy_size) * team, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* sums = reinterpret_cast<T*>(scratch.data() + sums_at);

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const int64_t slot = task / panel_count, panel = task % panel_count;
        T* copy =
            reinterpret_cast<T*>(scratch.data() + copies_at) + thread * (window_size + dy_size);
        T* sum = sums + (slot * lanes + panels.lanes_before(panel)) * lines;
        std::fill(sum, sum + lines * panels.lanes(panel), T(0));
        const int64_t last = (slot + 1) * plan.blocks() / plan.slots;
        for (int64_t index = slot * plan.blocks() / plan.slots; index < last; ++index) {
            const PixelBlock<T> block = pixel_block(shape, plan, index, x, dy, copy);
            const int64_t row_stride = block.x_row_stride / shape.stride_h;
            if (depthwise) {
                add_depthwise_block(kernels, shape, block, row_stride, sum);
            } else {
                add_block(kernels, shape, panels, panel, block, row_stride, copy + window_size,
                          sum);
            }
        }
    });

    std::atomic<bool> any_nan{false};
    parallel_for(lines, team, [&](int64_t line, int) {
        T* to = dweight + line * shape.out_channels;
        for (int64_t panel = 0; panel < panel_count; ++panel) {
            const int64_t channels = panels.channels(panel);
            const int64_t first = panels.group(panel) * group_out + panels.first_channel(panel);
            const T* from = sums + panels.lanes_before(panel) * lines + line * panels.lanes(panel);
            std::copy(from, from + channels, to + first);
            for (int64_t slot = 1; slot < plan.slots; ++slot) {
                const T* partial = from + slot * lanes * lines;
                for (int64_t k = 0; k < channels; ++k) to[first + k] += partial[k];
            }
        }
        T sum = 0;
        for (int64_t k = 0; k < shape.out_channels; ++k) sum += T(0) * to[k];
        if (sum != sum) any_nan = true;
    });
    if (border && any_nan) exact_grad_weight(shape, x, dy, dweight);
}

template <class T>
void conv2d_grad_bias(int64_t pixels, int64_t channels, const T* dy, T* dbias) {
    constexpr int64_t most_slots = 64, fewest_pixels = 128;
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t per_slot = std::max(fewest_pixels, divide_up(pixels, most_slots));
    const int64_t slots = divide_up(pixels, per_slot);
    ScratchPlan memory;
    memory.add(slots * channels, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* sums = reinterpret_cast<T*>(scratch.data());
    const int team = team_size(slots, double(pixels) * double(channels) / 4);
    parallel_for(slots, team, [&](int64_t slot, int) {
        const int64_t first = slot * per_slot;
        kernels.sum_rows(dy + first * channels, std::min(per_slot, pixels - first), channels,
                         sums + slot * channels);
    });
    kernels.sum_rows(sums, slots, channels, dbias);
}

template <class T>
void conv2d_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                        T* dweight, T* dbias) {
    std::vector<T> product;
    const T* delta = dy.dy;
    if (dy.activation != Activation::none) {
        product.resize(size_t(shape.output_size()));
        activate_grad_input(dy.activation, shape.output_size(), dy.dy, dy.y, T(leaky_relu_slope),
                            product.data());
        delta = product.data();
    }
    plain_grad_weight(shape, x, delta, dweight);
    if (dbias) {
        conv2d_grad_bias(shape.batch * shape.out_height * shape.out_width, shape.out_channels,
                         delta, dbias);
    }
}

template void conv2d_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                 float*, float*);
template void conv2d_grad_weight(const Conv2dShape&, const double*, const OutputGradient<double>&,
                                 double*, double*);
template void conv2d_grad_bias(int64_t, int64_t, const float*, float*);
template void conv2d_grad_bias(int64_t, int64_t, const double*, double*);

}  // namespace rot180
