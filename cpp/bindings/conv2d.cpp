#include "rot180/conv2d.h"

#include <pybind11/stl.h>

#include <array>
#include <optional>
#include <utility>

#include "array_view.h"

namespace rot180 {
namespace {

using Pair = std::pair<int64_t, int64_t>;

Conv2dShape make_shape(std::array<int64_t, 4> input, std::array<int64_t, 4> weight,
                       std::array<int64_t, 4> output, Pair stride, Pair pad, Pair dilation,
                       int64_t groups) {
    Conv2dShape shape = {};
    shape.batch = input[0];
    shape.height = input[1];
    shape.width = input[2];
    shape.in_channels = input[3];
    shape.kernel_height = weight[0];
    shape.kernel_width = weight[1];
    shape.out_channels = weight[3];
    shape.groups = groups;
    shape.out_height = output[1];
    shape.out_width = output[2];
    shape.stride_h = stride.first;
    shape.stride_w = stride.second;
    shape.pad_top = pad.first;
    shape.pad_left = pad.second;
    shape.dilation_h = dilation.first;
    shape.dilation_w = dilation.second;
    shape.validate();
    return shape;
}

void bound_conv2d(const Conv2dShape& shape, const py::array& x, const py::array& weight,
                  const std::optional<py::array>& bias, Activation activation, py::array y,
                  Algorithm algorithm) {
    check_fused(activation);
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        const T* kernel = read<T>(weight, "weight", shape.weight_size());
        const T* offset = bias ? read<T>(*bias, "bias", shape.out_channels) : nullptr;
        T* output = write<T>(y, "out", shape.output_size());
        const py::gil_scoped_release release;
        conv2d<T>(shape, input, kernel, offset, activation, output, algorithm);
    });
}

void bound_conv2d_grad_input(const Conv2dShape& shape, const py::array& dy, Activation activation,
                             const std::optional<py::array>& y, const py::array& weight,
                             py::array dx, Algorithm algorithm) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const OutputGradient<T> delta = read_gradient<T>(shape.output_size(), dy, activation, y);
        const T* kernel = read<T>(weight, "weight", shape.weight_size());
        T* result = write<T>(dx, "out", shape.input_size());
        const py::gil_scoped_release release;
        conv2d_grad_input<T>(shape, delta, kernel, result, algorithm);
    });
}

void bound_conv2d_grad_weight(const Conv2dShape& shape, const py::array& x, const py::array& dy,
                              Activation activation, const std::optional<py::array>& y,
                              py::array dweight, std::optional<py::array> dbias,
                              Algorithm algorithm) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        const OutputGradient<T> delta = read_gradient<T>(shape.output_size(), dy, activation, y);
        T* result = write<T>(dweight, "out", shape.weight_size());
        T* sums = dbias ? write<T>(*dbias, "bias_out", shape.out_channels) : nullptr;
        const py::gil_scoped_release release;
        conv2d_grad_weight<T>(shape, input, delta, result, sums, algorithm);
    });
}

void bound_conv_transpose2d(const Conv2dShape& shape, const py::array& x, const py::array& weight,
                            const std::optional<py::array>& bias, Activation activation,
                            py::array y, Algorithm algorithm) {
    check_fused(activation);
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.output_size());
        const T* kernel = read<T>(weight, "weight", shape.weight_size());
        const T* offset = bias ? read<T>(*bias, "bias", shape.in_channels) : nullptr;
        T* output = write<T>(y, "out", shape.input_size());
        const py::gil_scoped_release release;
        conv_transpose2d<T>(shape, input, kernel, offset, activation, output, algorithm);
    });
}

void bound_conv2d_grad_bias(const py::array& dy, py::array dbias) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const int64_t channels = dbias.size();
        if (channels < 1 || dy.size() % channels != 0) {
            throw py::value_error("dy must be (..., channels) with as many channels as dbias");
        }
        const T* delta = read<T>(dy, "dy", dy.size());
        T* result = write<T>(dbias, "dbias", channels);
        const int64_t pixels = dy.size() / channels;
        const py::gil_scoped_release release;
        conv2d_grad_bias<T>(pixels, channels, delta, result);
    });
}

Algorithm bound_conv2d_algorithm(Pass pass, const Conv2dShape& shape, const py::dtype& dtype) {
    if (dtype.is(py::dtype::of<float>())) return conv2d_algorithm<float>(pass, shape);
    if (dtype.is(py::dtype::of<double>())) return conv2d_algorithm<double>(pass, shape);
    throw py::type_error("dtype must be float32 or float64, got " + std::string(py::str(dtype)));
}

}  // namespace

void bind_conv2d(py::module_& module) {
    py::enum_<Algorithm>(module, "Algorithm")
        .value("auto", Algorithm::automatic)
        .value("direct", Algorithm::direct)
        .value("winograd", Algorithm::winograd);
    py::enum_<Pass>(module, "Pass")
        .value("conv2d", Pass::forward)
        .value("conv2d_grad_input", Pass::grad_input)
        .value("conv2d_grad_weight", Pass::grad_weight);
    py::class_<Conv2dShape>(module, "Conv2dShape")
        .def(py::init(&make_shape), py::arg("input"), py::arg("weight"), py::arg("output"),
             py::arg("stride"), py::arg("pad"), py::arg("dilation"), py::arg("groups"));
    module.def("conv2d", &bound_conv2d, py::arg("shape"), py::arg("x"), py::arg("weight"),
               py::arg("bias"), py::arg("activation"), py::arg("y"), py::arg("algorithm"));
    module.def("conv2d_grad_input", &bound_conv2d_grad_input, py::arg("shape"), py::arg("dy"),
               py::arg("activation"), py::arg("y"), py::arg("weight"), py::arg("dx"),
               py::arg("algorithm"));
    module.def("conv2d_grad_weight", &bound_conv2d_grad_weight, py::arg("shape"), py::arg("x"),
               py::arg("dy"), py::arg("activation"), py::arg("y"), py::arg("dweight"),
               py::arg("dbias"), py::arg("algorithm"));
    module.def("conv_transpose2d", &bound_conv_transpose2d, py::arg("shape"), py::arg("x"),
               py::arg("weight"), py::arg("bias"), py::arg("activation"), py::arg("y"),
               py::arg("algorithm"));
    module.def("conv2d_algorithm", &bound_conv2d_algorithm, py::arg("pass_"), py::arg("shape"),
               py::arg("dtype"));
    module.def("algorithm", &algorithm);
    module.def("set_algorithm", &set_algorithm, py::arg("algorithm"));
    algorithm();  // a wrong ROT180_ALGORITHM is reported at import
    module.def("conv2d_grad_bias", &bound_conv2d_grad_bias, py::arg("dy"), py::arg("dbias"));
}

}  // namespace rot180
