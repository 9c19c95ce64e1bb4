#include <algorithm>
#include <cmath>
#include <numeric>

#include "denormals.h"
#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "rot180/norm.h"
#include "scratch.h"

namespace rot180 {
namespace {

constexpr int64_t most_slots = 64, fewest_slot_elements = 32768, fewest_slot_pixels = 256;
constexpr int64_t longest_period = 1024;

// The length of a row as the kernels take it: as many pixels as fill whole vectors, four of them at
// least, unless the row would then be so long that its coefficients pushed x out of the cache.
int64_t row_length(int64_t channels, int64_t width) {
    int64_t pixels = width / std::gcd(channels, width);
    while (pixels * channels < 4 * width) pixels *= 2;
    return channels *
           std::clamp<int64_t>(pixels, 1, std::max<int64_t>(longest_period / channels, 1));
}

// The pixels of all images as rows of several, and cut into slots for sums over them.
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

// Coefficients of the kernels, a row of each: z = x * scale + shift.
template <class T>
struct Coefficients {
    T *center, *scale, *shift;

    void set(const Pixels& all, const T* mean, const T* inv_std, const Affine<T>& affine) const {
        const FlushDenormals flush;
        for (int64_t c = 0; c < all.channels; ++c) {
            const double bias = affine.bias ? double(affine.bias[c]) : 0;
            center[c] = mean[c];
            scale[c] = affine.weight ? affine.weight[c] * inv_std[c] : inv_std[c];
            shift[c] = T(bias - double(mean[c]) * double(scale[c]));
        }
        for (T* row : {center, scale, shift}) spread(all, row);
    }

    ChannelNorm<T> of(const Pixels& all, const T* x, int64_t size) const {
        return {x, size, all.period, center, scale, shift};
    }
};

// The memory of one call: rows for coefficients, rows for each thread's sums, and for each slot and
// channel two sums in double precision.
template <class T>
class Workspace {
 public:
    Workspace(const Pixels& all, int team) : all_(all), scratch_(plan(all, team)) {}

    Coefficients<T> coefficients() const { return {row(0), row(1), row(2)}; }
    T* row(int i) const { return reinterpret_cast<T*>(scratch_.data()) + i * all_.period; }
    T* thread_row(int thread, int i) const { return row(shared_rows + thread * thread_rows + i); }
    double* first(int64_t slot) const { return sums() + slot * all_.channels; }
    double* second(int64_t slot) const { return sums() + (all_.slots + slot) * all_.channels; }

    static constexpr int shared_rows = 5, thread_rows = 3;

 private:
    size_t plan(const Pixels& all, int team) {
        ScratchPlan memory;
        memory.add((shared_rows + team * thread_rows) * all.period, sizeof(T));
        sums_at_ = memory.add(2 * all.slots * all.channels, sizeof(double));
        return memory.bytes();
    }
    double* sums() const { return reinterpret_cast<double*>(scratch_.data() + sums_at_); }

    const Pixels& all_;
    size_t sums_at_ = 0;
    Scratch scratch_;
};

int statistics_team(const Pixels& all) { return team_size(all.slots, 2 * all.size()); }

// Mean and sum of squared differences from it, of one slot. Differences from the mean of a few
// pixels, taken from all over the slot, are small enough to be squared and summed as they come.
template <class T>
void slot_moments(const Kernels<T>& kernels, const Pixels& all, const T* x,
                  const Workspace<T>& workspace, int64_t slot, int thread) {
    T* center = workspace.thread_row(thread, 0);
    T* sum = workspace.thread_row(thread, 1);
    T* squares = workspace.thread_row(thread, 2);
    const int64_t pixels = all.count(slot), few = std::min<int64_t>(pixels, 16);
    const int64_t step = (pixels / few - 1) | 1;  // odd, so that they lie in many columns
    x += all.first(slot) * all.channels;
    std::fill(center, center + all.channels, T(0));
    kernels.add_rows(x, few, step * all.channels, all.channels, center);
    for (int64_t c = 0; c < all.channels; ++c) center[c] /= T(few);
    spread(all, center);
    std::fill(sum, sum + all.period, T(0));
    std::fill(squares, squares + all.period, T(0));
    kernels.add_moments(x, pixels * all.channels, all.period, center, sum, squares);
    double* mean = workspace.first(slot);
    double* deviation = workspace.second(slot);
    fold(all, sum, mean);
    fold(all, squares, deviation);
    for (int64_t c = 0; c < all.channels; ++c) {
        const double off = mean[c] / double(pixels);
        const double around_mean = deviation[c] - off * mean[c];
        deviation[c] = around_mean < 0 ? 0 : around_mean;  // NaN stays
        mean[c] = double(center[c]) + off;
    }
}

// Puts the slots' moments together in the memory of the first (Chan, Golub, LeVeque 1979).
template <class T>
void merge_moments(const Pixels& all, const Workspace<T>& workspace) {
    for (int64_t slot = 1; slot < all.slots; ++slot) {
        const double before = double(all.first(slot)), here = double(all.count(slot));
        const double share = here / (before + here);
        double* mean = workspace.first(0);
        double* deviation = workspace.second(0);
        const double* slot_mean = workspace.first(slot);
        const double* slot_deviation = workspace.second(slot);
        for (int64_t c = 0; c < all.channels; ++c) {
            const double off = slot_mean[c] - mean[c];
            mean[c] += off * share;
            deviation[c] += slot_deviation[c] + off * off * (before * share);
        }
    }
}

// body(first, count) over pieces of whole rows, the last first: it is what the pass before has left
// in the cache.
template <class Body>
void parallel_rows(const Pixels& all, const Body& body) {
    const int64_t each = std::max<int64_t>(elements_per_task / all.period, 1) * all.period;
    const int64_t size = all.pixels * all.channels, tasks = divide_up(size, each);
    parallel_for(tasks, team_size(tasks, all.size()), [&](int64_t task, int) {
        const int64_t first = (tasks - 1 - task) * each;
        body(first, std::min(each, size - first));
    });
}

template <class T>
void normalize(const Kernels<T>& kernels, const Pixels& all, const T* x,
               const Coefficients<T>& coefficients, Activation activation, T* y) {
    parallel_rows(all, [&](int64_t first, int64_t count) {
        kernels.normalize(coefficients.of(all, x + first, count), in_kernel(activation), y + first);
        after_kernel(kernels, activation, 1, count, count, y + first);
    });
}

// Sums of g and of g * (x - mean) into the first slot.
template <class T>
void grad_sums(const Kernels<T>& kernels, const Pixels& all, const T* dy, const T* x,
               const Coefficients<T>& coefficients, Activation activation, int team,
               const Workspace<T>& workspace) {
    parallel_for(all.slots, team, [&](int64_t slot, int thread) {
        T* sum = workspace.thread_row(thread, 0);
        T* products = workspace.thread_row(thread, 1);
        std::fill(sum, sum + all.period, T(0));
        std::fill(products, products + all.period, T(0));
        const int64_t first = all.first(slot) * all.channels;
        kernels.add_grad_moments(coefficients.of(all, x + first, all.count(slot) * all.channels),
                                 dy + first, activation, sum, products);
        fold(all, sum, workspace.first(slot));
        fold(all, products, workspace.second(slot));
    });
    for (int64_t slot = 1; slot < all.slots; ++slot) {
        for (int64_t c = 0; c < all.channels; ++c) {
            workspace.first(0)[c] += workspace.first(slot)[c];
            workspace.second(0)[c] += workspace.second(slot)[c];
        }
    }
}

template <class T>
T inverse_deviation(double var, double eps) {
    return T(1 / std::sqrt(var + eps));
}

// The sums as gradients, and the coefficients of dx.
template <class T>
void set_gradients(const Pixels& all, const T* inv_std, const Coefficients<T>& coefficients,
                   const Workspace<T>& workspace, T* slope, T* offset, T* dweight, T* dbias) {
    const FlushDenormals flush;
    const double* sum = workspace.first(0);
    const double* product = workspace.second(0);
    for (int64_t c = 0; c < all.channels; ++c) {
        const double deviations = product[c] * double(inv_std[c]);
        const double share = double(coefficients.scale[c]) / double(all.pixels);
        dbias[c] = T(sum[c]);
        dweight[c] = T(deviations);
        slope[c] = T(-share * deviations * double(inv_std[c]));
        offset[c] = T(-share * sum[c]);
    }
    spread(all, slope);
    spread(all, offset);
}

// Both gradients; dx may be null.
template <class T>
void gradients(int64_t pixels, int64_t channels, const T* dy, const T* x, const T* mean,
               const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    std::fill(dweight, dweight + channels, T(0));
    std::fill(dbias, dbias + channels, T(0));
    if (pixels == 0) return;
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels all(pixels, channels, kernels.width);
    const int team = statistics_team(all);
    const Workspace<T> workspace(all, team);
    const Coefficients<T> coefficients = workspace.coefficients();
    coefficients.set(all, mean, inv_std, affine);
    grad_sums(kernels, all, dy, x, coefficients, affine.activation, team, workspace);
    T* slope = workspace.row(3);
    T* offset = workspace.row(4);
    set_gradients(all, inv_std, coefficients, workspace, slope, offset, dweight, dbias);
    if (!dx) return;
    parallel_rows(all, [&](int64_t first, int64_t count) {
        kernels.normalize_grad(coefficients.of(all, x + first, count), dy + first,
                               affine.activation, slope, offset, dx + first);
    });
}

}  // namespace

template <class T>
void batch_norm(int64_t pixels, int64_t channels, const T* x, const T* mean, const T* var,
                double eps, const Affine<T>& affine, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels all(pixels, channels, kernels.width);
    const Workspace<T> workspace(all, 0);
    T* inv_std = workspace.row(3);
    for (int64_t c = 0; c < channels; ++c) inv_std[c] = inverse_deviation<T>(double(var[c]), eps);
    const Coefficients<T> coefficients = workspace.coefficients();
    coefficients.set(all, mean, inv_std, affine);
    normalize(kernels, all, x, coefficients, affine.activation, y);
}

template <class T>
void batch_norm_training(int64_t pixels, int64_t channels, const T* x, double eps,
                         const Affine<T>& affine, double momentum, T* running_mean, T* running_var,
                         T* y, T* mean, T* inv_std) {
    if (pixels == 0) {
        std::fill(mean, mean + channels, T(0));
        std::fill(inv_std, inv_std + channels, inverse_deviation<T>(0, eps));
        return;
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels all(pixels, channels, kernels.width);
    const int team = statistics_team(all);
    const Workspace<T> workspace(all, team);
    parallel_for(all.slots, team, [&](int64_t slot, int thread) {
        slot_moments(kernels, all, x, workspace, slot, thread);
    });
    merge_moments(all, workspace);
    for (int64_t c = 0; c < channels; ++c) {
        const double deviation = workspace.second(0)[c];
        mean[c] = T(workspace.first(0)[c]);
        inv_std[c] = inverse_deviation<T>(deviation / double(pixels), eps);
        if (!running_mean) continue;
        running_mean[c] =
            T((1 - momentum) * double(running_mean[c]) + momentum * workspace.first(0)[c]);
        running_var[c] =
            T((1 - momentum) * double(running_var[c]) + momentum * deviation / double(pixels - 1));
    }
    const Coefficients<T> coefficients = workspace.coefficients();
    coefficients.set(all, mean, inv_std, affine);
    normalize(kernels, all, x, coefficients, affine.activation, y);
}

template <class T>
void batch_norm_grad_weight(int64_t pixels, int64_t channels, const T* dy, const T* x,
                            const T* mean, const T* inv_std, const Affine<T>& affine, T* dweight,
                            T* dbias) {
    gradients<T>(pixels, channels, dy, x, mean, inv_std, affine, nullptr, dweight, dbias);
}

template <class T>
void batch_norm_grad_input(int64_t pixels, int64_t channels, const T* dy, const T* x, const T* mean,
                           const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    gradients(pixels, channels, dy, x, mean, inv_std, affine, dx, dweight, dbias);
}

#define INSTANTIATE(T)                                                                             \
    template void batch_norm(int64_t, int64_t, const T*, const T*, const T*, double,               \
                             const Affine<T>&, T*);                                                \
    template void batch_norm_training(int64_t, int64_t, const T*, double, const Affine<T>&,        \
                                      double, T*, T*, T*, T*, T*);                                 \
    template void batch_norm_grad_weight(int64_t, int64_t, const T*, const T*, const T*, const T*, \
                                         const Affine<T>&, T*, T*);                                \
    template void batch_norm_grad_input(int64_t, int64_t, const T*, const T*, const T*, const T*,  \
                                        const Affine<T>&, T*, T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
