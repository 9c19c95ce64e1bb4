// Activation functions and their derivatives, on an array that fits a core's cache and on one of
// the size of a layer's output.
#include <rot180/activation.h>

#include <memory>

#include "benchmarks.h"

namespace rot180_bench {
namespace {

using rot180::Activation;

template <class T>
void add_passes(const std::string& function, Activation activation, int64_t size) {
    const std::string name = function + " " + std::to_string(size);
    const double bytes = double(sizeof(T)) * double(size);
    const T slope = T(rot180::leaky_relu_slope);
    add<T>("activate", name, 0, 2 * bytes, [=] {
        auto x = std::make_shared<Operand<T>>(size), y = std::make_shared<Operand<T>>(size);
        return [=] { rot180::activate<T>(activation, size, x->data(), slope, y->data()); };
    });
    add<T>("activate_grad_input", name, 0, 3 * bytes, [=] {
        auto dy = std::make_shared<Operand<T>>(size), y = std::make_shared<Operand<T>>(size);
        auto dx = std::make_shared<Operand<T>>(size);
        return [=] {
            rot180::activate_grad_input<T>(activation, size, dy->data(), y->data(), slope,
                                           dx->data());
        };
    });
}

}  // namespace

void add_activation() {
    const struct {
        const char* name;
        Activation activation;
    } functions[] = {{"relu", Activation::relu},
                     {"relu6", Activation::relu6},
                     {"leaky_relu", Activation::leaky_relu},
                     {"sigmoid", Activation::sigmoid},
                     {"tanh", Activation::tanh},
                     {"elu", Activation::elu},
                     {"silu", Activation::silu},
                     {"gelu", Activation::gelu},
                     {"gelu_tanh", Activation::gelu_tanh}};
    for (const auto& function : functions) {
        for (const int64_t size : {int64_t(4096), int64_t(128) * 28 * 28 * 32}) {
            add_passes<float>(function.name, function.activation, size);
            add_passes<double>(function.name, function.activation, size);
        }
    }
}

}  // namespace rot180_bench
