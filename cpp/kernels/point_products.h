// The products in the middle of Winograd's algorithm: a small matrix product for each point. With
// few channels each of them is short, so what a call costs beside its multiplications is paid once
// for all points. The register tiles are correlate_tile's.
#pragma once

#include "correlate_tile.h"

namespace rot180 {
namespace {

// The lines of a panel that all tiles read before the next ones: so many stay in a first-level
// cache.
constexpr int64_t chunk_bytes = 24 * 1024;

// The accumulators of a register tile, whose rows lie `stride` apart in memory.
template <class T, int ROWS, int VECTORS>
struct Accumulators {
    Vector<T> sum[ROWS][VECTORS] = {};

    __attribute__((always_inline)) void load_from(const T* from, int64_t stride) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i, from += stride) {
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) sum[i][j] = load(from + j * width<T>);
        }
    }
    __attribute__((always_inline)) void store_to(T* to, int64_t stride) const {
        // Hides that these are the rows of load_from, whose pointers would else be kept until now.
        asm("" : "+r"(to));
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i, to += stride) {
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) store(to + j * width<T>, sum[i][j]);
        }
    }
    // sum[i] += value(i) * line, value(i) being in memory
    template <class Value>
    __attribute__((always_inline)) void add(const Value& value, const T* line) {
        Vector<T> vectors[VECTORS];
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) vectors[j] = load(line + j * width<T>);
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) add_products(value(i), vectors, sum[i]);
    }
};

// y[t] = start + sum over c of x[t, c] * weight[c], of ROWS tiles and one panel.
template <class T, int ROWS, int VECTORS>
void multiply_tile(const T* x, int64_t x_stride, const T* weight, int64_t channels, T* y,
                   int64_t y_stride, bool accumulate) {
    Accumulators<T, ROWS, VECTORS> tile;
    if (accumulate) tile.load_from(y, y_stride);
    const T* row[ROWS];
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i, x += x_stride) {
        row[i] = x;
        keep_in_register(row[i]);
    }
    const auto step = [&](int c) __attribute__((always_inline)) {
        tile.add([&](int i) -> const T& { return row[i][c]; }, weight + c * VECTORS * width<T>);
    };
    for_steps(channels, step, [&](int steps) __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int i = 0; i < ROWS; ++i) {
            row[i] += steps;
            keep_in_register(row[i]);
        }
        weight += steps * VECTORS * width<T>;
    });
    tile.store_to(y, y_stride);
}

// dw[c] = start + sum over t of x[t, c] * dy[t], of ROWS channels and one panel.
template <class T, int ROWS, int VECTORS>
void sum_tile(const T* x, int64_t x_stride, const T* dy, int64_t dy_stride, int64_t tiles, T* dw,
              int64_t dw_stride, bool accumulate) {
    Accumulators<T, ROWS, VECTORS> tile;
    if (accumulate) tile.load_from(dw, dw_stride);
    for (int64_t t = 0; t < tiles; ++t) {
        tile.add([&](int i) -> const T& { return x[i]; }, dy);
        x += x_stride;
        dy += dy_stride;
    }
    tile.store_to(dw, dw_stride);
}

template <class T, int VECTORS>
void multiply_panel(const PointProducts<T>& products, const T* x, const T* weight, T* y) {
    constexpr int64_t lanes = VECTORS * width<T>;
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

// Of sum_tile, whose rows need no pointers of their own.
constexpr int sum_rows(int vectors) {
    if (vectors > 1) return tile_pixels(vectors);
    return vector_registers == 32 ? 16 : 12;
}

template <class T, int VECTORS>
void sum_panel(const PointSums<T>& sums, const T* x, const T* dy, T* dw) {
    constexpr int most = sum_rows(VECTORS);
    for_even_parts(sums.channels, most, [&](int64_t first, int size) {
        with_exactly<most>(size, [&](auto rows) {
            sum_tile<T, rows, VECTORS>(x + first, sums.x_tile_stride, dy, sums.dy_tile_stride,
                                       sums.tiles, dw + first * sums.dw_stride, sums.dw_stride,
                                       sums.accumulate);
        });
    });
}

template <class T>
void multiply_points(const PointProducts<T>& products) {
    const T* x = products.x;
    const T* panels = products.weight;
    T* to = products.y;
    for (int64_t point = 0; point < products.points; ++point) {
        const T* weight = panels;
        T* y = to;
        for (int64_t panel = 0; panel < products.panels; ++panel) {
            const int vectors = products.panel_vectors[panel];
            with_exactly<max_vectors>(
                vectors, [&](auto fixed) { multiply_panel<T, fixed>(products, x, weight, y); });
            weight += products.channels * vectors * width<T>;
            y += vectors * width<T>;
        }
        x += products.x_point_stride;
        panels += products.weight_point_stride;
        to += products.y_point_stride;
    }
}

template <class T>
void sum_points(const PointSums<T>& sums) {
    const T* x = sums.x;
    const T* from = sums.dy;
    T* to = sums.dw;
    for (int64_t point = 0; point < sums.points; ++point) {
        const T* dy = from;
        T* dw = to;
        for (int64_t panel = 0; panel < sums.panels; ++panel) {
            const int vectors = sums.panel_vectors[panel];
            with_exactly<max_vectors>(vectors,
                                      [&](auto fixed) { sum_panel<T, fixed>(sums, x, dy, dw); });
            dy += vectors * width<T>;
            dw += vectors * width<T>;
        }
        x += sums.x_point_stride;
        from += sums.dy_point_stride;
        to += sums.dw_point_stride;
    }
}

}  // namespace
}  // namespace rot180
