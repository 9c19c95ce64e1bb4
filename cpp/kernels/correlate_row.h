// The dense correlation kernel: a register tile of PIXELS x VECTORS accumulators.
//
//            weight panel, one line of VECTORS vectors for each (r, s, c)
//            [ w0 | w1 | w2 | w3 ]
//   x0  ->   [ a  | a  | a  | a  ]     each step broadcasts one x of every pixel
//   x1  ->   [ a  | a  | a  | a  ]     and feeds PIXELS * VECTORS fused multiply-adds
//   ...
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// Widest panel whose tile still fits the registers.
constexpr int max_vectors = vector_registers == 32 ? 4 : 2;

// Pixels of a tile: what the registers hold beside one line of the panel and a broadcast.
constexpr int tile_pixels(int vectors) {
    if (vector_registers == 32) return vectors == 1 ? 14 : vectors == 2 ? 13 : vectors == 3 ? 8 : 6;
    return vectors == 1 ? 10 : 6;
}

template <class T>
inline Vector<T> rectify(Activation activation, Vector<T> z) {
    if (activation == Activation::relu) return z < T(0) ? Vector<T>{} : z;
    return z < T(0) ? z * T(leaky_relu_slope) : z;
}

template <class T, int PIXELS, int VECTORS>
inline void correlate_tile(const CorrelateRow<T>& row, const T* x, T* y) {
    constexpr int W = width<T>;
    Vector<T> sum[PIXELS][VECTORS];
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; ++j) {
        const Vector<T> bias = load(row.bias + j * W);
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) sum[i][j] = bias;
    }

    const T* weight = row.weight;
    const int64_t x_stride = row.x_stride;
    for (int64_t r = 0; r < row.tap_rows; ++r) {
        for (int64_t s = 0; s < row.tap_columns; ++s) {
            const T* window = x + r * row.tap_row_stride + s * row.tap_column_stride;
            for (int64_t c = 0; c < row.run; ++c) {
                Vector<T> line[VECTORS];
#pragma GCC unroll 16
                for (int j = 0; j < VECTORS; ++j) line[j] = load(weight + j * W);
                weight += VECTORS * W;
#pragma GCC unroll 16
                for (int i = 0; i < PIXELS; ++i) {
                    const Vector<T> value = broadcast(window[i * x_stride + c]);
#pragma GCC unroll 16
                    for (int j = 0; j < VECTORS; ++j) sum[i][j] += value * line[j];
                }
            }
        }
    }

    if (row.activation != Activation::none) {
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) sum[i][j] = rectify<T>(row.activation, sum[i][j]);
        }
    }

    // Only the last vector of a panel can be partly filled.
    const int64_t last_lanes = row.channels - (VECTORS - 1) * W;
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
        T* out = y + i * row.y_stride;
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS - 1; ++j) store(out + j * W, sum[i][j]);
        if (last_lanes == W) {
            store(out + (VECTORS - 1) * W, sum[i][VECTORS - 1]);
        } else {
            store_first(out + (VECTORS - 1) * W, sum[i][VECTORS - 1], last_lanes);
        }
    }
}

// The tile of exactly `pixels` pixels, at most PIXELS.
template <class T, int PIXELS, int VECTORS>
inline void correlate_pixels(const CorrelateRow<T>& row, int64_t pixels, const T* x, T* y) {
    if constexpr (PIXELS > 0) {
        if (pixels == PIXELS) {
            correlate_tile<T, PIXELS, VECTORS>(row, x, y);
        } else {
            correlate_pixels<T, PIXELS - 1, VECTORS>(row, pixels, x, y);
        }
    }
}

// As few tiles as will do, and as even as possible: 7 pixels are 4 and 3, not 6 and 1, since a tile
// of one pixel waits on every addition.
template <class T, int VECTORS>
void correlate_row_of(const CorrelateRow<T>& row) {
    constexpr int PIXELS = tile_pixels(VECTORS);
    const int64_t tiles = (row.pixels + PIXELS - 1) / PIXELS;
    for (int64_t tile = 0; tile < tiles; ++tile) {
        const int64_t first = tile * row.pixels / tiles;
        const int64_t pixels = (tile + 1) * row.pixels / tiles - first;
        correlate_pixels<T, PIXELS, VECTORS>(row, pixels, row.x + first * row.x_stride,
                                             row.y + first * row.y_stride);
    }
}

template <class T>
void correlate_row(const CorrelateRow<T>& row) {
    if (row.vectors == 1) return correlate_row_of<T, 1>(row);
    if (row.vectors == 2) return correlate_row_of<T, 2>(row);
    if constexpr (max_vectors == 4) {
        if (row.vectors == 3) return correlate_row_of<T, 3>(row);
        return correlate_row_of<T, 4>(row);
    }
}

}  // namespace
}  // namespace rot180
