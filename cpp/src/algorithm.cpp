#include "rot180/algorithm.h"

#include <algorithm>
#include <atomic>
#include <cmath>
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

// What either algorithm costs, in multiply-adds of whole vectors: the constants are what the parts
// of winograd.cpp and winograd_grad_weight.cpp take of one core, measured. Where both are near, it
// matters little which is taken.
struct Costs {
    double direct, winograd;
};

template <class T>
Costs costs(Pass pass, const Conv2dShape& shape) {
    constexpr double taps = 9, tile_points = 36;
    constexpr double to_points = 260, from_points = 200;  // a vector of channels of one tile
    constexpr double packing = 200, filter = 500;         // a vector of filters, all taps
    constexpr double tile_overhead = 8;                   // steps that a register tile loses
    const double width = kernels<T>().width;
    const bool turned = pass == Pass::grad_input;
    const double in = double(turned ? shape.out_channels : shape.in_channels);
    const double out = double(turned ? shape.in_channels : shape.out_channels);
    const double rows = double(turned ? shape.height : shape.out_height);
    const double columns = double(turned ? shape.width : shape.out_width);
    const double in_vectors = std::ceil(in / width), out_vectors = std::ceil(out / width);
    const double batch = double(shape.batch), pixels = batch * rows * columns;
    const double tiles = batch * std::ceil(rows / 4) * std::ceil(columns / 4);

    // Few output channels need not fill a vector.
    const double filled = std::min(out_vectors, 0.1 + 1.2 * out / width);
    const double filters = in * out_vectors;
    return {pixels * taps * in * filled + packing * filters,
            tiles * (1.1 * tile_points * (in + tile_overhead) * out_vectors +
                     to_points * in_vectors + from_points * out_vectors) +
                filter * filters};
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
    const Costs cost = costs<T>(pass, shape);
    return cost.winograd < cost.direct ? Algorithm::winograd : Algorithm::direct;
}

template Algorithm conv2d_algorithm<float>(Pass, const Conv2dShape&, Algorithm);
template Algorithm conv2d_algorithm<double>(Pass, const Conv2dShape&, Algorithm);

}  // namespace rot180
