// Packing weights as the tiles read them.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// 0 * w is zero unless w is infinite or NaN: sums of it show whether every weight is finite.
template <class T>
struct FiniteCheck {
    Vector<T> sum = {};
    T rest = 0;
    void see(Vector<T> value) { sum += T(0) * value; }
    void see(T value) { rest += T(0) * value; }
    bool all_finite() const {
        T total = rest;
        for (int i = 0; i < width<T>; ++i) total += sum[i];
        return total == T(0);
    }
};

// A panel is a narrow stripe of the weights: hardware does not foresee its next lines.
constexpr int64_t lines_ahead = 16;

// Vectors of channels that lie together: one copy for each line. What the last vector has too many
// is the next line's, if there is one, and masked out.
template <class T>
bool pack_contiguous_channels(const PackLines<T>& pack) {
    constexpr int W = width<T>;
    const int64_t whole = pack.channels / W * W;
    const Vector<IntOf<T>> mask = first_lanes<T>(pack.channels - whole);
    const int64_t end = (pack.lines - 1) * pack.line_stride + pack.channels;
    FiniteCheck<T> check;
    T* to = pack.to;
    for (int64_t line = 0; line < pack.lines; ++line, to += pack.lanes) {
        const int64_t at = line * pack.line_stride;
        const T* from = pack.from + at;
        prefetch(from, lines_ahead * pack.line_stride);
        for (int64_t k = 0; k < whole; k += W) {
            const Vector<T> value = load(from + k);
            check.see(value);
            store(to + k, value);
        }
        if (whole < pack.lanes) {
            const Vector<T> value = at + whole + W <= end
                                        ? masked<T>(load(from + whole), mask)
                                        : load_first(from + whole, pack.channels - whole);
            check.see(value);
            store(to + whole, value);
        }
    }
    return !pack.checked || check.all_finite();
}

// W vectors of W lanes turned into columns, by exchanging ever larger halves. What is exchanged is
// known to the compiler: a loop over halves would compute the indices each time.
template <class T, int HALF = 1>
__attribute__((always_inline)) inline void transpose(Vector<T> (&rows)[width<T>]) {
    constexpr int W = width<T>;
    if constexpr (HALF < W) {
        Vector<IntOf<T>> low, high;
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
            low[i] = IntOf<T>(i & HALF ? (i ^ HALF) + W : i);
            high[i] = IntOf<T>(i & HALF ? i + W : i ^ HALF);
        }
#pragma GCC unroll 16
        for (int i = 0; i < W; ++i) {
            if (i & HALF) continue;
            const Vector<T> a = rows[i], b = rows[i + HALF];
            rows[i] = shuffle<T>(a, b, low);
            rows[i + HALF] = shuffle<T>(a, b, high);
        }
        transpose<T, 2 * HALF>(rows);
    }
}

// Lines that lie together, as when input and output channels change places.
template <class T>
bool pack_contiguous_lines(const PackLines<T>& pack) {
    constexpr int W = width<T>;
    FiniteCheck<T> check;
    for (int64_t first = 0; first < pack.lanes; first += W) {
        const T* from = pack.from + first * pack.channel_stride;
        const int64_t channels = pack.channels - first < W ? pack.channels - first : W;
        T* to = pack.to + first;
        int64_t line = 0;
        for (; line + W <= pack.lines; line += W) {
            Vector<T> rows[W];
#pragma GCC unroll 16
            for (int k = 0; k < W; ++k) {
                rows[k] = k < channels ? load(from + k * pack.channel_stride + line) : Vector<T>{};
                prefetch(from, (W + k) * pack.channel_stride + line);
                check.see(rows[k]);
            }
            transpose<T>(rows);
#pragma GCC unroll 16
            for (int k = 0; k < W; ++k) store(to + (line + k) * pack.lanes, rows[k]);
        }
        for (; line < pack.lines; ++line) {
            for (int64_t k = 0; k < W; ++k) {
                const T value = k < channels ? from[k * pack.channel_stride + line] : T(0);
                check.see(value);
                to[line * pack.lanes + k] = value;
            }
        }
    }
    return !pack.checked || check.all_finite();
}

template <class T>
bool pack_lines(const PackLines<T>& pack) {
    if (pack.channel_stride == 1) return pack_contiguous_channels(pack);
    return pack_contiguous_lines(pack);
}

}  // namespace
}  // namespace rot180
