#include "sum_of_windows.h"

#include <algorithm>
#include <cmath>

#include "correlation.h"
#include "epilogue.h"
#include "instruction_set.h"
#include "pack_panel.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"

namespace rot180 {
namespace {

// Windows made together, which stay in a first-level cache until they are added.
constexpr int64_t windows_bytes = 24 * 1024;
// A task is one image, which stays in a second-level cache: fewer would leave threads idle.
constexpr int64_t fewest_images = 8;
constexpr double largest_image_bytes = 1024 * 1024;
// What it costs to add a vector of a window, and to sum the lanes of one, in multiply-adds.
constexpr double added_vector = 3, final_sum = 18;

int64_t window_size(const Conv2dShape& shape) {
    return shape.kernel_height * shape.kernel_width * shape.in_channels;
}

// The weights as those of a pointwise convolution from K channels to a window's R * S * C.
Correlation pointwise(const Conv2dShape& shape) {
    Correlation part = {};
    part.run = shape.out_channels;
    part.tap_rows = part.tap_columns = 1;
    part.weight_in_stride = 1;
    part.weight_out_stride = shape.out_channels;
    return part;
}

// The windows of whole rows of dy, side by side, and the image that they are added to: all that any
// window covers, at least all of dx.
struct Sizes {
    int64_t rows_together, pixels;
    int64_t height, width, row;  // of the image; elements of a row

    Sizes(const Conv2dShape& shape, int64_t element) {
        const int64_t row_bytes = shape.out_width * window_size(shape) * element;
        rows_together = std::clamp<int64_t>(windows_bytes / row_bytes, 1, shape.out_height);
        pixels = rows_together * shape.out_width;
        height = std::max((shape.out_height - 1) * shape.stride_h +
                              (shape.kernel_height - 1) * shape.dilation_h + 1,
                          shape.pad_top + shape.height);
        width = std::max((shape.out_width - 1) * shape.stride_w + shape.kernel_width,
                         shape.pad_left + shape.width);
        row = width * shape.in_channels;
    }
};

// What one thread needs.
template <class T>
struct Workspace {
    T *dy, *windows, *image;
    int64_t *x_at, *y_at;
};

template <class T>
struct Sum {
    const Kernels<T>& kernels;
    const Conv2dShape& shape;
    const Sizes& sizes;
    const Panels& panels;
    OutputGradient<T> dy;
    const T* weight;  // packed
    const T* bias;
    const T* zeros;  // as many as a panel has lanes
    Activation activation;
    T* dx;

    void run(int64_t image, const Workspace<T>& own) const {
        fill(own.image);
        for (int64_t i = 0; i < shape.out_height; i += sizes.rows_together) {
            const int64_t rows = std::min(sizes.rows_together, shape.out_height - i);
            multiply(gradient(image, i, rows, own.dy), rows * shape.out_width, own);
            for (int64_t row = 0; row < rows; ++row) add(i + row, row, own);
        }
        write(image, own.image);
    }

 private:
    void fill(T* image) const {
        if (!bias) {
            std::fill_n(image, sizes.height * sizes.row, T(0));
            return;
        }
        for (int64_t pixel = 0; pixel < sizes.height * sizes.width; ++pixel) {
            std::copy_n(bias, shape.in_channels, image + pixel * shape.in_channels);
        }
    }

    const T* gradient(int64_t image, int64_t i, int64_t rows, T* to) const {
        const int64_t row_size = shape.out_width * shape.out_channels;
        const int64_t at = (image * shape.out_height + i) * row_size;
        if (dy.activation == Activation::none) return dy.dy + at;
        kernels.activate_grad(dy.activation, rows * row_size, dy.dy + at, dy.y + at,
                              T(leaky_relu_slope), to);
        return to;
    }

    void multiply(const T* x, int64_t pixels, const Workspace<T>& own) const {
        CorrelateTiles<T> tiles = {};
        const Run run = {0, shape.out_channels};
        tiles.x = x;
        tiles.x_at = own.x_at;
        tiles.runs = &run;
        tiles.run_count = 1;
        tiles.bias = zeros;
        tiles.y_at = own.y_at;
        tiles.pixels = pixels;
        for (int64_t panel = 0; panel < panels.count(); ++panel) {
            tiles.weight = weight + panels.lanes_before(panel) * shape.out_channels;
            tiles.y = own.windows + panels.first_channel(panel);
            tiles.channels = panels.channels(panel);
            tiles.vectors = panels.vectors(panel);
            kernels.correlate_tiles(tiles);
        }
    }

    // Row i of dy, whose windows are row `row` of those made together.
    void add(int64_t i, int64_t row, const Workspace<T>& own) const {
        AddWindows<T> windows = {};
        windows.from = own.windows + row * shape.out_width * window_size(shape);
        windows.pixels = shape.out_width;
        windows.rows = shape.kernel_height;
        windows.length = shape.kernel_width * shape.in_channels;
        windows.to = own.image + i * shape.stride_h * sizes.row;
        windows.stride = shape.stride_w * shape.in_channels;
        windows.row_stride = shape.dilation_h * sizes.row;
        kernels.add_windows(windows);
    }

    void write(int64_t image, const T* from) const {
        const int64_t row_size = shape.width * shape.in_channels;
        T* to = dx + image * shape.height * row_size;
        from += shape.pad_top * sizes.row + shape.pad_left * shape.in_channels;
        for (int64_t h = 0; h < shape.height; ++h, from += sizes.row, to += row_size) {
            if (activation == Activation::none) {
                std::copy_n(from, row_size, to);
            } else {
                kernels.activate(activation, row_size, from, T(leaky_relu_slope), to);
            }
        }
    }
};

}  // namespace

template <class T>
bool sum_of_windows_pays(const Conv2dShape& shape) {
    if (shape.groups != 1 || shape.dilation_w != 1 || shape.batch < fewest_images) return false;
    const double channels = double(shape.in_channels), width = kernels<T>().width;
    const double image_rows = double(shape.height) + double(shape.pad_top) +
                              double(shape.kernel_height) * double(shape.dilation_h);
    const double image_columns =
        double(shape.width) + double(shape.pad_left) + double(shape.kernel_width);
    const double out = double(shape.out_height) * double(shape.out_width);
    const double window = double(window_size(shape));
    if (image_rows * image_columns * channels * sizeof(T) > largest_image_bytes ||
        double(shape.out_width) * window * sizeof(T) > largest_image_bytes ||
        double(shape.out_height - 1) * double(shape.stride_h) > image_rows ||
        double(shape.out_width - 1) * double(shape.stride_w) > image_columns) {
        return false;
    }
    const double filters = double(shape.out_channels);
    const double window_row = double(shape.kernel_width) * channels;
    const double added = double(shape.kernel_height) * std::ceil(window_row / width);
    const double summed = out * (filters * std::ceil(window / width) + added_vector * added);

    // A correlation runs its vectors over C, or over the reduction and then sums their lanes.
    const double pixels = double(shape.height) * double(shape.width);
    const double products =
        filters * window / channels / (double(shape.stride_h) * double(shape.stride_w));
    const double correlated = pixels * std::min(products * std::ceil(channels / width),
                                                channels * (products / width + final_sum));
    return 1.1 * summed < correlated;
}

template <class T>
void sum_of_windows(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                    const T* bias, Activation activation, T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Panels panels(kernels, 1, window_size(shape));
    const Sizes sizes(shape, sizeof(T));
    const double operations = double(shape.output_size()) * double(window_size(shape)) / 8;
    const int team = team_size(shape.batch, operations);

    ScratchPlan memory;
    const size_t weight_at = memory.add(panels.all_lanes() * shape.out_channels, sizeof(T));
    const size_t zeros_at = memory.add(panels.most_lanes(), sizeof(T));
    ScratchPlan own;
    const size_t dy_at = own.add(
        dy.activation == Activation::none ? 0 : sizes.pixels * shape.out_channels, sizeof(T));
    // The kernel reads and writes whole vectors.
    const size_t windows_at = own.add(sizes.pixels * window_size(shape) + kernels.width, sizeof(T));
    const size_t image_at = own.add(sizes.height * sizes.row + kernels.width, sizeof(T));
    const size_t x_at = own.add(sizes.pixels, sizeof(int64_t));
    const size_t y_at = own.add(sizes.pixels, sizeof(int64_t));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    const auto offsets = [&](size_t at) { return reinterpret_cast<int64_t*>(scratch.data() + at); };
    const auto workspace = [&](int thread) {
        const size_t mine = own_at + size_t(thread) * own.bytes();
        return Workspace<T>{array(mine + dy_at), array(mine + windows_at), array(mine + image_at),
                            offsets(mine + x_at), offsets(mine + y_at)};
    };

    T* packed = array(weight_at);
    parallel_for(panels.count(), team, [&](int64_t panel, int) {
        pack_panel(kernels, pointwise(shape), panels, weight, panel, 0, shape.out_channels,
                   packed + panels.lanes_before(panel) * shape.out_channels);
    });
    std::fill_n(array(zeros_at), panels.most_lanes(), T(0));
    for (int thread = 0; thread < team; ++thread) {
        const Workspace<T> mine = workspace(thread);
        for (int64_t p = 0; p < sizes.pixels; ++p) {
            mine.x_at[p] = p * shape.out_channels;
            mine.y_at[p] = p * window_size(shape);
        }
    }
    const Sum<T> sum = {kernels, shape, sizes,           panels,     dy,
                        packed,  bias,  array(zeros_at), activation, dx};
    parallel_for(shape.batch, team,
                 [&](int64_t image, int thread) { sum.run(image, workspace(thread)); });
}

#define INSTANTIATE(T)                                                                             \
    template bool sum_of_windows_pays<T>(const Conv2dShape&);                                      \
    template void sum_of_windows(const Conv2dShape&, const OutputGradient<T>&, const T*, const T*, \
                                 Activation, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
