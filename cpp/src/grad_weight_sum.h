// One task of a weight gradient: its blocks' x and dy read and packed, and their outer products
// summed tile by tile.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "grad_weight_schedule.h"
#include "kernels.h"

namespace rot180 {

// Of the tiles, and of the pixels of dy, so many are packed in turns: they share cache lines.
inline constexpr int64_t tiles_packed_together = 64, pixels_packed_together = 16;

// Copies `size` values, at most `largest`: a copy of fixed size needs no call.
template <int largest, class T>
inline void copy_few(const T* from, int64_t size, T* to) {
    if constexpr (largest > 0) {
        if (size < largest) return copy_few<largest - 1>(from, size, to);
        std::memcpy(to, from, largest * sizeof(T));
    }
}

// Sums one task's share, block after block.
template <class T>
class GradWeightSum {
 public:
    GradWeightSum(const Kernels<T>& kernels, const Conv2dShape& shape,
                  const GradWeightSchedule& plan, const Panels& panels, const ChannelTiles& tiles,
                  const T* x, const OutputGradient<T>& dy)
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
    void add(const GradWeightShare& share, T* x_copy, T* product, T* packed, T* sums,
             T* bias) const {
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

    Steps read_x(const Block& block, const GradWeightShare& share, T* copy,
                 const T*& origin) const {
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
    void pack_row(const GradWeightShare& share, int64_t image, int64_t h, int64_t left,
                  int64_t columns, int64_t first_pixel, int64_t pixels, T* to) const {
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
        for (int64_t tile = share.first_tile; tile < share.last_tile;
             tile += tiles_packed_together) {
            const int64_t count = std::min(tiles_packed_together, share.last_tile - tile);
            int64_t first[tiles_packed_together], size[tiles_packed_together];
            T* out[tiles_packed_together];
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
    int64_t packed_before(const GradWeightShare& share, int64_t panel) const {
        return panels_.lanes_before(panel) - panels_.lanes_before(share.first_panel);
    }

    // dy as (panel, pixels, lanes), zero past the last channel: the tile reads whole vectors, and
    // reads them once for each of its rows, so they had better lie together. With one panel of
    // whole vectors they may do so already. A few pixels at a time for all panels, so that dy is
    // read in the order of memory.
    const T* pack_dy(const Block& block, const GradWeightShare& share, const Delta& delta,
                     T* to) const {
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
    Ahead<T> part(const Ahead<T>& ahead, const GradWeightShare& share, int64_t panel) const {
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
    void add_packed(const Steps& steps, const GradWeightShare& share, const T* x,
                    OuterProduct<T>& outer, T* sum) const {
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
    void add_in_place(const Steps& steps, const GradWeightShare& share, const T* x,
                      OuterProduct<T>& outer, T* sum) const {
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
    const GradWeightSchedule& plan_;
    const Panels& panels_;
    OutputGradient<T> x_, dy_;
    const ChannelTiles& tiles_;
    bool packs_x_, copies_x_;
    Window window_;
    int64_t step_h_, step_w_;
};

}  // namespace rot180
