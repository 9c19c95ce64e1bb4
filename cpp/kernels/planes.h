// The convolution kernels for few channels on both sides, as in a network's first layer: vectors
// run over pixels, and each channel of an image is a plane by itself.
//
//   one tap      x [ p p p p ]  *  w of filter 0  ->  y of filter 0 [ p p p p ]
//                               *  w of filter 1  ->  y of filter 1 [ p p p p ]
//   the next one reads the same plane, some pixels further on
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// A tile's accumulators, beside registers for what they are made of: vectors of a plane by filters,
// or taps by filters.
constexpr int plane_vectors = vector_registers == 32 ? 4 : 3;
constexpr int plane_filters = vector_registers == 32 ? 6 : 4;
constexpr int grad_taps = 4, grad_filters = vector_registers == 32 ? 6 : 3;

// FILTERS filters of VECTORS vectors of pixels.
template <class T, int FILTERS, int VECTORS>
inline void plane_tile(const CorrelatePlanes<T>& planes, int64_t filter, int64_t pixel) {
    constexpr int W = width<T>;
    Vector<T> sum[FILTERS][VECTORS];
#pragma GCC unroll 16
    for (int k = 0; k < FILTERS; ++k) {
        const Vector<T> start = broadcast<T>(planes.bias ? planes.bias[filter + k] : T(0));
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) sum[k][v] = start;
    }
    const T* weight = planes.weight + filter;
    for (int64_t tap = 0; tap < planes.taps; ++tap, weight += planes.filters) {
        const T* x = planes.x + planes.tap_at[tap] + pixel;
        Vector<T> value[VECTORS];
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) value[v] = load(x + v * W);
#pragma GCC unroll 16
        for (int k = 0; k < FILTERS; ++k) {
            const Vector<T> w = broadcast<T>(weight[k]);
#pragma GCC unroll 16
            for (int v = 0; v < VECTORS; ++v) sum[k][v] += value[v] * w;
        }
    }
#pragma GCC unroll 16
    for (int k = 0; k < FILTERS; ++k) {
        T* y = planes.y + (filter + k) * planes.y_stride + pixel;
#pragma GCC unroll 16
        for (int v = 0; v < VECTORS; ++v) {
            store(y + v * W, rectify<T>(planes.activation, sum[k][v]));
        }
    }
}

// `filters` filters of all pixels; at most FILTERS.
template <class T, int FILTERS>
inline void plane_tiles(const CorrelatePlanes<T>& planes, int64_t filter, int64_t filters) {
    if constexpr (FILTERS > 0) {
        if (filters < FILTERS) return plane_tiles<T, FILTERS - 1>(planes, filter, filters);
        // One filter has so few sums that they would wait on one another.
        constexpr int VECTORS = FILTERS == 1 ? 2 * plane_vectors : plane_vectors;
        int64_t pixel = 0;
        for (; pixel + VECTORS * width<T> <= planes.pixels; pixel += VECTORS * width<T>) {
            plane_tile<T, FILTERS, VECTORS>(planes, filter, pixel);
        }
        for (; pixel < planes.pixels; pixel += width<T>) {
            plane_tile<T, FILTERS, 1>(planes, filter, pixel);
        }
    }
}

// Even parts of `count`, none larger than `most`: body(first, size).
template <class Body>
inline void for_even_parts(int64_t count, int64_t most, const Body& body) {
    const int64_t parts = (count + most - 1) / most;
    for (int64_t part = 0; part < parts; ++part) {
        const int64_t first = part * count / parts;
        body(first, (part + 1) * count / parts - first);
    }
}

template <class T>
void correlate_planes(const CorrelatePlanes<T>& planes) {
    for_even_parts(planes.filters, plane_filters, [&](int64_t filter, int64_t filters) {
        plane_tiles<T, plane_filters>(planes, filter, filters);
    });
}

// TAPS taps by FILTERS filters, over all pixels.
template <class T, int TAPS, int FILTERS>
inline void plane_grad_tile(const PlanesGrad<T>& planes, int64_t tap, int64_t filter) {
    constexpr int W = width<T>;
    Vector<T> sum[TAPS][FILTERS];
    T* to = planes.sums + (tap * planes.filters + filter) * W;
    const T *x[TAPS], *dy = planes.dy + filter * planes.dy_stride;
#pragma GCC unroll 16
    for (int t = 0; t < TAPS; ++t) {
        x[t] = planes.x + planes.tap_at[tap + t];
#pragma GCC unroll 16
        for (int k = 0; k < FILTERS; ++k) sum[t][k] = load(to + (t * planes.filters + k) * W);
    }
    for (int64_t pixel = 0; pixel < planes.pixels; pixel += W) {
        Vector<T> delta[FILTERS];
#pragma GCC unroll 16
        for (int k = 0; k < FILTERS; ++k) delta[k] = load(dy + k * planes.dy_stride + pixel);
#pragma GCC unroll 16
        for (int t = 0; t < TAPS; ++t) {
            const Vector<T> value = load(x[t] + pixel);
#pragma GCC unroll 16
            for (int k = 0; k < FILTERS; ++k) sum[t][k] += value * delta[k];
        }
    }
#pragma GCC unroll 16
    for (int t = 0; t < TAPS; ++t) {
#pragma GCC unroll 16
        for (int k = 0; k < FILTERS; ++k) store(to + (t * planes.filters + k) * W, sum[t][k]);
    }
}

template <class T, int TAPS, int FILTERS>
inline void plane_grad_tiles(const PlanesGrad<T>& planes, int64_t tap, int64_t taps, int64_t filter,
                             int64_t filters) {
    if constexpr (FILTERS > 0) {
        if (filters < FILTERS) {
            return plane_grad_tiles<T, TAPS, FILTERS - 1>(planes, tap, taps, filter, filters);
        }
        if constexpr (TAPS > 0) {
            if (taps < TAPS) {
                return plane_grad_tiles<T, TAPS - 1, FILTERS>(planes, tap, taps, filter, filters);
            }
            plane_grad_tile<T, TAPS, FILTERS>(planes, tap, filter);
        }
    }
}

template <class T>
void planes_grad_weight(const PlanesGrad<T>& planes) {
    for_even_parts(planes.taps, grad_taps, [&](int64_t tap, int64_t taps) {
        for_even_parts(planes.filters, grad_filters, [&](int64_t filter, int64_t filters) {
            plane_grad_tiles<T, grad_taps, grad_filters>(planes, tap, taps, filter, filters);
        });
    });
}

// CHANNELS planes to pixels, and back.
template <class T>
void from_planes(const Planes<T>& planes, T* pixels) {
    with_count<1, 2, 3, 4, 5, 6, 8, 10, 12>(planes.channels, [&](auto channels) {
        for (int64_t p = 0; p < planes.pixels; ++p) {
            for (int64_t c = 0; c < channels; ++c) {
                pixels[p * channels + c] = planes.data[c * planes.stride + p];
            }
        }
    });
}

template <class T>
void to_planes(const T* pixels, int64_t pixel_stride, const Planes<T>& planes) {
    with_count<1, 2, 3, 4, 5, 6, 8, 10, 12>(planes.channels, [&](auto channels) {
        for (int64_t p = 0; p < planes.pixels; ++p) {
            for (int64_t c = 0; c < channels; ++c) {
                planes.data[c * planes.stride + p] = pixels[p * pixel_stride + c];
            }
        }
    });
}

}  // namespace
}  // namespace rot180
