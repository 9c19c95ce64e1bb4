// Optimizer steps, on one large tensor, where memory is the limit, and on LeNet-5's ten small ones,
// where the call is.
#include <rot180/optim.h>

#include <memory>
#include <numeric>

#include "benchmarks.h"

namespace rot180_bench {
namespace {

using Sizes = std::vector<int64_t>;

// The arrays of all tensors of a model: kind 0 are the parameters, the others what belongs to them.
template <class T>
struct Arrays {
    Arrays(const Sizes& sizes, int kinds) {
        for (int kind = 0; kind < kinds; ++kind) {
            for (const int64_t size : sizes) arrays.emplace_back(size);
        }
    }
    std::vector<Operand<T>> arrays;
};

template <class T>
auto adam_step(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 4);
    std::vector<rot180::AdamTensor<T>> tensors;
    const size_t count = sizes.size();
    for (size_t i = 0; i < count; ++i) {
        const auto array = [&](size_t kind) { return memory->arrays[kind * count + i].data(); };
        // A second moment is not negative.
        for (int64_t j = 0; j < sizes[i]; ++j) array(3)[j] *= array(3)[j];
        tensors.push_back({sizes[i], array(0), array(1), array(2), array(3)});
    }
    const rot180::AdamOptions options{1000, 1e-3, 0.9, 0.999, 1e-8, 0, rot180::WeightDecay::coupled,
                                      false};
    return [=, keep = memory] { rot180::adam_step<T>(tensors.data(), tensors.size(), options); };
}

template <class T>
auto sgd_step(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 3);
    std::vector<rot180::SgdTensor<T>> tensors;
    const size_t count = sizes.size();
    for (size_t i = 0; i < count; ++i) {
        const auto array = [&](size_t kind) { return memory->arrays[kind * count + i].data(); };
        tensors.push_back({sizes[i], array(0), array(1), array(2)});
    }
    const rot180::SgdOptions options{1e-3, 0.9, false, 0, rot180::WeightDecay::coupled};
    return [=, keep = memory] { rot180::sgd_step<T>(tensors.data(), tensors.size(), options); };
}

template <class T>
void add_steps(const std::string& name, const Sizes& sizes) {
    const double bytes =
        double(sizeof(T)) * double(std::accumulate(sizes.begin(), sizes.end(), int64_t(0)));
    // Read parameter, gradient and both moments, write all but the gradient; SGD has one moment.
    add<T>("adam_step", name, 0, 7 * bytes, [=] { return adam_step<T>(sizes); });
    add<T>("sgd_step", name, 0, 5 * bytes, [=] { return sgd_step<T>(sizes); });
}

}  // namespace

void add_optim() {
    const Sizes lenet5 = {150, 6, 2400, 16, 48000, 120, 10080, 84, 840, 10};
    const Sizes large = {10'000'000};
    for (const auto& [name, sizes] : {std::pair("lenet5", lenet5), std::pair("10M", large)}) {
        add_steps<float>(name, sizes);
        add_steps<double>(name, sizes);
    }
}

}  // namespace rot180_bench
