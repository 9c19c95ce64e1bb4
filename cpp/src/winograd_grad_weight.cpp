#include <algorithm>
#include <atomic>
#include <vector>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "winograd.h"
#include "winograd_tiles.h"

namespace rot180 {
namespace {

// Tiles of a block: for so many the sums stay in registers.
constexpr int64_t block_tiles = 48;
constexpr int64_t plenty_of_tasks = 16, few_tasks = 4;
// With fewer blocks than these for each, slots cost more to add up than they bring.
constexpr int64_t blocks_worth_a_slot = 6;
// Input and output channels of one task, about: what it sums up should stay in a second-level
// cache.
constexpr int64_t channels_together = 64;
constexpr int64_t lines_per_task = 8;

// Which sums a task works on: one slot of a range of input channels by a range of panels. Each slot
// sums its blocks of tiles in order into memory of its own; the slots are added in order at the
// end.
struct Ranges {
    int64_t slots, channel_ranges, panel_ranges;
    int64_t count() const { return channel_ranges * panel_ranges; }
};

struct Range {
    int64_t first_channel, channels, first_panel, last_panel, first_lane, lanes;
};

Range range_of(const Ranges& ranges, int64_t channels, const Panels& panels, int64_t index) {
    const int64_t across = index / ranges.panel_ranges, along = index % ranges.panel_ranges;
    Range range = {};
    range.first_channel = across * channels / ranges.channel_ranges;
    range.channels = (across + 1) * channels / ranges.channel_ranges - range.first_channel;
    range.first_panel = along * panels.count() / ranges.panel_ranges;
    range.last_panel = (along + 1) * panels.count() / ranges.panel_ranges;
    range.first_lane = panels.lanes_before(range.first_panel);
    const int64_t last = range.last_panel - 1;
    range.lanes = panels.lanes_before(last) + panels.lanes(last) - range.first_lane;
    return range;
}

template <class T>
struct Sum {
    const Kernels<T>& kernels;
    const int* panel_vectors;  // of all panels
    int points, taps;
    TiledImages<T> x, dy;

    // Adds up tiles [first, last), a block at a time: sums is (point, input channel, lane), bias
    // (lane) or null.
    void run(const Range& range, int64_t first, int64_t last, T* inputs, T* deltas, T* sums,
             T* bias) const {
        const int64_t out_channels = std::min(range.lanes, dy.channels - range.first_lane);
        const PointsLayout<T> x_layout(block_tiles, range.channels, x.stride);
        const PointsLayout<T> dy_layout(block_tiles, out_channels);
        const auto input = [&](const ToPoints<T>& tile) { kernels.winograd_input(points, tile); };
        const auto filter = [&](const ToPoints<T>& tile) {
            kernels.winograd_filter(points, taps, tile);
        };
        PointSums<T> point_sums = {};
        point_sums.x = inputs;
        point_sums.x_point_stride = x_layout.point_stride;
        point_sums.x_tile_stride = x_layout.tile_stride;
        point_sums.dy = deltas;
        point_sums.dy_point_stride = dy_layout.point_stride;
        point_sums.dy_tile_stride = dy_layout.tile_stride;
        point_sums.dw = sums;
        point_sums.dw_point_stride = filter_stride<T>(range.channels, range.lanes);
        point_sums.dw_stride = range.lanes;
        point_sums.points = int64_t(points) * points;
        point_sums.channels = range.channels;
        point_sums.panel_vectors = panel_vectors + range.first_panel;
        point_sums.panels = range.last_panel - range.first_panel;
        for (int64_t begin = first; begin < last; begin += block_tiles) {
            const int64_t end = std::min(last, begin + block_tiles);
            x.to_points(range.first_channel, range.channels, begin, end, points, input, x_layout,
                        inputs);
            dy.to_points(range.first_lane, out_channels, begin, end, taps, filter, dy_layout,
                         deltas, bias);
            point_sums.tiles = end - begin;
            point_sums.accumulate = begin > first;
            kernels.sum_points(point_sums);
        }
    }
};

}  // namespace

template <class T>
bool winograd_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                          T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, 1, shape.out_channels);
    // A convolution of x by tiles of dy: those are the filters, and dweight is the output, which
    // all tiles add up to.
    const int output_size = int(shape.kernel_height / shape.stride_h);
    const int points = winograd_points(output_size), taps = points + 1 - output_size;
    const int64_t tile_points = int64_t(points) * points;
    const int64_t channels = shape.stride_h * shape.stride_w * shape.in_channels;
    const TileGrid grid(shape.batch, shape.out_height, shape.out_width, taps);
    const int64_t lanes = panels.all_lanes();
    Ranges ranges = {};
    ranges.channel_ranges = divide_up(channels, channels_together);
    ranges.panel_ranges = std::min(panels.count(), divide_up(lanes, channels_together));
    const int64_t blocks = divide_up(grid.count(), block_tiles);
    const int64_t most_slots = divide_up(plenty_of_tasks, ranges.count());
    ranges.slots =
        std::clamp(blocks / blocks_worth_a_slot, divide_up(few_tasks, ranges.count()), most_slots);
    ranges.slots = std::min(ranges.slots, blocks);
    const int64_t tasks = ranges.slots * ranges.count();
    const int64_t most_channels = divide_up(channels, ranges.channel_ranges);
    const int64_t most_lanes = divide_up(panels.count(), ranges.panel_ranges) * panels.most_lanes();
    const int64_t range_size = tile_points * filter_stride<T>(most_channels, most_lanes);
    const int64_t slot_size = ranges.count() * range_size;
    const int team = team_size(tasks, double(grid.count()) * double(slot_size) / 8);

    // Where nothing is to be added up, a task goes on to dweight while its sums are in a cache.
    const bool at_once = ranges.slots == 1;

    ScratchPlan memory;
    const size_t sums_at = memory.add(at_once ? 0 : ranges.slots * slot_size, sizeof(T));
    const size_t biases_at = memory.add((ranges.slots + 1) * lanes, sizeof(T));
    ScratchPlan own;
    const size_t inputs_at = own.add(
        tile_points * PointsLayout<T>(block_tiles, most_channels, shape.stride_h).point_stride,
        sizeof(T));
    const size_t deltas_at =
        own.add(tile_points * PointsLayout<T>(block_tiles, most_lanes).point_stride, sizeof(T));
    const size_t own_sums_at = own.add(at_once ? range_size : 0, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    T* biases = array(biases_at);
    std::fill(biases, biases + (ranges.slots + 1) * lanes, T(0));
    T* all_sums = array(sums_at);  // (slot, range, point, input channel, lane)
    std::atomic<bool> finite{true};
    const auto transform_outputs = [&](const Range& range, int64_t first, int64_t last,
                                       const T* sums) {
        FromPoints<T> tile = {};
        OutputCheck<T> check;
        tile.zeros = check.zeros;
        tile.point_stride = filter_stride<T>(range.channels, range.lanes);
        tile.channels = std::min(range.lanes, shape.out_channels - range.first_lane);
        const int64_t tap_stride = shape.in_channels * shape.out_channels;
        tile.column_stride = shape.stride_w * tap_stride;
        tile.row_stride = shape.stride_h * shape.kernel_width * tap_stride;
        tile.rows = tile.columns = output_size;
        for (int64_t c = first; c < last; ++c) {
            tile.from = sums + c * range.lanes;
            const int64_t phase = (range.first_channel + c) / shape.in_channels;
            const int64_t channel = (range.first_channel + c) % shape.in_channels;
            const int64_t tap =
                phase / shape.stride_w * shape.kernel_width + phase % shape.stride_w;
            tile.to = dweight + tap * tap_stride + channel * shape.out_channels + range.first_lane;
            kernels.winograd_output(points, output_size, tile);
        }
        if (!check.all_finite(tile.channels, kernels.width)) finite = false;
    };

    const TiledImages<T> images = {
        {x},    shape.height, shape.width,   shape.in_channels, grid,
        points, taps,         shape.pad_top, shape.pad_left,    shape.stride_h};
    const TiledImages<T> deltas = {
        dy, shape.out_height, shape.out_width, shape.out_channels, grid, points, taps, 0, 0, 1};
    const std::vector<int> panel_vectors = panels.vectors();
    const Sum<T> sum = {kernels, panel_vectors.data(), points, taps, images, deltas};
    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const int64_t slot = task / ranges.count();
        const Range range = range_of(ranges, channels, panels, task % ranges.count());
        const size_t mine = own_at + size_t(thread) * own.bytes();
        T* sums = at_once ? array(mine + own_sums_at) : all_sums + task * range_size;
        T* bias =
            dbias && range.first_channel == 0 ? biases + slot * lanes + range.first_lane : nullptr;
        sum.run(range, slot * grid.count() / ranges.slots, (slot + 1) * grid.count() / ranges.slots,
                array(mine + inputs_at), array(mine + deltas_at), sums, bias);
        if (at_once) transform_outputs(range, 0, range.channels, sums);
    });

    // The slots put together, some input channels of one range at a time.
    const int64_t line_blocks = divide_up(most_channels, lines_per_task);
    parallel_for(at_once ? 0 : ranges.count() * line_blocks, team, [&](int64_t task, int) {
        const Range range = range_of(ranges, channels, panels, task / line_blocks);
        const int64_t first = task % line_blocks * lines_per_task;
        const int64_t last = std::min(range.channels, first + lines_per_task);
        if (first >= last) return;
        T* sums = all_sums + task / line_blocks * range_size;
        for (int64_t point = 0; point < tile_points; ++point) {
            T* to =
                sums + point * filter_stride<T>(range.channels, range.lanes) + first * range.lanes;
            kernels.add_rows(to + slot_size, ranges.slots - 1, slot_size,
                             (last - first) * range.lanes, to);
        }
        transform_outputs(range, first, last, sums);
    });
    if (dbias) {
        T* total = biases + ranges.slots * lanes;
        kernels.add_rows(biases, ranges.slots, lanes, lanes, total);
        std::copy(total, total + shape.out_channels, dbias);
    }
    return finite;
}

template bool winograd_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                   float*, float*);
template bool winograd_grad_weight(const Conv2dShape&, const double*, const OutputGradient<double>&,
                                   double*, double*);

}  // namespace rot180
