#include "rot180/loss.h"

#include <numeric>
#include <vector>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

// The mean of what sum(first, count) returns for each piece of [0, size).
template <class Sum>
double mean_of_pieces(int64_t size, double operations_per_element, const Sum& sum) {
    std::vector<double> partial(size_t(divide_up(size, elements_per_task)), 0.0);
    parallel_elements(size, operations_per_element, [&](int64_t first, int64_t count, int) {
        partial[size_t(first / elements_per_task)] = sum(first, count);
    });
    return std::accumulate(partial.begin(), partial.end(), 0.0) / double(size);
}

// pos_weight repeated so far that a vector can be read from any place of the first period.
template <class T>
std::vector<T> repeated(const Kernels<T>& kernels, const T* values, int64_t period) {
    std::vector<T> all(values, values + period);
    for (int i = 0; i < kernels.width; ++i) all.push_back(all[size_t(i)]);
    return all;
}

// An exponential, a division, and with the loss a logarithm.
constexpr double operations_of_cross_entropy = 8;

}  // namespace

template <class T>
double element_loss(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                    double delta) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    return mean_of_pieces(size, 1, [&](int64_t first, int64_t count) {
        return kernels.element_loss(loss, count, prediction + first, target + first, delta);
    });
}

template <class T>
void element_loss_grad_input(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                             double delta, T* dprediction) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const T scale = T((loss == ElementLoss::mean_squared_error ? 2.0 : 1.0) / double(size));
    parallel_elements(size, 1, [&](int64_t first, int64_t count, int) {
        kernels.element_loss_grad(loss, count, prediction + first, target + first, T(delta), scale,
                                  dprediction + first);
    });
}

template <class T>
double binary_cross_entropy(int64_t size, const T* logits, const T* target, const T* pos_weight,
                            int64_t period) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const std::vector<T> weights = repeated(kernels, pos_weight, period);
    return mean_of_pieces(size, operations_of_cross_entropy, [&](int64_t first, int64_t count) {
        return kernels.binary_cross_entropy(count, logits + first, target + first, weights.data(),
                                            period, first);
    });
}

template <class T>
void binary_cross_entropy_grad_input(int64_t size, const T* logits, const T* target,
                                     const T* pos_weight, int64_t period, T* dlogits) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const std::vector<T> weights = repeated(kernels, pos_weight, period);
    const T scale = T(1 / double(size));
    parallel_elements(size, operations_of_cross_entropy, [&](int64_t first, int64_t count, int) {
        kernels.binary_cross_entropy_grad(count, logits + first, target + first, weights.data(),
                                          period, first, scale, dlogits + first);
    });
}

#define INSTANTIATE(T)                                                                            \
    template double element_loss(ElementLoss, int64_t, const T*, const T*, double);               \
    template void element_loss_grad_input(ElementLoss, int64_t, const T*, const T*, double, T*);  \
    template double binary_cross_entropy(int64_t, const T*, const T*, const T*, int64_t);         \
    template void binary_cross_entropy_grad_input(int64_t, const T*, const T*, const T*, int64_t, \
                                                  T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
