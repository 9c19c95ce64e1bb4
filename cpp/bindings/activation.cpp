#include "rot180/activation.h"

#include "array_view.h"

namespace rot180 {
namespace {

void bound_activate(Activation activation, const py::array& x, double alpha, py::array y) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = x.size();
        const T* from = read<T>(x, "x", size);
        T* to = write<T>(y, "y", size);
        const py::gil_scoped_release release;
        activate<T>(activation, size, from, T(alpha), to);
    });
}

void bound_add(Activation activation, const py::array& a, const py::array& b, py::array y) {
    check_fused(activation);
    with_float_type(a, "a", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = a.size();
        const T* one = read<T>(a, "a", size);
        const T* other = read<T>(b, "b", size);
        T* to = write<T>(y, "y", size);
        const py::gil_scoped_release release;
        add<T>(activation, size, one, other, to);
    });
}

void bound_activate_grad_input(Activation activation, const py::array& dy, const py::array& saved,
                               double alpha, py::array dx) {
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = dy.size();
        const T* upstream = read<T>(dy, "dy", size);
        const T* at = read<T>(saved, "saved", size);
        T* to = write<T>(dx, "dx", size);
        const py::gil_scoped_release release;
        activate_grad_input<T>(activation, size, upstream, at, T(alpha), to);
    });
}

}  // namespace

void bind_activation(py::module_& module) {
    py::enum_<Activation>(module, "Activation")
        .value("none", Activation::none)
        .value("relu", Activation::relu)
        .value("relu6", Activation::relu6)
        .value("leaky_relu", Activation::leaky_relu)
        .value("sigmoid", Activation::sigmoid)
        .value("tanh", Activation::tanh)
        .value("elu", Activation::elu)
        .value("silu", Activation::silu)
        .value("gelu", Activation::gelu)
        .value("gelu_tanh", Activation::gelu_tanh);
    module.def("activate", &bound_activate, py::arg("activation"), py::arg("x"), py::arg("alpha"),
               py::arg("y"));
    module.def("add", &bound_add, py::arg("activation"), py::arg("a"), py::arg("b"), py::arg("y"));
    module.def("activate_grad_input", &bound_activate_grad_input, py::arg("activation"),
               py::arg("dy"), py::arg("saved"), py::arg("alpha"), py::arg("dx"));
}

}  // namespace rot180
