#include <algorithm>
#include <atomic>

#include "depthwise.h"
#include "exact_grad_weight.h"
#include "few_pixels.h"
#include "flat_rows.h"
#include "grad_weight_schedule.h"
#include "grad_weight_sum.h"
#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "rot180/conv2d.h"
#include "scratch.h"
#include "window.h"
#include "winograd.h"

namespace rot180 {
namespace {

// Pixels of a pointwise sum from one request for what comes next to the following one.
constexpr int64_t shortest_row = 12, longest_row = 24;
constexpr int64_t lines_per_task = 128;

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
    const GradWeightSchedule plan = schedule(shape, tiles, panels, sizeof(T));
    const Window window = window_of(shape, 0, 0, plan.blocks.rows, plan.blocks.columns);
    if (window_too_large(window, plan.blocks.images * shape.in_channels)) {
        exact_grad_weight(shape, x, dy, dweight);
        if (dbias) exact_grad_bias(shape, dy, dbias);
        return;
    }

    const GradWeightSum<T> sum(kernels, shape, plan, panels, tiles, x, dy);
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
        const GradWeightShare share =
            share_of(plan, tiles, panel_count, slot, task % plan.ranges());
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
