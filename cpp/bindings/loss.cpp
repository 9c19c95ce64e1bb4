#include "rot180/loss.h"

#include "array_view.h"

namespace rot180 {
namespace {

struct Extent {
    int64_t rows, classes;
};

Extent extent_of(const py::array& logits) {
    if (logits.ndim() != 2 || logits.shape(1) < 1) {
        throw py::value_error("logits must be (rows, classes) with at least one class");
    }
    return {logits.shape(0), logits.shape(1)};
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

void bound_softmax(const py::array& logits, py::array probabilities) {
    const Extent extent = extent_of(logits);
    with_float_type(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const T* from = read<T>(logits, "logits", logits.size());
        T* to = write<T>(probabilities, "probabilities", logits.size());
        const py::gil_scoped_release release;
        softmax<T>(extent.rows, extent.classes, from, to);
    });
}

double bound_softmax_cross_entropy(const py::array& logits, const py::array& labels,
                                   py::array probabilities) {
    const Extent extent = extent_of(logits);
    if (extent.rows < 1) throw py::value_error("logits has no rows: a mean needs at least one");
    const int64_t* label = read_labels(labels, extent);
    return with_float_type(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const T* from = read<T>(logits, "logits", logits.size());
        T* to = write<T>(probabilities, "probabilities", logits.size());
        const py::gil_scoped_release release;
        return softmax_cross_entropy<T>(extent.rows, extent.classes, from, label, to);
    });
}

void bound_softmax_cross_entropy_grad_input(const py::array& probabilities, const py::array& labels,
                                            py::array dlogits) {
    const Extent extent = extent_of(probabilities);
    const int64_t* label = read_labels(labels, extent);
    with_float_type(probabilities, "probabilities", [&](auto zero) {
        using T = decltype(zero);
        const T* from = read<T>(probabilities, "probabilities", probabilities.size());
        T* to = write<T>(dlogits, "dlogits", probabilities.size());
        const py::gil_scoped_release release;
        softmax_cross_entropy_grad_input<T>(extent.rows, extent.classes, from, label, to);
    });
}

double bound_mean_squared_error(const py::array& prediction, const py::array& target) {
    if (prediction.size() < 1) throw py::value_error("prediction is empty: a mean needs elements");
    return with_float_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = prediction.size();
        const T* a = read<T>(prediction, "prediction", size);
        const T* b = read<T>(target, "target", size);
        const py::gil_scoped_release release;
        return mean_squared_error<T>(size, a, b);
    });
}

void bound_mean_squared_error_grad_input(const py::array& prediction, const py::array& target,
                                         py::array dprediction) {
    with_float_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = prediction.size();
        const T* a = read<T>(prediction, "prediction", size);
        const T* b = read<T>(target, "target", size);
        T* to = write<T>(dprediction, "dprediction", size);
        const py::gil_scoped_release release;
        mean_squared_error_grad_input<T>(size, a, b, to);
    });
}

}  // namespace

void bind_loss(py::module_& module) {
    module.def("softmax", &bound_softmax, py::arg("logits"), py::arg("probabilities"));
    module.def("softmax_cross_entropy", &bound_softmax_cross_entropy, py::arg("logits"),
               py::arg("labels"), py::arg("probabilities"));
    module.def("softmax_cross_entropy_grad_input", &bound_softmax_cross_entropy_grad_input,
               py::arg("probabilities"), py::arg("labels"), py::arg("dlogits"));
    module.def("mean_squared_error", &bound_mean_squared_error, py::arg("prediction"),
               py::arg("target"));
    module.def("mean_squared_error_grad_input", &bound_mean_squared_error_grad_input,
               py::arg("prediction"), py::arg("target"), py::arg("dprediction"));
}

}  // namespace rot180
