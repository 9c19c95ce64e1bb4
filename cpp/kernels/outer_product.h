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

template <class T, int VECTORS>
void outer_product_of(const OuterProduct<T>& product) {
    constexpr int most = tile_pixels(VECTORS);
    for_even_parts(product.tile_rows, most, [&](int64_t first, int size) {
        with_exactly<most>(
            size, [&](auto rows) { outer_product_tile<T, rows, VECTORS>(product, first); });
    });
}

template <class T>
void outer_product(const OuterProduct<T>& product) {
    with_exactly<max_vectors>(product.vectors,
                              [&](auto vectors) { outer_product_of<T, vectors>(product); });
}

}  // namespace
}  // namespace rot180
