#include "rot180/optim.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

template <class Tensor>
int64_t tasks_of(const Tensor* tensors, size_t count) {
    int64_t tasks = 0;
    for (size_t t = 0; t < count; ++t) tasks += divide_up(tensors[t].size, elements_per_task);
    return tasks;
}

// body(t, first, size, task) over pieces of all tensors in one parallel region.
template <class Tensor, class Body>
void parallel_tensors(const Tensor* tensors, size_t count, double operations_per_element,
                      const Body& body) {
    std::vector<int64_t> first_task(count);
    int64_t tasks = 0;
    double elements = 0;
    for (size_t t = 0; t < count; ++t) {
        first_task[t] = tasks;
        tasks += divide_up(tensors[t].size, elements_per_task);
        elements += double(tensors[t].size);
    }
    const int team = team_size(tasks, elements * operations_per_element);
    parallel_for(tasks, team, [&](int64_t task, int) {
        const auto next = std::upper_bound(first_task.begin(), first_task.end(), task);
        const size_t t = size_t(next - first_task.begin()) - 1;
        const int64_t first = (task - first_task[t]) * elements_per_task;
        body(t, first, std::min(elements_per_task, tensors[t].size - first), task);
    });
}

// What a square root and a division count for.
constexpr double operations_of_a_quotient = 16;

// An array that may not be there.
template <class T>
T* from(T* array, int64_t first) {
    return array ? array + first : nullptr;
}

struct Decay {
    double l2, shrink;
};

Decay decay_of(double weight_decay, WeightDecay kind, double lr) {
    if (kind == WeightDecay::coupled) return {weight_decay, 1.0};
    return {0.0, 1.0 - lr * weight_decay};
}

}  // namespace

template <class T>
void adam_step(const AdamTensor<T>* tensors, size_t count, const AdamOptions& options) {
    // Both corrections are numbers: fold them into the step size and a factor on sqrt(v).
    const double correction1 = 1 - std::pow(options.beta1, double(options.step));
    const double correction2 = std::sqrt(1 - std::pow(options.beta2, double(options.step)));
    AdamConstants<T> common;
    common.beta1 = T(options.beta1);
    common.one_minus_beta1 = T(1 - options.beta1);
    common.beta2 = T(options.beta2);
    common.one_minus_beta2 = T(1 - options.beta2);
    common.scale = T(options.eps_hat ? 1 : 1 / correction2);
    common.eps = T(options.eps);
    std::vector<AdamConstants<T>> constants(count, common);
    for (size_t t = 0; t < count; ++t) {
        const double lr = tensors[t].lr;
        const Decay decay = decay_of(tensors[t].weight_decay, options.decay, lr);
        constants[t].alpha = T(lr / correction1 * (options.eps_hat ? correction2 : 1));
        constants[t].l2 = T(decay.l2);
        constants[t].shrink = T(decay.shrink);
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, operations_of_a_quotient,
                     [&](size_t t, int64_t first, int64_t size, int64_t) {
                         const AdamTensor<T>& a = tensors[t];
                         kernels.adam(size, a.param + first, a.grad + first, a.m + first,
                                      a.v + first, constants[t]);
                     });
}

template <class T>
void sgd_step(const SgdTensor<T>* tensors, size_t count, const SgdOptions& options) {
    std::vector<SgdConstants<T>> constants;
    for (size_t t = 0; t < count; ++t) {
        const Decay decay = decay_of(tensors[t].weight_decay, options.decay, tensors[t].lr);
        constants.push_back({T(tensors[t].lr), T(options.momentum), options.nesterov, T(decay.l2),
                             T(decay.shrink)});
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, 4, [&](size_t t, int64_t first, int64_t size, int64_t) {
        const SgdTensor<T>& a = tensors[t];
        kernels.sgd(size, a.param + first, a.grad + first, from(a.velocity, first), constants[t]);
    });
}

template <class T>
void rmsprop_step(const RmspropTensor<T>* tensors, size_t count, const RmspropOptions& options) {
    std::vector<RmspropConstants<T>> constants;
    for (size_t t = 0; t < count; ++t) {
        const Decay decay = decay_of(tensors[t].weight_decay, options.decay, tensors[t].lr);
        constants.push_back({T(options.alpha), T(1 - options.alpha), T(tensors[t].lr),
                             T(options.eps), T(options.momentum), T(decay.l2), T(decay.shrink)});
    }
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, operations_of_a_quotient,
                     [&](size_t t, int64_t first, int64_t size, int64_t) {
                         const RmspropTensor<T>& a = tensors[t];
                         kernels.rmsprop(size, a.param + first, a.grad + first, a.v + first,
                                         from(a.m, first), from(a.velocity, first), constants[t]);
                     });
}

template <class T>
void ema_step(const EmaTensor<T>* tensors, size_t count, double decay) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, 3, [&](size_t t, int64_t first, int64_t size, int64_t) {
        kernels.move_towards(size, tensors[t].param + first, T(1 - decay),
                             tensors[t].average + first);
    });
}

template <class T>
void sums_of_squares(const GradTensor<T>* tensors, size_t count, double* sums) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    std::vector<double> partial(size_t(tasks_of(tensors, count)), 0.0);
    parallel_tensors(tensors, count, 2, [&](size_t t, int64_t first, int64_t size, int64_t task) {
        partial[size_t(task)] = kernels.sum_of_squares(size, tensors[t].grad + first);
    });
    auto next = partial.begin();
    for (size_t t = 0; t < count; ++t) {
        const auto end = next + divide_up(tensors[t].size, elements_per_task);
        sums[t] = std::accumulate(next, end, 0.0);
        next = end;
    }
}

template <class T>
void scale(const GradTensor<T>* tensors, size_t count, double factor) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, 2, [&](size_t t, int64_t first, int64_t size, int64_t) {
        kernels.scale(size, factor, tensors[t].grad + first);
    });
}

#define INSTANTIATE(T)                                                                  \
    template void adam_step(const AdamTensor<T>*, size_t, const AdamOptions&);          \
    template void sgd_step(const SgdTensor<T>*, size_t, const SgdOptions&);             \
    template void rmsprop_step(const RmspropTensor<T>*, size_t, const RmspropOptions&); \
    template void ema_step(const EmaTensor<T>*, size_t, double);                        \
    template void sums_of_squares(const GradTensor<T>*, size_t, double*);               \
    template void scale(const GradTensor<T>*, size_t, double);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
