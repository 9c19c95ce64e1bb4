#include "sum_of_windows.h"

#include <algorithm>
#include <cmath>

#include "instruction_set.h"
#include "panels.h"
#include "parallel.h"
#include "scratch.h"
#include "window.h"

namespace rot180 {
namespace {

// Rows of windows made together, which stay in a first-level cache until they are added.
constexpr int64_t windows_bytes = 24 * 1024;
// A task is one image or, of few images, a part of it: fewer tasks would leave threads idle.
constexpr int64_t fewest_tasks = 8;
// What a task keeps of dy times the derivative should stay in a second-level cache.
constexpr int64_t gradient_bytes = 128 * 1024;
constexpr double largest_row_bytes = 256 * 1024;
// What it costs to add a vector of a window's row, and to sum the lanes of one, in multiply-adds.
constexpr double added_vector = 3, final_sum = 18;

int64_t window_row(const Conv2dShape& shape) { return shape.kernel_width * shape.in_channels; }

// How the sum is cut. Rows of dx a stride high, a band, read the same rows of dy: with u the band's
// number, counted from the padding's edge, its row number a reads row u - t * dilation_h by row
// t * stride_h + a of the taps. So a band is computed together, its windows being (stride_h, S, C)
// and their weights (t, K, stride_h, S, C).
struct Plan {
    int64_t taps, window;          // values of t; size of a band's window
    int64_t first_band, end_band;  // that dx has rows of
    int64_t task_bands, tasks_per_image;
    int64_t bands_together, windows_together;  // of bands that the same taps reach
    int64_t row;                               // of all that windows cover of a row of dx
    int64_t dy_row, dy_rows;                   // and what a task meets of dy

    Plan(const Conv2dShape& shape, int64_t element)
        : taps(shape.kernel_height / shape.stride_h),
          window(shape.stride_h * window_row(shape)),
          first_band(shape.pad_top / shape.stride_h),
          end_band((shape.pad_top + shape.height - 1) / shape.stride_h + 1),
          row(shape.in_channels *
              std::max((shape.out_width - 1) * shape.stride_w + shape.kernel_width,
                       shape.pad_left + shape.width)),
          dy_row(shape.out_width * shape.out_channels) {
        const int64_t bands = end_band - first_band;
        const int64_t tasks = std::max(divide_up(fewest_tasks, shape.batch),
                                       shape.out_height * dy_row * element / gradient_bytes);
        task_bands = divide_up(bands, std::min(tasks, bands));
        tasks_per_image = divide_up(bands, task_bands);
        const int64_t band_bytes = shape.out_width * window * element;
        bands_together = std::clamp<int64_t>(windows_bytes / band_bytes, 1, task_bands);
        windows_together = bands_together * shape.out_width;
        dy_rows = std::min(shape.out_height, task_bands + (taps - 1) * shape.dilation_h);
    }

    int64_t lines(const Conv2dShape& shape) const { return taps * shape.out_channels; }
};

// What one thread needs.
template <class T>
struct Workspace {
    T *dy, *windows, *row;
};

template <class T>
struct Sum {
    const Kernels<T>& kernels;
    const Conv2dShape& shape;
    const Plan& plan;
    const Panels& panels;
    OutputGradient<T> dy;
    const T* weight;  // packed as (panel, line, lanes)
    const T* bias;
    const T* zeros;              // as many as a panel has lanes
    const Run* runs;             // of each tap, from where the first one reads
    const int64_t *x_at, *y_at;  // of the windows made together
    Activation activation;
    T* dx;

    // Bands [first, end) of one image.
    void run(int64_t image, int64_t first, int64_t end, const Workspace<T>& own) const {
        const Gradient gradient = read_dy(image, first, end, own.dy);
        for (int64_t u = first; u < end;) {
            const Reach reach = reach_of(u);
            int64_t bands = 1;
            while (bands < plan.bands_together && u + bands < end && reach_of(u + bands) == reach) {
                ++bands;
            }
            if (reach.count > 0) multiply(gradient, u, reach, bands, own.windows);
            for (int64_t band = 0; band < bands; ++band, ++u) {
                const T* windows = own.windows + band * shape.out_width * plan.window;
                for (int64_t a = 0; a < shape.stride_h; ++a) {
                    const int64_t h = u * shape.stride_h + a - shape.pad_top;
                    if (h < 0 || h >= shape.height) continue;
                    fill(own.row);
                    if (reach.count > 0) add(windows + a * window_row(shape), own.row);
                    write(own.row, image, h);
                }
            }
        }
    }

 private:
    // Rows of dy, times the derivative, from `first` on.
    struct Gradient {
        const T* data;
        int64_t first;
    };

    // Values [first, first + count) of t.
    struct Reach {
        int64_t first, count;
        bool operator==(const Reach& other) const {
            return first == other.first && count == other.count;
        }
    };

    Gradient read_dy(int64_t image, int64_t first, int64_t end, T* to) const {
        const int64_t at = image * shape.out_height * plan.dy_row;
        if (dy.activation == Activation::none) return {dy.dy + at, 0};
        const int64_t begin = std::max<int64_t>(0, first - (plan.taps - 1) * shape.dilation_h);
        const int64_t rows = std::min(end, shape.out_height) - begin;
        if (rows > 0) {
            read_values(kernels, dy, at + begin * plan.dy_row, rows * plan.dy_row, to);
        }
        return {to, begin};
    }

    // Where 0 <= u - t * dilation_h < OH.
    Reach reach_of(int64_t u) const {
        const int64_t beyond = std::max<int64_t>(0, u - shape.out_height + 1);
        const int64_t first = divide_up(beyond, shape.dilation_h);
        const int64_t end = std::min(plan.taps, u / shape.dilation_h + 1);
        return {first, std::max<int64_t>(0, end - first)};
    }

    // The windows of so many bands from u on.
    void multiply(const Gradient& gradient, int64_t u, const Reach& reach, int64_t bands,
                  T* windows) const {
        const int64_t row = u - reach.first * shape.dilation_h;
        CorrelateTiles<T> tiles = {};
        tiles.x = gradient.data + (row - gradient.first) * plan.dy_row;
        tiles.x_at = x_at;
        tiles.runs = runs;
        tiles.run_count = reach.count;
        tiles.bias = zeros;
        tiles.y_at = y_at;
        tiles.pixels = bands * shape.out_width;
        for (int64_t panel = 0; panel < panels.count(); ++panel) {
            tiles.weight = weight + panels.lanes_before(panel) * plan.lines(shape) +
                           reach.first * shape.out_channels * panels.lanes(panel);
            tiles.y = windows + panels.first_channel(panel);
            tiles.channels = panels.channels(panel);
            tiles.vectors = panels.vectors(panel);
            kernels.correlate_tiles(tiles);
        }
    }

    void fill(T* row) const {
        if (!bias) {
            std::fill_n(row, plan.row, T(0));
            return;
        }
        for (int64_t c = 0; c < plan.row; c += shape.in_channels) {
            std::copy_n(bias, shape.in_channels, row + c);
        }
    }

    void add(const T* windows, T* row) const {
        AddWindows<T> sum = {};
        sum.from = windows;
        sum.from_stride = plan.window;
        sum.pixels = shape.out_width;
        sum.length = window_row(shape);
        sum.to = row;
        sum.to_stride = shape.stride_w * shape.in_channels;
        kernels.add_windows(sum);
    }

    void write(const T* row, int64_t image, int64_t h) const {
        const int64_t size = shape.width * shape.in_channels;
        T* to = dx + (image * shape.height + h) * size;
        row += shape.pad_left * shape.in_channels;
        if (activation == Activation::none) {
            std::copy_n(row, size, to);
        } else {
            kernels.activate(activation, size, row, T(leaky_relu_slope), to);
        }
    }
};

// One panel of the weights of one t. Rows of taps follow one another in memory as in a window.
template <class T>
void pack(const Kernels<T>& kernels, const Conv2dShape& shape, const Plan& plan,
          const Panels& panels, const T* weight, int64_t panel, int64_t t, T* to) {
    const int64_t filters = shape.out_channels;
    PackLines<T> lines = {};
    lines.from = weight + (t * plan.window + panels.first_channel(panel)) * filters;
    lines.line_stride = 1;
    lines.channel_stride = filters;
    lines.lines = filters;
    lines.channels = panels.channels(panel);
    lines.lanes = panels.lanes(panel);
    lines.to = to + panels.lanes_before(panel) * plan.lines(shape) + t * filters * lines.lanes;
    kernels.pack_lines(lines);
}

}  // namespace

template <class T>
double sum_of_windows_steps(const Conv2dShape& shape) {
    const double width = kernels<T>().width, stride = double(shape.stride_h);
    const double row = double(window_row(shape));
    const double products = double(shape.output_size()) * double(shape.kernel_height) / stride *
                            std::ceil(stride * row / width);
    const double added = double(shape.batch) * double(shape.height) * double(shape.out_width) *
                         std::ceil(row / width);
    return products + added_vector * added;
}

template <class T>
bool sum_of_windows_pays(const Conv2dShape& shape) {
    if (shape.groups != 1 || shape.dilation_w != 1) return false;
    if (shape.dilation_h != 1 && shape.stride_h != 1) return false;
    // Else some rows of a band would lack a row of taps, and a zero in its place, times an infinite
    // dy, would be NaN.
    if (shape.kernel_height % shape.stride_h != 0) return false;
    const double channels = double(shape.in_channels), width = kernels<T>().width;
    const double columns = std::max(double(shape.width) + double(shape.pad_left),
                                    double(shape.out_width) * double(shape.stride_w)) +
                           double(shape.kernel_width);
    const double windows =
        double(shape.out_width) * double(shape.stride_h) * double(window_row(shape));
    if (std::max(columns * channels, windows) * sizeof(T) > largest_row_bytes) return false;

    // A correlation runs its vectors over C, or over the reduction and then sums their lanes.
    const double taps = double(shape.kernel_height) * double(shape.kernel_width);
    const double products =
        double(shape.out_channels) * taps / (double(shape.stride_h) * double(shape.stride_w));
    const double correlated =
        double(shape.input_size()) / channels *
        std::min(products * std::ceil(channels / width), channels * (products / width + final_sum));
    return 1.1 * sum_of_windows_steps<T>(shape) < correlated;
}

template <class T>
void sum_of_windows(const Conv2dShape& shape, const OutputGradient<T>& dy, const T* weight,
                    const T* bias, Activation activation, T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Plan plan(shape, sizeof(T));
    const Panels panels(kernels, 1, plan.window);
    const int64_t tasks = shape.batch * plan.tasks_per_image;
    const int team = team_size(tasks, sum_of_windows_steps<T>(shape));

    ScratchPlan memory;
    const size_t weight_at = memory.add(panels.all_lanes() * plan.lines(shape), sizeof(T));
    const size_t zeros_at = memory.add(panels.most_lanes(), sizeof(T));
    const size_t runs_at = memory.add(plan.taps, sizeof(Run));
    const size_t x_at = memory.add(plan.windows_together, sizeof(int64_t));
    const size_t y_at = memory.add(plan.windows_together, sizeof(int64_t));
    ScratchPlan own;
    const bool copied = dy.activation != Activation::none;
    const size_t dy_at = own.add(copied ? plan.dy_rows * plan.dy_row : 0, sizeof(T));
    // The kernel reads and writes whole vectors.
    const size_t windows_at =
        own.add(plan.windows_together * plan.window + kernels.width, sizeof(T));
    const size_t row_at = own.add(plan.row + kernels.width, sizeof(T));
    const size_t own_at = memory.add(team, own.bytes());
    const Scratch scratch(memory.bytes());
    const auto array = [&](size_t at) { return reinterpret_cast<T*>(scratch.data() + at); };
    const auto offsets = [&](size_t at) { return reinterpret_cast<int64_t*>(scratch.data() + at); };

    parallel_for(panels.count() * plan.taps, team, [&](int64_t task, int) {
        pack(kernels, shape, plan, panels, weight, task / plan.taps, task % plan.taps,
             array(weight_at));
    });
    std::fill_n(array(zeros_at), panels.most_lanes(), T(0));
    Run* runs = reinterpret_cast<Run*>(scratch.data() + runs_at);
    for (int64_t t = 0; t < plan.taps; ++t) {
        runs[t] = {-t * shape.dilation_h * plan.dy_row, shape.out_channels};
    }
    for (int64_t p = 0; p < plan.windows_together; ++p) {
        offsets(x_at)[p] = p * shape.out_channels;
        offsets(y_at)[p] = p * plan.window;
    }
    const Sum<T> sum = {kernels,
                        shape,
                        plan,
                        panels,
                        dy,
                        array(weight_at),
                        bias,
                        array(zeros_at),
                        runs,
                        offsets(x_at),
                        offsets(y_at),
                        activation,
                        dx};
    parallel_for(tasks, team, [&](int64_t task, int thread) {
        const size_t mine = own_at + size_t(thread) * own.bytes();
        const int64_t first = plan.first_band + task % plan.tasks_per_image * plan.task_bands;
        sum.run(task / plan.tasks_per_image, first,
                std::min(first + plan.task_bands, plan.end_band),
                {array(mine + dy_at), array(mine + windows_at), array(mine + row_at)});
    });
}

#define INSTANTIATE(T)                                                                             \
    template double sum_of_windows_steps<T>(const Conv2dShape&);                                   \
    template bool sum_of_windows_pays<T>(const Conv2dShape&);                                      \
    template void sum_of_windows(const Conv2dShape&, const OutputGradient<T>&, const T*, const T*, \
                                 Activation, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
