// The weight gradient kernels: sums over pixels of outer products, held in registers for a whole
// block of pixels.
#pragma once

#include "correlate_row.h"

namespace rot180 {
namespace {

// body(x, dy) for every pixel of the block, in a fixed order.
template <class T, class Body>
inline void for_pixels(const PixelBlock<T>& block, Body&& body) {
    for (int64_t n = 0; n < block.images; ++n) {
        for (int64_t i = 0; i < block.rows; ++i) {
            const T* x = block.x + n * block.x_image_stride + i * block.x_row_stride;
            const T* dy = block.dy + n * block.dy_image_stride + i * block.dy_row_stride;
            for (int64_t j = 0; j < block.columns; ++j) {
                body(x, dy);
                x += block.x_stride;
                dy += block.dy_stride;
            }
        }
    }
}

template <class T, int ROWS, int VECTORS>
inline void outer_product_tile(const OuterProduct<T>& product, int64_t first_row) {
    constexpr int W = width<T>;
    T* dw = product.dw + first_row * VECTORS * W;
    Vector<T> sum[ROWS][VECTORS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) sum[i][j] = load(dw + (i * VECTORS + j) * W);
    }
    for_pixels(product.pixels, [&](const T* x, const T* dy) __attribute__((always_inline)) {
        Vector<T> line[VECTORS];
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) line[j] = load(dy + j * W);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
            const Vector<T> value = broadcast(x[first_row + i]);
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) sum[i][j] += value * line[j];
        }
    });
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) store(dw + (i * VECTORS + j) * W, sum[i][j]);
    }
}

// The tile of exactly `rows` rows, at most ROWS.
template <class T, int ROWS, int VECTORS>
inline void outer_product_rows(const OuterProduct<T>& product, int64_t rows, int64_t first_row) {
    if constexpr (ROWS > 0) {
        if (rows == ROWS) {
            outer_product_tile<T, ROWS, VECTORS>(product, first_row);
        } else {
            outer_product_rows<T, ROWS - 1, VECTORS>(product, rows, first_row);
        }
    }
}

template <class T, int VECTORS>
void outer_product_of(const OuterProduct<T>& product) {
    constexpr int ROWS = tile_pixels(VECTORS);
    const int64_t tiles = (product.rows + ROWS - 1) / ROWS;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = tile * product.rows / tiles;
        const int64_t rows = (tile + 1) * product.rows / tiles - first;
        outer_product_rows<T, ROWS, VECTORS>(product, rows, first);
    }
}

template <class T>
void outer_product(const OuterProduct<T>& product) {
    if (product.vectors == 1) return outer_product_of<T, 1>(product);
    if (product.vectors == 2) return outer_product_of<T, 2>(product);
    if constexpr (max_vectors == 4) {
        if (product.vectors == 3) return outer_product_of<T, 3>(product);
        return outer_product_of<T, 4>(product);
    }
}

// TAPS columns of the window share each load of dy.
template <class T, int TAPS, int W>
inline void depthwise_outer_product_tile(const DepthwiseOuterProduct<T>& product, int64_t tap,
                                         int64_t channel) {
    Vector<T, W> sum[TAPS];
    T* dw = product.dw + tap * product.dw_stride + channel;
    for (int t = 0; t < TAPS; ++t) sum[t] = load<T, W>(dw + t * product.dw_stride);
    const int64_t first = tap * product.tap_column_stride + channel;
    for_pixels(product.pixels, [&](const T* x, const T* dy) __attribute__((always_inline)) {
        const Vector<T, W> value = load<T, W>(dy + channel);
#pragma GCC unroll 16
        for (int t = 0; t < TAPS; ++t) {
            sum[t] += load<T, W>(x + first + t * product.tap_column_stride) * value;
        }
    });
    for (int t = 0; t < TAPS; ++t) store<T, W>(dw + t * product.dw_stride, sum[t]);
}

template <class T>
void depthwise_outer_product(const DepthwiseOuterProduct<T>& product) {
    for_lanes<T>(product.channels, [&](auto lanes, int64_t channel) {
        constexpr int W = decltype(lanes)::count;
        int64_t tap = 0;
        for (; tap + 3 <= product.tap_columns; tap += 3) {
            depthwise_outer_product_tile<T, 3, W>(product, tap, channel);
        }
        for (; tap < product.tap_columns; ++tap) {
            depthwise_outer_product_tile<T, 1, W>(product, tap, channel);
        }
    });
}

// sum[c] = sum over rows of x[row, c], a vector of channels at a time.
template <class T>
inline void sum_wide_rows(const T* x, int64_t rows, int64_t channels, T* sum) {
    for_lanes<T>(channels, [&](auto lanes, int64_t channel) {
        constexpr int W = decltype(lanes)::count;
        Vector<T, W> total = {};
        for (int64_t row = 0; row < rows; ++row) total += load<T, W>(x + row * channels + channel);
        store<T, W>(sum + channel, total);
    });
}

// Rows shorter than a vector are taken `width` at a time, as one row of channels * width values.
template <class T>
void sum_rows(const T* x, int64_t rows, int64_t channels, T* sum) {
    if (channels >= width<T>) return sum_wide_rows(x, rows, channels, sum);
    const int64_t wide_rows = rows / width<T>;
    T wide[width<T> * width<T>];
    sum_wide_rows(x, wide_rows, channels * width<T>, wide);
    for (int64_t c = 0; c < channels; ++c) {
        T total = 0;
        for (int64_t i = 0; i < width<T>; ++i) total += wide[i * channels + c];
        for (int64_t row = wide_rows * width<T>; row < rows; ++row) total += x[row * channels + c];
        sum[c] = total;
    }
}

}  // namespace
}  // namespace rot180
