#include <algorithm>
#include <atomic>
#include <cstring>

#include "blocks.h"
#include "depthwise.h"
#include "exact_grad_weight.h"
#include "few_pixels.h"
#include "flat_rows.h"
#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "rot180/conv2d.h"
#include "scratch.h"
#include "window.h"
#include "winograd.h"

namespace rot180 {
namespace {

constexpr int64_t plenty_of_tasks = 16, few_tasks = 4;
// Accumulators live in registers for this many pixels before they go back to memory. With half as
// many, dy would fit a first-level cache even in the widest panels, and yet it takes longer.
constexpr int64_t usual_pixels = 288;
// Twice as many where the sums come from far away.
constexpr int64_t large_sums_bytes = 2 * 1024 * 1024;
// What a task reads of x again and again, and what it sums up, should stay in a second-level cache.
constexpr int64_t x_bytes = 192 * 1024;
constexpr int64_t sums_bytes = 256 * 1024;
// Pixels of a pointwise sum from one request for what comes next to the following one.
constexpr int64_t shortest_row = 12, longest_row = 24;
constexpr int64_t pixels_worth_a_slot = 1024;
constexpr int64_t lines_per_task = 128;
constexpr int64_t largest_slots = int64_t(1) << 24;  // elements of partial sums
constexpr int64_t packed_together = 64;
constexpr int64_t pixels_packed_together = 16;
// From so many channels on, those of a tile are copied side by side.
constexpr int64_t channels_worth_packing = 12;

// How the sum over pixels is cut: into blocks of pixels, and the blocks into slots. Each slot sums
// its blocks in order into memory of its own, and the slots are added in order at the end.
struct Schedule {
    Blocks blocks;
    int64_t slots, channel_ranges, panel_ranges;
    bool into_dweight;  // the only slot sums there, each sum written once

    int64_t ranges() const { return channel_ranges * panel_ranges; }
    int64_t tasks() const { return slots * ranges(); }
};

bool pointwise(const Conv2dShape& shape) {
    return shape.kernel_height == 1 && shape.kernel_width == 1 && shape.stride_h == 1 &&
           shape.stride_w == 1 && shape.pad_top == 0 && shape.pad_left == 0 &&
           shape.out_height == shape.height && shape.out_width == shape.width;
}

// A pointwise sum over all pixels as one over a single row.
Conv2dShape flattened(Conv2dShape shape) {
    if (!pointwise(shape)) return shape;
    shape.width = shape.out_width = shape.batch * shape.height * shape.width;
    shape.batch = shape.height = shape.out_height = 1;
    return shape;
}

// And that row cut into short ones, if their length divides it.
Conv2dShape in_short_rows(Conv2dShape shape) {
    if (!pointwise(shape)) return shape;
    for (int64_t length = longest_row; length >= shortest_row; --length) {
        if (shape.width % length) continue;
        shape.height = shape.out_height = shape.width / length;
        shape.width = shape.out_width = length;
        break;
    }
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

int64_t line_count(const Conv2dShape& shape) {
    return shape.kernel_height * shape.kernel_width * shape.group_in_channels();
}

// Whether the input channels of a tile are copied side by side.
bool packs_x(const Conv2dShape& shape) {
    return shape.groups == 1 && shape.in_channels >= channels_worth_packing &&
           shape.kernel_height * shape.kernel_width > 1;
}

// The input channels cut into the rows of a register tile, as even as possible.
struct ChannelTiles {
    int64_t channels, count;
    bool of_one_tap;      // which is all that there is
    int64_t most_ranges;  // that tasks may have of them: one, where neighbouring taps make a run
    ChannelTiles(const Conv2dShape& shape, int64_t tile_rows)
        : channels(shape.group_in_channels()), count(divide_up(channels, tile_rows)) {
        of_one_tap = shape.kernel_height * shape.kernel_width == 1 && shape.groups == 1;
        most_ranges = packs_x(shape) || of_one_tap ? count : 1;
    }
    int64_t first(int64_t tile) const { return tile * channels / count; }
    int64_t size(int64_t tile) const { return first(tile + 1) - first(tile); }
};

Schedule schedule(const Conv2dShape& shape, const ChannelTiles& tiles, const Panels& panels,
                  int64_t element) {
    const int64_t sums = line_count(shape) * panels.all_lanes();
    Schedule plan = {};
    const int64_t pixels_per_block =
        sums * element > large_sums_bytes ? 2 * usual_pixels : usual_pixels;
    Blocks& blocks = plan.blocks;
    blocks.grid_images = shape.batch;
    blocks.grid_rows = shape.out_height;
    blocks.grid_columns = shape.out_width;
    blocks.columns = even_size(shape.out_width, pixels_per_block);
    blocks.rows =
        even_size(shape.out_height, std::max<int64_t>(1, pixels_per_block / blocks.columns));
    blocks.images = 1;
    if (blocks.row_blocks() == 1 && blocks.column_blocks() == 1) {
        blocks.images =
            std::clamp<int64_t>(pixels_per_block / (blocks.rows * blocks.columns), 1, shape.batch);
    }

    const Window window = window_of(shape, 0, 0, blocks.rows, blocks.columns);
    // As a double: with a large dilation an integer would wrap around.
    const double x_size = double(blocks.images) * double(window.rows) * double(window.columns) *
                          double(shape.in_channels);
    const int64_t most_ranges = plenty_of_tasks / 2, ranges = sums / (sums_bytes / element);
    plan.channel_ranges =
        int64_t(std::clamp(packs_x(shape) ? x_size * double(element) / double(x_bytes) : 1.0, 1.0,
                           double(std::min(tiles.most_ranges, most_ranges))));
    plan.panel_ranges =
        std::clamp<int64_t>(ranges / plan.channel_ranges, 1, std::min(panels.count(), most_ranges));
    plan.slots = divide_up(plenty_of_tasks, plan.ranges());
    if (plan.ranges() >= most_ranges) {
        const int64_t pixels = shape.batch * shape.out_height * shape.out_width;
        plan.slots = std::clamp<int64_t>(pixels / pixels_worth_a_slot, 1, plan.slots);
    }
    plan.slots = std::min({plan.slots, blocks.count(), std::max<int64_t>(1, largest_slots / sums)});
    if (blocks.count() == 1 && tiles.of_one_tap) {
        // As in a dense layer of few samples: dweight is most of the memory, so by its lines.
        plan.panel_ranges = 1;
        plan.channel_ranges = std::clamp<int64_t>(ranges, 1, tiles.most_ranges);
    }

    // Where few pixels make few slots, the sums are shared out further.
    const auto further = [&](int64_t ranges, int64_t others, int64_t most) {
        return std::max(ranges, std::min(most, divide_up(few_tasks, plan.slots * others)));
    };
    plan.panel_ranges = further(plan.panel_ranges, plan.channel_ranges, panels.count());
    plan.channel_ranges = further(plan.channel_ranges, plan.panel_ranges, tiles.most_ranges);
    plan.into_dweight = blocks.count() == 1 && panels.all_lanes() == shape.out_channels;
    return plan;
}

// Copies `size` values, at most `largest`: a copy of fixed size needs no call.
template <int largest, class T>
inline void copy_few(const T* from, int64_t size, T* to) {
    if constexpr (largest > 0) {
        if (size < largest) return copy_few<largest - 1>(from, size, to);
        std::memcpy(to, from, largest * sizeof(T));
    }
}

// What one task sums: the blocks of a slot, ranges of tiles of input channels and of panels.
struct Share {
    int64_t first_block, last_block, first_tile, last_tile, first_panel, last_panel;
};

Share share_of(const Schedule& plan, const ChannelTiles& tiles, int64_t panels, int64_t slot,
               int64_t range) {
    const int64_t across = range / plan.panel_ranges, along = range % plan.panel_ranges;
    const int64_t blocks = plan.blocks.count();
    return {slot * blocks / plan.slots,
            (slot + 1) * blocks / plan.slots,
            across * tiles.count / plan.channel_ranges,
            (across + 1) * tiles.count / plan.channel_ranges,
            along * panels / plan.panel_ranges,
            (along + 1) * panels / plan.panel_ranges};
}

// Sums a share.
template <class T>
class Sum {
 public:
    Sum(const Kernels<T>& kernels, const Conv2dShape& shape, const Schedule& plan,
        const Panels& panels, const ChannelTiles& tiles, const T* x, const OutputGradient<T>& dy)
        : kernels_(kernels),
          shape_(shape),
          plan_(plan),
          panels_(panels),
          x_{x},
          dy_(dy),
          tiles_(tiles),
          packs_x_(packs_x(shape)),
          copies_x_(packs_x_ || has_border(shape)) {
        window_ = window_of(shape, 0, 0, plan.blocks.rows, plan.blocks.columns);
        // With one tap, only the pixels that it meets are copied.
        step_h_ = packs_x_ && shape.kernel_height == 1 ? shape.stride_h : 1;
        step_w_ = packs_x_ && shape.kernel_width == 1 ? shape.stride_w : 1;
    }

    // Elements of the copies of x, of dy with its derivative, and of its panels.
    int64_t x_size() const {
        if (!copies_x_) return 0;
        return plan_.blocks.images * divide_up(window_.rows, step_h_) *
               divide_up(window_.columns, step_w_) * shape_.in_channels;
    }
    int64_t product_size() const {
        return dy_.activation == Activation::none ? 0 : plan_.blocks.pixels() * shape_.out_channels;
    }
    int64_t packed_size() const {
        const int64_t panels = divide_up(panels_.count(), plan_.panel_ranges);
        return plan_.blocks.pixels() * panels * panels_.most_lanes();
    }

    // sums is (panels, lines, lanes of the panel), or dweight itself; bias (all lanes), zeros at
    // first, or null.
    void add(const Share& share, T* x_copy, T* product, T* packed, T* sums, T* bias) const {
        const int64_t lines = line_count(shape_);
        for (int64_t index = share.first_block; index < share.last_block; ++index) {
            const Block block = plan_.blocks.block(index);
            OuterProduct<T> outer = {};
            outer.images = block.images;
            outer.rows = block.rows;
            outer.columns = block.columns;
            outer.overwrite = index == share.first_block;
            const T* origin = nullptr;
            const Steps steps = read_x(block, share, x_copy, origin);
            const Delta delta = read_dy(block, product);
            const T* dy = pack_dy(block, share, delta, packed);
            const Next next = index + 1 < share.last_block ? next_block(index + 1) : Next{};
            for (int64_t panel = share.first_panel; panel < share.last_panel; ++panel) {
                const int64_t lanes = panels_.lanes(panel);
                outer.dy = dy + packed_before(share, panel) * block.pixels();
                outer.dy_stride = lanes;
                outer.dy_row_stride = block.columns * lanes;
                outer.dy_image_stride = block.rows * outer.dy_row_stride;
                if (bias && share.first_tile == 0) {
                    kernels_.add_rows(outer.dy, block.pixels(), lanes, lanes,
                                      bias + panels_.lanes_before(panel));
                }
                outer.vectors = panels_.vectors(panel);
                outer.x_ahead = part(next.x, share, panel);
                outer.dy_ahead = part(next.dy, share, panel);
                outer.dw_stride = plan_.into_dweight ? shape_.out_channels : lanes;
                T* sum = sums + (plan_.into_dweight ? panels_.first_of_all(panel)
                                                    : panels_.lanes_before(panel) * lines);
                if (packs_x_) {
                    add_packed(steps, share, origin, outer, sum);
                } else {
                    add_in_place(steps, share, origin + panels_.group(panel) * tiles_.channels,
                                 outer, sum);
                }
            }
        }
    }

 private:
    // Distances, in pixels of x as they lie in memory.
    struct Steps {
        int64_t image, row;  // from one to the next
        int64_t tap_row, tap_column;
        int64_t output_row, output_column;  // of the windows of neighbouring outputs
        int64_t pixels;                     // of all images of the block
    };

    struct Delta {
        const T* origin;
        int64_t image_stride, row_stride;
    };

    // What the next block will read.
    struct Next {
        Ahead<T> x, dy;
    };

    Steps read_x(const Block& block, const Share& share, T* copy, const T*& origin) const {
        const Window window = window_of(shape_, block.i, block.j, block.rows, block.columns);
        const int64_t image_size = shape_.height * shape_.width * shape_.in_channels;
        Steps steps = {};
        if (packs_x_) {
            const int64_t rows = divide_up(window.rows, step_h_);
            const int64_t columns = divide_up(window.columns, step_w_);
            steps.row = columns;
            steps.image = rows * columns;
            steps.pixels = block.images * steps.image;
            for (int64_t n = 0; n < block.images; ++n) {
                for (int64_t i = 0; i < rows; ++i) {
                    pack_row(share, block.image + n, window.top + i * step_h_, window.left, columns,
                             n * steps.image + i * columns, steps.pixels, copy);
                }
            }
            origin = copy;
        } else if (window.inside(shape_.height, shape_.width)) {
            steps.row = shape_.width;
            steps.image = shape_.height * shape_.width;
            origin = x_.dy + block.image * image_size +
                     (window.top * shape_.width + window.left) * shape_.in_channels;
        } else {
            steps.row = window.columns;
            steps.image = window.rows * window.columns;
            for (int64_t n = 0; n < block.images; ++n) {
                copy_window(kernels_, window, shape_.height, shape_.width, shape_.in_channels, x_,
                            (block.image + n) * image_size,
                            copy + n * steps.image * shape_.in_channels);
            }
            origin = copy;
        }
        steps.tap_row = shape_.dilation_h * steps.row;
        steps.tap_column = shape_.dilation_w;
        steps.output_row = shape_.stride_h / step_h_ * steps.row;
        steps.output_column = shape_.stride_w / step_w_;
        return steps;
    }

    // Packs pixels of one row as (tile, pixel, channel of the tile), zeros outside the image.
    void pack_row(const Share& share, int64_t image, int64_t h, int64_t left, int64_t columns,
                  int64_t first_pixel, int64_t pixels, T* to) const {
        const int64_t channels = shape_.in_channels;
        const bool inside = h >= 0 && h < shape_.height;
        // Pixels [begin, end) of the row are inside the image.
        const int64_t begin = std::min(columns, left < 0 ? divide_up(-left, step_w_) : 0);
        const int64_t reach = left < shape_.width ? divide_up(shape_.width - left, step_w_) : 0;
        const int64_t end = inside ? std::clamp(reach, begin, columns) : begin;
        const T* from = nullptr;  // where there are any
        if (begin < end) {
            const int64_t row = (image * shape_.height + h) * shape_.width;
            from = x_.dy + (row + left + begin * step_w_) * channels;
        }
        // A few tiles at a time, which share cache lines of x.
        for (int64_t tile = share.first_tile; tile < share.last_tile; tile += packed_together) {
            const int64_t count = std::min(packed_together, share.last_tile - tile);
            int64_t first[packed_together], size[packed_together];
            T* out[packed_together];
            for (int64_t t = 0; t < count; ++t) {
                first[t] = tiles_.first(tile + t);
                size[t] = tiles_.size(tile + t);
                out[t] = to + (first[t] - tiles_.first(share.first_tile)) * pixels +
                         first_pixel * size[t];
                std::fill(out[t], out[t] + begin * size[t], T(0));
                std::fill(out[t] + end * size[t], out[t] + columns * size[t], T(0));
                out[t] += begin * size[t];
            }
            for (int64_t j = begin; j < end; ++j) {
                const T* pixel = from + (j - begin) * step_w_ * channels;
                for (int64_t t = 0; t < count; ++t) {
                    copy_few<most_tile_pixels>(pixel + first[t], size[t], out[t]);
                    out[t] += size[t];
                }
            }
        }
    }

    Delta read_dy(const Block& block, T* product) const {
        const int64_t channels = shape_.out_channels;
        const int64_t row_size = shape_.out_width * channels;
        const int64_t at =
            ((block.image * shape_.out_height + block.i) * shape_.out_width + block.j) * channels;
        const int64_t image_stride = shape_.out_height * row_size;
        if (dy_.activation == Activation::none) return {dy_.dy + at, image_stride, row_size};
        const int64_t columns = block.columns * channels;
        for (int64_t n = 0; n < block.images; ++n) {
            for (int64_t i = 0; i < block.rows; ++i) {
                read_values(kernels_, dy_, at + n * image_stride + i * row_size, columns,
                            product + (n * block.rows + i) * columns);
            }
        }
        return {product, block.rows * columns, columns};
    }

    // Lanes of the share's panels before this one.
    int64_t packed_before(const Share& share, int64_t panel) const {
        return panels_.lanes_before(panel) - panels_.lanes_before(share.first_panel);
    }

    // dy as (panel, pixels, lanes), zero past the last channel: the tile reads whole vectors, and
    // reads them once for each of its rows, so they had better lie together. With one panel of
    // whole vectors they may do so already. A few pixels at a time for all panels, so that dy is
    // read in the order of memory.
    const T* pack_dy(const Block& block, const Share& share, const Delta& delta, T* to) const {
        const bool together = block.images * block.rows == 1 ||
                              delta.row_stride == block.columns * shape_.out_channels;
        if (together && panels_.count() == 1 && panels_.all_lanes() == shape_.out_channels) {
            return delta.origin;
        }
        PackLines<T> pack = {};
        pack.line_stride = shape_.out_channels;
        pack.channel_stride = 1;
        for (int64_t row = 0; row < block.images * block.rows; ++row) {
            const T* from = delta.origin + row / block.rows * delta.image_stride +
                            row % block.rows * delta.row_stride;
            for (int64_t j = 0; j < block.columns; j += pixels_packed_together) {
                const int64_t pixel = row * block.columns + j;
                pack.lines = std::min(pixels_packed_together, block.columns - j);
                for (int64_t panel = share.first_panel; panel < share.last_panel; ++panel) {
                    pack.channels = panels_.channels(panel);
                    pack.lanes = panels_.lanes(panel);
                    pack.from = from + j * shape_.out_channels + panels_.first_of_all(panel);
                    pack.to =
                        to + packed_before(share, panel) * block.pixels() + pixel * pack.lanes;
                    kernels_.pack_lines(pack);
                }
            }
        }
        return to;
    }

    // Sums over pixels of few channels wait for memory that nobody has asked for.
    Next next_block(int64_t index) const {
        if (!pointwise(shape_)) return {};
        const Block next = plan_.blocks.block(index);
        const int64_t channels = shape_.in_channels, filters = shape_.out_channels;
        const int64_t pixel = next.i * shape_.width + next.j, pixels = next.pixels();
        return {{x_.dy + pixel * channels, pixels * channels},
                {dy_.dy + pixel * filters, pixels * filters}};
    }

    // A panel's part of it.
    Ahead<T> part(const Ahead<T>& ahead, const Share& share, int64_t panel) const {
        const int64_t panels = share.last_panel - share.first_panel;
        const int64_t size = ahead.size / panels;
        return {ahead.data + (panel - share.first_panel) * size, size};
    }

    void set_strides(const Steps& steps, int64_t pixel, OuterProduct<T>& outer) const {
        outer.x_stride = steps.output_column * pixel;
        outer.x_row_stride = steps.output_row * pixel;
        outer.x_image_stride = steps.image * pixel;
    }

    // Tap by tap, so that the sums are written in the order of memory.
    void add_packed(const Steps& steps, const Share& share, const T* x, OuterProduct<T>& outer,
                    T* sum) const {
        const int64_t first_channel = tiles_.first(share.first_tile);
        for (int64_t r = 0; r < shape_.kernel_height; ++r) {
            for (int64_t s = 0; s < shape_.kernel_width; ++s) {
                const int64_t pixel = r * steps.tap_row + s * steps.tap_column;
                T* tap = sum + (r * shape_.kernel_width + s) * tiles_.channels * outer.dw_stride;
                for (int64_t tile = share.first_tile; tile < share.last_tile; ++tile) {
                    const int64_t first = tiles_.first(tile), size = tiles_.size(tile);
                    set_strides(steps, size, outer);
                    outer.tile_rows = size;
                    outer.x = x + (first - first_channel) * steps.pixels + pixel * size;
                    outer.dw = tap + first * outer.dw_stride;
                    kernels_.outer_product(outer);
                }
            }
        }
    }

    // Without dilation and groups, a window row is contiguous in x and in dweight.
    void add_in_place(const Steps& steps, const Share& share, const T* x, OuterProduct<T>& outer,
                      T* sum) const {
        const bool one_run = shape_.dilation_w == 1 && shape_.groups == 1;
        const int64_t columns = one_run ? 1 : shape_.kernel_width;
        const int64_t run = tiles_.channels * (one_run ? shape_.kernel_width : 1);
        const int64_t first = tiles_.first(share.first_tile);
        set_strides(steps, shape_.in_channels, outer);
        // A range of channels, if it is not all of them, is of the only tap.
        outer.tile_rows = run - tiles_.channels + tiles_.first(share.last_tile) - first;
        for (int64_t r = 0; r < shape_.kernel_height; ++r) {
            for (int64_t s = 0; s < columns; ++s) {
                const int64_t pixel = r * steps.tap_row + s * steps.tap_column;
                outer.x = x + pixel * shape_.in_channels + first;
                outer.dw = sum + ((r * columns + s) * run + first) * outer.dw_stride;
                kernels_.outer_product(outer);
            }
        }
    }

    const Kernels<T>& kernels_;
    const Conv2dShape& shape_;
    const Schedule& plan_;
    const Panels& panels_;
    OutputGradient<T> x_, dy_;
    const ChannelTiles& tiles_;
    bool packs_x_, copies_x_;
    Window window_;
    int64_t step_h_, step_w_;
};

// The slots put together, some lines of one panel at a time.
template <class T>
void put_together(const Conv2dShape& shape, const Panels& panels, int64_t slots, int team,
                  const T* sums, T* dweight) {
    const int64_t lines = line_count(shape), lanes = panels.all_lanes();
    const int64_t line_blocks = divide_up(lines, lines_per_task);
    parallel_for(panels.count() * line_blocks, team, [&](int64_t task, int) {
        const int64_t panel = task / line_blocks, first = task % line_blocks * lines_per_task;
        const int64_t width = panels.lanes(panel), channels = panels.channels(panel);
        for (int64_t line = first; line < std::min(lines, first + lines_per_task); ++line) {
            const T* from = sums + panels.lanes_before(panel) * lines + line * width;
            T* to = dweight + line * shape.out_channels + panels.first_of_all(panel);
            std::copy(from, from + channels, to);
            for (int64_t slot = 1; slot < slots; ++slot) {
                const T* partial = from + slot * lanes * lines;
                for (int64_t k = 0; k < channels; ++k) to[k] += partial[k];
            }
        }
    });
}

// Whether no sum is infinite or NaN: zero times either is NaN.
template <class T>
bool all_finite(const T* sums, int64_t size) {
    std::atomic<bool> finite{true};
    parallel_elements(size, 1, [&](int64_t first, int64_t count, int) {
        T zeros[16] = {};  // several, since each addition waits for the one before
        for (int64_t i = 0; i < count; ++i) zeros[i % 16] += T(0) * sums[first + i];
        for (const T zero : zeros) {
            if (zero != zero) finite = false;
        }
    });
    return finite;
}

}  // namespace

template <class T>
void conv2d_grad_weight(const Conv2dShape& given, const T* x, const OutputGradient<T>& dy,
                        T* dweight, T* dbias, Algorithm algorithm) {
    const Algorithm chosen = conv2d_algorithm<T>(Pass::grad_weight, given, algorithm);
    if (given.groups > 1 && given.group_in_channels() == 1 && given.group_out_channels() == 1) {
        return depthwise_grad_weight(given, x, dy, dweight, dbias);
    }
    if (given.batch == 0) {
        std::fill(dweight, dweight + given.weight_size(), T(0));
        if (dbias) std::fill(dbias, dbias + given.out_channels, T(0));
        return;
    }
    if (chosen == Algorithm::winograd && winograd_grad_weight(given, x, dy, dweight, dbias)) {
        return;
    }
    const Conv2dShape flat = flattened(given);
    if (few_pixels_grad_weight(flat, x, dy, dweight, dbias)) return;
    if (flat_rows_pay<T>(Pass::grad_weight, forward_correlation(flat)) &&
        grad_weight_by_flat_rows(flat, x, dy, dweight, dbias)) {
        return;
    }
    const Conv2dShape shape = in_short_rows(flat);
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, shape.groups, shape.group_out_channels());
    const int64_t panel_count = panels.count(), lanes = panels.all_lanes();
    const int64_t lines = line_count(shape);
    const ChannelTiles tiles(shape, kernels.tile_pixels(int(panels.most_lanes() / kernels.width)));
    const Schedule plan = schedule(shape, tiles, panels, sizeof(T));
    const Window window = window_of(shape, 0, 0, plan.blocks.rows, plan.blocks.columns);
    if (window_too_large(window, plan.blocks.images * shape.in_channels)) {
        exact_grad_weight(shape, x, dy, dweight);
        if (dbias) exact_grad_bias(shape, dy, dbias);
        return;
    }

    const Sum<T> sum(kernels, shape, plan, panels, tiles, x, dy);
    const int64_t tasks = plan.tasks(), slots = plan.slots;
    const double pixels = double(shape.batch) * double(shape.out_height) * double(shape.out_width);
    const int team = team_size(tasks, pixels * double(lanes) * double(lines) / 8);
    ScratchPlan memory;
    const size_t sums_at = memory.add(plan.into_dweight ? 0 : slots * lines * lanes, sizeof(T));
    const size_t biases_at = memory.add((slots + 1) * lanes, sizeof(T));
    ScratchPlan own;
    const size_t x_at = own.add(sum.x_size(), sizeof(T));
    const size_t product_at = own.add(sum.product_size(), sizeof(T));
    const size_t packed_at = own.add(sum.packed_size(), sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    T* sums = plan.into_dweight ? dweight : array(sums_at);
    T* biases = array(biases_at);
    std::fill(biases, biases + (slots + 1) * lanes, T(0));

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const int64_t slot = task / plan.ranges();
        const Share share = share_of(plan, tiles, panel_count, slot, task % plan.ranges());
        const size_t mine = own_at + size_t(thread) * own.bytes();
        sum.add(share, array(mine + x_at), array(mine + product_at), array(mine + packed_at),
                sums + slot * lines * lanes, dbias ? biases + slot * lanes : nullptr);
    });

    if (!plan.into_dweight) put_together(shape, panels, slots, team, sums, dweight);
    if (has_border(shape) && !all_finite(dweight, shape.weight_size())) {
        exact_grad_weight(shape, x, dy, dweight);
    }
    if (!dbias) return;
    T* total = biases + slots * lanes;
    kernels.add_rows(biases, slots, lanes, lanes, total);
    for (int64_t panel = 0; panel < panel_count; ++panel) {
        const T* from = total + panels.lanes_before(panel);
        std::copy(from, from + panels.channels(panel), dbias + panels.first_of_all(panel));
    }
}

template void conv2d_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                 float*, float*, Algorithm);
template void conv2d_grad_weight(const Conv2dShape&, const double*, const OutputGradient<double>&,
                                 double*, double*, Algorithm);

}  // namespace rot180
