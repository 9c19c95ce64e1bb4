// Softmax of the rows of a matrix, and its gradient.
#pragma once

#include "kernels.h"
#include "vector_math.h"

namespace rot180 {
namespace {

// A NaN in the row makes all of y and the sum NaN, wherever it stands: exp(NaN - max) is in the
// sum.
template <class T>
void softmax_row(const T* x, int64_t classes, T* y, T* max, double* log_sum) {
    constexpr int W = width<T>;
    const int64_t whole = classes - classes % W, rest = classes % W;
    const Vector<T> first = broadcast(x[0]);
    const auto last = [&] {
        const Vector<IntOf<T>> mask = first_lanes<T>(rest);
        return mask ? load_first(x + whole, rest) : first;
    };
    Vector<T> largest = first;
    const auto take = [&](Vector<T> value) { largest = value > largest ? value : largest; };
    for (int64_t j = 0; j < whole; j += W) take(load(x + j));
    if (rest) take(last());
    T top = largest[0];
    for (int i = 1; i < W; ++i) top = largest[i] > top ? largest[i] : top;

    Vector<T> sums = {};
    for (int64_t j = 0; j < whole; j += W) {
        const Vector<T> value = exp<T, W>(load(x + j) - top);
        store(y + j, value);
        sums += value;
    }
    if (rest) {
        const Vector<T> value = exp<T, W>(last() - top);
        store_first(y + whole, value, rest);
        sums += masked<T>(value, first_lanes<T>(rest));
    }
    T sum = 0;
    for (int i = 0; i < W; ++i) sum += sums[i];
    for_lanes<T>(classes, [&](auto lanes, int64_t j) {
        constexpr int L = decltype(lanes)::count;
        store<T, L>(y + j, load<T, L>(y + j) / sum);
    });
    *max = top;
    *log_sum = __builtin_log(double(sum));
}

// Rows shorter than a vector: exp is taken of all their elements, one row after the other.
template <class T>
void softmax_short_rows(int64_t rows, int64_t classes, const T* x, T* y, T* max, double* log_sum) {
    for (int64_t i = 0; i < rows; ++i) {
        const T* row = x + i * classes;
        T top = row[0];
        for (int64_t j = 1; j < classes; ++j) top = row[j] > top ? row[j] : top;
        for (int64_t j = 0; j < classes; ++j) y[i * classes + j] = row[j] - top;
        max[i] = top;
    }
    for_lanes<T>(rows * classes, [&](auto lanes, int64_t j) {
        constexpr int W = decltype(lanes)::count;
        store<T, W>(y + j, exp<T, W>(load<T, W>(y + j)));
    });
    for (int64_t i = 0; i < rows; ++i) {
        T* row = y + i * classes;
        T sum = 0;
        for (int64_t j = 0; j < classes; ++j) sum += row[j];
        for (int64_t j = 0; j < classes; ++j) row[j] /= sum;
        log_sum[i] = __builtin_log(double(sum));
    }
}

template <class T>
void softmax_rows(int64_t rows, int64_t classes, const T* x, T* y, T* max, double* log_sum) {
    if (classes < width<T>) return softmax_short_rows(rows, classes, x, y, max, log_sum);
    for (int64_t i = 0; i < rows; ++i) {
        softmax_row(x + i * classes, classes, y + i * classes, max + i, log_sum + i);
    }
}

template <class T>
void softmax_grad_rows(int64_t rows, int64_t classes, const T* dy, const T* y, T* dx) {
    for (int64_t i = 0; i < rows; ++i, dy += classes, y += classes, dx += classes) {
        Vector<T> sums = {};
        T sum = 0;
        for_lanes<T>(classes, [&](auto lanes, int64_t j) {
            constexpr int W = decltype(lanes)::count;
            const Vector<T, W> product = load<T, W>(dy + j) * load<T, W>(y + j);
            if constexpr (W == 1) {
                sum += product[0];
            } else {
                sums += product;
            }
        });
        for (int lane = 0; lane < width<T>; ++lane) sum += sums[lane];
        for_lanes<T>(classes, [&](auto lanes, int64_t j) {
            constexpr int W = decltype(lanes)::count;
            store<T, W>(dx + j, load<T, W>(y + j) * (load<T, W>(dy + j) - sum));
        });
    }
}

}  // namespace
}  // namespace rot180
