// Sums by channel over pixels, in slots of a fixed size: what batch and group normalisation have in
// common.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>

#include "kernels.h"
#include "parallel.h"

namespace rot180 {

// The pixels of one or several images as rows of several, and cut into slots for sums over them.
struct Pixels {
    int64_t pixels, channels, period;
    int64_t slot_pixels, slots;

    Pixels(int64_t pixels, int64_t channels, int64_t width)
        : pixels(pixels), channels(channels), period(row_length(channels, width)) {
        const int64_t per_row = period / channels;
        const int64_t fewest =
            std::max(fewest_slot_pixels, divide_up(fewest_slot_elements, channels));
        slot_pixels = divide_up(std::max(fewest, divide_up(pixels, most_slots)), per_row) * per_row;
        slots = divide_up(pixels, slot_pixels);
    }

    double size() const { return double(pixels) * double(channels); }
    int64_t first(int64_t slot) const { return slot * slot_pixels; }
    int64_t count(int64_t slot) const { return std::min(slot_pixels, pixels - first(slot)); }

 private:
    static constexpr int64_t most_slots = 64, fewest_slot_elements = 32768;
    static constexpr int64_t fewest_slot_pixels = 256, longest_period = 1024;

    // The length of a row as the kernels take it: as many pixels as fill whole vectors, four of
    // them at least, unless the row would then be so long that its coefficients pushed x out of the
    // cache.
    static int64_t row_length(int64_t channels, int64_t width) {
        int64_t pixels = width / std::gcd(channels, width);
        while (pixels * channels < 4 * width) pixels *= 2;
        return channels *
               std::clamp<int64_t>(pixels, 1, std::max<int64_t>(longest_period / channels, 1));
    }
};

// Repeats the first `channels` values up to `period`.
template <class T>
void spread(const Pixels& all, T* row) {
    for (int64_t i = all.channels; i < all.period; ++i) row[i] = row[i - all.channels];
}

// total[c] = sum of row[c], row[c + channels], ...
template <class T>
void fold(const Pixels& all, const T* row, double* total) {
    for (int64_t c = 0; c < all.channels; ++c) total[c] = row[c];
    for (int64_t first = all.channels; first < all.period; first += all.channels) {
        for (int64_t c = 0; c < all.channels; ++c) total[c] += row[first + c];
    }
}

// Three rows of one thread.
template <class T>
struct ThreadRows {
    T *first, *second, *third;
};

// Mean and sum of squared differences from it, of one slot. Differences from the mean of a few
// pixels, taken from all over the slot, are small enough to be squared and summed as they come.
template <class T>
void slot_moments(const Kernels<T>& kernels, const Pixels& all, const T* x, int64_t slot,
                  const ThreadRows<T>& rows, double* mean, double* deviation) {
    T* center = rows.first;
    T* sum = rows.second;
    T* squares = rows.third;
    // However few, a mean of one in 16 is off by less than 4 * sqrt(pixels) standard deviations.
    const int64_t pixels = all.count(slot), few = std::clamp<int64_t>(pixels / 16, 1, 16);
    const int64_t step = (pixels / few - 1) | 1;  // odd, so that they lie in many columns
    x += all.first(slot) * all.channels;
    std::fill(center, center + all.channels, T(0));
    kernels.add_rows(x, few, step * all.channels, all.channels, center);
    for (int64_t c = 0; c < all.channels; ++c) center[c] /= T(few);
    spread(all, center);
    std::fill(sum, sum + all.period, T(0));
    std::fill(squares, squares + all.period, T(0));
    kernels.add_moments(x, pixels * all.channels, all.period, center, sum, squares);
    fold(all, sum, mean);
    fold(all, squares, deviation);
    for (int64_t c = 0; c < all.channels; ++c) {
        const double off = mean[c] / double(pixels);
        const double around_mean = deviation[c] - off * mean[c];
        deviation[c] = around_mean < 0 ? 0 : around_mean;  // NaN stays
        mean[c] = double(center[c]) + off;
    }
}

// Puts a slot's moments together with those of all slots before it (Chan, Golub, LeVeque 1979).
inline void merge_moments(const Pixels& all, int64_t slot, const double* slot_mean,
                          const double* slot_deviation, double* mean, double* deviation) {
    const double before = double(all.first(slot)), here = double(all.count(slot));
    const double share = here / (before + here);
    for (int64_t c = 0; c < all.channels; ++c) {
        const double off = slot_mean[c] - mean[c];
        mean[c] += off * share;
        deviation[c] += slot_deviation[c] + off * off * (before * share);
    }
}

template <class T>
T inverse_deviation(double var, double eps) {
    return T(1 / std::sqrt(var + eps));
}

}  // namespace rot180
