#include "rot180/affine2d.h"

#include "array_view.h"

namespace rot180 {
namespace {

void bound_affine2d(const py::array& x, const py::array& matrix, py::array y) {
    if (x.ndim() != 4) throw py::value_error("x must have four axes");
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* from = read<T>(x, "x", x.size());
        const double* matrices = read<double>(matrix, "matrix", x.shape(0) * 6);
        T* to = write<T>(y, "y", x.size());
        const py::gil_scoped_release release;
        affine2d<T>(x.shape(0), x.shape(1), x.shape(2), x.shape(3), from, matrices, to);
    });
}

}  // namespace

void bind_affine2d(py::module_& module) {
    module.def("affine2d", &bound_affine2d, py::arg("x"), py::arg("matrix"), py::arg("y"));
}

}  // namespace rot180
