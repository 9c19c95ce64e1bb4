// The weight gradient kernel: a sum over pixels of outer products x dy^T, held in registers for a
// whole block of pixels. The tile is correlate_tile's, its rows being input channels.
#pragma once

#include "correlate_tile.h"

namespace rot180 {
namespace {

// What rows [first, first + rows) of `of` ask for of what is ahead, in so many requests.
template <class T>
struct Requests {
    const T* data;
    int64_t at, step;
    Requests(const Ahead<T>& ahead, int64_t first, int64_t rows, int64_t of, int64_t requests)
        : data(ahead.data),
          at(ahead.size * first / of),
          step((ahead.size * rows / of + requests - 1) / requests) {}
    void next() {
        for (int64_t i = 0; i < step; i += line_size<T>) prefetch_later(data, at + i);
        at += step;
    }
};

template <class T>
struct NoRequests {
    NoRequests(const Ahead<T>&, int64_t, int64_t, int64_t, int64_t) {}
    void next() {}
};

template <class T, int ROWS, int VECTORS, class Ask>
inline void outer_product_tile(const OuterProduct<T>& product, int64_t first_row) {
    // Copies: as far as the compiler knows, each store may change the product.
    const int64_t x_stride = product.x_stride, dy_stride = product.dy_stride;
    const int64_t dw_stride = product.dw_stride;
    T* dw = product.dw + first_row * dw_stride;
    Vector<T> sum[ROWS][VECTORS] = {};
    if (!product.overwrite) load_rows<T>(dw, dw_stride, sum);
    const int64_t requests = product.images * product.rows;
    Ask next_x(product.x_ahead, first_row, ROWS, product.tile_rows, requests);
    Ask next_dy(product.dy_ahead, first_row, ROWS, product.tile_rows, requests);
    for (int64_t n = 0; n < product.images; ++n) {
        for (int64_t row = 0; row < product.rows; ++row) {
            next_x.next();
            next_dy.next();
            const T* x =
                product.x + first_row + n * product.x_image_stride + row * product.x_row_stride;
            const T* dy = product.dy + n * product.dy_image_stride + row * product.dy_row_stride;
            for (int64_t column = product.columns; column > 0; --column) {
                add_line<T>(dy, [&](int i) -> const T& { return x[i]; }, sum);
                x += x_stride;
                dy += dy_stride;
            }
        }
    }
    store_rows<T>(sum, dw_stride, dw);
}

// Rows of a tile: with one vector a few more than correlate_tile has pixels, since no row needs a
// pointer of its own.
constexpr int outer_product_rows(int vectors) {
    if (vectors > 1) return tile_pixels(vectors);
    return vector_registers == 32 ? 16 : 12;
}

template <class T, class Ask>
void outer_product_by(const OuterProduct<T>& product) {
    with_exactly<max_vectors>(product.vectors, [&](auto vectors) {
        constexpr int most = outer_product_rows(vectors);
        for_even_parts(product.tile_rows, most, [&](int64_t first, int size) {
            with_exactly<most>(size, [&](auto rows) {
                outer_product_tile<T, rows, vectors, Ask>(product, first);
            });
        });
    });
}

template <class T>
void outer_product(const OuterProduct<T>& product) {
    if (product.x_ahead.size > 0) {
        outer_product_by<T, Requests<T>>(product);
    } else {
        outer_product_by<T, NoRequests<T>>(product);
    }
}

}  // namespace
}  // namespace rot180
