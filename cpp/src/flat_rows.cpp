#include "flat_rows.h"

#include <algorithm>
#include <numeric>

#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

// Shorter vectors are well filled by few channels, too.
constexpr int64_t narrowest_vector = 8;
// Outputs of a block of rows, about: with their window of x they should stay in a second-level
// cache.
constexpr int64_t block_outputs = 16 * 1024;
constexpr int64_t plenty_of_tasks = 16;
constexpr int64_t largest_slot = int64_t(1) << 15;  // elements of a gradient's partial sums

// How the rows of a correlation's outputs are cut into vectors, and where those find their x in a
// copy of a window with zeros around the image.
struct FlatPlan {
    int64_t width, channels;  // lanes of a vector, output channels
    int64_t taps;             // columns of them, of all input channels
    int64_t row_size, phases;
    int64_t step;                // in x, from one pixel's window to the next one's
    int64_t block_rows, blocks;  // of one image
    int64_t x_row_size;          // of the window

    FlatPlan(const Correlation& part, int64_t vector_width)
        : width(vector_width),
          channels(part.group_out),
          taps(part.tap_columns * part.channels),
          row_size(part.out_columns * part.group_out),
          phases(part.group_out / std::gcd(part.group_out, vector_width)),
          step(part.stride_w * part.channels) {
        const int64_t fitting = std::max<int64_t>(1, block_outputs / row_size);
        // The rows of taps that reach beyond a block are computed for nothing.
        const int64_t fair = std::max(divide_up(part.out_rows * part.batch, plenty_of_tasks),
                                      3 * (part.tap_rows - 1));
        blocks = divide_up(part.out_rows, std::min({fitting, fair, part.out_rows}));
        block_rows = divide_up(part.out_rows, blocks);
        blocks = divide_up(part.out_rows, block_rows);
        x_row_size = window_of(part, 0, 0, 1, part.out_columns).columns * part.channels;
    }

    // The place in its row that a phase's first vector begins with; of the last phase, the only
    // one.
    int64_t begin(int64_t phase) const { return phase < phases ? phase * width : row_size - width; }
    int64_t channel(int64_t phase, int64_t lane) const { return (begin(phase) + lane) % channels; }
    int64_t x_at(int64_t phase) const { return begin(phase) / channels * step; }
    // Where lane `lane` reads, from there on.
    int64_t index(int64_t phase, int64_t lane) const {
        return (begin(phase) + lane) / channels * step - x_at(phase);
    }
    bool has_last_phase() const { return row_size % width > 0; }
    // A vector's values of x lie so close together that one vector holds them.
    bool within_reach() const {
        for (int64_t phase = 0; phase <= phases; ++phase) {
            if (index(phase, width - 1) >= width) return false;
        }
        return true;
    }

    int64_t indices() const { return (phases + 1) * width; }
    // The weights as lanes, (phases + 1, taps, tap_rows, width), or their gradient.
    int64_t weights(const Correlation& part) const {
        return (phases + 1) * taps * part.tap_rows * width;
    }
    // The copied window of a block, and what the last vectors read, and do not use, beyond it.
    int64_t x_size(const Correlation& part) const {
        return window_of(part, 0, 0, block_rows, 1).rows * x_row_size + width;
    }

    // Fills the tables that the kernels read.
    void locate(const Correlation& part, int32_t* index_to, int64_t* x_at_to,
                int64_t* tap_at) const {
        for (int64_t phase = 0; phase <= phases; ++phase) {
            x_at_to[phase] = x_at(phase);
            for (int64_t lane = 0; lane < width; ++lane) *index_to++ = int32_t(index(phase, lane));
        }
        for (int64_t s = 0; s < part.tap_columns; ++s) {
            for (int64_t c = 0; c < part.channels; ++c) {
                *tap_at++ = s * part.dilation_w * part.channels + c;
            }
        }
    }
};

// Where those tables lie in scratch memory.
template <class T>
struct FlatTables {
    size_t index_at, x_at_at, taps_at;

    FlatTables(const FlatPlan& plan, ScratchPlan& memory)
        : index_at(memory.add(plan.indices(), sizeof(int32_t))),
          x_at_at(memory.add(plan.phases + 1, sizeof(int64_t))),
          taps_at(memory.add(plan.taps, sizeof(int64_t))) {}

    // What all blocks have in common.
    FlatRows<T> fill(const FlatPlan& plan, const Correlation& part, const Scratch& scratch) const {
        int32_t* index = reinterpret_cast<int32_t*>(scratch.data() + index_at);
        int64_t* x_at = reinterpret_cast<int64_t*>(scratch.data() + x_at_at);
        int64_t* taps = reinterpret_cast<int64_t*>(scratch.data() + taps_at);
        plan.locate(part, index, x_at, taps);
        FlatRows<T> rows = {};
        rows.row_size = plan.row_size;
        rows.x_row_stride = plan.x_row_size;
        rows.phases = plan.phases;
        rows.x_period = plan.phases * plan.width / plan.channels * plan.step;
        rows.x_at = x_at;
        rows.index = index;
        rows.tap_rows = part.tap_rows;
        rows.taps = plan.taps;
        rows.tap_at = taps;
        return rows;
    }
};

double operations(const Correlation& part, const FlatPlan& plan) {
    return double(part.batch) * double(part.out_rows) * double(plan.row_size) *
           double(plan.taps * part.tap_rows) / 8;
}

}  // namespace

template <class T>
bool flat_rows_pay(Pass pass, const Correlation& part) {
    const int64_t width = kernels<T>().width;
    if (width < narrowest_vector || part.groups > 1 || part.group_out >= width ||
        part.stride_h > 1 || part.dilation_h > 1 || part.tap_rows > most_flat_tap_rows ||
        part.y_column_stride != part.group_out ||
        window_too_large(window_of(part, 0, 0, part.out_rows, part.out_columns), part.channels)) {
        return false;
    }
    const FlatPlan plan(part, width);
    if (plan.row_size < width || plan.row_size > block_outputs || !plan.within_reach() ||
        plan.weights(part) > largest_slot) {
        return false;
    }
    // For each output pixel, in the time of a multiply-add from memory: here a permutation comes
    // with those of one column of taps.
    const double taps = double(plan.taps * part.tap_rows);
    const double vectors = double(divide_up(plan.row_size, width)) / double(part.out_columns);
    const double flat = vectors * (0.8 * taps + double(plan.taps) + 4);
    // A panel of one vector has as many loads as multiply-adds, and a run is a loop of its own.
    double others = 1.3 * taps + 3 * double(part.tap_rows) + 8;
    // Vectors along the reduction (few_is_faster in correlation.cpp) end with a sum of their lanes.
    const int64_t run = part.dilation_w == 1 ? part.tap_columns * part.channels : part.channels;
    if (pass == Pass::forward && run >= width) {
        const double steps = taps / double(run) * double(divide_up(run, width));
        others = std::min(others, double(plan.channels) * (steps + 12));
    }
    return flat < others;
}

template <class T>
bool correlate_flat_rows(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                         const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const FlatPlan plan(part, kernels.width);
    const int64_t tasks = part.batch * plan.blocks;
    const int team = team_size(tasks, operations(part, plan));

    ScratchPlan memory;
    const FlatTables<T> tables(plan, memory);
    const size_t weight_at = memory.add(plan.weights(part), sizeof(T));
    const size_t bias_at = memory.add(plan.indices(), sizeof(T));
    ScratchPlan own;
    own.add(plan.x_size(part), sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const FlatRows<T> shared = tables.fill(plan, part, scratch);

    // Weights and bias as the lanes of each phase.
    T* weights = reinterpret_cast<T*>(scratch.data() + weight_at);
    T* biases = reinterpret_cast<T*>(scratch.data() + bias_at);
    for (int64_t phase = 0; phase <= plan.phases; ++phase) {
        for (int64_t lane = 0; lane < plan.width; ++lane) {
            const int64_t k = plan.channel(phase, lane);
            biases[phase * plan.width + lane] = bias ? bias[k] : T(0);
            T* to = weights + phase * plan.taps * part.tap_rows * plan.width + lane;
            for (int64_t s = 0; s < part.tap_columns; ++s) {
                for (int64_t c = 0; c < part.channels; ++c) {
                    const T* tap = weight + part.weight_offset + s * part.weight_column_stride +
                                   c * part.weight_in_stride + k * part.weight_out_stride;
                    for (int64_t r = 0; r < part.tap_rows; ++r, to += plan.width) {
                        *to = tap[r * part.weight_row_stride];
                    }
                }
            }
        }
    }
    // The first vector has all filters.
    T zeros = 0;
    for (int64_t i = 0; i < plan.taps * part.tap_rows * plan.width; ++i) zeros += T(0) * weights[i];
    if (zeros != T(0)) return false;

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        T* window = reinterpret_cast<T*>(scratch.data() + own_at + size_t(thread) * own.bytes());
        const int64_t image = task / plan.blocks, first = task % plan.blocks * plan.block_rows;
        FlatRows<T> rows = shared;
        rows.rows = std::min(plan.block_rows, part.out_rows - first);
        rows.x = window;
        const Window from = window_of(part, first, 0, rows.rows, part.out_columns);
        copy_window(kernels, from, part.height, part.width, part.channels, x,
                    image * part.height * part.width * part.channels, window);
        FlatCorrelation<T> tile = {};
        tile.weight = weights;
        tile.bias = biases;
        tile.activation = in_kernel(activation);
        tile.y = y + part.y_offset + image * part.y_image_stride + first * part.y_row_stride;
        tile.y_row_stride = part.y_row_stride;
        kernels.correlate_flat_rows(rows, tile);
        after_kernel(kernels, activation, rows.rows, part.y_row_stride, part.out_columns,
                     plan.channels, plan.channels, tile.y);
    });
    return true;
}

template <class T>
bool grad_weight_by_flat_rows(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                              T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Correlation part = forward_correlation(shape);
    const FlatPlan plan(part, kernels.width);
    // Each slot sums its blocks in order, and the sums of dy's rows for the bias behind them; the
    // slots are added in order at the end.
    const int64_t blocks = part.batch * plan.blocks;
    const int64_t slots =
        std::min({blocks, plenty_of_tasks,
                  std::max<int64_t>(1, blocks * plan.block_rows * plan.row_size / block_outputs)});
    const int64_t slot_size = plan.weights(part) + plan.row_size;
    const int team = team_size(slots, operations(part, plan));

    ScratchPlan memory;
    const FlatTables<T> tables(plan, memory);
    const size_t sums_at = memory.add(slots * slot_size, sizeof(T));
    ScratchPlan own;
    const size_t x_at = own.add(plan.x_size(part), sizeof(T));
    const int64_t zero_rows = part.tap_rows - 1;  // before and behind dy
    const size_t dy_at = own.add((plan.block_rows + 2 * zero_rows) * plan.row_size, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const FlatRows<T> shared = tables.fill(plan, part, scratch);
    T* all_sums = reinterpret_cast<T*>(scratch.data() + sums_at);

    parallel_for(slots, team, [&](int64_t slot, int thread) {
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* window = reinterpret_cast<T*>(mine + x_at);
        T* deltas = reinterpret_cast<T*>(mine + dy_at);
        T* sums = all_sums + slot * slot_size;
        std::fill_n(sums, slot_size, T(0));
        for (int64_t block = slot * blocks / slots; block < (slot + 1) * blocks / slots; ++block) {
            const int64_t image = block / plan.blocks;
            const int64_t first = block % plan.blocks * plan.block_rows;
            FlatRows<T> rows = shared;
            rows.rows = std::min(plan.block_rows, part.out_rows - first);
            rows.x = window;
            const Window from = window_of(part, first, 0, rows.rows, part.out_columns);
            copy_window<T>(kernels, from, part.height, part.width, part.channels, {x},
                           image * part.height * part.width * part.channels, window);
            const int64_t at = (image * part.out_rows + first) * plan.row_size;
            T* inside = deltas + zero_rows * plan.row_size;
            std::fill(deltas, inside, T(0));
            read_values(kernels, dy, at, rows.rows * plan.row_size, inside);
            std::fill_n(inside + rows.rows * plan.row_size, zero_rows * plan.row_size, T(0));
            kernels.add_flat_gradient(rows, {deltas, sums});
            if (dbias) {
                kernels.add_rows(inside, rows.rows, plan.row_size, plan.row_size,
                                 sums + plan.weights(part));
            }
        }
    });

    kernels.add_rows(all_sums + slot_size, slots - 1, slot_size, slot_size, all_sums);
    const int64_t dweight_size = part.tap_rows * plan.taps * plan.channels;
    std::fill_n(dweight, dweight_size, T(0));
    for (int64_t phase = 0; phase < plan.phases + plan.has_last_phase(); ++phase) {
        const T* from = all_sums + phase * plan.taps * part.tap_rows * plan.width;
        // What a last vector shares with the one before is counted there.
        const int64_t shared_lanes =
            phase == plan.phases ? plan.width - plan.row_size % plan.width : 0;
        for (int64_t lane = shared_lanes; lane < plan.width; ++lane) {
            const T* sum = from + lane;
            T* filter = dweight + plan.channel(phase, lane);
            for (int64_t tap = 0; tap < plan.taps; ++tap) {
                for (int64_t r = 0; r < part.tap_rows; ++r, sum += plan.width) {
                    filter[(r * plan.taps + tap) * plan.channels] += *sum;
                }
            }
        }
    }
    T zeros = 0;
    for (int64_t i = 0; i < dweight_size; ++i) zeros += T(0) * dweight[i];
    if (zeros != T(0)) return false;
    if (dbias) {
        std::fill_n(dbias, plan.channels, T(0));
        const T* row = all_sums + plan.weights(part);
        for (int64_t pixel = 0; pixel < part.out_columns; ++pixel, row += plan.channels) {
            for (int64_t k = 0; k < plan.channels; ++k) dbias[k] += row[k];
        }
    }
    return true;
}

template bool flat_rows_pay<float>(Pass, const Correlation&);
template bool flat_rows_pay<double>(Pass, const Correlation&);
template bool correlate_flat_rows(const Correlation&, const OutputGradient<float>&, const float*,
                                  const float*, Activation, float*);
template bool correlate_flat_rows(const Correlation&, const OutputGradient<double>&, const double*,
                                  const double*, Activation, double*);
template bool grad_weight_by_flat_rows(const Conv2dShape&, const float*,
                                       const OutputGradient<float>&, float*, float*);
template bool grad_weight_by_flat_rows(const Conv2dShape&, const double*,
                                       const OutputGradient<double>&, double*, double*);

}  // namespace rot180
