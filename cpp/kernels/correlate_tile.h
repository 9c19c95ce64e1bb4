// The dense correlation kernel: a register tile of PIXELS x VECTORS accumulators.
//
//            weight panel, one line of VECTORS vectors for each step of the reduction
//            [ w0 | w1 | w2 | w3 ]
//   x0  ->   [ a  | a  | a  | a  ]     each step broadcasts one x of every pixel
//   x1  ->   [ a  | a  | a  | a  ]     and feeds PIXELS * VECTORS fused multiply-adds
//   ...
#pragma once

#include "activation_vector.h"
#include "even_parts.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// Widest panel whose tile still fits the registers.
constexpr int max_vectors = vector_registers == 32 ? 4 : 2;

// Pixels of a tile: what the registers hold beside one line of the panel and a broadcast, and the
// general registers as pointers.
constexpr int tile_pixels(int vectors) {
    if (vector_registers == 32) return vectors <= 2 ? 12 : vectors == 3 ? 8 : 6;
    return vectors == 1 ? 10 : 6;
}
static_assert(tile_pixels(1) <= most_tile_pixels && tile_pixels(2) <= most_tile_pixels &&
                  tile_pixels(3) <= most_tile_pixels && tile_pixels(4) <= most_tile_pixels,
              "drivers count on it");

// One step of a tile: sum[i][j] += value(i) * line[j], for a line of VECTORS vectors. value(i) is
// in memory: an instruction of AVX-512 broadcasts what it reads, so that for two vectors it is read
// twice rather than broadcast to a register first.
template <class T, int ROWS, int VECTORS, class Value>
__attribute__((always_inline)) inline void add_line(const T* line, const Value& value,
                                                    Vector<T> (&sum)[ROWS][VECTORS]) {
    Vector<T> vectors[VECTORS];
#pragma GCC unroll 16
    for (int j = 0; j < VECTORS; ++j) vectors[j] = load(line + j * width<T>);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) {
            sum[i][j] += broadcast(value(i)) * vectors[j];
            // Else the compiler would read it once.
            if (vector_bytes == 64 && VECTORS == 2) asm("" ::: "memory");
        }
    }
}

// The sums of a tile from memory and back, ROWS rows `stride` apart.
template <class T, int ROWS, int VECTORS>
__attribute__((always_inline)) inline void load_rows(const T* from, int64_t stride,
                                                     Vector<T> (&sum)[ROWS][VECTORS]) {
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i, from += stride) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) sum[i][j] = load(from + j * width<T>);
    }
}
template <class T, int ROWS, int VECTORS>
__attribute__((always_inline)) inline void store_rows(const Vector<T> (&sum)[ROWS][VECTORS],
                                                      int64_t stride, T* to) {
    // Else pointers that they were read through would be kept until now.
    keep_in_register(to);
#pragma GCC unroll 16
    for (int i = 0; i < ROWS; ++i, to += stride) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) store(to + j * width<T>, sum[i][j]);
    }
}

// `count` steps, most of them in fours: step(i) is the i-th one from where advance(n) last moved
// to, n steps further on. So i, known to the compiler, becomes part of an address.
template <class Step, class Advance>
__attribute__((always_inline)) inline void for_steps(int64_t count, const Step& step,
                                                     const Advance& advance) {
    for (int64_t fours = count / 4; fours > 0; --fours) {
        step(0), step(1), step(2), step(3);
        advance(4);
    }
    if (count & 2) {
        step(0), step(1);
        advance(2);
    }
    if (count & 1) {
        step(0);
        advance(1);
    }
}

template <class T, int PIXELS, int VECTORS>
inline void correlate_tile(const CorrelateTiles<T>& tiles, const int64_t* x_at,
                           const int64_t* y_at) {
    constexpr int W = width<T>;
    // Only the last vector of a panel can be partly filled.
    const int64_t last_lanes = tiles.channels - (VECTORS - 1) * W;
    Vector<T> sum[PIXELS][VECTORS];
    if (tiles.bias) {
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS; ++j) {
            const Vector<T> bias = load(tiles.bias + j * W);
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) sum[i][j] = bias;
        }
        if (tiles.prefetch_y) {
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 16
                for (int j = 0; j < VECTORS; ++j) prefetch_to_write(tiles.y, y_at[i] + j * W);
            }
        }
    } else {
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) {
            const T* from = tiles.y + y_at[i];
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) {
                const bool whole = j < VECTORS - 1 || last_lanes == W;
                sum[i][j] = whole ? load(from + j * W) : load_first(from + j * W, last_lanes);
            }
        }
    }

    const T* weight = tiles.weight;
    for (int64_t r = 0; r < tiles.run_count; ++r) {
        const Run run = tiles.runs[r];
        const T* window[PIXELS];
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) {
            window[i] = tiles.x + x_at[i] + run.offset;
            keep_in_register(window[i]);
        }
        const auto step = [&](int c) __attribute__((always_inline)) {
            add_line<T>(
                weight + c * VECTORS * W, [&](int i) -> const T& { return window[i][c]; }, sum);
        };
        for_steps(run.length, step, [&](int steps) __attribute__((always_inline)) {
#pragma GCC unroll 16
            for (int i = 0; i < PIXELS; ++i) {
                window[i] += steps;
                keep_in_register(window[i]);
            }
            weight += steps * VECTORS * W;
        });
    }

    if (tiles.activation != Activation::none) {
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) {
#pragma GCC unroll 16
            for (int j = 0; j < VECTORS; ++j) sum[i][j] = rectify<T>(tiles.activation, sum[i][j]);
        }
    }

#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
        T* to = tiles.y + y_at[i];
#pragma GCC unroll 16
        for (int j = 0; j < VECTORS - 1; ++j) store(to + j * W, sum[i][j]);
        if (last_lanes == W) {
            store(to + (VECTORS - 1) * W, sum[i][VECTORS - 1]);
        } else {
            store_first(to + (VECTORS - 1) * W, sum[i][VECTORS - 1], last_lanes);
        }
    }
}

template <class T, int VECTORS>
void correlate_tiles_of(const CorrelateTiles<T>& tiles) {
    constexpr int most = tile_pixels(VECTORS);
    // While this chunk of the panel is in use, the one behind it comes a share with each tile.
    int64_t next = 0;
    for (int64_t r = 0; r < tiles.run_count; ++r) next += tiles.runs[r].length * VECTORS * width<T>;
    const int64_t count = (tiles.pixels + most - 1) / most;
    const int64_t share = tiles.prefetch_next ? (next + count - 1) / count : 0;
    for_even_parts(tiles.pixels, most, [&](int64_t first, int size) {
        for (int64_t i = 0; i < share; i += line_size<T>) {
            prefetch_later(tiles.weight, next + i);
        }
        next += share;
        with_exactly<most>(size, [&](auto pixels) {
            correlate_tile<T, pixels, VECTORS>(tiles, tiles.x_at + first, tiles.y_at + first);
        });
    });
}

template <class T>
void correlate_tiles(const CorrelateTiles<T>& tiles) {
    with_exactly<max_vectors>(tiles.vectors,
                              [&](auto vectors) { correlate_tiles_of<T, vectors>(tiles); });
}

}  // namespace
}  // namespace rot180
