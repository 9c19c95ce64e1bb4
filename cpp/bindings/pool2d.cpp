#include "rot180/pool2d.h"

#include <pybind11/stl.h>

#include <array>
#include <optional>

#include "array_view.h"

namespace rot180 {
namespace {

Pool2dShape make_shape(std::array<int64_t, 4> input, std::array<int64_t, 4> output,
                       std::array<int64_t, 2> kernel, std::array<int64_t, 2> stride,
                       std::array<std::array<int64_t, 2>, 2> padding) {
    Pool2dShape shape = {};
    shape.batch = input[0];
    shape.height = input[1];
    shape.width = input[2];
    shape.channels = input[3];
    shape.kernel_height = kernel[0];
    shape.kernel_width = kernel[1];
    shape.out_height = output[1];
    shape.out_width = output[2];
    shape.stride_h = stride[0];
    shape.stride_w = stride[1];
    shape.pad_top = padding[0][0];
    shape.pad_bottom = padding[0][1];
    shape.pad_left = padding[1][0];
    shape.pad_right = padding[1][1];
    shape.validate();
    return shape;
}

// body(I{}) with the type of the indices: 32 bits for the pixels of an image, 8 for the taps of a
// window.
template <class Body>
void with_index_type(const Pool2dShape& shape, const py::array& indices, const Body& body) {
    if (py::array_t<uint8_t>::check_(indices)) {
        if (shape.kernel_height * shape.kernel_width > 256) {
            throw py::value_error("max_pool2d: taps of a window of more than 256 have no index");
        }
        return body(uint8_t{});
    }
    if (shape.height * shape.width > INT32_MAX) {
        throw py::value_error("max_pool2d: an image of more than 2**31 - 1 pixels has no index");
    }
    body(int32_t{});
}

void bound_max_pool2d(const Pool2dShape& shape, const py::array& x, Activation activation,
                      py::array y, std::optional<py::array> indices) {
    check_fused(activation);
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        T* output = write<T>(y, "y", shape.output_size());
        if (!indices) {
            const py::gil_scoped_release release;
            return max_pool2d<T, uint8_t>(shape, input, activation, output, nullptr);
        }
        with_index_type(shape, *indices, [&](auto index) {
            auto* chosen = write<decltype(index)>(*indices, "indices", shape.output_size());
            const py::gil_scoped_release release;
            max_pool2d(shape, input, activation, output, chosen);
        });
    });
}

void bound_max_pool2d_grad_input(const Pool2dShape& shape, const py::array& dy,
                                 Activation activation, const std::optional<py::array>& y,
                                 const py::array& indices, py::array dx) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const auto delta = read_gradient<T>(shape.output_size(), dy, activation, y);
        T* result = write<T>(dx, "dx", shape.input_size());
        with_index_type(shape, indices, [&](auto index) {
            const auto* chosen = read<decltype(index)>(indices, "indices", shape.output_size());
            bool valid = false;
            {
                const py::gil_scoped_release release;
                valid = valid_pool_indices(shape, chosen);
                if (valid) max_pool2d_grad_input(shape, delta, chosen, result);
            }
            if (!valid) {
                const bool taps = sizeof(index) == 1;
                const int64_t count =
                    taps ? shape.kernel_height * shape.kernel_width : shape.height * shape.width;
                throw py::value_error(std::string("indices must be ") +
                                      (taps ? "taps of the window" : "pixel numbers") +
                                      " from 0 to " + std::to_string(count - 1) +
                                      " as max_pool2d returns them");
            }
        });
    });
}

void bound_avg_pool2d(const Pool2dShape& shape, bool count_include_pad, const py::array& x,
                      py::array y) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* input = read<T>(x, "x", shape.input_size());
        T* output = write<T>(y, "y", shape.output_size());
        const py::gil_scoped_release release;
        avg_pool2d<T>(shape, count_include_pad, input, output);
    });
}

void bound_avg_pool2d_grad_input(const Pool2dShape& shape, bool count_include_pad,
                                 const py::array& dy, py::array dx) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const T* delta = read<T>(dy, "dy", shape.output_size());
        T* result = write<T>(dx, "dx", shape.input_size());
        const py::gil_scoped_release release;
        avg_pool2d_grad_input<T>(shape, count_include_pad, delta, result);
    });
}

}  // namespace

void bind_pool2d(py::module_& module) {
    py::class_<Pool2dShape>(module, "Pool2dShape")
        .def(py::init(&make_shape), py::arg("input"), py::arg("output"), py::arg("kernel"),
             py::arg("stride"), py::arg("padding"));
    module.def("max_pool2d", &bound_max_pool2d, py::arg("shape"), py::arg("x"),
               py::arg("activation"), py::arg("y"), py::arg("indices"));
    module.def("max_pool2d_grad_input", &bound_max_pool2d_grad_input, py::arg("shape"),
               py::arg("dy"), py::arg("activation"), py::arg("y"), py::arg("indices"),
               py::arg("dx"));
    module.def("avg_pool2d", &bound_avg_pool2d, py::arg("shape"), py::arg("count_include_pad"),
               py::arg("x"), py::arg("y"));
    module.def("avg_pool2d_grad_input", &bound_avg_pool2d_grad_input, py::arg("shape"),
               py::arg("count_include_pad"), py::arg("dy"), py::arg("dx"));
}

}  // namespace rot180
