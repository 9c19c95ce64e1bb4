#include "rot180/softmax.h"

#include <pybind11/stl.h>

#include <optional>

#include "array_view.h"

namespace rot180 {
namespace {

struct Extent {
    int64_t rows, classes;
};

// The last axis holds the classes.
Extent extent_of(const py::array& x, const char* name) {
    const int64_t axes = x.ndim();
    if (axes < 1 || x.shape(axes - 1) < 1) {
        throw py::value_error(std::string(name) +
                              " must be (..., classes) with at least one class");
    }
    return {x.size() / x.shape(axes - 1), x.shape(axes - 1)};
}

const int64_t* read_labels(const py::array& labels, const Extent& extent) {
    const int64_t* label = read<int64_t>(labels, "labels", extent.rows);
    for (int64_t i = 0; i < extent.rows; ++i) {
        if (label[i] < 0 || label[i] >= extent.classes) {
            throw py::value_error("labels[" + std::to_string(i) + "] is " +
                                  std::to_string(label[i]) + ", expected 0 to " +
                                  std::to_string(extent.classes - 1));
        }
    }
    return label;
}

// labels are integers, one a row, or probabilities of T, one a class.
template <class T>
ClassTarget<T> read_target(const py::array& labels, double smoothing,
                           const std::optional<py::array>& class_weights, const Extent& extent) {
    const bool soft = py::array_t<T>::check_(labels);
    const ClassTarget<T> target = {
        soft ? nullptr : read_labels(labels, extent),
        soft ? read<T>(labels, "labels", extent.rows * extent.classes) : nullptr, smoothing,
        class_weights ? read<double>(*class_weights, "class_weights", extent.classes) : nullptr};
    if (!(total_weight(extent.rows, target) > 0)) {
        throw py::value_error("the weights of the labels must have a sum above 0");
    }
    return target;
}

void bound_softmax(const py::array& x, py::array y) {
    const Extent extent = extent_of(x, "x");
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const T* from = read<T>(x, "x", x.size());
        T* to = write<T>(y, "y", x.size());
        const py::gil_scoped_release release;
        softmax<T>(extent.rows, extent.classes, from, to);
    });
}

void bound_softmax_grad_input(const py::array& dy, const py::array& y, py::array dx) {
    const Extent extent = extent_of(dy, "dy");
    with_float_type(dy, "dy", [&](auto zero) {
        using T = decltype(zero);
        const T* upstream = read<T>(dy, "dy", dy.size());
        const T* output = read<T>(y, "y", dy.size());
        T* to = write<T>(dx, "dx", dy.size());
        const py::gil_scoped_release release;
        softmax_grad_input<T>(extent.rows, extent.classes, upstream, output, to);
    });
}

double bound_softmax_cross_entropy(const py::array& logits, const py::array& labels,
                                   double smoothing, const std::optional<py::array>& class_weights,
                                   py::array probabilities) {
    const Extent extent = extent_of(logits, "logits");
    return with_float_type(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const ClassTarget<T> target = read_target<T>(labels, smoothing, class_weights, extent);
        const T* from = read<T>(logits, "logits", logits.size());
        T* to = write<T>(probabilities, "probabilities", logits.size());
        const py::gil_scoped_release release;
        return softmax_cross_entropy<T>(extent.rows, extent.classes, from, target, to);
    });
}

void bound_softmax_cross_entropy_grad_input(const py::array& probabilities, const py::array& labels,
                                            double smoothing,
                                            const std::optional<py::array>& class_weights,
                                            py::array dlogits) {
    const Extent extent = extent_of(probabilities, "probabilities");
    with_float_type(probabilities, "probabilities", [&](auto zero) {
        using T = decltype(zero);
        const ClassTarget<T> target = read_target<T>(labels, smoothing, class_weights, extent);
        const T* from = read<T>(probabilities, "probabilities", probabilities.size());
        T* to = write<T>(dlogits, "dlogits", probabilities.size());
        const py::gil_scoped_release release;
        softmax_cross_entropy_grad_input<T>(extent.rows, extent.classes, from, target, to);
    });
}

}  // namespace

void bind_softmax(py::module_& module) {
    module.def("softmax", &bound_softmax, py::arg("x"), py::arg("y"));
    module.def("softmax_grad_input", &bound_softmax_grad_input, py::arg("dy"), py::arg("y"),
               py::arg("dx"));
    module.def("softmax_cross_entropy", &bound_softmax_cross_entropy, py::arg("logits"),
               py::arg("labels"), py::arg("label_smoothing"), py::arg("class_weights"),
               py::arg("probabilities"));
    module.def("softmax_cross_entropy_grad_input", &bound_softmax_cross_entropy_grad_input,
               py::arg("probabilities"), py::arg("labels"), py::arg("label_smoothing"),
               py::arg("class_weights"), py::arg("dlogits"));
}

}  // namespace rot180
