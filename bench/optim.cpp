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
        tensors.push_back({sizes[i], array(0), array(1), array(2), array(3), 1e-3, 0});
    }
    const rot180::AdamOptions options{1000, 0.9, 0.999, 1e-8, rot180::WeightDecay::coupled, false};
    return [=, keep = memory] { rot180::adam_step<T>(tensors.data(), tensors.size(), options); };
}

template <class T>
auto sgd_step(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 3);
    std::vector<rot180::SgdTensor<T>> tensors;
    const size_t count = sizes.size();
    for (size_t i = 0; i < count; ++i) {
        const auto array = [&](size_t kind) { return memory->arrays[kind * count + i].data(); };
        tensors.push_back({sizes[i], array(0), array(1), array(2), 1e-3, 0});
    }
    const rot180::SgdOptions options{0.9, false, rot180::WeightDecay::coupled};
    return [=, keep = memory] { rot180::sgd_step<T>(tensors.data(), tensors.size(), options); };
}

template <class T>
auto rmsprop_step(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 3);
    std::vector<rot180::RmspropTensor<T>> tensors;
    const size_t count = sizes.size();
    for (size_t i = 0; i < count; ++i) {
        const auto array = [&](size_t kind) { return memory->arrays[kind * count + i].data(); };
        for (int64_t j = 0; j < sizes[i]; ++j) array(2)[j] *= array(2)[j];
        tensors.push_back({sizes[i], array(0), array(1), array(2), nullptr, nullptr, 1e-3, 0});
    }
    const rot180::RmspropOptions options{0.99, 1e-8, 0, rot180::WeightDecay::coupled};
    return [=, keep = memory] { rot180::rmsprop_step<T>(tensors.data(), tensors.size(), options); };
}

template <class T>
auto ema_step(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 2);
    std::vector<rot180::EmaTensor<T>> tensors;
    const size_t count = sizes.size();
    for (size_t i = 0; i < count; ++i) {
        tensors.push_back({sizes[i], memory->arrays[i].data(), memory->arrays[count + i].data()});
    }
    return [=, keep = memory] { rot180::ema_step<T>(tensors.data(), tensors.size(), 0.999); };
}

template <class T>
auto sums_of_squares(const Sizes& sizes) {
    auto memory = std::make_shared<Arrays<T>>(sizes, 1);
    std::vector<rot180::GradTensor<T>> tensors;
    for (size_t i = 0; i < sizes.size(); ++i) {
        tensors.push_back({sizes[i], memory->arrays[i].data()});
    }
    auto sums = std::make_shared<std::vector<double>>(sizes.size());
    return [=, keep = memory] {
        rot180::sums_of_squares<T>(tensors.data(), tensors.size(), sums->data());
    };
}

template <class T>
void add_steps(const std::string& name, const Sizes& sizes) {
    const double bytes =
        double(sizeof(T)) * double(std::accumulate(sizes.begin(), sizes.end(), int64_t(0)));
    // Read parameter, gradient and both moments, write all but the gradient; SGD has one moment.
    add<T>("adam_step", name, 0, 7 * bytes, [=] { return adam_step<T>(sizes); });
    add<T>("sgd_step", name, 0, 5 * bytes, [=] { return sgd_step<T>(sizes); });
    add<T>("rmsprop_step", name, 0, 5 * bytes, [=] { return rmsprop_step<T>(sizes); });
    add<T>("ema_step", name, 0, 3 * bytes, [=] { return ema_step<T>(sizes); });
    add<T>("sums_of_squares", name, 0, bytes, [=] { return sums_of_squares<T>(sizes); });
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
