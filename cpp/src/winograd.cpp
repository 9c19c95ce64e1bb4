#include "winograd.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "epilogue.h"
#include "instruction_set.h"
#include "pack_panel.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {
namespace {

constexpr int taps = 3;
constexpr int tile_size = 4;
constexpr int window_size = tile_size + taps - 1;
constexpr int64_t points = winograd_points * winograd_points;

static int64_t env(const char* n, int64_t d) { const char* e = getenv(n); return e ? atoll(e) : d; }
// Output channels whose products are held before they become pixels.
constexpr int64_t channels_together = 64;
constexpr int64_t chunk_bytes = 24 * 1024;

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

// The distance of two rows of points: whole vectors, and an odd number of cache lines most often,
// so that 36 rows do not meet in the same few sets of a cache.
template <class T>
int64_t padded(int64_t channels) {
    constexpr int64_t line = 64 / int64_t(sizeof(T));
    return divide_up(channels, line) * line + line;
}

struct Schedule {
    Blocks blocks;
    int64_t panel_groups;
    int64_t chunk_lines;
};

template <class T>
struct Product {
    const Kernels<T>& kernels;
    const Correlation& part;
    const Panels& panels;
    Schedule plan;
    OutputGradient<T> x;
    const T* weight;
    const T* bias;  // packed
    Activation activation;
    T* y;
    T* filters;  // (panel group, point, panel, c, lane)

    int64_t first_panel(int64_t group) const { return group * panels.count() / plan.panel_groups; }
    int64_t lanes_before_group(int64_t group) const { return group == plan.panel_groups ? panels.all_lanes() : panels.lanes_before(first_panel(group)); }
    int64_t lanes_of(int64_t group) const {
        return lanes_before_group(group + 1) - lanes_before_group(group);
    }
    T* filters_of(int64_t group, int64_t panel) const {
        const int64_t before = lanes_before_group(group);
        return filters + before * points * part.run +
               (panels.lanes_before(panel) - before) * part.run;
    }

    void transform_filters(int64_t group, int64_t panel, int64_t first, int64_t count,
                           T* taps_of_panel) const {
        const int64_t lanes = panels.lanes(panel);
        for (int64_t tap = 0; tap < taps * taps; ++tap) {
            pack_panel(kernels, part, panels, weight, panel, tap * part.run + first, count,
                       taps_of_panel + tap * count * lanes);
        }
        ToPoints<T> filter = {};
        filter.from = taps_of_panel;
        filter.row_stride = taps * count * lanes;
        filter.column_stride = count * lanes;
        filter.last_row = filter.last_column = taps;
        filter.channels = count * lanes;
        filter.to = filters_of(group, panel) + first * lanes;
        filter.point_stride = lanes_of(group) * part.run;
        kernels.winograd_filter(taps, filter);
    }

    template <class Body>
    void for_tiles(const Block& block, const Body& body) const {
        int64_t t = 0;
        for (int64_t n = 0; n < block.images; ++n)
            for (int64_t i = 0; i < block.rows; ++i)
                for (int64_t j = 0; j < block.columns; ++j)
                    body(t++, block.image + n, (block.i + i) * tile_size, (block.j + j) * tile_size);
    }

    void transform_inputs(const Block& block, T* inputs) const {
        const int64_t stride = padded<T>(part.run);
        ToPoints<T> tile = {};
        tile.channels = part.run;
        tile.point_stride = stride;
        tile.from = x.dy;
        tile.column_stride = part.channels;
        tile.row_stride = part.width * part.channels;
        for_tiles(block, [&](int64_t t, int64_t n, int64_t i, int64_t j) {
            const int64_t top = i - part.top, left = j - part.left;
            tile.first_row = std::clamp<int64_t>(-top, 0, window_size);
            tile.last_row = std::clamp<int64_t>(part.height - top, 0, window_size);
            tile.first_column = std::clamp<int64_t>(-left, 0, window_size);
            tile.last_column = std::clamp<int64_t>(part.width - left, 0, window_size);
            tile.from_at = ((n * part.height + top) * part.width + left) * part.channels;
            tile.to = inputs + t * points * stride;
            kernels.winograd_input(tile);
        });
    }

    bool run(const Block& block, const T* inputs, T* products, int64_t* x_at, int64_t* y_at) const {
        const int64_t in_stride = padded<T>(part.run);
        bool finite = true;
        for (int64_t group = 0; group < plan.panel_groups; ++group) {
            const int64_t out_stride = padded<T>(lanes_of(group));
            for (int64_t t = 0; t < block.pixels(); ++t) {
                x_at[t] = t * points * in_stride;
                y_at[t] = t * points * out_stride;
            }
            const int64_t first = first_panel(group), last = first_panel(group + 1);
            for (int64_t p = 0; p < points; ++p) {
                for (int64_t panel = first; panel < last; ++panel) {
                    multiply(block, inputs + p * in_stride,
                             filters_of(group, panel) + p * lanes_of(group) * part.run, panel,
                             products + p * out_stride + panels.lanes_before(panel) -
                                 lanes_before_group(group),
                             x_at, y_at);
                }
            }
            finite &= transform_outputs(block, group, products, out_stride);
        }
        return finite;
    }

    void multiply(const Block& block, const T* inputs, const T* filter, int64_t panel, T* products,
                  const int64_t* x_at, const int64_t* y_at) const {
        static const T zeros[256] = {};
        const int64_t pieces = divide_up(part.run, plan.chunk_lines);
        CorrelateTiles<T> tiles = {};
        tiles.x = inputs;
        tiles.x_at = x_at;
        tiles.y = products;
        tiles.y_at = y_at;
        tiles.pixels = block.pixels();
        tiles.channels = panels.lanes(panel);
        tiles.vectors = panels.vectors(panel);
        tiles.bias = zeros;
        tiles.prefetch_next = true;
        for (int64_t piece = 0; piece < pieces; ++piece) {
            const int64_t c = piece * part.run / pieces;
            const Run run = {c, (piece + 1) * part.run / pieces - c};
            tiles.runs = &run;
            tiles.run_count = 1;
            tiles.weight = filter + c * panels.lanes(panel);
            kernels.correlate_tiles(tiles);
            tiles.bias = nullptr;
        }
    }

    bool transform_outputs(const Block& block, int64_t group, const T* products,
                           int64_t stride) const {
        bool finite = true;
        const int64_t panel = first_panel(group);
        const int64_t first = panels.first_channel(panel);
        FromPoints<T> tile = {};
        tile.point_stride = stride;
        tile.bias = bias + panels.lanes_before(panel);
        tile.activation = in_kernel(activation);
        tile.channels = std::min(part.group_out - first, lanes_of(group));
        tile.row_stride = part.y_row_stride;
        tile.column_stride = part.y_column_stride;
        for_tiles(block, [&](int64_t t, int64_t n, int64_t i, int64_t j) {
            tile.from = products + t * points * stride;
            tile.to = y + part.y_offset + n * part.y_image_stride + i * part.y_row_stride +
                      j * part.y_column_stride + first;
            tile.rows = std::min<int64_t>(tile_size, part.out_rows - i);
            tile.columns = std::min<int64_t>(tile_size, part.out_columns - j);
            finite &= kernels.winograd_output(taps, tile);
            for (int64_t row = 0; row < tile.rows; ++row) {
                after_kernel(kernels, activation, tile.columns, tile.channels, tile.column_stride,
                             tile.to + row * tile.row_stride);
            }
        });
        return finite;
    }
};

template <class T>
Schedule schedule(const Correlation& part, const Panels& panels) {
    Schedule plan = {};
    plan.panel_groups = divide_up(panels.all_lanes(), channels_together);
    plan.panel_groups = std::min(plan.panel_groups, panels.count());
    plan.chunk_lines = chunk_bytes / (panels.most_lanes() * int64_t(sizeof(T)));
    Blocks& b = plan.blocks;
    b.images = part.batch;
    b.rows = divide_up(part.out_rows, tile_size);
    b.columns = divide_up(part.out_columns, tile_size);
    const int64_t wanted = env("TILES", 24);
    b.size_columns = divide_up(b.columns, divide_up(b.columns, wanted));
    b.size_rows = std::clamp<int64_t>(wanted / b.size_columns, 1, b.rows);
    b.size_rows = divide_up(b.rows, divide_up(b.rows, b.size_rows));
    b.size_images = 1;
    if (b.size_columns == b.columns && b.size_rows == b.rows)
        b.size_images = std::clamp<int64_t>(wanted / (b.rows * b.columns), 1, part.batch);
    return plan;
}

}  // namespace

bool winograd_admits(const Correlation& part) {
    return part.tap_rows == taps && part.tap_columns == taps && part.stride_h == 1 &&
           part.stride_w == 1 && part.dilation_h == 1 && part.dilation_w == 1 && part.groups == 1;
}

template <class T>
bool correlate_winograd(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                        const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, 1, part.group_out);
    Product<T> product = {kernels, part, panels, schedule<T>(part, panels), x, weight,
                          nullptr, activation, y, nullptr};
    const Schedule& plan = product.plan;
    const int64_t tiles = plan.blocks.size_images * plan.blocks.size_rows * plan.blocks.size_columns;
    const int64_t most_lanes = std::min(panels.all_lanes(), 2 * channels_together);
    const int64_t tasks = plan.blocks.count();
    const int team = team_size(tasks, 1e9);

    ScratchPlan memory;
    const size_t bias_at = memory.add(panels.all_lanes(), sizeof(T));
    const size_t filters_at = memory.add(points * part.run * panels.all_lanes(), sizeof(T));
    ScratchPlan own;
    const size_t inputs_at = own.add(tiles * points * padded<T>(part.run), sizeof(T));
    const size_t products_at = own.add(tiles * points * padded<T>(most_lanes), sizeof(T));
    const size_t x_at = own.add(tiles, sizeof(int64_t));
    const size_t y_at = own.add(tiles, sizeof(int64_t));
    constexpr int64_t filter_lines = 32;
    const size_t taps_at = own.add(taps * taps * filter_lines * panels.most_lanes(), sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    T* packed_bias = reinterpret_cast<T*>(scratch.data() + bias_at);
    panels.pack_bias(bias, packed_bias);
    product.bias = packed_bias;
    product.filters = reinterpret_cast<T*>(scratch.data() + filters_at);

    const int64_t pieces = divide_up(part.run, filter_lines);
    parallel_for(panels.count() * pieces, team, [&](int64_t task, int thread) {
        const int64_t panel = task / pieces, first = task % pieces * filter_lines;
        int64_t group = 0;
        while (product.first_panel(group + 1) <= panel) ++group;
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        product.transform_filters(group, panel, first, std::min(filter_lines, part.run - first),
                                  reinterpret_cast<T*>(mine + taps_at));
    });
    std::atomic<bool> finite{true};
    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const Block block = block_of(plan.blocks, task);
        if (block.pixels() == 0) return;
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* inputs = reinterpret_cast<T*>(mine + inputs_at);
        product.transform_inputs(block, inputs);
        if (!product.run(block, inputs, reinterpret_cast<T*>(mine + products_at),
                         reinterpret_cast<int64_t*>(mine + x_at),
                         reinterpret_cast<int64_t*>(mine + y_at))) {
            finite = false;
        }
    });
    return finite;
}

template bool correlate_winograd(const Correlation&, const OutputGradient<float>&, const float*,
                                 const float*, Activation, float*);
template bool correlate_winograd(const Correlation&, const OutputGradient<double>&, const double*,
                                 const double*, Activation, double*);

}  // namespace rot180
