// Sums over windows that slide along the axes of images: averages, interpolation, their gradients.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"
#include "parallel.h"

namespace rot180 {

// For each output along an axis the pixels it is made of. Neither the first nor the last of them
// may go back from one output to the next.
using Windows = std::vector<Span>;

// For each of `size` pixels the outputs whose windows cover it; `at` is that of the first of these
// plus the pixel's place in its window.
Windows transposed(const Windows& windows, int64_t size);

// A linear map along an axis: y[o] = sum over s of weights[at + s] * x[first + s], with first and
// at of windows[o].
template <class T>
struct Resampling {
    Windows windows;
    std::vector<T> weights;
};

template <class T>
Resampling<T> transposed(const Resampling<T>& map, int64_t size);

struct Images {
    int64_t batch, height, width, channels;
};

// y of one map along the rows and another along the columns of x.
template <class T>
void resample(const Images& x_shape, const Resampling<T>& rows, const Resampling<T>& columns,
              const T* x, T* y);

// y = the sum of x over the window / the cells that count, `at` of its rows times `at` of its
// columns.
template <class T>
void mean_over_windows(const Images& x_shape, const Windows& rows, const Windows& columns,
                       const T* x, T* y);

// dx = the sum of dy / cells over the windows that cover the pixel.
template <class T>
void mean_over_windows_grad(const Images& x_shape, const Windows& rows, const Windows& columns,
                            const T* dy, T* dx);

// body(image, row) for every row of every image, in tasks of several rows where they are short.
template <class Body>
void parallel_rows(int64_t batch, int64_t rows, int64_t row_elements, double operations,
                   const Body& body) {
    const int64_t all = batch * rows;
    const int64_t task_rows =
        row_elements < elements_per_task ? elements_per_task / row_elements : 1;
    const int64_t tasks = divide_up(all, task_rows);
    parallel_for(tasks, team_size(tasks, operations), [&](int64_t task, int) {
        const int64_t first = task * task_rows;
        const int64_t last = all - first < task_rows ? all : first + task_rows;
        for (int64_t row = first; row < last; ++row) body(row / rows, row % rows);
    });
}

}  // namespace rot180
