// Softmax of the rows of a matrix, and its gradient.
#pragma once

#include "kernels.h"
#include "sum_in_double.h"
#include "vector_math.h"

namespace rot180 {
namespace {

template <class V>
inline V larger(V a, V b) {
    return a > b ? a : b;
}

// A NaN anywhere in the row makes all of y and the sum NaN: exp(NaN - top) is in the sum.
template <class T>
void softmax_row(const T* x, int64_t classes, T* y, T* top, double* sum) {
    constexpr int W = width<T>;
    const int64_t whole = classes - classes % W, rest = classes % W;
    const Vector<T> first = broadcast(x[0]);
    const auto last = [&] {
        const Vector<IntOf<T>> mask = first_lanes<T>(rest);
        return mask ? load_first(x + whole, rest) : first;
    };
    Vector<T> largest = first;
    for (int64_t j = 0; j < whole; j += W) largest = larger(load(x + j), largest);
    if (rest) largest = larger(last(), largest);
    *top = fold_lanes<T, W>(largest, [](auto a, auto b) { return larger(a, b); });

    Vector<T> sums = {};
    for (int64_t j = 0; j < whole; j += W) {
        const Vector<T> value = exp<T, W>(load(x + j) - *top);
        store(y + j, value);
        sums += value;
    }
    if (rest) {
        const Vector<T> value = exp<T, W>(last() - *top);
        store_first(y + whole, value, rest);
        sums += masked<T>(value, first_lanes<T>(rest));
    }
    const T total = sum_of_lanes<T, W>(sums);
    for_lanes<T>(classes, [&](auto lanes, int64_t j) {
        constexpr int L = decltype(lanes)::count;
        store<T, L>(y + j, load<T, L>(y + j) / total);
    });
    *sum = double(total);
}

// As many rows as a vector has lanes, or fewer, each of them shorter than a vector: as columns.
template <class T>
void softmax_columns(int64_t rows, int64_t classes, const T* x, T* y, T* top, double* sum) {
    constexpr int W = width<T>;
    T columns[W][W] = {};
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < classes; ++j) columns[j][i] = x[i * classes + j];
    }
    Vector<T> largest = load(columns[0]), total = {};
    for (int64_t j = 1; j < classes; ++j) largest = larger(load(columns[j]), largest);
    for (int64_t j = 0; j < classes; ++j) {
        const Vector<T> value = exp<T, W>(load(columns[j]) - largest);
        store(columns[j], value);
        total += value;
    }
    for (int64_t j = 0; j < classes; ++j) store(columns[j], load(columns[j]) / total);
    for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < classes; ++j) y[i * classes + j] = columns[j][i];
        top[i] = largest[i];
        sum[i] = double(total[i]);
    }
}

template <class T>
void softmax_rows(int64_t rows, int64_t classes, const T* x, T* y, double* log_sum) {
    constexpr int64_t W = width<T>, block = 4 * W;
    for (int64_t first = 0; first < rows; first += block) {
        const int64_t count = rows - first < block ? rows - first : block;
        T top[block];
        double* sum = log_sum + first;
        for (int64_t i = 0; i < count; i += classes < W ? W : 1) {
            const int64_t at = (first + i) * classes, left = count - i < W ? count - i : W;
            if (classes < W) {
                softmax_columns(left, classes, x + at, y + at, top + i, sum + i);
            } else {
                softmax_row(x + at, classes, y + at, top + i, sum + i);
            }
        }
        for_lanes<double>(count, [&](auto lanes, int64_t i) {
            constexpr int L = decltype(lanes)::count;
            const auto log = log_of_at_least_one<double, L>(load<double, L>(sum + i));
            store<double, L>(sum + i, in_double<T, L>(load<T, L>(top + i)) + log);
        });
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
