#include "rot180/optim.h"

#include <pybind11/stl.h>

#include <vector>

#include "array_view.h"

namespace rot180 {
namespace {

using Arrays = std::vector<py::array>;

void check_same_count(const Arrays& params, const Arrays& others, const char* name) {
    if (others.size() != params.size()) {
        throw py::value_error(std::string(name) + " has " + std::to_string(others.size()) +
                              " arrays, params has " + std::to_string(params.size()));
    }
}

WeightDecay decay(bool decoupled) {
    return decoupled ? WeightDecay::decoupled : WeightDecay::coupled;
}

void bound_adam_step(Arrays params, const Arrays& grads, Arrays ms, Arrays vs, int64_t step,
                     double lr, double beta1, double beta2, double eps, double weight_decay,
                     bool decoupled, bool eps_hat) {
    check_same_count(params, grads, "grads");
    check_same_count(params, ms, "ms");
    check_same_count(params, vs, "vs");
    if (params.empty()) return;
    const AdamOptions options = {step,   lr, beta1, beta2, eps, weight_decay, decay(decoupled),
                                 eps_hat};
    with_float_type(params[0], "params[0]", [&](auto zero) {
        using T = decltype(zero);
        std::vector<AdamTensor<T>> tensors;
        for (size_t i = 0; i < params.size(); ++i) {
            const int64_t size = params[i].size();
            tensors.push_back({size, write<T>(params[i], "param", size),
                               read<T>(grads[i], "grad", size), write<T>(ms[i], "m", size),
                               write<T>(vs[i], "v", size)});
        }
        const py::gil_scoped_release release;
        adam_step<T>(tensors.data(), tensors.size(), options);
    });
}

// velocities is empty without momentum.
void bound_sgd_step(Arrays params, const Arrays& grads, Arrays velocities, double lr,
                    double momentum, bool nesterov, double weight_decay, bool decoupled) {
    check_same_count(params, grads, "grads");
    if (!velocities.empty()) check_same_count(params, velocities, "velocities");
    if (params.empty()) return;
    const SgdOptions options = {lr, momentum, nesterov, weight_decay, decay(decoupled)};
    with_float_type(params[0], "params[0]", [&](auto zero) {
        using T = decltype(zero);
        std::vector<SgdTensor<T>> tensors;
        for (size_t i = 0; i < params.size(); ++i) {
            const int64_t size = params[i].size();
            T* velocity = velocities.empty() ? nullptr : write<T>(velocities[i], "velocity", size);
            tensors.push_back({size, write<T>(params[i], "param", size),
                               read<T>(grads[i], "grad", size), velocity});
        }
        const py::gil_scoped_release release;
        sgd_step<T>(tensors.data(), tensors.size(), options);
    });
}

}  // namespace

void bind_optim(py::module_& module) {
    module.def("adam_step", &bound_adam_step, py::arg("params"), py::arg("grads"), py::arg("ms"),
               py::arg("vs"), py::arg("step"), py::arg("lr"), py::arg("beta1"), py::arg("beta2"),
               py::arg("eps"), py::arg("weight_decay"), py::arg("decoupled"), py::arg("eps_hat"));
    module.def("sgd_step", &bound_sgd_step, py::arg("params"), py::arg("grads"),
               py::arg("velocities"), py::arg("lr"), py::arg("momentum"), py::arg("nesterov"),
               py::arg("weight_decay"), py::arg("decoupled"));
}

}  // namespace rot180
