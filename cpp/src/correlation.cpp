#include "correlation.h"

#include <algorithm>
#include <atomic>

#include "blocks.h"
#include "depthwise.h"
#include "epilogue.h"
#include "few_pixels.h"
#include "flat_rows.h"
#include "instruction_set.h"
#include "pack_panel.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {
namespace {

// Enough tasks that threads which come free late or early still share the work evenly.
constexpr int64_t plenty_of_tasks = 32;
constexpr int64_t few_tasks = 8;
// What a task reads of x, and what it writes of y, should stay in a second-level cache, beside what
// it needs of the weights.
constexpr int64_t window_bytes = 256 * 1024;
constexpr int64_t output_bytes = 256 * 1024;
// The lines of a panel that the tiles of a block share should stay in a first-level cache.
constexpr int64_t chunk_bytes = 24 * 1024;
// Up to so many steps of a tile, its stores would wait for memory.
constexpr int64_t short_sum = 64;
constexpr int64_t widest_block = 192;
constexpr int64_t pixels_per_block = 128;

// How one part is cut into tasks: a block of output images, rows and columns, a range of panels.
// None of it changes what is computed, or in what order it is summed.
struct Schedule {
    Blocks blocks;
    int64_t panel_ranges;
    int64_t chunk_lines;
    int64_t first_task;
    bool few;           // vectors run along the reduction
    bool packed_first;  // for all tasks, before the product; else each task packs what it needs
    bool exact;         // no copies: tap by tap, leaving out what lies outside the image

    int64_t tasks() const { return blocks.count() * panel_ranges; }
};

// Without dilation and groups, a window row is contiguous: one long run.
bool one_run(const Correlation& part) { return part.dilation_w == 1 && part.groups == 1; }
int64_t run_length(const Correlation& part) {
    return one_run(part) ? part.tap_columns * part.run : part.run;
}
int64_t run_count(const Correlation& part) {
    return one_run(part) ? part.tap_rows : part.tap_rows * part.tap_columns;
}
int64_t line_count(const Correlation& part) { return run_count(part) * run_length(part); }

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

// Whether vectors had better run along the reduction than over output channels, by the
// multiply-adds that either spends on one output: padding lanes here, a run's last vector and the
// final sum there.
bool few_is_faster(const Correlation& part, const Panels& panels, int width) {
    const int64_t length = run_length(part);
    if (part.groups > 1 || length < width) return false;
    constexpr double final_sum = 12;
    const double steps = double(divide_up(length, width));
    const double few =
        steps * width / double(length) + final_sum / (double(run_count(part)) * steps);
    // A panel of one vector has as many loads as multiply-adds.
    const double one_vector = panels.all_lanes() == width ? 1.1 : 1;
    return few < one_vector * double(panels.all_lanes()) / double(part.group_out);
}

template <class T>
Schedule schedule(const Correlation& part, const Panels& panels, int width, bool always_copied) {
    Schedule plan = {};
    plan.few = few_is_faster(part, panels, width);
    plan.chunk_lines =
        std::max<int64_t>(32, chunk_bytes / (panels.most_lanes() * int64_t(sizeof(T))));
    const int64_t panel_count = plan.few ? 1 : panels.count();

    const int64_t pixel_bytes = part.channels * int64_t(sizeof(T));
    const int64_t fitting = std::clamp<int64_t>(window_bytes / pixel_bytes, 48, widest_block);
    Blocks& blocks = plan.blocks;
    blocks.grid_images = part.batch;
    blocks.grid_rows = part.out_rows;
    blocks.grid_columns = part.out_columns;
    blocks.columns = even_size(part.out_columns, fitting);

    // Where the weights outweigh the image, it is the panels that are shared out, not the rows.
    const int64_t weight_size = line_count(part) * part.group_out * part.groups;
    const bool heavy = weight_size > part.batch * part.height * part.width * part.channels;
    const int64_t wanted = heavy ? divide_up(few_tasks, panel_count) : plenty_of_tasks;
    const Window row = window_of(part, 0, 0, 1, blocks.columns);
    // As a double: with a large stride and dilation an integer would wrap around, to zero even.
    const double row_bytes = double(row.columns) * double(pixel_bytes) * double(part.stride_h);
    const int64_t row_outputs = blocks.columns * panels.most_lanes() * int64_t(sizeof(T));
    const int64_t fitting_rows = std::min(
        int64_t(window_bytes / row_bytes) - row.rows / part.stride_h, output_bytes / row_outputs);
    const int64_t most_rows =
        part.out_rows / divide_up(wanted, part.batch * blocks.column_blocks());
    blocks.rows = even_size(part.out_rows, std::max<int64_t>(1, std::min(fitting_rows, most_rows)));

    blocks.images = 1;
    if (blocks.row_blocks() == 1 && blocks.column_blocks() == 1) {
        const int64_t pixels = part.out_rows * part.out_columns;
        const int64_t image_bytes = part.height * part.width * pixel_bytes;
        blocks.images = std::min(
            {pixels_per_block / pixels, window_bytes / image_bytes, part.batch / (2 * few_tasks)});
        blocks.images = std::max<int64_t>(1, blocks.images);
    }

    plan.panel_ranges =
        std::clamp<int64_t>(divide_up(plenty_of_tasks / 2, blocks.count()), 1, panel_count);
    plan.packed_first = plan.few || blocks.count() > 2;

    const Window window = window_of(part, 0, 0, blocks.rows, blocks.columns);
    plan.exact = (has_border(part) || always_copied) &&
                 window_too_large(window, part.channels * blocks.images);
    return plan;
}

// What one task computes.
struct Share {
    Block block;
    int64_t first_panel, last_panel;
};

Share share_of(const Schedule& plan, int64_t panels, int64_t task) {
    const int64_t range = task % plan.panel_ranges;
    return {plan.blocks.block(task / plan.panel_ranges), range * panels / plan.panel_ranges,
            (range + 1) * panels / plan.panel_ranges};
}

// What one thread needs for one task.
struct Workspace {
    int64_t window, pixels, runs, chunk;  // elements
    size_t copy_at, x_at, y_at, runs_at, chunk_at, bytes;

    template <class T>
    void arrange() {
        ScratchPlan plan;
        copy_at = plan.add(window, sizeof(T));
        x_at = plan.add(pixels, sizeof(int64_t));
        y_at = plan.add(pixels, sizeof(int64_t));
        runs_at = plan.add(runs, sizeof(Run));
        chunk_at = plan.add(chunk, sizeof(T));
        bytes = plan.bytes();
    }
};

// Elements of T that the copies of a block's windows take.
int64_t window_size(const Correlation& part, const Schedule& plan, bool always_copied) {
    if (plan.exact || !(always_copied || has_border(part))) return 0;
    const Window window = window_of(part, 0, 0, plan.blocks.rows, plan.blocks.columns);
    return plan.blocks.images * window.rows * window.columns * part.channels;
}

// Even pieces of a run, none longer than a chunk.
int64_t run_pieces(const Correlation& part, const Schedule& plan) {
    return divide_up(run_length(part), plan.chunk_lines);
}

void grow(Workspace& workspace, const Correlation& part, const Schedule& plan, int64_t lanes,
          bool always_copied) {
    workspace.window = std::max(workspace.window, window_size(part, plan, always_copied));
    workspace.pixels = std::max(workspace.pixels, plan.blocks.pixels());
    workspace.runs = std::max(workspace.runs, run_count(part) * run_pieces(part, plan));
    workspace.chunk = std::max(workspace.chunk, plan.packed_first ? 0 : plan.chunk_lines * lanes);
}

template <class T>
struct Operands {
    OutputGradient<T> x;
    const T* weight;
    const T* bias;
    Activation activation;
    T* y;
};

// A part of one convolution, its schedule, and its weights once they are packed.
template <class T>
struct Product {
    const Kernels<T>& kernels;
    const Correlation& part;
    const Schedule& plan;
    const Panels& panels;
    Operands<T> plain;
    T* packed_weight;
    const T* packed_bias;

    int64_t panel_count() const { return plan.few ? 1 : panels.count(); }

    // Packs one channel as correlate_few reads it.
    bool pack_channel(int64_t k) const {
        const int64_t width = kernels.width, length = run_length(part);
        const int64_t repeated = divide_up(length, width) * width - length;
        const int64_t columns = one_run(part) ? 1 : part.tap_columns;
        T* to = packed_weight + k * run_count(part) * (length + repeated);
        const T* channel = plain.weight + part.weight_offset + k * part.weight_out_stride;
        T sum_of_zeros = 0;  // 0 * w is zero unless w is infinite or NaN
        for (int64_t run = 0; run < run_count(part); ++run) {
            const T* row = channel + run / columns * part.weight_row_stride +
                           run % columns * part.weight_column_stride;
            for (int64_t c = 0; c < length; ++c) {
                if (c == length + repeated - width) to = std::fill_n(to, repeated, T(0));
                *to = row[c / part.run * part.weight_column_stride +
                          c % part.run * part.weight_in_stride];
                sum_of_zeros += T(0) * *to++;
            }
        }
        return sum_of_zeros == T(0);
    }

    int64_t pack_tasks() const { return plan.few ? part.group_out : panels.count(); }

    bool pack(int64_t task) const {
        if (plan.few) return pack_channel(task);
        return pack_panel(kernels, part, panels, plain.weight, task, 0, line_count(part),
                          packed_weight + panels.lanes_before(task) * line_count(part));
    }

    // Returns whether every weight that it packed is finite.
    bool run(const Share& share, char* workspace, const Workspace& at) const {
        const Block& block = share.block;
        T* copy = reinterpret_cast<T*>(workspace + at.copy_at);
        int64_t* x_at = reinterpret_cast<int64_t*>(workspace + at.x_at);
        int64_t* y_at = reinterpret_cast<int64_t*>(workspace + at.y_at);
        Run* runs = reinterpret_cast<Run*>(workspace + at.runs_at);

        CorrelateTiles<T> tiles = {};
        const T* origin = nullptr;
        const int64_t row_stride = read_windows(block, copy, origin, x_at);
        tiles.x_at = x_at;
        tiles.y_at = y_at;
        tiles.pixels = block.pixels();
        tiles.prefetch_next = plan.packed_first;
        tiles.prefetch_y = line_count(part) <= short_sum;
        locate_outputs(block, y_at);
        const int64_t pieces = cut_runs(row_stride, runs);

        bool finite = true;
        for (int64_t panel = share.first_panel; panel < share.last_panel; ++panel) {
            const int64_t group = panels.group(panel), lines = line_count(part);
            tiles.x = origin + group * part.run;
            tiles.y = plain.y + part.y_offset + panels.first_of_all(panel);
            tiles.vectors = panels.vectors(panel);
            tiles.channels = plan.few ? part.group_out : panels.channels(panel);
            tiles.bias = packed_bias + panels.lanes_before(panel);
            if (plan.few) {
                tiles.runs = runs;
                tiles.run_count = pieces;
                tiles.weight = packed_weight;
                tiles.activation = in_kernel(plain.activation);
                kernels.correlate_few(tiles);
            } else {
                finite &= run_chunks(panel, lines, runs, pieces,
                                     reinterpret_cast<T*>(workspace + at.chunk_at), tiles);
            }
            for (int64_t p = 0; p < tiles.pixels; p += block.columns) {
                after_kernel(kernels, plain.activation, block.columns, tiles.channels,
                             part.y_column_stride, tiles.y + tiles.y_at[p]);
            }
        }
        return finite;
    }

 private:
    // The windows of the block, in place or copied with zeros around them: where each pixel's
    // window begins. Returns the distance of two rows.
    int64_t read_windows(const Block& block, T* copy, const T*& origin, int64_t* x_at) const {
        const int64_t image_size = part.height * part.width * part.channels;
        const T* image = plain.x.dy + block.image * image_size;
        const Window window = window_of(part, block.i, block.j, block.rows, block.columns);
        int64_t row_stride = part.width * part.channels, image_stride = image_size;
        if (plain.x.activation == Activation::none && window.inside(part.height, part.width)) {
            origin = image + (window.top * part.width + window.left) * part.channels;
        } else {
            row_stride = window.columns * part.channels;
            image_stride = window.rows * row_stride;
            for (int64_t n = 0; n < block.images; ++n) {
                copy_window(kernels, window, part.height, part.width, part.channels, plain.x,
                            (block.image + n) * image_size, copy + n * image_stride);
            }
            origin = copy;
        }
        for_pixels(block, [&](int64_t n, int64_t i, int64_t j) {
            *x_at++ = n * image_stride + i * part.stride_h * row_stride +
                      j * part.stride_w * part.channels;
        });
        return row_stride;
    }

    void locate_outputs(const Block& block, int64_t* y_at) const {
        for_pixels(block, [&](int64_t n, int64_t i, int64_t j) {
            *y_at++ = (block.image + n) * part.y_image_stride + (block.i + i) * part.y_row_stride +
                      (block.j + j) * part.y_column_stride;
        });
    }

    template <class Body>
    static void for_pixels(const Block& block, const Body& body) {
        for (int64_t n = 0; n < block.images; ++n) {
            for (int64_t i = 0; i < block.rows; ++i) {
                for (int64_t j = 0; j < block.columns; ++j) body(n, i, j);
            }
        }
    }

    // The window's runs, none longer than a chunk of a panel. Returns how many.
    int64_t cut_runs(int64_t row_stride, Run* runs) const {
        const int64_t length = run_length(part);
        const int64_t longest = plan.few ? length : divide_up(length, run_pieces(part, plan));
        const int64_t columns = one_run(part) ? 1 : part.tap_columns;
        int64_t count = 0;
        for (int64_t r = 0; r < part.tap_rows; ++r) {
            for (int64_t s = 0; s < columns; ++s) {
                const int64_t tap =
                    r * part.dilation_h * row_stride + s * part.dilation_w * part.channels;
                for (int64_t c = 0; c < length; c += longest) {
                    runs[count++] = {tap + c, std::min(longest, length - c)};
                }
            }
        }
        return count;
    }

    // All pixels with as many runs as make a chunk, then with the next.
    bool run_chunks(int64_t panel, int64_t lines, const Run* runs, int64_t pieces, T* chunk,
                    CorrelateTiles<T>& tiles) const {
        const int64_t lanes = panels.lanes(panel);
        const T* weight = packed_weight + panels.lanes_before(panel) * lines;
        bool finite = true;
        int64_t line = 0;
        for (int64_t first = 0; first < pieces; first += tiles.run_count) {
            tiles.runs = runs + first;
            tiles.run_count = 0;
            int64_t count = 0;
            do {
                count += tiles.runs[tiles.run_count++].length;
            } while (first + tiles.run_count < pieces &&
                     count + tiles.runs[tiles.run_count].length <= plan.chunk_lines);
            if (plan.packed_first) {
                tiles.weight = weight + line * lanes;
            } else {
                finite &=
                    pack_panel(kernels, part, panels, plain.weight, panel, line, count, chunk);
                tiles.weight = chunk;
            }
            line += count;
            tiles.activation = line == lines ? in_kernel(plain.activation) : Activation::none;
            kernels.correlate_tiles(tiles);
            tiles.bias = nullptr;  // from now on, y has it
        }
        return finite;
    }
};

}  // namespace

template <class T>
void correlate(const std::vector<Correlation>& given, const OutputGradient<T>& x, const T* weight,
               const T* bias, Activation activation, T* y) {
    std::vector<Correlation> parts;
    for (const Correlation& part : given) {
        if (part.batch > 0 && part.out_rows > 0 && part.out_columns > 0) parts.push_back(part);
    }
    if (parts.empty()) return;
    if (is_depthwise(parts[0])) {
        return correlate_depthwise(parts, x, weight, bias, activation, y);
    }
    for (Correlation& part : parts) part = flattened(part);
    if (parts.size() == 1 && has_few_pixels<T>(parts[0])) {
        return correlate_few_pixels(parts[0], x, weight, bias, activation, y);
    }
    if (parts.size() == 1 && flat_rows_pay<T>(Pass::forward, parts[0]) &&
        correlate_flat_rows(parts[0], x, weight, bias, activation, y)) {
        return;
    }

    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, parts[0].groups, parts[0].group_out);
    const bool always_copied = x.activation != Activation::none;

    std::vector<Schedule> plans;
    std::vector<size_t> weight_at;
    ScratchPlan memory;
    Workspace workspace = {};
    int64_t tasks = 0;
    double operations = 0;
    for (const Correlation& part : parts) {
        Schedule plan = schedule<T>(part, panels, kernels.width, always_copied);
        plan.first_task = tasks;
        tasks += plan.tasks();
        // A run of few channels may fill its last vector twice.
        const int64_t lines =
            plan.few ? divide_up(run_length(part), kernels.width) * kernels.width * run_count(part)
                     : line_count(part);
        weight_at.push_back(
            memory.add(plan.packed_first ? lines * panels.all_lanes() : 0, sizeof(T)));
        grow(workspace, part, plan, panels.most_lanes(), always_copied);
        operations += double(part.batch) * double(part.out_rows) * double(part.out_columns) *
                      double(panels.all_lanes()) * double(lines + 1) / 8;
        plans.push_back(plan);
    }
    workspace.arrange<T>();
    const int team = team_size(tasks, operations);
    const size_t bias_at = memory.add(panels.all_lanes(), sizeof(T));
    const size_t workspaces_at = memory.add(team, workspace.bytes);
    const Scratch scratch(memory.bytes());

    T* packed_bias = reinterpret_cast<T*>(scratch.data() + bias_at);
    panels.pack_bias(bias, packed_bias);

    std::vector<Product<T>> products;
    for (size_t p = 0; p < parts.size(); ++p) {
        products.push_back({kernels, parts[p], plans[p], panels,
                            Operands<T>{x, weight, bias, activation, y},
                            reinterpret_cast<T*>(scratch.data() + weight_at[p]), packed_bias});
    }

    std::vector<std::atomic<bool>> finite(parts.size());
    for (auto& flag : finite) flag = true;
    int64_t pack_tasks = 0;
    for (const Product<T>& product : products) {
        if (product.plan.packed_first) pack_tasks = std::max(pack_tasks, product.pack_tasks());
    }
    parallel_for(pack_tasks * int64_t(parts.size()), team, [&](int64_t task, int) {
        const size_t p = size_t(task / pack_tasks);
        const int64_t index = task % pack_tasks;
        if (!plans[p].packed_first || index >= products[p].pack_tasks()) return;
        if (!products[p].pack(index)) finite[p] = false;
    });

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const auto next = std::upper_bound(
            plans.begin(), plans.end(), task,
            [](int64_t index, const Schedule& plan) { return index < plan.first_task; });
        const size_t p = size_t(next - plans.begin()) - 1;
        const Schedule& plan = plans[p];
        if (plan.exact) return;
        const Share share = share_of(plan, products[p].panel_count(), task - plan.first_task);
        char* own = scratch.data() + workspaces_at + size_t(thread) * workspace.bytes;
        if (!products[p].run(share, own, workspace)) finite[p] = false;
    });

    for (size_t p = 0; p < parts.size(); ++p) {
        if (plans[p].exact || (!finite[p] && has_border(parts[p]))) {
            correlate_exactly(parts[p], x, weight, bias, activation, y);
        }
    }
}

template void correlate(const std::vector<Correlation>&, const OutputGradient<float>&, const float*,
                        const float*, Activation, float*);
template void correlate(const std::vector<Correlation>&, const OutputGradient<double>&,
                        const double*, const double*, Activation, double*);

}  // namespace rot180
