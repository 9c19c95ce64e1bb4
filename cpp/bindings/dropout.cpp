#include "rot180/dropout.h"

#include "array_view.h"

namespace rot180 {
namespace {

void bound_dropout(const py::array& x, double p, uint64_t key, py::array y) {
    if (!(p >= 0 && p < 1)) throw py::value_error("p must be at least 0 and less than 1");
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = x.size();
        const T* from = read<T>(x, "x", size);
        T* to = write<T>(y, "y", size);
        const py::gil_scoped_release release;
        dropout<T>(size, from, p, key, to);
    });
}

}  // namespace

void bind_dropout(py::module_& module) {
    module.def("dropout", &bound_dropout, py::arg("x"), py::arg("p"), py::arg("key"), py::arg("y"));
}

}  // namespace rot180
