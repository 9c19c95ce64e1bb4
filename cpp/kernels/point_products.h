// The products in the middle of Winograd's algorithm: a small matrix product for each point. With
// few channels each of them is short, so what a call costs beside its multiplications is paid once
// for all points. The register tile is correlate_tile's, of rows that are evenly apart.
#pragma once

#include "correlate_tile.h"
#include "outer_product.h"

namespace rot180 {
namespace {

// The lines of a panel that all tiles read before the next ones: so many stay in a first-level
// cache.
constexpr int64_t chunk_bytes = 24 * 1024;

// y[t] = start + sum over c of x[t, c] * weight[c], of ROWS tiles and one panel.
template <class T, int ROWS, int VECTORS>
void multiply_tile(const T* x, int64_t x_stride, const T* weight, int64_t channels, T* y,
                   int64_t y_stride, bool accumulate) {
    constexpr int W = width<T>;
    Vector<T> sum[ROWS][VECTORS] = {};
    if (accumulate) load_rows<T>(y, y_stride, sum);
    const T* row[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i, x += x_stride) {
        row[i] = x;
        keep_in_register(row[i]);
    }
    const auto step = [&](int c) __attribute__((always_inline)) {
        add_line<T>(weight + c * VECTORS * W, [&](int i) -> const T& { return row[i][c]; }, sum);
    };
    for_steps(channels, step, [&](int steps) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
            row[i] += steps;
            keep_in_register(row[i]);
        }
        weight += steps * VECTORS * W;
    });
    store_rows<T>(sum, y_stride, y);
}

// The same for one vector of input channels and one of output channels, of tiles side by side: the
// weights stay in registers, and all addresses are a constant away from the first.
template <class T, int ROWS>
void multiply_square(const Vector<T> (&weight)[width<T>], const T* x, T* y, bool accumulate) {
    constexpr int W = width<T>;
    Vector<T> sum[ROWS][1] = {};
    if (accumulate) load_rows<T>(y, W, sum);
#pragma GCC unroll 16
    for (int c = 0; c < W; ++c) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) sum[i][0] += broadcast(x[i * W + c]) * weight[c];
    }
    store_rows<T>(sum, W, y);
}

// Rows of such a tile: what the registers hold beside the weights, at most a dozen.
template <class T>
constexpr int square_rows = vector_registers - width<T> < 14 ? vector_registers - width<T> - 2 : 12;

template <class T>
void multiply_squares(const PointProducts<T>& products, const T* x, const T* weight, T* y) {
    constexpr int W = width<T>, most = square_rows<T>;
    Vector<T> weights[W];
#pragma GCC unroll 16
    for (int c = 0; c < W; ++c) weights[c] = load(weight + c * W);
    for_even_parts(products.tiles, most, [&](int64_t first, int size) {
        with_exactly<most>(size, [&](auto rows) {
            multiply_square<T, rows>(weights, x + first * W, y + first * W, products.accumulate);
        });
    });
}

template <class T, int VECTORS>
void multiply_panel(const PointProducts<T>& products, const T* x, const T* weight, T* y) {
    constexpr int64_t lanes = VECTORS * width<T>;
    if constexpr (VECTORS == 1) {
        if (products.channels == lanes && products.x_tile_stride == lanes &&
            products.y_tile_stride == lanes) {
            return multiply_squares(products, x, weight, y);
        }
    }
    constexpr int64_t most_lines = chunk_bytes / (lanes * int64_t(sizeof(T)));
    const int64_t channels = products.channels;
    const int64_t chunks = (channels + most_lines - 1) / most_lines;
    const int64_t lines = chunks == 1 ? channels : (channels + chunks - 1) / chunks;
    for (int64_t c = 0; c < channels; c += lines) {
        const int64_t some = channels - c < lines ? channels - c : lines;
        constexpr int most = tile_pixels(VECTORS);
        for_even_parts(products.tiles, most, [&](int64_t first, int size) {
            with_exactly<most>(size, [&](auto rows) {
                multiply_tile<T, rows, VECTORS>(
                    x + first * products.x_tile_stride + c, products.x_tile_stride,
                    weight + c * lanes, some, y + first * products.y_tile_stride,
                    products.y_tile_stride, products.accumulate || c > 0);
            });
        });
    }
}

template <class T>
void multiply_points(const PointProducts<T>& products) {
    for (int64_t point = 0; point < products.points; ++point) {
        const T* x = products.x + point * products.x_point_stride;
        const T* weight = products.weight + point * products.weight_point_stride;
        T* y = products.y + point * products.y_point_stride;
        for (int64_t panel = 0; panel < products.panels; ++panel) {
            const int vectors = products.panel_vectors[panel];
            with_exactly<max_vectors>(
                vectors, [&](auto fixed) { multiply_panel<T, fixed>(products, x, weight, y); });
            weight += products.channels * vectors * width<T>;
            y += vectors * width<T>;
        }
    }
}

template <class T>
void sum_points(const PointSums<T>& sums) {
    OuterProduct<T> product = {};
    product.images = product.rows = 1;
    product.columns = sums.tiles;
    product.x_stride = sums.x_tile_stride;
    product.dy_stride = sums.dy_tile_stride;
    product.dw_stride = sums.dw_stride;
    product.tile_rows = sums.channels;
    product.overwrite = !sums.accumulate;
    for (int64_t point = 0; point < sums.points; ++point) {
        product.x = sums.x + point * sums.x_point_stride;
        product.dy = sums.dy + point * sums.dy_point_stride;
        product.dw = sums.dw + point * sums.dw_point_stride;
        for (int64_t panel = 0; panel < sums.panels; ++panel) {
            product.vectors = sums.panel_vectors[panel];
            outer_product(product);
            product.dy += product.vectors * width<T>;
            product.dw += product.vectors * width<T>;
        }
    }
}

}  // namespace
}  // namespace rot180
