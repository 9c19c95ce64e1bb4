// Pooling kernels: one row of output (forward) or of input (gradient), vectors over channels.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

struct Range {
    int64_t first, last;  // [first, last)
};

// Columns of x that the window of output column j covers.
template <class Row>
inline Range window_columns(const Row& row, int64_t j) {
    const int64_t first = j * row.stride_w - row.pad_left;
    const int64_t last = first + row.kernel_width;
    return {first < 0 ? 0 : first, last > row.width ? row.width : last};
}

// Output columns whose windows cover column q of x; the lower bound is a ceiling.
template <class Row>
inline Range covering_columns(const Row& row, int64_t q) {
    const int64_t padded = q + row.pad_left;
    const int64_t first =
        padded < row.kernel_width ? 0 : (padded - row.kernel_width) / row.stride_w + 1;
    const int64_t last = padded / row.stride_w + 1;
    return {first, last > row.out_width ? row.out_width : last};
}

template <class T>
void max_pool_row(const PoolRow<T>& row) {
    for (int64_t j = 0; j < row.out_width; ++j) {
        const Range columns = window_columns(row, j);
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            constexpr int W = decltype(lanes)::count;
            using I = Vector<IntOf<T>, W>;
            const T* corner = row.x + columns.first * row.channels + channel;
            Vector<T, W> best = load<T, W>(corner);
            I chosen = I{} + IntOf<T>(row.first_row * row.width + columns.first);
            for (int64_t r = 0; r < row.rows; ++r) {
                for (int64_t q = columns.first; q < columns.last; ++q) {
                    const auto value =
                        load<T, W>(row.x + r * row.x_row_stride + q * row.channels + channel);
                    // Greater, or the first NaN.
                    const I take = ~(value <= best) & (best == best);
                    best = take ? value : best;
                    chosen = take ? I{} + IntOf<T>((row.first_row + r) * row.width + q) : chosen;
                }
            }
            store<T, W>(row.y + j * row.channels + channel, best);
            if (row.index) {
                for (int lane = 0; lane < W; ++lane) {
                    row.index[j * row.channels + channel + lane] = int32_t(chosen[lane]);
                }
            }
        });
    }
}

template <class T>
void avg_pool_row(const PoolRow<T>& row) {
    for (int64_t j = 0; j < row.out_width; ++j) {
        const Range columns = window_columns(row, j);
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            constexpr int W = decltype(lanes)::count;
            Vector<T, W> sum = {};
            for (int64_t r = 0; r < row.rows; ++r) {
                for (int64_t q = columns.first; q < columns.last; ++q) {
                    sum += load<T, W>(row.x + r * row.x_row_stride + q * row.channels + channel);
                }
            }
            store<T, W>(row.y + j * row.channels + channel, sum / row.count[j]);
        });
    }
}

// Gathers: every input pixel asks the windows that cover it, so no two threads write one cell.
template <class T>
void max_pool_grad_row(const MaxPoolGradRow<T>& row) {
    for (int64_t q = 0; q < row.width; ++q) {
        const Range columns = covering_columns(row, q);
        const IntOf<T> here = row.row_index + int32_t(q);
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            constexpr int W = decltype(lanes)::count;
            Vector<T, W> sum = {};
            for (int64_t i = row.first_row; i < row.first_row + row.rows; ++i) {
                for (int64_t j = columns.first; j < columns.last; ++j) {
                    const int64_t at = (i * row.out_width + j) * row.channels + channel;
                    const auto chosen = __builtin_convertvector((load<int32_t, W>(row.index + at)),
                                                                Vector<IntOf<T>, W>);
                    sum += chosen == here ? load<T, W>(row.dy + at) : Vector<T, W>{};
                }
            }
            store<T, W>(row.dx + q * row.channels + channel, sum);
        });
    }
}

template <class T>
void avg_pool_grad_row(const AvgPoolGradRow<T>& row) {
    for (int64_t q = 0; q < row.width; ++q) {
        const Range columns = covering_columns(row, q);
        for_lanes<T>(row.channels, [&](auto lanes, int64_t channel) {
            constexpr int W = decltype(lanes)::count;
            Vector<T, W> sum = {};
            for (int64_t i = row.first_row; i < row.first_row + row.rows; ++i) {
                for (int64_t j = columns.first; j < columns.last; ++j) {
                    sum += load<T, W>(row.dy + (i * row.out_width + j) * row.channels + channel) /
                           row.count[i * row.out_width + j];
                }
            }
            store<T, W>(row.dx + q * row.channels + channel, sum);
        });
    }
}

}  // namespace
}  // namespace rot180
