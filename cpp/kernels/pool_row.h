// Max-pooling kernels: one row of output (forward) or of input (gradient), vectors over channels.
// Hardware does not foresee the step from the rows of one window to those of the next, so the
// forward pass asks for these itself.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

template <class T, class I, bool indexed>
inline void max_pool_windows(const MaxPoolRow<T, I>& row) {
    with_lanes<T>(row.channels, [&](auto lanes) {
        constexpr int W = decltype(lanes)::count;
        using Indices = Vector<IntOf<T>, W>;
        for (int64_t j = 0; j < row.out_width; ++j) {
            const Span columns = row.windows[j];
            const T* window = row.x + columns.first * row.channels;
            T* y = row.y + j * row.channels;
            I* index = indexed ? row.index + j * row.channels : nullptr;
            with_count<2, 3>(columns.count, [&](auto count) {
                for_overlapping_lanes<W>(row.channels, [&](int64_t channel) {
                    const T* line = window + channel;
                    Vector<T, W> best = load<T, W>(line);
                    Indices chosen = {}, here = {};
                    for (int64_t r = 0; r < row.rows; ++r, line += row.x_row_stride) {
                        for (int64_t s = 0; s < count; ++s) {
                            const auto value = load<T, W>(line + s * row.channels);
                            prefetch(line, s * row.channels + row.rows * row.x_row_stride);
                            // Greater, or the first NaN.
                            const Indices take = ~(value <= best) & (best == best);
                            best = take ? value : best;
                            if (indexed) chosen = take ? here + IntOf<T>(s) : chosen;
                        }
                        if (indexed) here += IntOf<T>(row.index_row_step);
                    }
                    store<T, W>(y + channel, rectify<T>(row.activation, best));
                    if (indexed) {
                        chosen += IntOf<T>(row.index_start + columns.at);
                        store_as<I, W>(index + channel, chosen);
                    }
                });
            });
        }
    });
}

template <class T, class I>
void max_pool_row(const MaxPoolRow<T, I>& row) {
    if (row.index) {
        max_pool_windows<T, I, true>(row);
    } else {
        max_pool_windows<T, I, false>(row);
    }
}

// Gathers: every pixel asks the windows that cover it whether they chose it, so that no two threads
// write to one.
template <class T, class I>
void max_pool_grad_row(const MaxPoolGradRow<T, I>& row) {
    with_lanes<T>(row.channels, [&](auto lanes) {
        with_count<1>(row.rows, [&](auto rows) {
            constexpr int W = decltype(lanes)::count;
            for (int64_t q = 0; q < row.width; ++q) {
                const Span windows = row.windows[q];
                const int64_t first = windows.first * row.channels;
                const T* dy = row.dy.dy + first;
                const T* y = row.dy.y ? row.dy.y + first : nullptr;
                const I* index = row.index + first;
                T* dx = row.dx + q * row.channels;
                const IntOf<T> corner = row.index_start + windows.at;
                with_count<1, 2>(windows.count, [&](auto count) {
                    for_overlapping_lanes<W>(row.channels, [&](int64_t channel) {
                        Vector<T, W> sum = {};
                        for (int64_t i = 0; i < rows; ++i) {
                            for (int64_t j = 0; j < count; ++j) {
                                const int64_t from =
                                    i * row.row_stride + j * row.channels + channel;
                                const auto chosen = load_as<IntOf<T>, W>(index + from);
                                const IntOf<T> here = corner - int32_t(i) * row.index_row_step -
                                                      int32_t(j) * row.index_column_step;
                                auto delta = load<T, W>(dy + from);
                                if (y) {
                                    delta = times_derivative<T>(row.dy.activation, delta,
                                                                load<T, W>(y + from),
                                                                T(leaky_relu_slope));
                                }
                                sum += chosen == here ? delta : Vector<T, W>{};
                            }
                        }
                        store<T, W>(dx + channel, sum);
                    });
                });
            }
        });
    });
}

}  // namespace
}  // namespace rot180
