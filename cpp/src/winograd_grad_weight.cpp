#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"
#include "winograd.h"

namespace rot180 {
namespace {

static int64_t env(const char* n, int64_t d) { const char* e = getenv(n); return e ? atoll(e) : d; }
constexpr int taps = 4;      // a tile of dy is the filter here,
constexpr int filter = 3;    // and dweight the output
constexpr int window_size = 6;
constexpr int64_t points = 36;

struct Blocks {
    int64_t images, rows, columns, size_images, size_rows, size_columns;
    int64_t row_blocks() const { return divide_up(rows, size_rows); }
    int64_t column_blocks() const { return divide_up(columns, size_columns); }
    int64_t count() const { return divide_up(images, size_images) * row_blocks() * column_blocks(); }
};
struct Block {
    int64_t image, i, j, images, rows, columns;
    int64_t pixels() const { return images * rows * columns; }
};
Block block_of(const Blocks& b, int64_t index) {
    Block block;
    block.j = index % b.column_blocks() * b.size_columns;
    index /= b.column_blocks();
    block.i = index % b.row_blocks() * b.size_rows;
    block.image = index / b.row_blocks() * b.size_images;
    block.images = std::clamp<int64_t>(b.images - block.image, 0, b.size_images);
    block.rows = std::clamp<int64_t>(b.rows - block.i, 0, b.size_rows);
    block.columns = std::clamp<int64_t>(b.columns - block.j, 0, b.size_columns);
    return block;
}
template <class T>
int64_t padded(int64_t channels) {
    constexpr int64_t line = 64 / int64_t(sizeof(T));
    return divide_up(channels, line) * line + line;
}

template <class T>
struct Sum {
    const Kernels<T>& kernels;
    const Conv2dShape& shape;
    const Panels& panels;
    Blocks blocks;
    int64_t slots, channel_ranges, panel_ranges;
    const T* x;
    const T* dy;

    int64_t first_channel(int64_t range) const { return range * shape.in_channels / channel_ranges; }
    int64_t first_panel(int64_t range) const { return range * panels.count() / panel_ranges; }
    int64_t first_lane(int64_t range) const { return range == panel_ranges ? panels.all_lanes() : panels.lanes_before(first_panel(range)); }
    // sums: (slot, panel_range, channel_range, point, c, lane)
    int64_t sums_size() const { return points * shape.in_channels * panels.all_lanes(); }
    int64_t sums_at(int64_t slot, int64_t across, int64_t along) const {
        const int64_t lanes = first_lane(along + 1) - first_lane(along);
        return slot * sums_size() + points * (first_lane(along) * shape.in_channels + lanes * first_channel(across));
    }

    void run(int64_t slot, int64_t across, int64_t along, T* inputs, T* deltas, T* sums, T* bias) const {
        const int64_t c0 = first_channel(across), channels = first_channel(across + 1) - c0;
        const int64_t k0 = first_lane(along), lanes = first_lane(along + 1) - k0;
        const int64_t out_channels = std::min(lanes, shape.out_channels - k0);
        const int64_t in_stride = padded<T>(channels), out_stride = padded<T>(lanes);
        bool first_block = true;
        for (int64_t index = slot * blocks.count() / slots; index < (slot + 1) * blocks.count() / slots; ++index) {
            const Block block = block_of(blocks, index);
            if (block.pixels() == 0) continue;
            ToPoints<T> in = {}, out = {};
            in.from = x; in.channels = channels; in.point_stride = in_stride;
            in.column_stride = shape.in_channels; in.row_stride = shape.width * shape.in_channels;
            out.from = dy; out.channels = out_channels; out.point_stride = out_stride;
            out.column_stride = shape.out_channels; out.row_stride = shape.out_width * shape.out_channels;
            int64_t t = 0;
            for (int64_t n = block.image; n < block.image + block.images; ++n)
                for (int64_t i = block.i * taps; i < (block.i + block.rows) * taps; i += taps)
                    for (int64_t j = block.j * taps; j < (block.j + block.columns) * taps; j += taps) {
                        const int64_t top = i - shape.pad_top, left = j - shape.pad_left;
                        in.first_row = std::clamp<int64_t>(-top, 0, window_size);
                        in.last_row = std::clamp<int64_t>(shape.height - top, 0, window_size);
                        in.first_column = std::clamp<int64_t>(-left, 0, window_size);
                        in.last_column = std::clamp<int64_t>(shape.width - left, 0, window_size);
                        in.from_at = ((n * shape.height + top) * shape.width + left) * shape.in_channels + c0;
                        in.to = inputs + t * points * in_stride;
                        kernels.winograd_input(in);
                        out.last_row = std::min<int64_t>(taps, shape.out_height - i);
                        out.last_column = std::min<int64_t>(taps, shape.out_width - j);
                        out.from_at = ((n * shape.out_height + i) * shape.out_width + j) * shape.out_channels + k0;
                        out.to = deltas + t * points * out_stride;
                        kernels.winograd_filter(taps, out);
                        if (bias) for (int64_t a = 0; a < out.last_row; ++a) for (int64_t b = 0; b < out.last_column; ++b)
                            kernels.add_rows(dy + out.from_at + a * out.row_stride + b * out.column_stride, 1, out_channels, bias + k0);
                        ++t;
                    }
            OuterProduct<T> outer = {};
            outer.images = outer.rows = 1;
            outer.columns = t;
            outer.x_stride = points * in_stride;
            outer.dy_stride = points * out_stride;
            outer.dw_stride = lanes;
            outer.tile_rows = channels;
            outer.overwrite = first_block;
            first_block = false;
            for (int64_t p = 0; p < points; ++p) {
                outer.x = inputs + p * in_stride;
                for (int64_t panel = first_panel(along); panel < first_panel(along + 1); ++panel) {
                    const int64_t lane = panels.lanes_before(panel) - k0;
                    outer.dy = deltas + p * out_stride + lane;
                    outer.dw = sums + p * channels * lanes + lane;
                    outer.vectors = panels.vectors(panel);
                    kernels.outer_product(outer);
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
    Sum<T> sum = {kernels, shape, panels, {}, 1, 1, 1, x, dy.dy};
    Blocks& b = sum.blocks;
    b.images = shape.batch;
    b.rows = divide_up(shape.out_height, taps);
    b.columns = divide_up(shape.out_width, taps);
    const int64_t wanted = env("GTILES", 24);
    b.size_columns = divide_up(b.columns, divide_up(b.columns, wanted));
    b.size_rows = std::clamp<int64_t>(wanted / b.size_columns, 1, b.rows);
    b.size_rows = divide_up(b.rows, divide_up(b.rows, b.size_rows));
    b.size_images = 1;
    if (b.size_columns == b.columns && b.size_rows == b.rows)
        b.size_images = std::clamp<int64_t>(wanted / (b.rows * b.columns), 1, shape.batch);
    const int64_t tiles = b.size_images * b.size_rows * b.size_columns;
    sum.channel_ranges = divide_up(shape.in_channels, env("CRANGE", 64));
    sum.panel_ranges = std::min(panels.count(), divide_up(panels.all_lanes(), env("KRANGE", 64)));
    const int64_t ranges = sum.channel_ranges * sum.panel_ranges;
    sum.slots = std::min(divide_up(env("SLOTS", 16), ranges), b.count());
    const int64_t tasks = ranges * sum.slots;
    const int team = team_size(tasks, 1e9);
    const int64_t most_channels = divide_up(shape.in_channels, sum.channel_ranges);
    const int64_t most_lanes = std::min<int64_t>(panels.all_lanes(), 128);

    ScratchPlan memory;
    const size_t sums_at = memory.add(sum.slots * sum.sums_size(), sizeof(T));
    const size_t biases_at = memory.add((sum.slots + 1) * panels.all_lanes(), sizeof(T));
    ScratchPlan own;
    const size_t inputs_at = own.add(tiles * points * padded<T>(most_channels), sizeof(T));
    const size_t deltas_at = own.add(tiles * points * padded<T>(most_lanes), sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    T* sums = array(sums_at);
    T* biases = array(biases_at);
    const int64_t lanes = panels.all_lanes();
    std::fill(biases, biases + (sum.slots + 1) * lanes, T(0));

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const int64_t slot = task / ranges, across = task % ranges / sum.panel_ranges,
                      along = task % sum.panel_ranges;
        const size_t mine = own_at + size_t(thread) * own.bytes();
        sum.run(slot, across, along, array(mine + inputs_at), array(mine + deltas_at),
                sums + sum.sums_at(slot, across, along),
                dbias && across == 0 ? biases + slot * lanes : nullptr);
    });
    // Put together
    std::atomic<bool> finite{true};
    constexpr int64_t lines = 8;
    const int64_t line_blocks = divide_up(most_channels, lines);
    parallel_for(ranges * line_blocks, team, [&](int64_t task, int) {
        const int64_t range = task / line_blocks, across = range / sum.panel_ranges, along = range % sum.panel_ranges;
        const int64_t channels = sum.first_channel(across + 1) - sum.first_channel(across);
        const int64_t k0 = sum.first_lane(along), width = sum.first_lane(along + 1) - k0;
        for (int64_t c = task % line_blocks * lines; c < std::min(channels, (task % line_blocks + 1) * lines); ++c) {
            T* total = sums + sum.sums_at(0, across, along) + c * width;
            for (int64_t p = 0; p < points; ++p)
                for (int64_t slot = 1; slot < sum.slots; ++slot) {
                    const T* from = total + slot * sum.sums_size() + p * channels * width;
                    T* to = total + p * channels * width;
                    for (int64_t k = 0; k < width; ++k) to[k] += from[k];
                }
            FromPoints<T> tile = {};
            tile.from = total;
            tile.point_stride = channels * width;
            tile.channels = std::min(width, shape.out_channels - k0);
            tile.to = dweight + (sum.first_channel(across) + c) * shape.out_channels + k0;
            tile.row_stride = filter * shape.in_channels * shape.out_channels;
            tile.column_stride = shape.in_channels * shape.out_channels;
            tile.rows = tile.columns = filter;
            if (!kernels.winograd_output(taps, tile)) finite = false;
        }
    });
    if (dbias) {
        T* total = biases + sum.slots * lanes;
        kernels.add_rows(biases, sum.slots, lanes, total);
        std::copy(total, total + shape.out_channels, dbias);
    }
    return finite;
}

template bool winograd_grad_weight(const Conv2dShape&, const float*, const OutputGradient<float>&, float*, float*);
template bool winograd_grad_weight(const Conv2dShape&, const double*, const OutputGradient<double>&, double*, double*);
}  // namespace rot180
