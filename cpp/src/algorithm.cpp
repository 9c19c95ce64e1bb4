#include "rot180/algorithm.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "instruction_set.h"
#include "rot180/conv2d.h"

namespace rot180 {
namespace {

Algorithm initial() {
    const char* forced = std::getenv("ROT180_ALGORITHM");
    const std::string name = forced && *forced ? forced : "auto";
    if (name == "auto") return Algorithm::automatic;
    if (name == "direct") return Algorithm::direct;
    if (name == "winograd") return Algorithm::winograd;
    throw std::invalid_argument("ROT180_ALGORITHM '" + name +
                                "' is unknown: expected auto, direct or winograd");
}

std::atomic<Algorithm>& current() {
    static std::atomic<Algorithm> algorithm{initial()};
    return algorithm;
}

// Whether Winograd's algorithm is the faster one.
template <class T>
bool winograd_pays(Pass, const Conv2dShape& shape) {
    return shape.in_channels >= 16 && shape.out_channels >= 16;
}

}  // namespace

Algorithm algorithm() { return current().load(std::memory_order_relaxed); }
void set_algorithm(Algorithm algorithm) { current().store(algorithm, std::memory_order_relaxed); }

std::string winograd_refuses(const Conv2dShape& shape) {
    if (shape.kernel_height != 3 || shape.kernel_width != 3) return "the kernel is not 3x3";
    if (shape.stride_h != 1 || shape.stride_w != 1) return "the stride is not 1";
    if (shape.dilation_h != 1 || shape.dilation_w != 1) return "the dilation is not 1";
    if (shape.groups != 1) return "there is more than one group";
    return "";
}

template <class T>
Algorithm conv2d_algorithm(Pass pass, const Conv2dShape& shape, Algorithm requested) {
    const bool forced = requested != Algorithm::automatic;
    if (!forced) requested = algorithm();
    if (requested == Algorithm::direct) return requested;
    const std::string refusal = winograd_refuses(shape);
    if (!refusal.empty()) {
        if (forced) {
            throw std::invalid_argument("algorithm 'winograd' cannot compute this shape: " +
                                        refusal);
        }
        return Algorithm::direct;
    }
    if (requested == Algorithm::winograd) return requested;
    return winograd_pays<T>(pass, shape) ? Algorithm::winograd : Algorithm::direct;
}

template Algorithm conv2d_algorithm<float>(Pass, const Conv2dShape&, Algorithm);
template Algorithm conv2d_algorithm<double>(Pass, const Conv2dShape&, Algorithm);

}  // namespace rot180
