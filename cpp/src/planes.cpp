#include "planes.h"

#include <algorithm>
#include <atomic>
#include <numeric>

#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

// Planes of more input channels cost more to make than they bring.
constexpr int64_t most_channels = 4, most_stride = 4;
// Pixels of a block of output rows, about: its planes should stay in a first-level cache.
constexpr int64_t block_pixels = 1024;
constexpr int64_t plenty_of_tasks = 16;
constexpr int64_t largest_slot = int64_t(1) << 20;  // elements of a weight gradient's partial sums
constexpr int64_t sums_per_task = 256;

int64_t multiple_of(int64_t unit, int64_t size) { return divide_up(size, unit) * unit; }

// Values [at, at + size), in place or, times the activation's derivative, in `copy`.
template <class T>
const T* row_of(const Kernels<T>& kernels, const OutputGradient<T>& values, int64_t at,
                int64_t size, T* copy) {
    if (values.activation == Activation::none) return values.dy + at;
    read_values(kernels, values, at, size, copy);
    return copy;
}

// The planes of a block of output rows. Their rows are as far apart as those of the outputs, so
// that a tap is one distance for all pixels: between the ends of two rows, outputs are computed
// that nobody wants. A stride of s makes s*s planes of a channel, of every s-th pixel.
struct PlaneGrid {
    int64_t width, taps, filters;
    int64_t block_rows, blocks;  // of one image
    int64_t pitch, plane_rows, plane_size, plane_count;
    int64_t phases;

    PlaneGrid(const Correlation& part, int64_t vector_width)
        : width(vector_width),
          taps(part.tap_rows * part.tap_columns * part.channels),
          filters(part.group_out) {
        const int64_t columns = (part.tap_columns - 1) * part.dilation_w + 1;
        pitch = part.out_columns - 1 + divide_up(columns, part.stride_w);
        const int64_t fitting = std::max<int64_t>(1, block_pixels / pitch);
        const int64_t fair = divide_up(part.out_rows * part.batch, plenty_of_tasks);
        blocks = divide_up(part.out_rows, std::min({fitting, fair, part.out_rows}));
        block_rows = divide_up(part.out_rows, blocks);
        blocks = divide_up(part.out_rows, block_rows);
        const int64_t rows = (part.tap_rows - 1) * part.dilation_h + 1;
        plane_rows = block_rows - 1 + divide_up(rows, part.stride_h);
        plane_size = plane_rows * pitch + width;  // the last vector reaches beyond the last pixel
        phases = part.stride_h * part.stride_w;
        plane_count = phases * part.channels;
    }

    int64_t x_size() const { return plane_count * plane_size; }
    int64_t y_stride() const { return multiple_of(width, block_rows * pitch); }
    // From the first output of so many rows to the last, in whole vectors.
    int64_t pixels(const Correlation& part, int64_t rows) const {
        return multiple_of(width, (rows - 1) * pitch + part.out_columns);
    }

    // Where a tap's plane and pixel are, in the order of the weights.
    void locate_taps(const Correlation& part, int64_t* tap_at) const {
        for (int64_t r = 0; r < part.tap_rows; ++r) {
            for (int64_t s = 0; s < part.tap_columns; ++s) {
                const int64_t down = r * part.dilation_h, right = s * part.dilation_w;
                const int64_t phase = down % part.stride_h * part.stride_w + right % part.stride_w;
                for (int64_t c = 0; c < part.channels; ++c) {
                    *tap_at++ = (c * phases + phase) * plane_size + down / part.stride_h * pitch +
                                right / part.stride_w;
                }
            }
        }
    }

    // The window of output rows [i, i + rows) of an image, with zeros around it.
    template <class T>
    void read(const Kernels<T>& kernels, const Correlation& part, const OutputGradient<T>& x,
              int64_t image, int64_t i, int64_t rows, T* row_copy, T* to) const {
        std::fill(to, to + x_size(), T(0));
        const Window window = window_of(part, i, 0, rows, part.out_columns);
        const int64_t row_size = part.width * part.channels;
        for (int64_t u = 0; u < window.rows; ++u) {
            const int64_t h = window.top + u;
            if (h < 0 || h >= part.height) continue;
            const int64_t at = (image * part.height + h) * row_size;
            const T* row = row_of(kernels, x, at, row_size, row_copy);
            for (int64_t b = 0; b < part.stride_w; ++b) {
                const int64_t left = window.left + b;
                const int64_t first = left < 0 ? divide_up(-left, part.stride_w) : 0;
                const int64_t last =
                    left < part.width ? std::min(pitch, divide_up(part.width - left, part.stride_w))
                                      : 0;
                if (first >= last) continue;
                const int64_t plane = u % part.stride_h * part.stride_w + b;
                kernels.to_planes(row + (left + first * part.stride_w) * part.channels,
                                  part.stride_w * part.channels,
                                  {to + plane * plane_size + u / part.stride_h * pitch + first,
                                   phases * plane_size, part.channels, last - first});
            }
        }
    }
};

// Weights as (taps, filters); says whether all are finite.
template <class T>
bool pack_taps(const Correlation& part, const T* weight, T* to) {
    T zeros = 0;
    for (int64_t r = 0; r < part.tap_rows; ++r) {
        for (int64_t s = 0; s < part.tap_columns; ++s) {
            const T* tap = weight + part.weight_offset + r * part.weight_row_stride +
                           s * part.weight_column_stride;
            for (int64_t c = 0; c < part.channels; ++c) {
                for (int64_t k = 0; k < part.group_out; ++k) {
                    *to = tap[c * part.weight_in_stride + k * part.weight_out_stride];
                    zeros += T(0) * *to++;
                }
            }
        }
    }
    return zeros == T(0);
}

double operations(const Correlation& part, const PlaneGrid& grid) {
    return double(part.batch) * double(part.out_rows) * double(part.out_columns) *
           double(grid.taps) * double(grid.filters) / 8;
}

// The slots of a weight gradient: with fewer pixels for each, to add them up costs more than they
// bring.
int64_t slot_count(const Correlation& part, const PlaneGrid& grid) {
    const int64_t blocks = part.batch * grid.blocks;
    const int64_t pixels = blocks * grid.block_rows * grid.pitch;
    return std::min({blocks, plenty_of_tasks, std::max<int64_t>(1, pixels / block_pixels)});
}

}  // namespace

template <class T>
bool planes_pay(Pass pass, const Correlation& part) {
    const int64_t width = kernels<T>().width;
    if (part.groups > 1 || part.channels > most_channels || part.group_out >= width ||
        part.y_column_stride != part.group_out || part.out_columns > block_pixels ||
        std::max(part.stride_h, part.stride_w) > most_stride ||
        part.dilation_h > block_pixels / part.tap_rows ||
        part.dilation_w > block_pixels / part.tap_columns) {
        return false;
    }
    const PlaneGrid grid(part, width);
    if (grid.taps * grid.filters * width > largest_slot) return false;
    // For each output pixel: multiply-adds of whole vectors, and values moved from and to planes.
    const double lines = double(grid.taps), filters = double(grid.filters);
    const double computed = double(grid.pitch) / double(part.out_columns);
    const double moved = double(grid.plane_count * grid.plane_rows) / double(grid.block_rows);
    const double by_planes = computed * (lines * filters / double(width) + moved) + filters;
    // A panel of one vector has as many loads as multiply-adds, and a run is a loop of its own.
    double by_others = 1.3 * lines + double(part.tap_rows);
    // Vectors along the reduction (few_is_faster in correlation.cpp) end with a sum of their lanes.
    const int64_t run = part.dilation_w == 1 ? part.tap_columns * part.channels : part.channels;
    if (pass == Pass::forward && run >= width) {
        const double steps = lines / double(run) * double(divide_up(run, width));
        by_others = std::min(by_others, filters * (steps + 12));
    }
    return by_planes < by_others;
}

template <class T>
bool correlate_by_planes(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                         const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const PlaneGrid grid(part, kernels.width);
    const int64_t tasks = part.batch * grid.blocks;
    const int team = team_size(tasks, operations(part, grid));

    ScratchPlan memory;
    const size_t weight_at = memory.add(grid.taps * grid.filters, sizeof(T));
    const size_t taps_at = memory.add(grid.taps, sizeof(int64_t));
    ScratchPlan own;
    const size_t x_at = own.add(grid.x_size(), sizeof(T));
    const size_t y_at = own.add(grid.filters * grid.y_stride(), sizeof(T));
    const size_t row_at =
        own.add(x.activation == Activation::none ? 0 : part.width * part.channels, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    T* packed = reinterpret_cast<T*>(scratch.data() + weight_at);
    int64_t* tap_at = reinterpret_cast<int64_t*>(scratch.data() + taps_at);
    if (!pack_taps(part, weight, packed)) return false;
    grid.locate_taps(part, tap_at);

    parallel_for(tasks, team, [&](int64_t task, int thread) {
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* inputs = reinterpret_cast<T*>(mine + x_at);
        T* outputs = reinterpret_cast<T*>(mine + y_at);
        const int64_t image = task / grid.blocks, first = task % grid.blocks * grid.block_rows;
        const int64_t rows = std::min(grid.block_rows, part.out_rows - first);
        grid.read(kernels, part, x, image, first, rows, reinterpret_cast<T*>(mine + row_at),
                  inputs);
        CorrelatePlanes<T> planes = {};
        planes.x = inputs;
        planes.tap_at = tap_at;
        planes.taps = grid.taps;
        planes.filters = grid.filters;
        planes.weight = packed;
        planes.bias = bias;
        planes.activation = in_kernel(activation);
        planes.y = outputs;
        planes.y_stride = grid.y_stride();
        planes.pixels = grid.pixels(part, rows);
        kernels.correlate_planes(planes);
        for (int64_t i = 0; i < rows; ++i) {
            T* row =
                y + part.y_offset + image * part.y_image_stride + (first + i) * part.y_row_stride;
            kernels.from_planes(
                {outputs + i * grid.pitch, grid.y_stride(), grid.filters, part.out_columns}, row);
            after_kernel(kernels, activation, part.out_columns, grid.filters, grid.filters, row);
        }
    });
    return true;
}

template <class T>
bool grad_weight_by_planes(const Conv2dShape& shape, const T* x, const OutputGradient<T>& dy,
                           T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Correlation part = forward_correlation(shape);
    const PlaneGrid grid(part, kernels.width);
    const int64_t filters = grid.filters, dy_stride = grid.y_stride();
    const int64_t row_size = part.out_columns * filters;
    // The bias gradient is the weight's gradient of a tap that sees ones.
    const int64_t taps = grid.taps + (dbias ? 1 : 0), sums_of_slot = taps * filters;
    // Each slot sums its blocks in order; the slots are added in order at the end.
    const int64_t blocks = part.batch * grid.blocks, slots = slot_count(part, grid);
    const int64_t slot_size = sums_of_slot * kernels.width;
    const int team = team_size(slots, operations(part, grid));

    ScratchPlan memory;
    const size_t taps_at = memory.add(taps, sizeof(int64_t));
    const size_t sums_at = memory.add(slots * slot_size, sizeof(T));
    ScratchPlan own;
    const size_t x_at = own.add(grid.x_size() + dy_stride, sizeof(T));  // and the ones
    const size_t dy_at = own.add(filters * dy_stride, sizeof(T));
    const size_t row_at = own.add(row_size, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    int64_t* tap_at = reinterpret_cast<int64_t*>(scratch.data() + taps_at);
    T* sums = reinterpret_cast<T*>(scratch.data() + sums_at);
    grid.locate_taps(part, tap_at);
    if (dbias) tap_at[grid.taps] = grid.x_size();

    parallel_for(slots, team, [&](int64_t slot, int thread) {
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* inputs = reinterpret_cast<T*>(mine + x_at);
        T* deltas = reinterpret_cast<T*>(mine + dy_at);
        T* row_copy = reinterpret_cast<T*>(mine + row_at);
        std::fill_n(inputs + grid.x_size(), dy_stride, T(1));
        std::fill_n(sums + slot * slot_size, slot_size, T(0));
        for (int64_t block = slot * blocks / slots; block < (slot + 1) * blocks / slots; ++block) {
            const int64_t image = block / grid.blocks;
            const int64_t first = block % grid.blocks * grid.block_rows;
            const int64_t rows = std::min(grid.block_rows, part.out_rows - first);
            grid.read<T>(kernels, part, {x}, image, first, rows, row_copy, inputs);
            std::fill_n(deltas, filters * dy_stride, T(0));
            for (int64_t i = 0; i < rows; ++i) {
                const int64_t at = (image * part.out_rows + first + i) * row_size;
                kernels.to_planes(row_of(kernels, dy, at, row_size, row_copy), filters,
                                  {deltas + i * grid.pitch, dy_stride, filters, part.out_columns});
            }
            PlanesGrad<T> planes = {};
            planes.x = inputs;
            planes.tap_at = tap_at;
            planes.taps = taps;
            planes.filters = filters;
            planes.dy = deltas;
            planes.dy_stride = dy_stride;
            planes.pixels = grid.pixels(part, rows);
            planes.sums = sums + slot * slot_size;
            kernels.planes_grad_weight(planes);
        }
    });

    std::atomic<bool> finite{true};
    const int64_t pieces = divide_up(sums_of_slot, sums_per_task);
    parallel_for(pieces, pieces > 1 ? team : 1, [&](int64_t piece, int) {
        const int64_t first = piece * sums_per_task;
        const int64_t last = std::min(sums_of_slot, first + sums_per_task);
        T* lanes = sums + first * kernels.width;
        const int64_t size = (last - first) * kernels.width;
        kernels.add_rows(lanes + slot_size, slots - 1, slot_size, size, lanes);
        T zeros = 0;
        for (int64_t i = first; i < last; ++i, lanes += kernels.width) {
            const T sum = std::accumulate(lanes, lanes + kernels.width, T(0));
            (i < grid.taps * filters ? dweight[i] : dbias[i - grid.taps * filters]) = sum;
            zeros += T(0) * sum;
        }
        if (zeros != T(0)) finite = false;
    });
    return finite;
}

template bool planes_pay<float>(Pass, const Correlation&);
template bool planes_pay<double>(Pass, const Correlation&);
template bool correlate_by_planes(const Correlation&, const OutputGradient<float>&, const float*,
                                  const float*, Activation, float*);
template bool correlate_by_planes(const Correlation&, const OutputGradient<double>&, const double*,
                                  const double*, Activation, double*);
template bool grad_weight_by_planes(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                    float*, float*);
template bool grad_weight_by_planes(const Conv2dShape&, const double*,
                                    const OutputGradient<double>&, double*, double*);

}  // namespace rot180
