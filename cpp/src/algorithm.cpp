#include "rot180/algorithm.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "correlation.h"
#include "flat_rows.h"
#include "instruction_set.h"
#include "kernels.h"
#include "rot180/conv2d.h"
#include "sum_of_windows.h"
#include "winograd.h"

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

// What the parts of either algorithm cost, in the time of one multiply-add of whole vectors, as
// measured on one core: docs/kernels.md says how.
struct Costs {
    double call, packed_filter;                // direct: a vector of packed filters
    double winograd_call, step, tile, filter;  // winograd: a multiply-add, a vector of a tile's
                                               // points or outputs, of transformed filters
};
constexpr Costs correlation_costs = {2700, 140, 5600, 1.08, 310, 400};
constexpr Costs grad_weight_costs = {1200, 200, 1900, 1.05, 330, 220};
// The direct sum's vector of y.
constexpr double direct_pixel = 12;
// A vector of a tile's outputs, beside one of its inputs.
constexpr double output_share = 1.2;
// A further phase of a tile, beside its vectors.
constexpr double tile_phase = 150;
// Near the point where both cost the same, direct is the more accurate.
constexpr double worth_it = 1.15;

// What a pass computes: outputs of `out` channels, each of taps * taps pixels of `in` channels.
struct Work {
    double pixels, taps, in, out;
};

// The direct sum's multiply-adds of vectors, in the way in which it will be computed.
template <class T>
double direct_steps(Pass pass, const Conv2dShape& shape, const Work& work) {
    const double width = kernels<T>().width, taps = work.taps;
    if (pass == Pass::grad_input && sum_of_windows_pays<T>(shape)) {
        return sum_of_windows_steps<T>(shape);
    }
    const double pixel_steps = taps * taps * work.in + direct_pixel, length = taps * work.in;
    double vectors = std::ceil(work.out / width);
    if (pass != Pass::grad_input && flat_rows_pay<T>(pass, forward_correlation(shape))) {
        vectors = work.out / width;  // vectors run over pixels and channels
    } else if (pass != Pass::grad_weight && length >= width) {
        // ... or along the reduction (few_is_faster in correlation.cpp).
        const double steps = std::ceil(length / width);
        vectors =
            std::min(vectors, work.out / width * (steps * width / length + 12 / (taps * steps)));
    }
    return work.pixels * vectors * pixel_steps;
}

template <class T>
bool winograd_pays(Pass pass, const Conv2dShape& shape) {
    const double width = kernels<T>().width;
    const bool turned = pass == Pass::grad_input;
    const int64_t along = shape.kernel_height / shape.stride_h;
    const double taps = double(along), points = winograd_points(along);
    const double size = points + 1 - taps, tile_points = points * points;
    // A strided input gradient has a convolution for each phase of dx; the other passes have all
    // phases of x as channels.
    const double phases = double(shape.stride_h * shape.stride_w);
    const double images = double(shape.batch) * (turned ? phases : 1);
    const double in = turned ? double(shape.out_channels) : phases * double(shape.in_channels);
    const double out = double(turned ? shape.in_channels : shape.out_channels);
    const double rows = turned ? std::ceil(double(shape.height) / double(shape.stride_h))
                               : double(shape.out_height);
    const double columns =
        turned ? std::ceil(double(shape.width) / double(shape.stride_w)) : double(shape.out_width);
    const double out_vectors = std::ceil(out / width);
    const double in_vectors =
        turned ? std::ceil(in / width) : phases * std::ceil(double(shape.in_channels) / width);
    const double pixels = images * rows * columns;
    const double tiles = images * std::ceil(rows / size) * std::ceil(columns / size);
    const double calls = turned ? phases : 1, more_phases = turned ? 0 : phases - 1;
    const double filters = calls * in * out_vectors;
    // Transforms were measured with six points.
    const double of_six = tile_points / 36;

    const Costs& cost = pass == Pass::grad_weight ? grad_weight_costs : correlation_costs;
    const double direct = direct_steps<T>(pass, shape, {pixels, taps, in, out}) +
                          cost.packed_filter * filters + cost.call;
    const double winograd = cost.step * tile_points * tiles * in * out_vectors +
                            of_six * cost.tile * tiles * (in_vectors + output_share * out_vectors) +
                            of_six * cost.filter * filters + cost.winograd_call * calls +
                            tile_phase * more_phases * tiles;
    return worth_it * winograd < direct;
}

}  // namespace

Algorithm algorithm() { return current().load(std::memory_order_relaxed); }
void set_algorithm(Algorithm algorithm) { current().store(algorithm, std::memory_order_relaxed); }

std::string_view winograd_refuses(const Conv2dShape& shape) {
    if (shape.groups != 1) return "there is more than one group";
    if (shape.dilation_h != 1 || shape.dilation_w != 1) return "the dilation is not 1";
    if (shape.kernel_height != shape.kernel_width) return "the kernel is not square";
    if (shape.stride_h != shape.stride_w) return "the vertical and the horizontal stride differ";
    if (shape.kernel_height % shape.stride_h != 0) return "the stride does not divide the kernel";
    const int64_t taps = shape.kernel_height / shape.stride_h;
    if (taps < 2 || taps > 5) return "the kernel has no 2 to 5 taps along a side for each stride";
    return "";
}

template <class T>
Algorithm conv2d_algorithm(Pass pass, const Conv2dShape& shape, Algorithm requested) {
    const bool forced = requested != Algorithm::automatic;
    if (!forced) requested = algorithm();
    if (requested == Algorithm::direct) return requested;
    const std::string_view refusal = winograd_refuses(shape);
    if (!refusal.empty()) {
        if (forced) {
            throw std::invalid_argument("algorithm 'winograd' cannot compute this shape: " +
                                        std::string(refusal));
        }
        return Algorithm::direct;
    }
    if (requested == Algorithm::winograd) return requested;
    return winograd_pays<T>(pass, shape) ? Algorithm::winograd : Algorithm::direct;
}

template Algorithm conv2d_algorithm<float>(Pass, const Conv2dShape&, Algorithm);
template Algorithm conv2d_algorithm<double>(Pass, const Conv2dShape&, Algorithm);

}  // namespace rot180
