// Pooling and its gradients: all of them wait for memory.
#include <rot180/pool2d.h>

#include <memory>

#include "benchmarks.h"

namespace rot180_bench {
namespace {

using rot180::Pool2dShape;

struct NamedPool2d {
    const char* name;  // as of a convolution, in bench/shapes.py
    Pool2dShape shape;
};

const NamedPool2d shapes[] = {
    {"n128 h28 w28 c6 r2 s2 x2", {128, 28, 28, 6, 2, 2, 14, 14, 2, 2, 0, 0, 0, 0}},    // LeNet-5
    {"n128 h24 w24 c64 r2 s2 x2", {128, 24, 24, 64, 2, 2, 12, 12, 2, 2, 0, 0, 0, 0}},  // MNIST CNN
    {"n512 h26 w26 c10 r2 s2 x2", {512, 26, 26, 10, 2, 2, 13, 13, 2, 2, 0, 0, 0, 0}},  // R19
    {"n8 h112 w112 c64 r3 s3 p1 x2",
     {8, 112, 112, 64, 3, 3, 56, 56, 2, 2, 1, 1, 1, 1}},  // ResNet-50
};

template <class T>
struct Operands {
    explicit Operands(const Pool2dShape& shape)
        : x(shape.input_size()), y(shape.output_size()), index(size_t(shape.output_size())) {
        rot180::max_pool2d(shape, x.data(), rot180::Activation::none, y.data(), index.data());
    }
    Operand<T> x, y;
    std::vector<uint8_t> index;  // taps, as the layer keeps them
};

template <class T>
void add_passes(const NamedPool2d& named) {
    const Pool2dShape& s = named.shape;
    const double values = double(sizeof(T)) * double(s.input_size() + s.output_size());
    const double indices = double(s.output_size());
    const auto add_pass = [&](const char* operation, double bytes, auto pass) {
        add<T>(operation, named.name, 0, bytes, [s, pass] {
            auto memory = std::make_shared<Operands<T>>(s);
            return [=] { pass(s, memory->x.data(), memory->y.data(), memory->index.data()); };
        });
    };
    add_pass("max_pool2d", values + indices, [](const Pool2dShape& s, T* x, T* y, uint8_t* index) {
        rot180::max_pool2d(s, x, rot180::Activation::none, y, index);
    });
    add_pass("max_pool2d_grad_input", values + indices,
             [](const Pool2dShape& s, T* x, T* y, uint8_t* index) {
                 rot180::max_pool2d_grad_input<T>(s, {y}, index, x);
             });
    add_pass("avg_pool2d", values, [](const Pool2dShape& s, T* x, T* y, uint8_t*) {
        rot180::avg_pool2d<T>(s, true, x, y);
    });
    add_pass("avg_pool2d_grad_input", values, [](const Pool2dShape& s, T* x, T* y, uint8_t*) {
        rot180::avg_pool2d_grad_input<T>(s, true, y, x);
    });
}

}  // namespace

void add_pool2d() {
    for (const NamedPool2d& named : shapes) {
        add_passes<float>(named);
        add_passes<double>(named);
    }
}

}  // namespace rot180_bench
