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

// A sample is one task, so that its second pass finds it in the cache, unless there are too few of
// them for the threads, and each too large for that cache. Then its slots are tasks.
constexpr int64_t enough_samples = 16, most_cached_elements = 131072;

// The parts that a sample's second pass is cut into where slots are tasks.
constexpr int64_t elements_per_part = 4 * elements_per_task;

// Sums by channel, in double, for each slot of each sample: one channel's are `channels` apart.
struct Sums {
    double* first;
    double* second;
};

// The memory of one call: eight rows for each thread, five of them coefficients, and two sums for
// each sample, slot and channel.
template <class T>
class Workspace {
 public:
    Workspace(const GroupNormShape& shape, const Pixels& sample, int team)
        : shape_(shape), sample_(sample), scratch_(plan(team)) {}

    T* row(int thread, int i) const {
        return reinterpret_cast<T*>(scratch_.data()) + (thread * rows_per_thread + i) * stride_;
    }
    ThreadRows<T> sum_rows(int thread) const {
        return {row(thread, 5), row(thread, 6), row(thread, 7)};
    }
    Sums sums(int64_t n, int64_t slot) const {
        double* at = reinterpret_cast<double*>(scratch_.data() + sums_at_) +
                     2 * (n * sample_.slots + slot) * shape_.channels;
        return {at, at + shape_.channels};
    }

 private:
    static constexpr int rows_per_thread = 8;

    size_t plan(int team) {
        // Threads' rows lie on cache lines of their own.
        stride_ = divide_up(sample_.period, line_size<T>) * line_size<T>;
        ScratchPlan memory;
        memory.add(team * rows_per_thread * stride_, sizeof(T));
        sums_at_ = memory.add(2 * shape_.samples * sample_.slots * shape_.channels, sizeof(double));
        return memory.bytes();
    }

    const GroupNormShape& shape_;
    const Pixels& sample_;
    int64_t stride_ = 0;
    size_t sums_at_ = 0;
    Scratch scratch_;
};

// Two passes over each sample, sums(n, slot, thread) and write(n, first, count, thread), which
// follows on all sums of its sample and on finish(n).
template <class Sum, class Finish, class Write>
void by_sample(const GroupNormShape& shape, const Pixels& sample, int team, const Sum& sum,
               const Finish& finish, const Write& write) {
    const int64_t size = shape.pixels * shape.channels;
    if (shape.samples >= enough_samples || size <= most_cached_elements) {
        parallel_for(shape.samples, team, [&](int64_t n, int thread) {
            for (int64_t slot = 0; slot < sample.slots; ++slot) sum(n, slot, thread);
            finish(n);
            write(n, int64_t(0), size, thread);
        });
        return;
    }
    parallel_for(shape.samples * sample.slots, team, [&](int64_t task, int thread) {
        sum(task / sample.slots, task % sample.slots, thread);
    });
    {
        const FlushDenormals flush;
        for (int64_t n = 0; n < shape.samples; ++n) finish(n);
    }
    const int64_t each = std::max<int64_t>(elements_per_part / sample.period, 1) * sample.period;
    const int64_t parts = divide_up(size, each);
    parallel_for(shape.samples * parts, team, [&](int64_t task, int thread) {
        const int64_t first = task % parts * each;
        write(task / parts, first, std::min(each, size - first), thread);
    });
}

int team_of(const GroupNormShape& shape, const Pixels& sample) {
    return team_size(shape.samples * sample.slots, 2 * sample.size() * double(shape.samples));
}

// Coefficients of the kernels for one sample, in the first three rows of a thread:
// z = x * scale + shift.
template <class T>
ChannelNorm<T> coefficients(const GroupNormShape& shape, const Pixels& sample,
                            const Workspace<T>& workspace, int thread, const T* mean,
                            const T* inv_std, const Affine<T>& affine) {
    T* center = workspace.row(thread, 0);
    T* scale = workspace.row(thread, 1);
    T* shift = workspace.row(thread, 2);
    const int64_t members = shape.channels / shape.groups;
    for (int64_t g = 0, c = 0; g < shape.groups; ++g) {
        for (const int64_t end = c + members; c < end; ++c) {
            const double bias = affine.bias ? double(affine.bias[c]) : 0;
            center[c] = mean[g];
            scale[c] = affine.weight ? affine.weight[c] * inv_std[g] : inv_std[g];
            shift[c] = T(bias - double(mean[g]) * double(scale[c]));
        }
    }
    for (T* row : {center, scale, shift}) spread(sample, row);
    return {nullptr, 0, sample.period, center, scale, shift};
}

// The moments of each group from those of its channels, which have as many pixels each.
template <class T>
void group_moments(const GroupNormShape& shape, const Sums& of_channels, double eps, T* mean,
                   T* inv_std) {
    const int64_t members = shape.channels / shape.groups;
    for (int64_t g = 0; g < shape.groups; ++g) {
        const double* means = of_channels.first + g * members;
        const double* deviations = of_channels.second + g * members;
        double sum = 0, deviation = 0, between = 0;
        for (int64_t c = 0; c < members; ++c) sum += means[c];
        const double middle = sum / double(members);
        for (int64_t c = 0; c < members; ++c) {
            deviation += deviations[c];
            between += (means[c] - middle) * (means[c] - middle);
        }
        const double var = (deviation / double(shape.pixels) + between) / double(members);
        mean[g] = T(middle);
        inv_std[g] = inverse_deviation<T>(var, eps);
    }
}

// The coefficients of dx beside those of z, in two more rows of the thread. sums are those of
// g and of g * (x - mean).
template <class T>
void grad_coefficients(const GroupNormShape& shape, const Pixels& sample, const Sums& sums,
                       const T* inv_std, const Affine<T>& affine, T* slope, T* offset) {
    const int64_t members = shape.channels / shape.groups;
    const double count = double(shape.pixels) * double(members);
    for (int64_t g = 0; g < shape.groups; ++g) {
        const double factor = double(inv_std[g]);
        double sum = 0, product = 0;
        for (int64_t c = g * members; c < (g + 1) * members; ++c) {
            const double weight = affine.weight ? double(affine.weight[c]) : 1;
            sum += weight * sums.first[c];
            product += weight * sums.second[c];
        }
        const T each_slope = T(-factor * factor * factor * product / count);
        std::fill(slope + g * members, slope + (g + 1) * members, each_slope);
        std::fill(offset + g * members, offset + (g + 1) * members, T(-factor * sum / count));
    }
    spread(sample, slope);
    spread(sample, offset);
}

template <class T>
void normalize_pixels(const GroupNormShape& shape, const T* x, double eps, const Affine<T>& affine,
                      T* y, T* mean, T* inv_std) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels sample(shape.pixels, shape.channels, kernels.width);
    const int team = team_of(shape, sample);
    const Workspace<T> workspace(shape, sample, team);
    const int64_t size = shape.pixels * shape.channels;
    const auto sum = [&](int64_t n, int64_t slot, int thread) {
        const Sums sums = workspace.sums(n, slot);
        slot_moments<T>(kernels, sample, x + n * size, slot, workspace.sum_rows(thread), sums.first,
                        sums.second);
    };
    const auto finish = [&](int64_t n) {
        const Sums all = workspace.sums(n, 0);
        for (int64_t slot = 1; slot < sample.slots; ++slot) {
            const Sums sums = workspace.sums(n, slot);
            merge_moments(sample, slot, sums.first, sums.second, all.first, all.second);
        }
        group_moments(shape, all, eps, mean + n * shape.groups, inv_std + n * shape.groups);
    };
    const auto write = [&](int64_t n, int64_t first, int64_t count, int thread) {
        const int64_t g = n * shape.groups, at = n * size + first;
        ChannelNorm<T> norm =
            coefficients(shape, sample, workspace, thread, mean + g, inv_std + g, affine);
        norm.x = x + at;
        norm.size = count;
        kernels.normalize(norm, in_kernel(affine.activation), y + at);
        after_kernel(kernels, affine.activation, 1, count, count, y + at);
    };
    by_sample(shape, sample, team, sum, finish, write);
}

// Adds up what the samples' first slots hold.
template <class T>
void sum_over_samples(const GroupNormShape& shape, const Workspace<T>& workspace, const T* inv_std,
                      T* dweight, T* dbias) {
    const FlushDenormals flush;
    std::fill(dweight, dweight + shape.channels, T(0));
    std::fill(dbias, dbias + shape.channels, T(0));
    if (shape.samples == 0) return;
    const int64_t members = shape.channels / shape.groups;
    const Sums total = workspace.sums(0, 0);
    for (int64_t n = 0; n < shape.samples; ++n) {
        const Sums sums = workspace.sums(n, 0);
        for (int64_t g = 0; g < shape.groups; ++g) {
            const double factor = double(inv_std[n * shape.groups + g]);
            for (int64_t c = g * members; c < (g + 1) * members; ++c) {
                total.first[c] = sums.first[c] + (n > 0 ? total.first[c] : 0);
                total.second[c] = sums.second[c] * factor + (n > 0 ? total.second[c] : 0);
            }
        }
    }
    for (int64_t c = 0; c < shape.channels; ++c) {
        dweight[c] = T(total.second[c]);
        dbias[c] = T(total.first[c]);
    }
}

// Both gradients; dx may be null.
template <class T>
void pixel_gradients(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                     const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const Pixels sample(shape.pixels, shape.channels, kernels.width);
    const int team = team_of(shape, sample);
    const Workspace<T> workspace(shape, sample, team);
    const int64_t size = shape.pixels * shape.channels, channels = shape.channels;
    const auto of_sample = [&](int64_t n, int thread) {
        const int64_t g = n * shape.groups;
        return coefficients(shape, sample, workspace, thread, mean + g, inv_std + g, affine);
    };
    const auto sum = [&](int64_t n, int64_t slot, int thread) {
        const auto [gradients, products, unused] = workspace.sum_rows(thread);
        std::fill(gradients, gradients + sample.period, T(0));
        std::fill(products, products + sample.period, T(0));
        const int64_t at = n * size + sample.first(slot) * channels;
        ChannelNorm<T> norm = of_sample(n, thread);
        norm.x = x + at;
        norm.size = sample.count(slot) * channels;
        kernels.add_grad_moments(norm, dy + at, affine.activation, gradients, products);
        fold(sample, gradients, workspace.sums(n, slot).first);
        fold(sample, products, workspace.sums(n, slot).second);
    };
    const auto finish = [&](int64_t n) {
        const Sums all = workspace.sums(n, 0);
        for (int64_t slot = 1; slot < sample.slots; ++slot) {
            const Sums sums = workspace.sums(n, slot);
            for (int64_t c = 0; c < channels; ++c) all.first[c] += sums.first[c];
            for (int64_t c = 0; c < channels; ++c) all.second[c] += sums.second[c];
        }
    };
    const auto write = [&](int64_t n, int64_t first, int64_t count, int thread) {
        if (!dx) return;
        T* slope = workspace.row(thread, 3);
        T* offset = workspace.row(thread, 4);
        const int64_t at = n * size + first;
        ChannelNorm<T> norm = of_sample(n, thread);
        grad_coefficients(shape, sample, workspace.sums(n, 0), inv_std + n * shape.groups, affine,
                          slope, offset);
        norm.x = x + at;
        norm.size = count;
        kernels.normalize_grad(norm, dy + at, affine.activation, slope, offset, dx + at);
    };
    by_sample(shape, sample, team, sum, finish, write);

    sum_over_samples(shape, workspace, inv_std, dweight, dbias);
}

// One pixel: rows of a group's channels.
template <class T>
RowNorm<T> rows_of(const GroupNormShape& shape, const Affine<T>& affine) {
    return {nullptr,       0,           shape.groups,     shape.channels / shape.groups,
            affine.weight, affine.bias, affine.activation};
}

template <class T>
void normalize_vectors(const GroupNormShape& shape, const T* x, double eps, const Affine<T>& affine,
                       T* y, T* mean, T* inv_std) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t each = std::max<int64_t>(elements_per_task / shape.channels, 1);
    const int64_t tasks = divide_up(shape.samples, each);
    const int team = team_size(tasks, 2 * double(shape.samples) * double(shape.channels));
    parallel_for(tasks, team, [&](int64_t task, int) {
        const int64_t n = task * each, at = n * shape.channels, g = n * shape.groups;
        RowNorm<T> norm = rows_of(shape, affine);
        norm.x = x + at;
        norm.samples = std::min(each, shape.samples - n);
        norm.activation = in_kernel(affine.activation);
        kernels.normalize_rows(norm, eps, y + at, mean + g, inv_std + g);
        const int64_t count = norm.samples * shape.channels;
        after_kernel(kernels, affine.activation, 1, count, count, y + at);
    });
}

// Slots for sums over samples: few where they are long.
struct SampleSlots {
    int64_t samples, each, slots;

    explicit SampleSlots(const GroupNormShape& shape) : samples(shape.samples) {
        const int64_t most = std::clamp<int64_t>(most_elements / shape.channels, 8, 64);
        each = std::max({divide_up(samples, most), divide_up(elements_per_task, shape.channels),
                         fewest_samples});
        slots = divide_up(samples, each);
    }
    int64_t first(int64_t slot) const { return slot * each; }
    int64_t count(int64_t slot) const { return std::min(each, samples - first(slot)); }

 private:
    // A slot of few samples costs more to fill and to add than it saves.
    static constexpr int64_t most_elements = 1 << 20, fewest_samples = 4;
};

// Adds up slots of two sums, (slots, 2, channels), some channels at a time.
template <class T>
void add_slots(int64_t slots, int64_t channels, const T* sums, T* dweight, T* dbias) {
    constexpr int64_t together = 256;
    const FlushDenormals flush;
    for (int64_t first = 0; first < channels; first += together) {
        const int64_t count = std::min(together, channels - first);
        for (T* result : {dweight, dbias}) {
            double total[together] = {};
            const T* sum = sums + (result == dbias ? channels : 0) + first;
            for (int64_t slot = 0; slot < slots; ++slot, sum += 2 * channels) {
                for (int64_t c = 0; c < count; ++c) total[c] += double(sum[c]);
            }
            for (int64_t c = 0; c < count; ++c) result[first + c] = T(total[c]);
        }
    }
}

template <class T>
void vector_gradients(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                      const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const SampleSlots all(shape);
    const int64_t channels = shape.channels;
    ScratchPlan memory;
    memory.add(2 * all.slots * channels, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* const sums = reinterpret_cast<T*>(scratch.data());
    const int team = team_size(all.slots, 4 * double(shape.samples) * double(channels));
    parallel_for(all.slots, team, [&](int64_t slot, int) {
        const int64_t n = all.first(slot), at = n * channels, g = n * shape.groups;
        T* const own = sums + 2 * slot * channels;
        std::fill(own, own + 2 * channels, T(0));
        RowNorm<T> norm = rows_of(shape, affine);
        norm.x = x + at;
        norm.samples = all.count(slot);
        kernels.normalize_rows_grad(norm, dy + at, mean + g, inv_std + g, dx ? dx + at : nullptr,
                                    own, own + channels);
    });
    add_slots(all.slots, channels, sums, dweight, dbias);
}

template <class T>
void gradients(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
               const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    const auto of = shape.pixels == 1 ? vector_gradients<T> : pixel_gradients<T>;
    of(shape, dy, x, mean, inv_std, affine, dx, dweight, dbias);
}

}  // namespace

template <class T>
void group_norm(const GroupNormShape& shape, const T* x, double eps, const Affine<T>& affine, T* y,
                T* mean, T* inv_std) {
    const auto of = shape.pixels == 1 ? normalize_vectors<T> : normalize_pixels<T>;
    of(shape, x, eps, affine, y, mean, inv_std);
}

template <class T>
void group_norm_grad_weight(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                            const T* inv_std, const Affine<T>& affine, T* dweight, T* dbias) {
    gradients<T>(shape, dy, x, mean, inv_std, affine, nullptr, dweight, dbias);
}

template <class T>
void group_norm_grad_input(const GroupNormShape& shape, const T* dy, const T* x, const T* mean,
                           const T* inv_std, const Affine<T>& affine, T* dx, T* dweight, T* dbias) {
    gradients(shape, dy, x, mean, inv_std, affine, dx, dweight, dbias);
}

#define INSTANTIATE(T)                                                                          \
    template void group_norm(const GroupNormShape&, const T*, double, const Affine<T>&, T*, T*, \
                             T*);                                                               \
    template void group_norm_grad_weight(const GroupNormShape&, const T*, const T*, const T*,   \
                                         const T*, const Affine<T>&, T*, T*);                   \
    template void group_norm_grad_input(const GroupNormShape&, const T*, const T*, const T*,    \
                                        const T*, const Affine<T>&, T*, T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
