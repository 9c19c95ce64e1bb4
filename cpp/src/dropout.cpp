#include "rot180/dropout.h"

#include <algorithm>
#include <cmath>

#include "instruction_set.h"
#include "parallel.h"

namespace rot180 {

template <class T>
void dropout(int64_t size, const T* x, double p, uint64_t key, T* y) {
    const Kernels<T>& kernels = rot180::kernels<T>();
    const double threshold = std::min(std::ceil(std::ldexp(p, 32)), 4294967295.0);
    const T scale = T(1 / (1 - p));
    // Ten rounds of multiplications for each number.
    parallel_elements(size, 16, [&](int64_t first, int64_t count, int) {
        kernels.dropout(first, count, x + first, key, uint32_t(threshold), scale, y + first);
    });
}

template void dropout(int64_t, const float*, double, uint64_t, float*);
template void dropout(int64_t, const double*, double, uint64_t, double*);

}  // namespace rot180
