// The dense correlation kernel for few output channels, as in the input gradient of a network's
// first layer: vectors run along the reduction, and each accumulator is summed at the end.
//
//   x of pixel 0   [ c c c c ]  *  [ w w w w ] of channel 0  ->  a
//                               *  [ w w w w ] of channel 1  ->  a
//   x of pixel 1   [ c c c c ]  ...
#pragma once

#include "correlate_tile.h"

namespace rot180 {
namespace {

// Channels computed together, and pixels beside them.
constexpr int few_channels = 4;
constexpr int few_pixels(int channels) {
    return (vector_registers == 32 ? 24 : 12) / (channels + (channels == 1));
}

// The lanes of a run's last vector that the vector before did not have.
template <class T>
inline Vector<IntOf<T>> new_lanes(int64_t length) {
    return ~first_lanes<T>((width<T> - length % width<T>) % width<T>);
}

template <class T, int PIXELS, int CHANNELS>
inline void few_tile(const CorrelateTiles<T>& tiles, int64_t first_channel, int64_t steps,
                     const int64_t* x_at, const int64_t* y_at) {
    constexpr int W = width<T>;
    Vector<T> sum[PIXELS][CHANNELS] = {};
    const T* weight = tiles.weight + first_channel * steps * W;
    const int64_t channel_stride = steps * W;
    const auto add = [&](const T* const(&window)[PIXELS], int64_t c, auto&& seen)
                         __attribute__((always_inline)) {
                             Vector<T> tap[CHANNELS];
#pragma GCC unroll 16
                             for (int k = 0; k < CHANNELS; ++k)
                                 tap[k] = load(weight + k * channel_stride);
                             weight += W;
#pragma GCC unroll 16
                             for (int i = 0; i < PIXELS; ++i) {
                                 const Vector<T> value = seen(load(window[i] + c));
#pragma GCC unroll 16
                                 for (int k = 0; k < CHANNELS; ++k) sum[i][k] += value * tap[k];
                             }
                         };
    for (int64_t r = 0; r < tiles.run_count; ++r) {
        const Run run = tiles.runs[r];
        const T* window[PIXELS];
#pragma GCC unroll 16
        for (int i = 0; i < PIXELS; ++i) window[i] = tiles.x + x_at[i] + run.offset;
        int64_t c = 0;
        for (; c + W <= run.length; c += W) {
            add(window, c, [](Vector<T> value) { return value; });
        }
        if (c < run.length) {
            const Vector<IntOf<T>> mask = new_lanes<T>(run.length);
            add(window, run.length - W, [&](Vector<T> value) { return masked<T>(value, mask); });
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < PIXELS; ++i) {
        T* to = tiles.y + y_at[i] + first_channel;
#pragma GCC unroll 16
        for (int k = 0; k < CHANNELS; ++k) {
            const T start = tiles.bias ? tiles.bias[first_channel + k] : to[k];
            to[k] = rectify<T>(tiles.activation, start + sum_of_lanes<T, W>(sum[i][k]));
        }
    }
}

template <class T, int CHANNELS>
inline void few_pixels_of(const CorrelateTiles<T>& tiles, int64_t first_channel, int64_t steps) {
    constexpr int PIXELS = few_pixels(CHANNELS);
    int64_t p = 0;
    for (; p + PIXELS <= tiles.pixels; p += PIXELS) {
        few_tile<T, PIXELS, CHANNELS>(tiles, first_channel, steps, tiles.x_at + p, tiles.y_at + p);
    }
    for (; p < tiles.pixels; ++p) {
        few_tile<T, 1, CHANNELS>(tiles, first_channel, steps, tiles.x_at + p, tiles.y_at + p);
    }
}

template <class T>
void correlate_few(const CorrelateTiles<T>& tiles) {
    int64_t steps = 0;
    for (int64_t r = 0; r < tiles.run_count; ++r) {
        steps += (tiles.runs[r].length + width<T> - 1) / width<T>;
    }
    // As few groups of channels as will do, as even as possible.
    const int64_t groups = (tiles.channels + few_channels - 1) / few_channels;
    for (int64_t group = 0; group < groups; ++group) {
        const int64_t first = group * tiles.channels / groups;
        const int64_t channels = (group + 1) * tiles.channels / groups - first;
        if (channels == 4) few_pixels_of<T, 4>(tiles, first, steps);
        if (channels == 3) few_pixels_of<T, 3>(tiles, first, steps);
        if (channels == 2) few_pixels_of<T, 2>(tiles, first, steps);
        if (channels == 1) few_pixels_of<T, 1>(tiles, first, steps);
    }
}

}  // namespace
}  // namespace rot180
