// Sums over windows: one row of what they come to, vectors over channels.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

template <class T>
void mean_row(const MeanRow<T>& row) {
    with_lanes<T>(row.channels, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        for (int64_t j = 0; j < row.width; ++j) {
            const Span columns = row.windows[j];
            const T* window = row.x + columns.first * row.channels;
            T* y = row.y + j * row.channels;
            const T cells = T(row.cells * columns.at);
            with_count<2, 3>(columns.count, [&](auto count) {
                for_overlapping_lanes<W>(row.channels, [&](int64_t channel) {
                    const T* line = window + channel;
                    Vector<T, W> sum = {};
                    for (int64_t r = 0; r < row.rows; ++r, line += row.x_row_stride) {
                        for (int64_t s = 0; s < count; ++s) {
                            sum += load<T, W>(line + s * row.channels);
                            prefetch(line, s * row.channels + row.rows * row.x_row_stride);
                        }
                    }
                    store<T, W>(y + channel, sum / cells);
                });
            });
        }
    });
}

template <class T>
void weighted_row(const WeightedRow<T>& row) {
    with_lanes<T>(row.channels, [&](auto lanes) {
        with_count<1, 2>(row.rows, [&](auto rows) {
            constexpr int W = decltype(lanes)::count;
            for (int64_t j = 0; j < row.width; ++j) {
                const Span columns = row.windows[j];
                const T* window = row.x + columns.first * row.channels;
                const T* weights = row.column_weights + columns.at;
                T* y = row.y + j * row.channels;
                with_count<1, 2>(columns.count, [&](auto count) {
                    for_overlapping_lanes<W>(row.channels, [&](int64_t channel) {
                        const T* line = window + channel;
                        Vector<T, W> sum = {};
                        for (int64_t r = 0; r < rows; ++r, line += row.x_row_stride) {
                            Vector<T, W> line_sum = {};
                            for (int64_t s = 0; s < count; ++s) {
                                line_sum += weights[s] * load<T, W>(line + s * row.channels);
                            }
                            sum += row.row_weights[r] * line_sum;
                        }
                        store<T, W>(y + channel, sum);
                    });
                });
            }
        });
    });
}

}  // namespace
}  // namespace rot180
