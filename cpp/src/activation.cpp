#include "rot180/activation.h"

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {
namespace {

double cost(Activation activation) { return is_cheap(activation) ? 1 : 4; }

}  // namespace

template <class T>
void activate(Activation activation, int64_t size, const T* x, T alpha, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_elements(size, cost(activation), [&](int64_t first, int64_t count, int) {
        kernels.activate(activation, count, x + first, alpha, y + first);
    });
}

template <class T>
void add(Activation activation, int64_t size, const T* a, const T* b, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_elements(size, cost(activation), [&](int64_t first, int64_t count, int) {
        kernels.add(activation, count, a + first, b + first, y + first);
    });
}

template <class T>
void activate_grad_input(Activation activation, int64_t size, const T* dy, const T* saved, T alpha,
                         T* dx) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    parallel_elements(
        size, can_be_fused(activation) ? 1 : 4, [&](int64_t first, int64_t count, int) {
            kernels.activate_grad(activation, count, dy + first, saved + first, alpha, dx + first);
        });
}

template void activate(Activation, int64_t, const float*, float, float*);
template void activate(Activation, int64_t, const double*, double, double*);
template void add(Activation, int64_t, const float*, const float*, float*);
template void add(Activation, int64_t, const double*, const double*, double*);
template void activate_grad_input(Activation, int64_t, const float*, const float*, float, float*);
template void activate_grad_input(Activation, int64_t, const double*, const double*, double,
                                  double*);

}  // namespace rot180
