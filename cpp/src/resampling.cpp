#include "resampling.h"

#include <algorithm>

#include "instruction_set.h"

namespace rot180 {
namespace {

constexpr int64_t plenty_of_tasks = 32;

double covered(const Windows& windows) {
    double count = 0;
    for (const Span& window : windows) count += window.count;
    return count;
}

// The transpose of a mean along one axis.
template <class T>
Resampling<T> shares(const Windows& windows, int64_t size) {
    Resampling<T> result = {transposed(windows, size), {}};
    for (Span& span : result.windows) span.at = span.first;
    for (const Span& window : windows) result.weights.push_back(T(1) / T(window.at));
    return result;
}

// The rows that are made otherwise than the one before, and the number of rows at the end: averages
// hand the same on to all rows of a window, and nearest neighbours are the same ones for several.
// No more than `most` rows go together, so that there are tasks enough.
template <class T>
std::vector<int64_t> first_of_equal(const Resampling<T>& rows, int64_t most) {
    std::vector<int64_t> first;
    const int64_t count = int64_t(rows.windows.size());
    for (int64_t i = 0; i < count; ++i) {
        const Span& now = rows.windows[i];
        const auto weights = rows.weights.begin();
        const bool equal = i > 0 && i - first.back() < most &&
                           now.first == rows.windows[i - 1].first &&
                           now.count == rows.windows[i - 1].count &&
                           std::equal(weights + now.at, weights + now.at + now.count,
                                      weights + rows.windows[i - 1].at);
        if (!equal) first.push_back(i);
    }
    first.push_back(count);
    return first;
}

}  // namespace

Windows transposed(const Windows& windows, int64_t size) {
    Windows covering(static_cast<size_t>(size));
    const int64_t outputs = int64_t(windows.size());
    int64_t first = 0, last = 0;
    for (int64_t pixel = 0; pixel < size; ++pixel) {
        while (first < outputs && windows[first].first + int64_t(windows[first].count) <= pixel) {
            ++first;
        }
        while (last < outputs && windows[last].first <= pixel) ++last;
        Span& span = covering[pixel];
        span.first = int32_t(first);
        span.count = int32_t(last > first ? last - first : 0);
        if (span.count) span.at = windows[first].at + pixel - windows[first].first;
    }
    return covering;
}

template <class T>
Resampling<T> transposed(const Resampling<T>& map, int64_t size) {
    Resampling<T> result = {transposed(map.windows, size), {}};
    result.weights.reserve(map.weights.size());
    for (int64_t pixel = 0; pixel < size; ++pixel) {
        Span& span = result.windows[pixel];
        span.at = int64_t(result.weights.size());
        for (int32_t i = 0; i < span.count; ++i) {
            const Span& window = map.windows[span.first + i];
            result.weights.push_back(map.weights[window.at + pixel - window.first]);
        }
    }
    return result;
}

template <class T>
void resample(const Images& x_shape, const Resampling<T>& rows, const Resampling<T>& columns,
              const T* x, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t out_height = int64_t(rows.windows.size());
    const int64_t x_row = x_shape.width * x_shape.channels;
    const int64_t y_row = int64_t(columns.windows.size()) * x_shape.channels;
    const double products = double(x_shape.batch) * covered(rows.windows) *
                            covered(columns.windows) * double(x_shape.channels);
    const int64_t most = divide_up(out_height * x_shape.batch, plenty_of_tasks);
    const std::vector<int64_t> first = first_of_equal(rows, most);
    const int64_t groups = int64_t(first.size()) - 1;
    const int64_t elements = y_row * out_height / std::max<int64_t>(groups, 1);
    parallel_rows(x_shape.batch, groups, elements, products, [&](int64_t n, int64_t group) {
        const int64_t i = first[group];
        const Span window = rows.windows[i];
        WeightedRow<T> row = {};
        row.x = x + (n * x_shape.height + window.first) * x_row;
        row.x_row_stride = x_row;
        row.channels = x_shape.channels;
        row.rows = window.count;
        row.windows = columns.windows.data();
        row.width = int64_t(columns.windows.size());
        row.row_weights = rows.weights.data() + window.at;
        row.column_weights = columns.weights.data();
        row.y = y + (n * out_height + i) * y_row;
        kernels.weighted_row(row);
        for (int64_t equal = i + 1; equal < first[group + 1]; ++equal) {
            std::copy(row.y, row.y + y_row, row.y + (equal - i) * y_row);
        }
    });
}

template <class T>
void mean_over_windows(const Images& x_shape, const Windows& rows, const Windows& columns,
                       const T* x, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t out_height = int64_t(rows.size()), out_width = int64_t(columns.size());
    const int64_t x_row = x_shape.width * x_shape.channels, y_row = out_width * x_shape.channels;
    const double sums =
        double(x_shape.batch) * covered(rows) * covered(columns) * double(x_shape.channels);
    const int64_t window_rows = divide_up(x_shape.height, out_height);
    parallel_rows(x_shape.batch, out_height, window_rows * x_row, sums / 2,
                  [&](int64_t n, int64_t i) {
                      MeanRow<T> row = {};
                      row.x = x + (n * x_shape.height + rows[i].first) * x_row;
                      row.x_row_stride = x_row;
                      row.channels = x_shape.channels;
                      row.rows = rows[i].count;
                      row.windows = columns.data();
                      row.width = out_width;
                      row.cells = rows[i].at;
                      row.y = y + (n * out_height + i) * y_row;
                      kernels.mean_row(row);
                  });
}

template <class T>
void mean_over_windows_grad(const Images& x_shape, const Windows& rows, const Windows& columns,
                            const T* dy, T* dx) {
    const Images y_shape = {x_shape.batch, int64_t(rows.size()), int64_t(columns.size()),
                            x_shape.channels};
    resample(y_shape, shares<T>(rows, x_shape.height), shares<T>(columns, x_shape.width), dy, dx);
}

#define INSTANTIATE(T)                                                                            \
    template Resampling<T> transposed(const Resampling<T>&, int64_t);                             \
    template void resample(const Images&, const Resampling<T>&, const Resampling<T>&, const T*,   \
                           T*);                                                                   \
    template void mean_over_windows(const Images&, const Windows&, const Windows&, const T*, T*); \
    template void mean_over_windows_grad(const Images&, const Windows&, const Windows&, const T*, \
                                         T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
