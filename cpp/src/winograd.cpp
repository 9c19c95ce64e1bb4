#include "winograd.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "epilogue.h"
#include "instruction_set.h"
#include "pack_panel.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "winograd_tiles.h"

namespace rot180 {
namespace {

// Tiles of a block: so many meet each filter while it is in a cache. Whole register tiles.
constexpr int64_t most_tiles = 24, fewest_tiles = 6;
constexpr int64_t plenty_of_tasks = 16;
// Twice as many, where the points of a tile and its products are so small that all stay in a
// second-level cache: with 16 channels in and out, 24 tiles read two thirds as much of filters as
// of inputs.
constexpr int64_t small_tile_bytes = 5 * 1024;
// With no more tiles than these, all are one block, and large filters are transformed where they
// are needed: the points of a filter take four times the memory of its taps.
constexpr int64_t few_tiles = 48;
constexpr int64_t large_filters_bytes = 1024 * 1024;
// Output channels whose products are held at once, about.
constexpr int64_t channels_together = 64;
// Input channels of a panel whose filters are transformed together.
constexpr int64_t lines_together = 32;

// Panels whose products are held at once: as many as have about channels_together lanes.
class PanelGroups {
 public:
    explicit PanelGroups(const Panels& panels)
        : panels_(panels),
          count_(std::min(panels.count(), divide_up(panels.all_lanes(), channels_together))) {}

    int64_t count() const { return count_; }
    int64_t first(int64_t group) const { return group * panels_.count() / count_; }
    int64_t size(int64_t group) const { return first(group + 1) - first(group); }
    int64_t of(int64_t panel) const { return ((panel + 1) * count_ - 1) / panels_.count(); }
    int64_t lanes(int64_t group) const { return end(group) - begin(group); }
    int64_t most_lanes() const { return divide_up(panels_.count(), count_) * panels_.most_lanes(); }
    // Lanes of all groups before this one.
    int64_t begin(int64_t group) const { return panels_.lanes_before(first(group)); }

 private:
    int64_t end(int64_t group) const {
        return group + 1 < count_ ? begin(group + 1) : panels_.all_lanes();
    }

    const Panels& panels_;
    int64_t count_;
};

// How one convolution is cut into tasks: blocks of tiles by groups of panels.
struct Schedule {
    int64_t tiles, blocks;  // tiles of one block
    bool inputs_first;      // all at once, before the products; else a task has a whole block
    bool filters_first;     // likewise; else each task transforms what it needs
};

Schedule schedule(const TileGrid& grid, int64_t filter_bytes, int64_t tile_bytes,
                  const PanelGroups& groups) {
    Schedule plan = {};
    plan.filters_first = grid.count() > few_tiles || filter_bytes < large_filters_bytes;
    const int64_t fair = divide_up(grid.count() * groups.count(), plenty_of_tasks);
    plan.tiles = std::clamp(divide_up(fair, fewest_tiles) * fewest_tiles, fewest_tiles, most_tiles);
    if (tile_bytes <= small_tile_bytes) {
        const int64_t no_more = grid.count() * groups.count() / plenty_of_tasks;
        plan.tiles =
            std::max(plan.tiles, std::min(2 * most_tiles, no_more / fewest_tiles * fewest_tiles));
    }
    if (!plan.filters_first) plan.tiles = grid.count();
    plan.blocks = divide_up(grid.count(), plan.tiles);
    plan.inputs_first = plan.blocks < plenty_of_tasks;
    return plan;
}

// From one group's filters, of `channels` channels, to the next one's.
template <class T>
int64_t group_stride(const PanelGroups& groups, int points, int64_t channels) {
    return points * points * filter_stride<T>(channels, groups.most_lanes());
}

// What one thread needs for one task.
template <class T>
struct Workspace {
    T *inputs, *products, *packed, *filters;
};

template <class T>
struct Product {
    const Kernels<T>& kernels;
    const Correlation& part;
    int points, taps, output_size;  // along one side of a tile, a filter and a tile's outputs
    const TileGrid& grid;
    const Panels& panels;
    const PanelGroups& groups;
    const int* panel_vectors;  // of all panels
    const T* weight;
    const T* bias;  // as the panels' lanes
    Activation activation;
    T* y;

    int64_t tile_points() const { return int64_t(points) * points; }
    // Of all phases of x.
    int64_t channels() const { return part.stride_h * part.stride_w * part.channels; }

    // Filters are transformed in pieces of input channels of one phase.
    struct Piece {
        int64_t phase, channel, count;
    };
    int64_t phase_pieces() const { return divide_up(part.channels, lines_together); }
    int64_t pieces() const { return part.stride_h * part.stride_w * phase_pieces(); }
    Piece piece(int64_t index) const {
        const int64_t channel = index % phase_pieces() * lines_together;
        return {index / phase_pieces(), channel, std::min(lines_together, part.channels - channel)};
    }
    int64_t first_channel(const Piece& piece) const {
        return piece.phase * part.channels + piece.channel;
    }

    // The points of a panel's filters for a piece, as channels from `at` on of the panel's group's
    // filters, which have `channels`: (point, panel, channel, lane). packed has room for their
    // taps.
    void transform_filters(int64_t panel, const Piece& piece, int64_t at, int64_t channels,
                           T* packed, T* group_filters) const {
        const int64_t group = groups.of(panel);
        const int64_t lanes = panels.lanes(panel), count = piece.count;
        const int64_t a = piece.phase / part.stride_w, b = piece.phase % part.stride_w;
        for (int64_t tap = 0; tap < taps * taps; ++tap) {
            const int64_t r = a + tap / taps * part.stride_h, s = b + tap % taps * part.stride_w;
            pack_panel(kernels, part, panels, weight, panel,
                       (r * part.tap_columns + s) * part.channels + piece.channel, count,
                       packed + tap * count * lanes);
        }
        ToPoints<T> filter = {};
        filter.from = packed;
        filter.from_size = taps * taps * count * lanes;
        filter.column_stride = count * lanes;
        filter.row_stride = taps * filter.column_stride;
        filter.last_row = filter.last_column = taps;
        filter.channels = count * lanes;
        filter.to = group_filters + (panels.lanes_before(panel) - groups.begin(group)) * channels +
                    at * lanes;
        filter.point_stride = filter_stride<T>(channels, groups.lanes(group));
        kernels.winograd_filter(points, taps, filter);
    }

    // The outputs of tiles [first, last) for one group of panels, from their inputs' points and the
    // group's filters, or null if they are still to be transformed. Returns whether all are finite.
    bool run(int64_t first, int64_t last, int64_t group, const T* inputs,
             const PointsLayout<T>& layout, const T* filters, const Workspace<T>& own) const {
        const PointsLayout<T> to(last - first, groups.lanes(group));
        PointProducts<T> products = {};
        products.x_point_stride = layout.point_stride;
        products.x_tile_stride = layout.tile_stride;
        products.y = own.products;
        products.y_point_stride = to.point_stride;
        products.y_tile_stride = to.tile_stride;
        products.points = tile_points();
        products.tiles = last - first;
        products.panel_vectors = panel_vectors + groups.first(group);
        products.panels = groups.size(group);
        const auto multiply = [&](int64_t first_channel, int64_t count, const T* weight) {
            products.x = inputs + first_channel;
            products.channels = count;
            products.weight = weight;
            products.weight_point_stride = filter_stride<T>(count, groups.lanes(group));
            products.accumulate = first_channel > 0;
            kernels.multiply_points(products);
        };
        if (filters) {
            multiply(0, channels(), filters);
        } else {
            for (int64_t index = 0; index < pieces(); ++index) {
                const Piece some = piece(index);
                for (int64_t i = 0; i < groups.size(group); ++i) {
                    transform_filters(groups.first(group) + i, some, 0, some.count, own.packed,
                                      own.filters);
                }
                multiply(first_channel(some), some.count, own.filters);
            }
        }
        return transform_outputs(first, last, group, to, own.products);
    }

 private:
    bool transform_outputs(int64_t first, int64_t last, int64_t group,
                           const PointsLayout<T>& layout, const T* products) const {
        FromPoints<T> tile = {};
        tile.point_stride = layout.point_stride;
        tile.bias = bias + groups.begin(group);
        tile.activation = in_kernel(activation);
        tile.channels = std::min(part.group_out - groups.begin(group), groups.lanes(group));
        tile.row_stride = part.y_row_stride;
        tile.column_stride = part.y_column_stride;
        const auto place = [&](const TileAt& at) {
            return y + part.y_offset + groups.begin(group) + at.image * part.y_image_stride +
                   output_size * (at.row * part.y_row_stride + at.column * part.y_column_stride);
        };
        OutputCheck<T> check;
        tile.zeros = check.zeros;
        TileAt at = grid.at(first);
        for (int64_t index = first; index < last; ++index) {
            const TileAt next = grid.after(at);
            tile.from = products + (index - first) * layout.tile_stride;
            tile.rows = std::min<int64_t>(output_size, part.out_rows - at.row * output_size);
            tile.columns =
                std::min<int64_t>(output_size, part.out_columns - at.column * output_size);
            tile.to = place(at);
            tile.next_to = index + 1 < last ? place(next) : nullptr;
            at = next;
            kernels.winograd_output(points, output_size, tile);
            after_kernel(kernels, activation, tile.rows, tile.row_stride, tile.columns,
                         tile.channels, tile.column_stride, tile.to);
        }
        return check.all_finite(tile.channels, kernels.width);
    }
};

}  // namespace

template <class T>
bool correlate_winograd(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                        const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, 1, part.group_out);
    const PanelGroups groups(panels);
    const int taps = int(part.tap_rows / part.stride_h), points = winograd_points(taps);
    const int output_size = points + 1 - taps;
    const TileGrid grid(part.batch, part.out_rows, part.out_columns, output_size);
    if (grid.count() == 0) return true;
    const int64_t tile_points = int64_t(points) * points;
    const int64_t channels = part.stride_h * part.stride_w * part.channels;
    const int64_t filters_stride = group_stride<T>(groups, points, channels);
    const int64_t filters_size = groups.count() * filters_stride;
    const int64_t tile_size = tile_points * (channels + groups.most_lanes());
    const Schedule plan =
        schedule(grid, filters_size * int64_t(sizeof(T)), tile_size * int64_t(sizeof(T)), groups);
    const PointsLayout<T> input_layout(plan.tiles, channels, part.stride_h);
    const int64_t tasks = plan.blocks * (plan.inputs_first ? groups.count() : 1);
    const int team = team_size(tasks, double(grid.count()) * double(filters_size) / 8);

    ScratchPlan memory;
    const size_t bias_at = memory.add(panels.all_lanes(), sizeof(T));
    const size_t filters_at = memory.add(plan.filters_first ? filters_size : 0, sizeof(T));
    const int64_t inputs_size = tile_points * input_layout.point_stride;
    const size_t inputs_at =
        memory.add(plan.inputs_first ? plan.blocks * inputs_size : 0, sizeof(T));
    ScratchPlan own;
    const size_t own_inputs_at = own.add(plan.inputs_first ? 0 : inputs_size, sizeof(T));
    const PointsLayout<T> products_layout(plan.tiles, groups.most_lanes());
    const size_t products_at = own.add(tile_points * products_layout.point_stride, sizeof(T));
    const size_t packed_at = own.add(taps * taps * lines_together * panels.most_lanes(), sizeof(T));
    const int64_t own_filters_size = group_stride<T>(groups, points, lines_together);
    const size_t own_filters_at = own.add(plan.filters_first ? 0 : own_filters_size, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    const auto workspace = [&](int thread) {
        const size_t mine = own_at + size_t(thread) * own.bytes();
        return Workspace<T>{array(mine + own_inputs_at), array(mine + products_at),
                            array(mine + packed_at), array(mine + own_filters_at)};
    };
    panels.pack_bias(bias, array(bias_at));
    T* filters = array(filters_at);
    T* inputs = array(inputs_at);
    const TiledImages<T> images = {x,      part.height, part.width, part.channels, grid,
                                   points, output_size, part.top,   part.left,     part.stride_h};
    const auto transform_inputs = [&](int64_t first, int64_t last, T* to) {
        const auto input = [&](const ToPoints<T>& tile) { kernels.winograd_input(points, tile); };
        images.to_points(0, channels, first, last, points, input, input_layout, to);
    };
    const std::vector<int> panel_vectors = panels.vectors();
    const Product<T> product = {kernels, part,           points,
                                taps,    output_size,    grid,
                                panels,  groups,         panel_vectors.data(),
                                weight,  array(bias_at), activation,
                                y};

    const int64_t pieces = product.pieces();
    const int64_t filter_tasks = plan.filters_first ? panels.count() * pieces : 0;
    const int64_t input_tasks = plan.inputs_first ? divide_up(grid.count(), fewest_tiles) : 0;
    parallel_for(filter_tasks + input_tasks, team, [&](int64_t task, int thread) {
        if (task < filter_tasks) {
            const int64_t panel = task / pieces;
            const auto piece = product.piece(task % pieces);
            product.transform_filters(panel, piece, product.first_channel(piece), channels,
                                      workspace(thread).packed,
                                      filters + groups.of(panel) * filters_stride);
        } else {
            const int64_t first = (task - filter_tasks) * fewest_tiles;
            transform_inputs(first, std::min(grid.count(), first + fewest_tiles),
                             inputs + first / plan.tiles * inputs_size +
                                 first % plan.tiles * input_layout.tile_stride);
        }
    });
    std::atomic<bool> finite{true};
    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const Workspace<T> mine = workspace(thread);
        const int64_t first = task % plan.blocks * plan.tiles;
        const int64_t last = std::min(grid.count(), first + plan.tiles);
        const auto run = [&](int64_t group, const T* from) {
            const T* points = filters + group * filters_stride;
            if (!product.run(first, last, group, from, input_layout,
                             plan.filters_first ? points : nullptr, mine)) {
                finite = false;
            }
        };
        if (plan.inputs_first) {
            return run(task / plan.blocks, inputs + task % plan.blocks * inputs_size);
        }
        transform_inputs(first, last, mine.inputs);
        for (int64_t group = 0; group < groups.count(); ++group) run(group, mine.inputs);
    });
    return finite;
}

template bool correlate_winograd(const Correlation&, const OutputGradient<float>&, const float*,
                                 const float*, Activation, float*);
template bool correlate_winograd(const Correlation&, const OutputGradient<double>&, const double*,
                                 const double*, Activation, double*);

}  // namespace rot180
