#include <algorithm>

#include "channel_moments.h"
#include "denormals.h"
#include "epilogue.h"
#include "instruction_set.h"
#include "parallel.h"
#include "rot180/norm.h"
#include "scratch.h"

namespace rot180 {
namespace {

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
    ThreadRows<T> thread_rows(int thread) const {
        const int first = shared_rows + thread * rows_per_thread;
        return {row(first), row(first + 1), row(first + 2)};
    }
    double* first(int64_t slot) const { return sums() + slot * all_.channels; }
    double* second(int64_t slot) const { return sums() + (all_.slots + slot) * all_.channels; }

 private:
    static constexpr int shared_rows = 5, rows_per_thread = 3;

    size_t plan(const Pixels& all, int team) {
        ScratchPlan memory;
        memory.add((shared_rows + team * rows_per_thread) * all.period, sizeof(T));
        sums_at_ = memory.add(2 * all.slots * all.channels, sizeof(double));
        return memory.bytes();
    }
    double* sums() const { return reinterpret_cast<double*>(scratch_.data() + sums_at_); }

    const Pixels& all_;
    size_t sums_at_ = 0;
    Scratch scratch_;
};

int statistics_team(const Pixels& all) { return team_size(all.slots, 2 * all.size()); }

// The moments of all pixels, in the memory of the first slot.
template <class T>
void moments(const Kernels<T>& kernels, const Pixels& all, const T* x, int team,
             const Workspace<T>& workspace) {
    parallel_for(all.slots, team, [&](int64_t slot, int thread) {
        slot_moments<T>(kernels, all, x, slot, workspace.thread_rows(thread), workspace.first(slot),
                        workspace.second(slot));
    });
    for (int64_t slot = 1; slot < all.slots; ++slot) {
        merge_moments(all, slot, workspace.first(slot), workspace.second(slot), workspace.first(0),
                      workspace.second(0));
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
               const Coefficients<T>& coefficients, Activation activation, const T* residual,
               T* y) {
    parallel_rows(all, [&](int64_t first, int64_t count) {
        ChannelNorm<T> norm = coefficients.of(all, x + first, count);
        if (residual) norm.residual = residual + first;
        kernels.normalize(norm, in_kernel(activation), y + first);
        after_kernel(kernels, activation, 1, count, count, y + first);
    });
}

// Sums of g and of g * (x - mean) into the first slot.
template <class T>
void grad_sums(const Kernels<T>& kernels, const Pixels& all, const T* dy, const T* x,
               const Coefficients<T>& coefficients, Activation activation, int team,
               const Workspace<T>& workspace) {
    parallel_for(all.slots, team, [&](int64_t slot, int thread) {
        const auto [sum, products, unused] = workspace.thread_rows(thread);
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
                double eps, const Affine<T>& affine, const T* residual, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels all(pixels, channels, kernels.width);
    const Workspace<T> workspace(all, 0);
    T* inv_std = workspace.row(3);
    for (int64_t c = 0; c < channels; ++c) inv_std[c] = inverse_deviation<T>(double(var[c]), eps);
    const Coefficients<T> coefficients = workspace.coefficients();
    coefficients.set(all, mean, inv_std, affine);
    normalize(kernels, all, x, coefficients, affine.activation, residual, y);
}

template <class T>
void batch_norm_training(int64_t pixels, int64_t channels, const T* x, double eps,
                         const Affine<T>& affine, const T* residual, double momentum,
                         T* running_mean, T* running_var, T* y, T* mean, T* inv_std) {
    if (pixels == 0) {
        std::fill(mean, mean + channels, T(0));
        std::fill(inv_std, inv_std + channels, inverse_deviation<T>(0, eps));
        return;
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels all(pixels, channels, kernels.width);
    const int team = statistics_team(all);
    const Workspace<T> workspace(all, team);
    moments(kernels, all, x, team, workspace);
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
    normalize(kernels, all, x, coefficients, affine.activation, residual, y);
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
                             const Affine<T>&, const T*, T*);                                      \
    template void batch_norm_training(int64_t, int64_t, const T*, double, const Affine<T>&,        \
                                      const T*, double, T*, T*, T*, T*, T*);                       \
    template void batch_norm_grad_weight(int64_t, int64_t, const T*, const T*, const T*, const T*, \
                                         const Affine<T>&, T*, T*);                                \
    template void batch_norm_grad_input(int64_t, int64_t, const T*, const T*, const T*, const T*,  \
                                        const Affine<T>&, T*, T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
