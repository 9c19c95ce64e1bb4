#include "rot180/loss.h"

#include "array_view.h"

namespace rot180 {
namespace {

void check_elements(const py::array& array, const char* name) {
    if (array.size() < 1) {
        throw py::value_error(std::string(name) + " is empty");
    }
}

double bound_element_loss(ElementLoss loss, const py::array& prediction, const py::array& target,
                          double delta) {
    check_elements(prediction, "prediction");
    return with_float_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = prediction.size();
        const T* a = read<T>(prediction, "prediction", size);
        const T* b = read<T>(target, "target", size);
        const py::gil_scoped_release release;
        return element_loss<T>(loss, size, a, b, delta);
    });
}

void bound_element_loss_grad_input(ElementLoss loss, const py::array& prediction,
                                   const py::array& target, double delta, py::array dprediction) {
    with_float_type(prediction, "prediction", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = prediction.size();
        const T* a = read<T>(prediction, "prediction", size);
        const T* b = read<T>(target, "target", size);
        T* to = write<T>(dprediction, "dprediction", size);
        const py::gil_scoped_release release;
        element_loss_grad_input<T>(loss, size, a, b, delta, to);
    });
}

double bound_binary_cross_entropy(const py::array& logits, const py::array& target,
                                  const py::array& pos_weight) {
    check_elements(logits, "logits");
    check_elements(pos_weight, "pos_weight");
    return with_float_type(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = logits.size(), period = pos_weight.size();
        const T* z = read<T>(logits, "logits", size);
        const T* t = read<T>(target, "target", size);
        const T* weight = read<T>(pos_weight, "pos_weight", period);
        const py::gil_scoped_release release;
        return binary_cross_entropy<T>(size, z, t, weight, period);
    });
}

void bound_binary_cross_entropy_grad_input(const py::array& logits, const py::array& target,
                                           const py::array& pos_weight, py::array dlogits) {
    check_elements(pos_weight, "pos_weight");
    with_float_type(logits, "logits", [&](auto zero) {
        using T = decltype(zero);
        const int64_t size = logits.size(), period = pos_weight.size();
        const T* z = read<T>(logits, "logits", size);
        const T* t = read<T>(target, "target", size);
        const T* weight = read<T>(pos_weight, "pos_weight", period);
        T* to = write<T>(dlogits, "dlogits", size);
        const py::gil_scoped_release release;
        binary_cross_entropy_grad_input<T>(size, z, t, weight, period, to);
    });
}

}  // namespace

void bind_loss(py::module_& module) {
    py::enum_<ElementLoss>(module, "ElementLoss")
        .value("mean_squared_error", ElementLoss::mean_squared_error)
        .value("mean_absolute_error", ElementLoss::mean_absolute_error)
        .value("huber", ElementLoss::huber);
    module.def("element_loss", &bound_element_loss, py::arg("loss"), py::arg("prediction"),
               py::arg("target"), py::arg("delta"));
    module.def("element_loss_grad_input", &bound_element_loss_grad_input, py::arg("loss"),
               py::arg("prediction"), py::arg("target"), py::arg("delta"), py::arg("dprediction"));
    module.def("binary_cross_entropy", &bound_binary_cross_entropy, py::arg("logits"),
               py::arg("target"), py::arg("pos_weight"));
    module.def("binary_cross_entropy_grad_input", &bound_binary_cross_entropy_grad_input,
               py::arg("logits"), py::arg("target"), py::arg("pos_weight"), py::arg("dlogits"));
}

}  // namespace rot180
