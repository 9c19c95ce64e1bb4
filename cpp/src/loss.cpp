#include "rot180/loss.h"

#include <numeric>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

constexpr int64_t rows_per_task = 64;

// body(first, count, task) over blocks of rows.
template <class Body>
void parallel_rows(int64_t rows, int64_t columns, const Body& body) {
    const int64_t tasks = divide_up(rows, rows_per_task);
    const int team = team_size(tasks, double(rows) * double(columns) * 4);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t first = task * rows_per_task;
        body(first, rows - first < rows_per_task ? rows - first : rows_per_task, task);
    });
}

}  // namespace

template <class T>
void softmax(int64_t rows, int64_t classes, const T* logits, T* probabilities) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t) {
        for (int64_t i = first; i < first + count; ++i) {
            T log_sum, max;
            kernels.softmax_row(logits + i * classes, classes, probabilities + i * classes,
                                &log_sum, &max);
        }
    });
}

template <class T>
double softmax_cross_entropy(int64_t rows, int64_t classes, const T* logits, const int64_t* labels,
                             T* probabilities) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    std::vector<double> partial(size_t(divide_up(rows, rows_per_task)), 0.0);
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t task) {
        for (int64_t i = first; i < first + count; ++i) {
            T log_sum, max;
            kernels.softmax_row(logits + i * classes, classes, probabilities + i * classes,
                                &log_sum, &max);
            const T correct = logits[i * classes + labels[i]];
            partial[size_t(task)] += double(log_sum) - (double(correct) - double(max));
        }
    });
    return std::accumulate(partial.begin(), partial.end(), 0.0) / double(rows);
}

template <class T>
void softmax_cross_entropy_grad_input(int64_t rows, int64_t classes, const T* probabilities,
                                      const int64_t* labels, T* dlogits) {
    const T scale = T(1.0 / double(rows));
    parallel_rows(rows, classes, [&](int64_t first, int64_t count, int64_t) {
        for (int64_t i = first; i < first + count; ++i) {
            const T* probability = probabilities + i * classes;
            T* delta = dlogits + i * classes;
            for (int64_t j = 0; j < classes; ++j) delta[j] = probability[j] * scale;
            delta[labels[i]] = (probability[labels[i]] - T(1)) * scale;
        }
    });
}

template <class T>
double mean_squared_error(int64_t size, const T* prediction, const T* target) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    std::vector<double> partial(size_t(divide_up(size, elements_per_task)), 0.0);
    parallel_elements(size, 1, [&](int64_t first, int64_t count, int) {
        partial[size_t(first / elements_per_task)] =
            kernels.squared_distance(prediction + first, target + first, count);
    });
    return std::accumulate(partial.begin(), partial.end(), 0.0) / double(size);
}

template <class T>
void mean_squared_error_grad_input(int64_t size, const T* prediction, const T* target,
                                   T* dprediction) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const T scale = T(2.0 / double(size));
    parallel_elements(size, 1, [&](int64_t first, int64_t count, int) {
        kernels.scaled_difference(prediction + first, target + first, scale, count,
                                  dprediction + first);
    });
}

#define INSTANTIATE(T)                                                                         \
    template void softmax(int64_t, int64_t, const T*, T*);                                     \
    template double softmax_cross_entropy(int64_t, int64_t, const T*, const int64_t*, T*);     \
    template void softmax_cross_entropy_grad_input(int64_t, int64_t, const T*, const int64_t*, \
                                                   T*);                                        \
    template double mean_squared_error(int64_t, const T*, const T*);                           \
    template void mean_squared_error_grad_input(int64_t, const T*, const T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
