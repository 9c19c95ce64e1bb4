#include "rot180/optim.h"

#include <pybind11/stl.h>

#include <vector>

#include "array_view.h"

namespace rot180 {
namespace {

using Arrays = std::vector<py::array>;
using Numbers = std::vector<double>;

void check_same_count(size_t found, const char* name, size_t expected) {
    if (found != expected) {
        throw py::value_error(std::string(name) + " has length " + std::to_string(found) +
                              ", expected " + std::to_string(expected));
    }
}

WeightDecay decay(bool decoupled) {
    return decoupled ? WeightDecay::decoupled : WeightDecay::coupled;
}

// make(i, size) is the tensor of that number; run takes them all, without the GIL.
template <class Tensor, class Make, class Run>
void with_tensors(const Arrays& arrays, const Make& make, const Run& run) {
    std::vector<Tensor> tensors;
    for (size_t i = 0; i < arrays.size(); ++i) tensors.push_back(make(i, arrays[i].size()));
    const py::gil_scoped_release release;
    run(tensors.data(), tensors.size());
}

void bound_adam_step(Arrays params, const Arrays& grads, Arrays ms, Arrays vs, const Numbers& lrs,
                     const Numbers& weight_decays, int64_t step, double beta1, double beta2,
                     double eps, bool decoupled, bool eps_hat) {
    const size_t count = params.size();
    check_same_count(grads.size(), "grads", count);
    check_same_count(ms.size(), "ms", count);
    check_same_count(vs.size(), "vs", count);
    check_same_count(lrs.size(), "lrs", count);
    check_same_count(weight_decays.size(), "weight_decays", count);
    if (params.empty()) return;
    const AdamOptions options = {step, beta1, beta2, eps, decay(decoupled), eps_hat};
    with_float_type(params[0], "params[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> AdamTensor<T> {
            return {size,
                    write<T>(params[i], "param", size),
                    read<T>(grads[i], "grad", size),
                    write<T>(ms[i], "m", size),
                    write<T>(vs[i], "v", size),
                    lrs[i],
                    weight_decays[i]};
        };
        with_tensors<AdamTensor<T>>(params, tensor, [&](const auto* tensors, size_t n) {
            adam_step<T>(tensors, n, options);
        });
    });
}

// velocities is empty without momentum.
void bound_sgd_step(Arrays params, const Arrays& grads, Arrays velocities, const Numbers& lrs,
                    const Numbers& weight_decays, double momentum, bool nesterov, bool decoupled) {
    const size_t count = params.size();
    check_same_count(grads.size(), "grads", count);
    if (!velocities.empty()) check_same_count(velocities.size(), "velocities", count);
    check_same_count(lrs.size(), "lrs", count);
    check_same_count(weight_decays.size(), "weight_decays", count);
    if (params.empty()) return;
    const SgdOptions options = {momentum, nesterov, decay(decoupled)};
    with_float_type(params[0], "params[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> SgdTensor<T> {
            return {size,
                    write<T>(params[i], "param", size),
                    read<T>(grads[i], "grad", size),
                    velocities.empty() ? nullptr : write<T>(velocities[i], "velocity", size),
                    lrs[i],
                    weight_decays[i]};
        };
        with_tensors<SgdTensor<T>>(params, tensor, [&](const auto* tensors, size_t n) {
            sgd_step<T>(tensors, n, options);
        });
    });
}

// ms is empty unless centered, velocities without momentum.
void bound_rmsprop_step(Arrays params, const Arrays& grads, Arrays vs, Arrays ms, Arrays velocities,
                        const Numbers& lrs, const Numbers& weight_decays, double alpha, double eps,
                        double momentum, bool decoupled) {
    const size_t count = params.size();
    check_same_count(grads.size(), "grads", count);
    check_same_count(vs.size(), "vs", count);
    if (!ms.empty()) check_same_count(ms.size(), "ms", count);
    if (!velocities.empty()) check_same_count(velocities.size(), "velocities", count);
    check_same_count(lrs.size(), "lrs", count);
    check_same_count(weight_decays.size(), "weight_decays", count);
    if (params.empty()) return;
    const RmspropOptions options = {alpha, eps, momentum, decay(decoupled)};
    with_float_type(params[0], "params[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> RmspropTensor<T> {
            return {size,
                    write<T>(params[i], "param", size),
                    read<T>(grads[i], "grad", size),
                    write<T>(vs[i], "v", size),
                    ms.empty() ? nullptr : write<T>(ms[i], "m", size),
                    velocities.empty() ? nullptr : write<T>(velocities[i], "velocity", size),
                    lrs[i],
                    weight_decays[i]};
        };
        with_tensors<RmspropTensor<T>>(params, tensor, [&](const auto* tensors, size_t n) {
            rmsprop_step<T>(tensors, n, options);
        });
    });
}

void bound_ema_step(Arrays averages, const Arrays& params, double decay) {
    check_same_count(params.size(), "params", averages.size());
    if (averages.empty()) return;
    with_float_type(averages[0], "averages[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> EmaTensor<T> {
            return {size, write<T>(averages[i], "average", size),
                    read<T>(params[i], "param", size)};
        };
        with_tensors<EmaTensor<T>>(averages, tensor, [&](const auto* tensors, size_t n) {
            ema_step<T>(tensors, n, decay);
        });
    });
}

Numbers bound_sums_of_squares(Arrays grads) {
    Numbers sums(grads.size());
    if (grads.empty()) return sums;
    with_float_type(grads[0], "grads[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> GradTensor<T> {
            return {size, write<T>(grads[i], "grad", size)};
        };
        with_tensors<GradTensor<T>>(grads, tensor, [&](const auto* tensors, size_t n) {
            sums_of_squares<T>(tensors, n, sums.data());
        });
    });
    return sums;
}

void bound_scale(Arrays grads, double factor) {
    if (grads.empty()) return;
    with_float_type(grads[0], "grads[0]", [&](auto zero) {
        using T = decltype(zero);
        const auto tensor = [&](size_t i, int64_t size) -> GradTensor<T> {
            return {size, write<T>(grads[i], "grad", size)};
        };
        with_tensors<GradTensor<T>>(
            grads, tensor, [&](const auto* tensors, size_t n) { scale<T>(tensors, n, factor); });
    });
}

}  // namespace

void bind_optim(py::module_& module) {
    module.def("adam_step", &bound_adam_step, py::arg("params"), py::arg("grads"), py::arg("ms"),
               py::arg("vs"), py::arg("lrs"), py::arg("weight_decays"), py::arg("step"),
               py::arg("beta1"), py::arg("beta2"), py::arg("eps"), py::arg("decoupled"),
               py::arg("eps_hat"));
    module.def("sgd_step", &bound_sgd_step, py::arg("params"), py::arg("grads"),
               py::arg("velocities"), py::arg("lrs"), py::arg("weight_decays"), py::arg("momentum"),
               py::arg("nesterov"), py::arg("decoupled"));
    module.def("rmsprop_step", &bound_rmsprop_step, py::arg("params"), py::arg("grads"),
               py::arg("vs"), py::arg("ms"), py::arg("velocities"), py::arg("lrs"),
               py::arg("weight_decays"), py::arg("alpha"), py::arg("eps"), py::arg("momentum"),
               py::arg("decoupled"));
    module.def("ema_step", &bound_ema_step, py::arg("averages"), py::arg("params"),
               py::arg("decay"));
    module.def("sums_of_squares", &bound_sums_of_squares, py::arg("grads"));
    module.def("scale", &bound_scale, py::arg("grads"), py::arg("factor"));
}

}  // namespace rot180
