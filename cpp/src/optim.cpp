#include "rot180/optim.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

// body(tensor, first, count) over pieces of all tensors in one parallel region.
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
    parallel_for(tasks, team_size(tasks, elements * operations_per_element),
                 [&](int64_t task, int) {
                     const auto next = std::upper_bound(first_task.begin(), first_task.end(), task);
                     const size_t t = size_t(next - first_task.begin()) - 1;
                     const int64_t first = (task - first_task[t]) * elements_per_task;
                     body(tensors[t], first, std::min(elements_per_task, tensors[t].size - first));
                 });
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
    const Decay decay = decay_of(options.weight_decay, options.decay, options.lr);
    AdamConstants<T> constants;
    constants.beta1 = T(options.beta1);
    constants.one_minus_beta1 = T(1 - options.beta1);
    constants.beta2 = T(options.beta2);
    constants.one_minus_beta2 = T(1 - options.beta2);
    constants.alpha = T(options.lr / correction1 * (options.eps_hat ? correction2 : 1));
    constants.scale = T(options.eps_hat ? 1 : 1 / correction2);
    constants.eps = T(options.eps);
    constants.l2 = T(decay.l2);
    constants.shrink = T(decay.shrink);
    const Kernels<T>& kernels = rot180::kernels<T>();
    // A square root and a division are most of them.
    parallel_tensors(tensors, count, 16, [&](const AdamTensor<T>& t, int64_t first, int64_t size) {
        kernels.adam(size, t.param + first, t.grad + first, t.m + first, t.v + first, constants);
    });
}

template <class T>
void sgd_step(const SgdTensor<T>* tensors, size_t count, const SgdOptions& options) {
    const Decay decay = decay_of(options.weight_decay, options.decay, options.lr);
    const SgdConstants<T> constants = {T(options.lr), T(options.momentum), options.nesterov,
                                       T(decay.l2), T(decay.shrink)};
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_tensors(tensors, count, 4, [&](const SgdTensor<T>& t, int64_t first, int64_t size) {
        T* velocity = t.velocity ? t.velocity + first : nullptr;
        kernels.sgd(size, t.param + first, t.grad + first, velocity, constants);
    });
}

template void adam_step(const AdamTensor<float>*, size_t, const AdamOptions&);
template void adam_step(const AdamTensor<double>*, size_t, const AdamOptions&);
template void sgd_step(const SgdTensor<float>*, size_t, const SgdOptions&);
template void sgd_step(const SgdTensor<double>*, size_t, const SgdOptions&);

}  // namespace rot180
