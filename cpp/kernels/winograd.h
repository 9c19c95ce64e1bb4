// Winograd's transforms for convolutions of `taps` x `taps` in tiles of `size` x `size` outputs,
// with size + taps - 1 = POINTS of five or six:
//
//     Y = A^T [ (G g G^T) * (B^T d B) ] A,   * element by element, summed over input channels
//
// d is the POINTS x POINTS of inputs that a tile reads, g the filter. Along one axis, the two
// polynomials that have d and g as coefficients are evaluated at as many points, multiplied there,
// and interpolated: S. Winograd, Arithmetic Complexity of Computations (1980); A. Lavin and S.
// Gray, Fast Algorithms for Convolutional Neural Networks (2016). Six points are 0, +-a, +-b and
// infinity; five do without -b. a and b come from bench/winograd_points.py: these are exact, as are
// their squares, and leave half of the error that the usual 1 and 2 leave.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

constexpr double point_a = 0.75, point_b = 1.5;

// B^T d. Points of opposite sign share their even and their odd terms, here and below.
template <class T, int POINTS>
struct InputTransform {
    static constexpr int size = POINTS;

    static inline void apply(const Vector<T> (&d)[size], Vector<T> (&points)[POINTS]) {
        constexpr T a = T(point_a), a2 = a * a, b = T(point_b), b2 = b * b;
        if constexpr (POINTS == 6) {
            const Vector<T> even_a = d[4] - b2 * d[2], odd_a = d[3] - b2 * d[1];
            const Vector<T> even_b = d[4] - a2 * d[2], odd_b = d[3] - a2 * d[1];
            points[0] = d[4] - (a2 + b2) * d[2] + a2 * b2 * d[0];
            points[1] = even_a + a * odd_a;
            points[2] = even_a - a * odd_a;
            points[3] = even_b + b * odd_b;
            points[4] = even_b - b * odd_b;
            points[5] = d[5] - (a2 + b2) * d[3] + a2 * b2 * d[1];
        } else {
            const Vector<T> even = d[3] - b * d[2], odd = d[2] - b * d[1];
            const Vector<T> at_b = d[3] - a2 * d[1];
            points[0] = at_b - b * (d[2] - a2 * d[0]);
            points[1] = even + a * odd;
            points[2] = even - a * odd;
            points[3] = at_b;
            points[4] = d[4] - a2 * d[2] - b * at_b;
        }
    }
};

// The sum of c[0] + c[1] x^2 + ... over every second of `count` coefficients, from `first` on.
template <class T, int COUNT>
inline Vector<T> every_second(const Vector<T> (&c)[COUNT], int first, T square) {
    Vector<T> sum = {};
    T power = 1;
#pragma GCC unroll 4
    for (int i = first; i < COUNT; i += 2) {
        sum = i == first ? c[i] : sum + power * c[i];
        power *= square;
    }
    return sum;
}

// G g.
template <class T, int POINTS, int TAPS>
struct FilterTransform {
    static constexpr int size = TAPS;

    static inline void apply(const Vector<T> (&g)[size], Vector<T> (&points)[POINTS]) {
        constexpr T a = T(point_a), a2 = a * a, b = T(point_b), b2 = b * b;
        const Vector<T> even_a = every_second<T, TAPS>(g, 0, a2);
        const Vector<T> odd_a = a * every_second<T, TAPS>(g, 1, a2);
        const Vector<T> even_b = every_second<T, TAPS>(g, 0, b2);
        const Vector<T> odd_b = b * every_second<T, TAPS>(g, 1, b2);
        if constexpr (POINTS == 6) {
            constexpr T at_zero = 1 / (a2 * b2), at_a = 1 / (2 * a2 * (a2 - b2));
            constexpr T at_b = 1 / (2 * b2 * (b2 - a2));
            points[0] = at_zero * g[0];
            points[1] = at_a * (even_a + odd_a);
            points[2] = at_a * (even_a - odd_a);
            points[3] = at_b * (even_b + odd_b);
            points[4] = at_b * (even_b - odd_b);
        } else {
            constexpr T at_zero = 1 / (a2 * b), at_b = 1 / (b * (b2 - a2));
            constexpr T at_a = 1 / (2 * a2 * (a - b)), at_minus_a = -1 / (2 * a2 * (a + b));
            points[0] = at_zero * g[0];
            points[1] = at_a * (even_a + odd_a);
            points[2] = at_minus_a * (even_a - odd_a);
            points[3] = at_b * (even_b + odd_b);
        }
        points[POINTS - 1] = g[TAPS - 1];
    }
};

// A^T m.
template <class T, int POINTS, int SIZE>
struct OutputTransform {
    static constexpr int size = SIZE;

    static inline void apply(const Vector<T> (&points)[POINTS], Vector<T> (&y)[size]) {
        const Vector<T> even_a = points[1] + points[2], odd_a = points[1] - points[2];
        Vector<T> even_b = points[3], odd_b = points[3];
        if constexpr (POINTS == 6) {
            even_b += points[4];
            odd_b -= points[4];
        }
        T a = 1, b = 1;
#pragma GCC unroll 8
        for (int i = 0; i < SIZE; ++i) {
            y[i] = a * (i % 2 ? odd_a : even_a) + b * (i % 2 ? odd_b : even_b);
            a *= T(point_a);
            b *= T(point_b);
        }
        y[0] += points[0];
        y[SIZE - 1] += points[POINTS - 1];
    }
};

// The points of a vector of channels; read(i, j) is pixel (i, j). The pixels' sum is added to
// `total`, if there is one.
template <class T, int POINTS, class Transform, class Read>
__attribute__((always_inline)) inline void to_points_vector(const Read& read, Vector<T>* total,
                                                            int64_t point_stride, T* to) {
    constexpr int SIZE = Transform::size;
    Vector<T> rows[SIZE][POINTS];
#pragma GCC unroll 8
    for (int i = 0; i < SIZE; ++i) {
        Vector<T> row[SIZE];
#pragma GCC unroll 8
        for (int j = 0; j < SIZE; ++j) row[j] = read(i, j);
        if (total) {
#pragma GCC unroll 8
            for (int j = 0; j < SIZE; ++j) *total += row[j];
        }
        Transform::apply(row, rows[i]);
    }
#pragma GCC unroll 8
    for (int j = 0; j < POINTS; ++j) {
        Vector<T> column[SIZE], points[POINTS];
#pragma GCC unroll 8
        for (int i = 0; i < SIZE; ++i) column[i] = rows[i][j];
        Transform::apply(column, points);
        T* point = to + j * point_stride;
#pragma GCC unroll 8
        for (int i = 0; i < POINTS; ++i) {
            store(point, points[i]);
            point += POINTS * point_stride;
        }
    }
}

// Where pixel (i, j) of a tile is, `at` elements behind the start of an array, in a tile that lies
// within its image ...
struct Inside {
    template <class T>
    const T* operator()(const T* array, int64_t at, int, int) const {
        return array + at;
    }
};

// ... and in one that does not: a row of zeros stands for the pixels outside, so that nothing
// branches.
template <class T, int SIZE>
struct AcrossTheEdge {
    uintptr_t zeros, inside_row[SIZE], inside_column[SIZE];

    AcrossTheEdge(const ToPoints<T>& tile, const Vector<T>& zero) : zeros((uintptr_t)&zero) {
        for (int i = 0; i < SIZE; ++i) {
            inside_row[i] = i >= tile.first_row && i < tile.last_row ? ~uintptr_t(0) : 0;
            inside_column[i] = i >= tile.first_column && i < tile.last_column ? ~uintptr_t(0) : 0;
        }
    }
    const T* operator()(const T* array, int64_t at, int i, int j) const {
        const uintptr_t pixel = (uintptr_t)array + (uintptr_t)at * sizeof(T);
        return (const T*)(zeros + ((pixel - zeros) & inside_row[i] & inside_column[j]));
    }
};

// Inlined, since a compiler that sees no effect leaves out the call.
template <class T, int SIZE>
__attribute__((always_inline)) inline void prefetch_next_tile(const ToPoints<T>& tile, int64_t c) {
    for (int i = 0; i < SIZE; ++i) {
        for (int j = 0; j < SIZE; ++j) {
            const int64_t next = tile.next_at + i * tile.row_stride + j * tile.column_stride + c;
            prefetch(tile.from, next);
            if (tile.saved) prefetch(tile.saved, next);
        }
    }
}

template <class T, int POINTS, class Transform, class Place>
void to_points_of(const ToPoints<T>& tile, const Place& place) {
    constexpr int W = width<T>, SIZE = Transform::size;
    // Copies: as far as the compiler knows, each store may change the tile.
    const T* from = tile.from;
    const T* saved = tile.saved;
    const int64_t row_stride = tile.row_stride, column_stride = tile.column_stride;
    const int64_t point_stride = tile.point_stride;
    const int64_t last_pixel =
        tile.from_at + (tile.last_row - 1) * row_stride + (tile.last_column - 1) * column_stride;
    for (int64_t c = 0; c < tile.channels; c += W) {
        const int64_t lanes = tile.channels - c < W ? tile.channels - c : W;
        if (tile.next_at != tile.from_at && c % line_size<T> == 0) {
            prefetch_next_tile<T, SIZE>(tile, c);
        }
        const int64_t first = tile.from_at + c;
        const auto at = [&](const T* array, int i, int j) __attribute__((always_inline)) {
            return place(array, first + i * row_stride + j * column_stride, i, j);
        };
        Vector<T> total = {};
        const auto transform = [&](const auto& read) __attribute__((always_inline)) {
            to_points_vector<T, POINTS, Transform>(read, tile.sum ? &total : nullptr, point_stride,
                                                   tile.to + c);
        };
        // What a last vector has too many is the next pixel's, except at the end of the array.
        const bool readable = last_pixel + c + W <= tile.from_size;
        if (readable && tile.activation == Activation::none) {
            transform([&](int i, int j)
                          __attribute__((always_inline)) { return load(at(from, i, j)); });
        } else if (readable && tile.activation == Activation::relu) {
            transform([&](int i, int j) __attribute__((always_inline)) {
                return times_derivative<T>(Activation::relu, load(at(from, i, j)),
                                           load(at(saved, i, j)), T(leaky_relu_slope));
            });
        } else {
            const auto read = [&](const T* pixel) {
                return lanes == W ? load(pixel) : load_first(pixel, lanes);
            };
            transform([&](int i, int j) {
                const Vector<T> value = read(at(from, i, j));
                if (tile.activation == Activation::none) return value;
                return times_derivative<T>(tile.activation, value, read(at(saved, i, j)),
                                           T(leaky_relu_slope));
            });
        }
        if (!tile.sum) continue;
        if (lanes == W) {
            store(tile.sum + c, load(tile.sum + c) + total);
        } else {
            store_first(tile.sum + c, load_first(tile.sum + c, lanes) + total, lanes);
        }
    }
}

template <class T, int POINTS, class Transform>
void to_points(const ToPoints<T>& tile) {
    constexpr int SIZE = Transform::size;
    if (tile.first_row == 0 && tile.last_row == SIZE && tile.first_column == 0 &&
        tile.last_column == SIZE) {
        return to_points_of<T, POINTS, Transform>(tile, Inside{});
    }
    const Vector<T> zero = {};
    to_points_of<T, POINTS, Transform>(tile, AcrossTheEdge<T, SIZE>(tile, zero));
}

template <class T>
void winograd_input(int points, const ToPoints<T>& tile) {
    if (points == 5) return to_points<T, 5, InputTransform<T, 5>>(tile);
    return to_points<T, 6, InputTransform<T, 6>>(tile);
}

template <class T>
void winograd_filter(int points, int taps, const ToPoints<T>& tile) {
    if (points == 5 && taps == 2) return to_points<T, 5, FilterTransform<T, 5, 2>>(tile);
    if (points == 5) return to_points<T, 5, FilterTransform<T, 5, 4>>(tile);
    if (taps == 2) return to_points<T, 6, FilterTransform<T, 6, 2>>(tile);
    if (taps == 3) return to_points<T, 6, FilterTransform<T, 6, 3>>(tile);
    if (taps == 4) return to_points<T, 6, FilterTransform<T, 6, 4>>(tile);
    return to_points<T, 6, FilterTransform<T, 6, 5>>(tile);
}

// WHOLE: all pixels of the tile are wanted, and its channels fill a vector.
template <class T, int POINTS, int SIZE, bool WHOLE>
__attribute__((always_inline)) inline void from_points_of(const FromPoints<T>& tile,
                                                          Activation activation) {
    constexpr int W = width<T>;
    // Copies: as far as the compiler knows, each store may change the tile.
    const int64_t point_stride = tile.point_stride, channels = tile.channels;
    const int64_t row_stride = tile.row_stride, column_stride = tile.column_stride;
    const int64_t vectors = (channels + W - 1) / W;
    Vector<T> zeros = {};
    for (int64_t vector = 0; vector < vectors; ++vector) {
        // The last vector computes some channels again rather than be partly filled.
        const int64_t behind = channels - W;
        const int64_t c = vector * W < behind ? vector * W : behind > 0 ? behind : 0;
        if (tile.next_to && c % line_size<T> == 0) {
            for (int i = 0; i < SIZE; ++i) {
                for (int j = 0; j < SIZE; ++j) {
                    prefetch_to_write(tile.next_to, i * row_stride + j * column_stride + c);
                }
            }
        }
        Vector<T> rows[SIZE][POINTS];
#pragma GCC unroll 8
        for (int j = 0; j < POINTS; ++j) {
            Vector<T> points[POINTS], column[SIZE];
            const T* point = tile.from + c + j * point_stride;
#pragma GCC unroll 8
            for (int i = 0; i < POINTS; ++i) {
                points[i] = load(point);
                point += POINTS * point_stride;
            }
            OutputTransform<T, POINTS, SIZE>::apply(points, column);
#pragma GCC unroll 8
            for (int i = 0; i < SIZE; ++i) rows[i][j] = column[i];
        }
        const Vector<T> bias = tile.bias ? load(tile.bias + c) : Vector<T>{};
#pragma GCC unroll 8
        for (int i = 0; i < SIZE; ++i) {
            if (!WHOLE && i >= tile.rows) break;
            Vector<T> y[SIZE], sum = {};
            OutputTransform<T, POINTS, SIZE>::apply(rows[i], y);
            T* to = tile.to + i * row_stride + c;
#pragma GCC unroll 8
            for (int j = 0; j < SIZE; ++j) {
                if (!WHOLE && j >= tile.columns) break;
                const Vector<T> z = y[j] + bias;
                sum = j == 0 ? z : sum + z;
                if (WHOLE || channels >= W) {
                    store(to + j * column_stride, rectify<T>(activation, z));
                } else {
                    store_first(to + j * column_stride, rectify<T>(activation, z), channels);
                }
            }
            zeros += T(0) * sum;  // NaN, if the sum of a row of pixels is not finite
        }
    }
    store(tile.zeros, load(tile.zeros) + zeros);
}

template <class T, int POINTS, int SIZE>
void from_points(const FromPoints<T>& tile) {
    if (tile.rows == SIZE && tile.columns == SIZE && tile.channels >= width<T>) {
        if (tile.activation == Activation::none) {
            return from_points_of<T, POINTS, SIZE, true>(tile, Activation::none);
        }
        if (tile.activation == Activation::relu) {
            return from_points_of<T, POINTS, SIZE, true>(tile, Activation::relu);
        }
    }
    return from_points_of<T, POINTS, SIZE, false>(tile, tile.activation);
}

template <class T>
void winograd_output(int points, int size, const FromPoints<T>& tile) {
    if (points == 5 && size == 2) return from_points<T, 5, 2>(tile);
    if (points == 5) return from_points<T, 5, 4>(tile);
    if (size == 2) return from_points<T, 6, 2>(tile);
    if (size == 3) return from_points<T, 6, 3>(tile);
    if (size == 4) return from_points<T, 6, 4>(tile);
    return from_points<T, 6, 5>(tile);
}

}  // namespace
}  // namespace rot180
