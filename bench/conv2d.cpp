// The passes of the convolution, and the transposed convolution, by each algorithm that can compute
// them: "conv2d/float32/winograd/n8 h56 w56 c64 k64 r3 s3 p1".
#include <rot180/conv2d.h>

#include <algorithm>
#include <memory>

#include "benchmarks.h"
#include "shapes.h"

namespace rot180_bench {
namespace {

using rot180::Activation;
using rot180::Algorithm;
using rot180::Conv2dShape;
using rot180::OutputGradient;
using rot180::Pass;

template <class T>
struct Operands {
    explicit Operands(const Conv2dShape& shape)
        : x(shape.input_size()),
          y(shape.output_size()),
          weight(shape.weight_size()),
          bias(std::max(shape.in_channels, shape.out_channels)) {}
    Operand<T> x, y, weight, bias;
};

template <class T>
void add_passes(const std::string& shape, Algorithm algorithm) {
    const NamedConv2d named = NamedConv2d::parse(shape);
    const Conv2dShape& s = named.convolution;
    const std::string name = (algorithm == Algorithm::winograd ? "winograd/" : "direct/") + shape;
    // Each array touched once.
    const double bytes =
        double(sizeof(T)) * double(s.input_size() + s.output_size() + s.weight_size());
    const auto add_pass = [&](const char* operation, auto pass) {
        if (algorithm == Algorithm::winograd && !rot180::winograd_refuses(s).empty()) return;
        add<T>(operation, name, named.flops(), bytes, [s, pass] {
            auto memory = std::make_shared<Operands<T>>(s);
            return [=] {
                pass(s, memory->x.data(), memory->y.data(), memory->weight.data(),
                     memory->bias.data());
            };
        });
    };
    if (named.transposed) {
        // Its gradients are passes of the convolution.
        add_pass("conv_transpose2d", [=](const Conv2dShape& s, T* x, T* y, T* weight, T* bias) {
            rot180::conv_transpose2d<T>(s, y, weight, bias, Activation::none, x, algorithm);
        });
        return;
    }
    add_pass("conv2d", [=](const Conv2dShape& s, T* x, T* y, T* weight, T* bias) {
        rot180::conv2d<T>(s, x, weight, bias, Activation::none, y, algorithm);
    });
    add_pass("conv2d_grad_input", [=](const Conv2dShape& s, T* x, T* y, T* weight, T*) {
        rot180::conv2d_grad_input<T>(s, OutputGradient<T>{y}, weight, x, algorithm);
    });
    add_pass("conv2d_grad_weight", [=](const Conv2dShape& s, T* x, T* y, T* weight, T* bias) {
        rot180::conv2d_grad_weight<T>(s, x, OutputGradient<T>{y}, weight, bias, algorithm);
    });
}

}  // namespace

void add_conv2d(const std::vector<std::string>& names) {
    for (const std::string& name : names) {
        for (const Algorithm algorithm : {Algorithm::direct, Algorithm::winograd}) {
            add_passes<float>(name, algorithm);
            add_passes<double>(name, algorithm);
        }
    }
}

}  // namespace rot180_bench
