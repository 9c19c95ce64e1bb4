#include <algorithm>
#include <atomic>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "winograd.h"
#include "winograd_tiles.h"

namespace rot180 {
namespace {

// The weight gradient is a convolution of x by tiles of dy: those are the filters, of 4x4 taps, and
// dweight is the 3x3 output that all tiles add up to.
constexpr int taps = 4;
constexpr int64_t output_size = winograd_points + 1 - taps;
constexpr int64_t plenty_of_tasks = 16;
// Input and output channels of one task, about: what it sums up should stay in a second-level cache.
constexpr int64_t channels_together = 64;
constexpr int64_t lines_per_task = 8;

int64_t env(const char* n, int64_t d) { const char* e = getenv(n); return e ? atoll(e) : d; }

// Which sums a task works on: one slot of a range of input channels by a range of panels. Each slot
// sums its blocks of tiles in order into memory of its own; the slots are added in order at the end.
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
    const Panels& panels;
    const TileGrid& grid;
    Images<T> x, dy;
    int64_t pad_top, pad_left;

    // Adds up tiles [first, last), a block at a time: sums is (point, input channel, lane), bias (lane) or null.
    void run(const Range& range, int64_t first, int64_t last, T* inputs, T* deltas, T* sums,
             T* bias) const {
        const int64_t out_channels =
            std::min(range.lanes, dy.channels - range.first_lane);
        ToPoints<T> input = x.to_points(range.first_channel, range.channels);
        ToPoints<T> delta = dy.to_points(range.first_lane, out_channels);
        delta.sum = bias;
        OuterProduct<T> product = {};
        product.images = product.rows = 1;
        product.x_stride = tile_points * input.point_stride;
        product.dy_stride = tile_points * delta.point_stride;
        product.dw_stride = range.lanes;
        product.tile_rows = range.channels;
        for (int64_t begin = first; begin < last; begin += env("GTILES", 24)) {
            const int64_t end = std::min(last, begin + env("GTILES", 24));
            grid.for_each(begin, end, [&](int64_t t, int64_t n, int64_t i, int64_t j) {
                x.place(n, i * taps - pad_top, j * taps - pad_left, input_size, input);
                input.to = inputs + t * product.x_stride;
                kernels.winograd_input(input);
                dy.place(n, i * taps, j * taps, taps, delta);
                delta.to = deltas + t * product.dy_stride;
                kernels.winograd_filter(taps, delta);
            });
            product.columns = end - begin;
            product.overwrite = begin == first;
            for (int64_t point = 0; point < tile_points; ++point) {
                product.x = inputs + point * input.point_stride;
                for (int64_t panel = range.first_panel; panel < range.last_panel; ++panel) {
                    const int64_t lane = panels.lanes_before(panel) - range.first_lane;
                    product.dy = deltas + point * delta.point_stride + lane;
                    product.dw = sums + point * range.channels * range.lanes + lane;
                    product.vectors = panels.vectors(panel);
                    kernels.outer_product(product);
                }
            }
        }
    }
};

}  // namespace

template <class T>
bool winograd_grad_weight(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                          T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, 1, shape.out_channels);
    const TileGrid grid(shape.batch, shape.out_height, shape.out_width, taps);
    const int64_t lanes = panels.all_lanes();
    Ranges ranges = {};
    ranges.channel_ranges = divide_up(shape.in_channels, env("CRANGE", channels_together));
    ranges.panel_ranges = std::min(panels.count(), divide_up(lanes, env("KRANGE", channels_together)));
    ranges.slots = std::min(divide_up(env("SLOTS", plenty_of_tasks), ranges.count()), divide_up(grid.count(), env("GTILES", 24)));
    const int64_t tasks = ranges.slots * ranges.count();
    const int team = team_size(tasks, 1e9);
    const int64_t most_channels = divide_up(shape.in_channels, ranges.channel_ranges);
    const int64_t most_lanes = divide_up(panels.count(), ranges.panel_ranges) * panels.most_lanes();
    const int64_t sums_size = tile_points * shape.in_channels * lanes;

    ScratchPlan memory;
    const size_t sums_at = memory.add(ranges.slots * sums_size, sizeof(T));
    const size_t biases_at = memory.add((ranges.slots + 1) * lanes, sizeof(T));
    ScratchPlan own;
    const size_t inputs_at =
        own.add(env("GTILES",24) * tile_points * point_stride<T>(most_channels), sizeof(T));
    const size_t deltas_at =
        own.add(env("GTILES",24) * tile_points * point_stride<T>(most_lanes), sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    T* biases = array(biases_at);
    std::fill(biases, biases + (ranges.slots + 1) * lanes, T(0));
    const Sum<T> sum = {kernels, panels, grid,
                        {{x}, shape.height, shape.width, shape.in_channels},
                        {dy, shape.out_height, shape.out_width, shape.out_channels},
                        shape.pad_top, shape.pad_left};
    // (slot, range, point, input channel, lane)
    const auto sums_of = [&](int64_t slot, const Range& range) {
        return array(sums_at) + slot * sums_size +
               tile_points * (range.first_channel * lanes + range.channels * range.first_lane);
    };

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const int64_t slot = task / ranges.count();
        const Range range = range_of(ranges, shape.in_channels, panels, task % ranges.count());
        const size_t mine = own_at + size_t(thread) * own.bytes();
        T* bias = dbias && range.first_channel == 0 ? biases + slot * lanes + range.first_lane : nullptr;
        sum.run(range, slot * grid.count() / ranges.slots,
                (slot + 1) * grid.count() / ranges.slots, array(mine + inputs_at),
                array(mine + deltas_at), sums_of(slot, range), bias);
    });

    // The slots put together, some input channels of one range at a time.
    std::atomic<bool> finite{true};
    const int64_t line_blocks = divide_up(most_channels, lines_per_task);
    parallel_for(ranges.count() * line_blocks, team, [&](int64_t task, int) {
        const Range range = range_of(ranges, shape.in_channels, panels, task / line_blocks);
        const int64_t first = task % line_blocks * lines_per_task;
        const int64_t last = std::min(range.channels, first + lines_per_task);
        FromPoints<T> tile = {};
        tile.point_stride = range.channels * range.lanes;
        tile.channels = std::min(range.lanes, shape.out_channels - range.first_lane);
        tile.column_stride = shape.in_channels * shape.out_channels;
        tile.row_stride = output_size * tile.column_stride;
        tile.rows = tile.columns = output_size;
        for (int64_t c = first; c < last; ++c) {
            T* total = sums_of(0, range) + c * range.lanes;
            for (int64_t point = 0; point < tile_points; ++point) {
                T* to = total + point * tile.point_stride;
                for (int64_t slot = 1; slot < ranges.slots; ++slot) {
                    const T* from = to + slot * sums_size;
                    for (int64_t k = 0; k < range.lanes; ++k) to[k] += from[k];
                }
            }
            tile.from = total;
            tile.to = dweight + (range.first_channel + c) * shape.out_channels + range.first_lane;
            if (!kernels.winograd_output(taps, tile)) finite = false;
        }
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
