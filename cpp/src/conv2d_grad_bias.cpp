#include <algorithm>

#include "instruction_set.h"
#include "parallel.h"
#include "rot180/conv2d.h"
#include "scratch.h"

namespace rot180 {

template <class T>
void conv2d_grad_bias(int64_t pixels, int64_t channels, const T* dy, T* dbias) {
    constexpr int64_t most_slots = 64, fewest_pixels = 128;
    const Kernels<T>& kernels = rot180::kernels<T>();
    const int64_t per_slot = std::max(fewest_pixels, divide_up(pixels, most_slots));
    const int64_t slots = divide_up(pixels, per_slot);
    ScratchPlan memory;
    memory.add(slots * channels, sizeof(T));
    const Scratch scratch(memory.bytes());
    T* sums = reinterpret_cast<T*>(scratch.data());
    std::fill(sums, sums + slots * channels, T(0));
    std::fill(dbias, dbias + channels, T(0));
    const int team = team_size(slots, double(pixels) * double(channels) / 4);
    parallel_for(slots, team, [&](int64_t slot, int) {
        const int64_t first = slot * per_slot;
        kernels.add_rows(dy + first * channels, std::min(per_slot, pixels - first), channels,
                         channels, sums + slot * channels);
    });
    kernels.add_rows(sums, slots, channels, channels, dbias);
}

template void conv2d_grad_bias(int64_t, int64_t, const float*, float*);
template void conv2d_grad_bias(int64_t, int64_t, const double*, double*);

}  // namespace rot180
