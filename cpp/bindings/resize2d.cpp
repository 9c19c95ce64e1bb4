#include "rot180/resize2d.h"

#include <pybind11/stl.h>

#include <array>
#include <cmath>

#include "array_view.h"

namespace rot180 {
namespace {

Resize2dShape make_shape(std::array<int64_t, 4> input, std::array<int64_t, 2> output) {
    const Resize2dShape shape = {input[0], input[1], input[2], input[3], output[0], output[1]};
    shape.validate();
    return shape;
}

void check_scale(std::array<double, 2> scale) {
    if (!(scale[0] > 0 && scale[1] > 0 && std::isfinite(scale[0]) && std::isfinite(scale[1]))) {
        throw py::value_error("upsample2d: a scale must be positive and finite");
    }
}

void bound_adaptive_avg_pool2d(const Resize2dShape& shape, const py::array& x, py::array y) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        T* output = write<T>(y, "y", shape.output_size());
        const py::gil_scoped_release release;
        adaptive_avg_pool2d<T>(shape, input, output);
    });
}

void bound_adaptive_avg_pool2d_grad_input(const Resize2dShape& shape, const py::array& dy,
                                          py::array dx) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const T* delta = read<T>(dy, "dy", shape.output_size());
        T* result = write<T>(dx, "dx", shape.input_size());
        const py::gil_scoped_release release;
        adaptive_avg_pool2d_grad_input<T>(shape, delta, result);
    });
}

void bound_upsample2d(const Resize2dShape& shape, Interpolation mode, std::array<double, 2> scale,
                      const py::array& x, py::array y) {
    check_scale(scale);
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        T* output = write<T>(y, "y", shape.output_size());
        const py::gil_scoped_release release;
        upsample2d<T>(shape, mode, scale[0], scale[1], input, output);
    });
}

void bound_upsample2d_grad_input(const Resize2dShape& shape, Interpolation mode,
                                 std::array<double, 2> scale, const py::array& dy, py::array dx) {
    check_scale(scale);
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const T* delta = read<T>(dy, "dy", shape.output_size());
        T* result = write<T>(dx, "dx", shape.input_size());
        const py::gil_scoped_release release;
        upsample2d_grad_input<T>(shape, mode, scale[0], scale[1], delta, result);
    });
}

}  // namespace

void bind_resize2d(py::module_& module) {
    py::class_<Resize2dShape>(module, "Resize2dShape")
        .def(py::init(&make_shape), py::arg("input"), py::arg("output"));
    py::enum_<Interpolation>(module, "Interpolation")
        .value("nearest", Interpolation::nearest)
        .value("bilinear", Interpolation::bilinear)
        .value("bilinear_aligned", Interpolation::bilinear_aligned);
    module.def("adaptive_avg_pool2d", &bound_adaptive_avg_pool2d, py::arg("shape"), py::arg("x"),
               py::arg("y"));
    module.def("adaptive_avg_pool2d_grad_input", &bound_adaptive_avg_pool2d_grad_input,
               py::arg("shape"), py::arg("dy"), py::arg("dx"));
    module.def("upsample2d", &bound_upsample2d, py::arg("shape"), py::arg("mode"), py::arg("scale"),
               py::arg("x"), py::arg("y"));
    module.def("upsample2d_grad_input", &bound_upsample2d_grad_input, py::arg("shape"),
               py::arg("mode"), py::arg("scale"), py::arg("dy"), py::arg("dx"));
}

}  // namespace rot180
