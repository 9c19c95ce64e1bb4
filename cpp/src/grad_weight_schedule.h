// How a weight gradient is cut: the sum over pixels into blocks and slots, and what is summed,
// input by output channels, into ranges.
#pragma once

#include <algorithm>
#include <cstdint>

#include "blocks.h"
#include "panels.h"
#include "parallel.h"
#include "rot180/conv2d.h"
#include "window.h"

namespace rot180 {

inline bool pointwise(const Conv2dShape& shape) {
    return shape.kernel_height == 1 && shape.kernel_width == 1 && shape.stride_h == 1 &&
           shape.stride_w == 1 && shape.pad_top == 0 && shape.pad_left == 0 &&
           shape.out_height == shape.height && shape.out_width == shape.width;
}

inline Window window_of(const Conv2dShape& shape, int64_t i, int64_t j, int64_t rows,
                        int64_t columns) {
    return {i * shape.stride_h - shape.pad_top, j * shape.stride_w - shape.pad_left,
            extent(rows, shape.stride_h, shape.kernel_height, shape.dilation_h),
            extent(columns, shape.stride_w, shape.kernel_width, shape.dilation_w)};
}

inline bool has_border(const Conv2dShape& shape) {
    return !window_of(shape, 0, 0, shape.out_height, shape.out_width)
                .inside(shape.height, shape.width);
}

inline int64_t line_count(const Conv2dShape& shape) {
    return shape.kernel_height * shape.kernel_width * shape.group_in_channels();
}

// Whether the input channels of a tile are copied side by side.
inline bool packs_x(const Conv2dShape& shape) {
    constexpr int64_t channels_worth_packing = 12;
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

// How the sum over pixels is cut: into blocks of pixels, and the blocks into slots. Each slot sums
// its blocks in order into memory of its own, and the slots are added in order at the end.
struct GradWeightSchedule {
    Blocks blocks;
    int64_t slots, channel_ranges, panel_ranges;
    bool into_dweight;  // the only slot sums there, each sum written once

    int64_t ranges() const { return channel_ranges * panel_ranges; }
    int64_t tasks() const { return slots * ranges(); }
};

inline GradWeightSchedule schedule(const Conv2dShape& shape, const ChannelTiles& tiles,
                                   const Panels& panels, int64_t element) {
    constexpr int64_t plenty_of_tasks = 16, few_tasks = 4, pixels_worth_a_slot = 1024;
    // Accumulators live in registers for this many pixels before they go back to memory. With half
    // as many, dy would fit a first-level cache even in the widest panels, and yet it takes longer.
    constexpr int64_t usual_pixels = 288;
    // Twice as many where the sums come from far away.
    constexpr int64_t large_sums_bytes = 2 * 1024 * 1024;
    // What a task reads of x again and again, and what it sums up, should stay in a second-level
    // cache.
    constexpr int64_t x_bytes = 192 * 1024, sums_bytes = 256 * 1024;
    constexpr int64_t largest_slots = int64_t(1) << 24;  // elements of partial sums

    const int64_t sums = line_count(shape) * panels.all_lanes();
    GradWeightSchedule plan = {};
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

// What one task sums: the blocks of a slot, ranges of tiles of input channels and of panels.
struct GradWeightShare {
    int64_t first_block, last_block, first_tile, last_tile, first_panel, last_panel;
};

GradWeightShare share_of(const GradWeightSchedule& plan, const ChannelTiles& tiles, int64_t panels,
                         int64_t slot, int64_t range) {
    const int64_t across = range / plan.panel_ranges, along = range % plan.panel_ranges;
    const int64_t blocks = plan.blocks.count();
    return {slot * blocks / plan.slots,
            (slot + 1) * blocks / plan.slots,
            across * tiles.count / plan.channel_ranges,
            (across + 1) * tiles.count / plan.channel_ranges,
            along * panels / plan.panel_ranges,
            (along + 1) * panels / plan.panel_ranges};
}

}  // namespace rot180
