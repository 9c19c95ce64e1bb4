#include "planes.h"

#include <algorithm>

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
    int64_t block_rows, blocks;  // of one image
    int64_t pitch, plane_rows, plane_size, plane_count;
    int64_t phases;

    PlaneGrid(const Correlation& part, int64_t width) {
        const int64_t columns = (part.tap_columns - 1) * part.dilation_w + 1;
        pitch = part.out_columns - 1 + divide_up(columns, part.stride_w);
        const int64_t fitting = std::max<int64_t>(1, block_pixels / pitch);
        const int64_t fair = divide_up(part.out_rows * part.batch, plenty_of_tasks);
        blocks = divide_up(part.out_rows, std::min({fitting, fair, part.out_rows}));
        block_rows = divide_up(part.out_rows, blocks);
        blocks = divide_up(part.out_rows, block_rows);
        const int64_t rows = (part.tap_rows - 1) * part.dilation_h + 1;
        plane_rows = block_rows - 1 + divide_up(rows, part.stride_h);
        // A last vector may reach beyond the last row.
        plane_size = plane_rows * pitch + width;
        phases = part.stride_h * part.stride_w;
        plane_count = phases * part.channels;
    }

    int64_t x_size() const { return plane_count * plane_size; }
    int64_t y_stride(int64_t width) const { return multiple_of(width, block_rows * pitch); }

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

double operations(const Correlation& part) {
    return double(part.batch) * double(part.out_rows) * double(part.out_columns) *
           double(part.tap_rows * part.tap_columns * part.channels) * double(part.group_out) / 8;
}

}  // namespace

template <class T>
bool planes_pay(const Correlation& part) {
    const int64_t width = kernels<T>().width;
    if (part.groups > 1 || part.channels > most_channels || part.group_out >= width ||
        part.y_column_stride != part.group_out || part.out_columns > block_pixels ||
        std::max(part.stride_h, part.stride_w) > most_stride ||
        part.dilation_h > block_pixels / part.tap_rows ||
        part.dilation_w > block_pixels / part.tap_columns) {
        return false;
    }
    // For each output pixel: multiply-adds of whole vectors, and values moved from and to planes.
    const PlaneGrid grid(part, width);
    const double lines = double(part.tap_rows * part.tap_columns * part.channels);
    const double computed = double(grid.pitch) / double(part.out_columns);
    const double by_planes = lines * double(part.group_out) / double(width) * computed +
                             double(part.group_out) +
                             double(grid.plane_count * grid.plane_rows) / double(grid.block_rows);
    // A panel of one vector has as many loads as multiply-adds, and a run is a loop of its own.
    const double by_channels = 1.3 * lines + double(part.tap_rows);
    return by_planes < by_channels;
}

template <class T>
bool correlate_by_planes(const Correlation& part, const OutputGradient<T>& x, const T* weight,
                         const T* bias, Activation activation, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const PlaneGrid grid(part, kernels.width);
    const int64_t taps = part.tap_rows * part.tap_columns * part.channels;
    const int64_t filters = part.group_out, y_stride = grid.y_stride(kernels.width);
    const int64_t tasks = part.batch * grid.blocks;
    const int team = team_size(tasks, operations(part));

    ScratchPlan memory;
    const size_t weight_at = memory.add(taps * filters, sizeof(T));
    const size_t taps_at = memory.add(taps, sizeof(int64_t));
    ScratchPlan own;
    const size_t x_at = own.add(grid.x_size() + y_stride, sizeof(T));
    const size_t y_at = own.add(filters * y_stride, sizeof(T));
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
        planes.taps = taps;
        planes.filters = filters;
        planes.weight = packed;
        planes.bias = bias;
        planes.activation = in_kernel(activation);
        planes.y = outputs;
        planes.y_stride = y_stride;
        planes.pixels = multiple_of(kernels.width, (rows - 1) * grid.pitch + part.out_columns);
        kernels.correlate_planes(planes);
        for (int64_t i = 0; i < rows; ++i) {
            T* row =
                y + part.y_offset + image * part.y_image_stride + (first + i) * part.y_row_stride;
            kernels.from_planes({outputs + i * grid.pitch, y_stride, filters, part.out_columns},
                                row);
            after_kernel(kernels, activation, part.out_columns, filters, filters, row);
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
    const int64_t taps = part.tap_rows * part.tap_columns * part.channels;
    const int64_t filters = part.group_out, dy_stride = grid.y_stride(kernels.width);
    const int64_t row_size = part.out_columns * filters;
    // The bias gradient is the weight's gradient of a tap that sees ones.
    const int64_t all_taps = taps + (dbias ? 1 : 0);
    // Each slot sums its blocks in order; the slots are added in order at the end.
    const int64_t blocks = part.batch * grid.blocks, slots = std::min(blocks, plenty_of_tasks);
    const int64_t slot_size = all_taps * filters * kernels.width;
    const int team = team_size(slots, operations(part));

    ScratchPlan memory;
    const size_t taps_at = memory.add(all_taps, sizeof(int64_t));
    const size_t sums_at = memory.add(slots * slot_size, sizeof(T));
    ScratchPlan own;
    const size_t x_at = own.add(grid.x_size() + dy_stride, sizeof(T));
    const size_t dy_at = own.add(filters * dy_stride, sizeof(T));
    const size_t row_at = own.add(row_size, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    int64_t* tap_at = reinterpret_cast<int64_t*>(scratch.data() + taps_at);
    T* sums = reinterpret_cast<T*>(scratch.data() + sums_at);
    grid.locate_taps(part, tap_at);
    if (dbias) tap_at[taps] = grid.x_size();
    std::fill_n(sums, slots * slot_size, T(0));

    parallel_for(slots, team, [&](int64_t slot, int thread) {
        char* mine = scratch.data() + own_at + size_t(thread) * own.bytes();
        T* inputs = reinterpret_cast<T*>(mine + x_at);
        T* deltas = reinterpret_cast<T*>(mine + dy_at);
        T* row_copy = reinterpret_cast<T*>(mine + row_at);
        std::fill_n(inputs + grid.x_size(), dy_stride, T(1));
        for (int64_t block = slot * blocks / slots; block < (slot + 1) * blocks / slots; ++block) {
            const int64_t image = block / grid.blocks,
                          first = block % grid.blocks * grid.block_rows;
            const int64_t rows = std::min(grid.block_rows, part.out_rows - first);
            grid.read<T>(kernels, part, {x}, image, first, rows, row_copy, inputs);
            std::fill_n(deltas, filters * dy_stride, T(0));
            for (int64_t i = 0; i < rows; ++i) {
                const int64_t at = (image * part.out_rows + first + i) * row_size;
                const T* row = row_of(kernels, dy, at, row_size, row_copy);
                kernels.to_planes(row, filters,
                                  {deltas + i * grid.pitch, dy_stride, filters, part.out_columns});
            }
            PlanesGrad<T> planes = {};
            planes.x = inputs;
            planes.tap_at = tap_at;
            planes.taps = all_taps;
            planes.filters = filters;
            planes.dy = deltas;
            planes.dy_stride = dy_stride;
            planes.pixels = multiple_of(kernels.width, rows * grid.pitch);
            planes.sums = sums + slot * slot_size;
            kernels.planes_grad_weight(planes);
        }
    });

    kernels.add_rows(sums + slot_size, slots - 1, slot_size, slot_size, sums);
    T zeros = 0;
    for (int64_t i = 0; i < all_taps * filters; ++i) {
        T sum = 0;
        for (int lane = 0; lane < kernels.width; ++lane) sum += sums[i * kernels.width + lane];
        (i < taps * filters ? dweight[i] : dbias[i - taps * filters]) = sum;
        zeros += T(0) * sum;
    }
    return zeros == T(0);
}

template bool planes_pay<float>(const Correlation&);
template bool planes_pay<double>(const Correlation&);
template bool correlate_by_planes(const Correlation&, const OutputGradient<float>&, const float*,
                                  const float*, Activation, float*);
template bool correlate_by_planes(const Correlation&, const OutputGradient<double>&, const double*,
                                  const double*, Activation, double*);
template bool grad_weight_by_planes(const Conv2dShape&, const float*, const OutputGradient<float>&,
                                    float*, float*);
template bool grad_weight_by_planes(const Conv2dShape&, const double*,
                                    const OutputGradient<double>&, double*, double*);

}  // namespace rot180
