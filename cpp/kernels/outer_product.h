// The weight gradient kernel: a sum over pixels of outer products x dy^T, held in registers for a
// whole block of pixels. The tile is correlate_tile's, its rows being input channels.
#pragma once

#include "correlate_tile.h"

namespace rot180 {
namespace {

template <class T, int ROWS, int VECTORS>
inline void outer_product_tile(const OuterProduct<T>& product, int64_t first_row) {
    constexpr int W = width<T>;
    T* dw = product.dw + first_row * product.dw_stride;
    Vector<T> sum[ROWS][VECTORS] = {};
    if (!product.overwrite) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) sum[i][j] = load(dw + i * product.dw_stride + j * W);
        }
    }
    const int64_t x_stride = product.x_stride, dy_stride = product.dy_stride;
    for (int64_t n = 0; n < product.images; ++n) {
        for (int64_t row = 0; row < product.rows; ++row) {
            const T* x =
                product.x + first_row + n * product.x_image_stride + row * product.x_row_stride;
            const T* dy = product.dy + n * product.dy_image_stride + row * product.dy_row_stride;
            for (int64_t column = product.columns; column > 0; --column) {
                Vector<T> line[VECTORS];
#pragma GCC unroll 16
                for (int j = 0; j < VECTORS; ++j) line[j] = load(dy + j * W);
#pragma GCC unroll 16
                for (int i = 0; i < ROWS; ++i) add_products(x[i], line, sum[i]);
                x += x_stride;
                dy += dy_stride;
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) store(dw + i * product.dw_stride + j * W, sum[i][j]);
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
    const int64_t tiles = (product.tile_rows + ROWS - 1) / ROWS;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = tile * product.tile_rows / tiles;
        const int64_t rows = (tile + 1) * product.tile_rows / tiles - first;
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

}  // namespace
}  // namespace rot180
