// The convolution kernels for few channels on both sides, as in a network's first layer: vectors
// run along a row of outputs as it lies in memory, over pixels and channels alike.
//
//   y        [ y00 y01 y02 y10 y11 y12 y20 y21 ]   pixel, channel: here of three channels
//   one tap  [ x0  x0  x0  x1  x1  x1  x2  x2  ]   one permutation of neighbouring values of x
//            [ w0  w1  w2  w0  w1  w2  w0  w1  ]   the tap's weights, laid out likewise
//
// Which channel a vector begins with repeats after `phases` vectors. The last vector of a row ends
// with the row, as a phase of its own, and shares some outputs with the one before.
#pragma once

#include "activation_vector.h"
#include "even_parts.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// Vectors of one phase that a tile of the correlation holds for each of TAP_ROWS rows, and columns
// of taps that one of the gradient does, beside registers for what they are made of.
constexpr int flat_vectors(int tap_rows) {
    const int fitting = (vector_registers - 4) / (tap_rows + 1);
    return fitting < 1 ? 1 : fitting > 4 ? 4 : fitting;
}
constexpr int flat_taps(int tap_rows) {
    const int fitting = (vector_registers - 3 - tap_rows) / tap_rows;
    return fitting < 1 ? 1 : fitting > 6 ? 6 : fitting;
}

// Lane i is lane index[i] of `value`.
template <class T>
inline Vector<T> permute(Vector<T> value, Vector<IntOf<T>> index) {
#if defined(__clang__)
    Vector<T> result;
    for (int i = 0; i < width<T>; ++i) result[i] = value[index[i]];
    return result;
#else
    return __builtin_shuffle(value, index);
#endif
}

// The vectors of one phase: where the first begins in a row of outputs and in a row of x, and what
// lies between two of them.
template <class T>
struct FlatPhase {
    int64_t count, begin, step, x_begin, x_step;
    Vector<IntOf<T>> index;

    FlatPhase(const FlatRows<T>& rows, int64_t phase)
        : step(rows.phases * width<T>),
          x_begin(rows.x_at[phase]),
          x_step(rows.x_period),
          index(load_as<IntOf<T>, width<T>>(rows.index + phase * width<T>)) {
        const int64_t whole = rows.row_size / width<T>;
        const bool last = phase == rows.phases;
        begin = last ? rows.row_size - width<T> : phase * width<T>;
        count =
            last ? rows.row_size % width<T> > 0 : (whole - phase + rows.phases - 1) / rows.phases;
    }
};

// VECTORS vectors of all rows. A row of x is permuted once for all rows of taps: what it adds to
// TAP_ROWS rows of outputs is in as many sums, of which the first is then complete.
template <class T, int TAP_ROWS, int VECTORS>
void correlate_flat(const FlatRows<T>& rows, const FlatCorrelation<T>& tile,
                    const FlatPhase<T>& phase, int64_t first, const T* weights, Vector<T> bias) {
    constexpr int W = width<T>;
    Vector<T> sum[VECTORS][TAP_ROWS];
#pragma GCC unroll 8
    for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 8
        for (int j = 0; j < TAP_ROWS; ++j) sum[v][j] = bias;
    }
    const T* x = rows.x + phase.x_begin + first * phase.x_step;
    T* y = tile.y + phase.begin + first * phase.step;
    for (int64_t row = 1 - TAP_ROWS; row < rows.rows; ++row, x += rows.x_row_stride) {
        const T* weight = weights;
        for (int64_t tap = 0; tap < rows.taps; ++tap, weight += TAP_ROWS * W) {
            const T* at = x + rows.tap_at[tap];
            Vector<T> value[VECTORS];
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) {
                value[v] = permute<T>(load(at + v * phase.x_step), phase.index);
            }
#pragma GCC unroll 8
            for (int j = 0; j < TAP_ROWS; ++j) {
                Vector<T> w = load(weight + (TAP_ROWS - 1 - j) * W);
                keep_in_register(w);
#pragma GCC unroll 8
                for (int v = 0; v < VECTORS; ++v) sum[v][j] += value[v] * w;
            }
        }
        if (row >= 0) {
#pragma GCC unroll 8
            for (int v = 0; v < VECTORS; ++v) {
                store(y + v * phase.step, rectify<T>(tile.activation, sum[v][0]));
            }
            y += tile.y_row_stride;
        }
#pragma GCC unroll 8
        for (int v = 0; v < VECTORS; ++v) {
#pragma GCC unroll 8
            for (int j = 0; j + 1 < TAP_ROWS; ++j) sum[v][j] = sum[v][j + 1];
            sum[v][TAP_ROWS - 1] = bias;
        }
    }
}

template <class T>
void correlate_flat_rows(const FlatRows<T>& rows, const FlatCorrelation<T>& tile) {
    with_exactly<most_flat_tap_rows>(rows.tap_rows, [&](auto tap_rows) {
        for (int64_t p = 0; p <= rows.phases; ++p) {
            const FlatPhase<T> phase(rows, p);
            const T* weights = tile.weight + p * rows.taps * tap_rows * width<T>;
            const Vector<T> bias = load(tile.bias + p * width<T>);
            constexpr int most = flat_vectors(tap_rows);
            for_even_parts(phase.count, most, [&](int64_t first, int size) {
                with_exactly<most>(size, [&](auto vectors) {
                    correlate_flat<T, tap_rows, vectors>(rows, tile, phase, first, weights, bias);
                });
            });
        }
    });
}

// TAPS columns of taps in all their rows, of all vectors of a phase.
template <class T, int TAP_ROWS, int TAPS>
void add_flat_taps(const FlatRows<T>& rows, const FlatGradient<T>& tile, const FlatPhase<T>& phase,
                   int64_t first_tap, T* sums) {
    constexpr int W = width<T>;
    Vector<T> sum[TAPS][TAP_ROWS];
    int64_t tap_at[TAPS];
#pragma GCC unroll 8
    for (int t = 0; t < TAPS; ++t) {
        tap_at[t] = rows.tap_at[first_tap + t];
#pragma GCC unroll 8
        for (int r = 0; r < TAP_ROWS; ++r) sum[t][r] = load(sums + (t * TAP_ROWS + r) * W);
    }
    const T* x_row = rows.x + phase.x_begin;
    const T* dy_row = tile.dy + phase.begin;
    for (int64_t row = 1 - TAP_ROWS; row < rows.rows; ++row) {
        const T* x = x_row;
        const T* dy = dy_row;
        for (int64_t v = 0; v < phase.count; ++v, x += phase.x_step, dy += phase.step) {
            Vector<T> delta[TAP_ROWS];
#pragma GCC unroll 8
            for (int r = 0; r < TAP_ROWS; ++r) {
                delta[r] = load(dy + (TAP_ROWS - 1 - r) * rows.row_size);
                if (TAP_ROWS * (TAPS + 1) + 2 < vector_registers) keep_in_register(delta[r]);
            }
#pragma GCC unroll 8
            for (int t = 0; t < TAPS; ++t) {
                const Vector<T> value = permute<T>(load(x + tap_at[t]), phase.index);
#pragma GCC unroll 8
                for (int r = 0; r < TAP_ROWS; ++r) sum[t][r] += value * delta[r];
            }
        }
        x_row += rows.x_row_stride;
        dy_row += rows.row_size;
    }
#pragma GCC unroll 8
    for (int t = 0; t < TAPS; ++t) {
#pragma GCC unroll 8
        for (int r = 0; r < TAP_ROWS; ++r) store(sums + (t * TAP_ROWS + r) * W, sum[t][r]);
    }
}

template <class T>
void add_flat_gradient(const FlatRows<T>& rows, const FlatGradient<T>& tile) {
    with_exactly<most_flat_tap_rows>(rows.tap_rows, [&](auto tap_rows) {
        for (int64_t p = 0; p <= rows.phases; ++p) {
            const FlatPhase<T> phase(rows, p);
            if (phase.count == 0) continue;
            constexpr int most = flat_taps(tap_rows);
            for_even_parts(rows.taps, most, [&](int64_t first, int size) {
                T* sums = tile.sums + (p * rows.taps + first) * tap_rows * width<T>;
                with_exactly<most>(size, [&](auto taps) {
                    add_flat_taps<T, tap_rows, taps>(rows, tile, phase, first, sums);
                });
            });
        }
    });
}

}  // namespace
}  // namespace rot180
