// The last check before a kernel: a NumPy array is what the kernel expects, or an exception.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>

#include "rot180/activation.h"

namespace rot180 {

namespace py = pybind11;

// Friendly messages are the business of rot180.functional; these stand between a wrong call of
// rot180._core and memory that is not ours.
template <class T>
void check_array(const py::array& array, const char* name, int64_t size) {
    if (!py::array_t<T, py::array::c_style>::check_(array) ||
        reinterpret_cast<uintptr_t>(array.data()) % alignof(T) != 0) {
        throw py::type_error(std::string(name) + " must be a C-contiguous, aligned array of " +
                             std::string(py::str(py::dtype::of<T>())));
    }
    if (array.size() != size) {
        throw py::value_error(std::string(name) + " has " + std::to_string(array.size()) +
                              " elements, expected " + std::to_string(size));
    }
}

template <class T>
const T* read(const py::array& array, const char* name, int64_t size) {
    check_array<T>(array, name, size);
    return static_cast<const T*>(array.data());
}

template <class T>
T* write(py::array& array, const char* name, int64_t size) {
    check_array<T>(array, name, size);
    if (!array.writeable()) throw py::value_error(std::string(name) + " is read-only");
    return static_cast<T*>(array.mutable_data());
}

// Refuses an activation that a convolution or a sum cannot apply to its output.
inline void check_fused(Activation activation) {
    if (!can_be_fused(activation)) {
        throw py::value_error(std::string(py::str(py::cast(activation))) + " cannot be fused");
    }
}

template <class T>
OutputGradient<T> read_gradient(int64_t size, const py::array& dy, Activation activation,
                                const std::optional<py::array>& y) {
    check_fused(activation);
    if ((activation != Activation::none) != y.has_value()) {
        throw py::value_error("y must be given with an activation, and only then");
    }
    return {read<T>(dy, "dy", size), activation, y ? read<T>(*y, "y", size) : nullptr};
}

// body(T{}) with the array's element type.
template <class Body>
auto with_float_type(const py::array& array, const char* name, const Body& body) {
    if (py::array_t<float>::check_(array)) return body(float{});
    if (py::array_t<double>::check_(array)) return body(double{});
    throw py::type_error(std::string(name) + " must be float32 or float64, got " +
                         std::string(py::str(array.dtype())));
}

}  // namespace rot180
