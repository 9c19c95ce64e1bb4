#include "rot180/norm.h"

#include <pybind11/stl.h>

#include <initializer_list>
#include <optional>

#include "array_view.h"

namespace rot180 {
namespace {

using OptionalArray = std::optional<py::array>;

template <class T>
const T* read_or_null(const OptionalArray& array, const char* name, int64_t size) {
    return array ? read<T>(*array, name, size) : nullptr;
}

template <class T>
Affine<T> read_affine(const OptionalArray& weight, const OptionalArray& bias, Activation activation,
                      int64_t size) {
    return {read_or_null<T>(weight, "weight", size), read_or_null<T>(bias, "bias", size),
            activation};
}

const py::array* address(const OptionalArray& array) { return array ? &*array : nullptr; }

// Refuses a result that shares memory with another array of the call; null for one that is not
// there.
void check_apart(const py::array* result, const char* name,
                 std::initializer_list<const py::array*> others) {
    if (!result) return;
    const auto* begin = static_cast<const char*>(result->data());
    const auto* end = begin + result->nbytes();
    for (const py::array* other : others) {
        if (!other) continue;
        const auto* other_begin = static_cast<const char*>(other->data());
        if (begin < other_begin + other->nbytes() && other_begin < end) {
            throw py::value_error(std::string(name) +
                                  " overlaps an input or a result: pass an array of its own");
        }
    }
}

// x is (pixels, channels) with as many channels as `of`.
int64_t channels_of(const py::array& x, const py::array& of) {
    const int64_t channels = of.size();
    if (channels < 1 || x.size() % channels != 0) {
        throw py::value_error("x must be (..., channels) with as many channels as mean");
    }
    return channels;
}

void bound_batch_norm(const py::array& x, const py::array& mean, const py::array& var, double eps,
                      const OptionalArray& weight, const OptionalArray& bias, Activation activation,
                      const OptionalArray& residual, py::array y) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const int64_t channels = channels_of(x, mean), pixels = x.size() / channels;
        const T* input = read<T>(x, "x", x.size());
        const T* added = read_or_null<T>(residual, "residual", x.size());
        const T* centers = read<T>(mean, "mean", channels);
        const T* variances = read<T>(var, "var", channels);
        const Affine<T> affine = read_affine<T>(weight, bias, activation, channels);
        T* output = write<T>(y, "y", x.size());
        const py::gil_scoped_release release;
        batch_norm<T>(pixels, channels, input, centers, variances, eps, affine, added, output);
    });
}

void bound_batch_norm_training(const py::array& x, double eps, const OptionalArray& weight,
                               const OptionalArray& bias, Activation activation,
                               const OptionalArray& residual, double momentum,
                               OptionalArray running_mean, OptionalArray running_var, py::array y,
                               py::array mean, py::array inv_std) {
    if (running_mean.has_value() != running_var.has_value()) {
        throw py::value_error("running_mean and running_var must be given both or neither");
    }
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const int64_t channels = channels_of(x, mean), pixels = x.size() / channels;
        if (pixels == 1) throw py::value_error("x has one value for each channel");
        const T* input = read<T>(x, "x", x.size());
        const Affine<T> affine = read_affine<T>(weight, bias, activation, channels);
        const T* added = read_or_null<T>(residual, "residual", x.size());
        T* mean_so_far = running_mean ? write<T>(*running_mean, "running_mean", channels) : nullptr;
        T* var_so_far = running_var ? write<T>(*running_var, "running_var", channels) : nullptr;
        T* output = write<T>(y, "y", x.size());
        const auto inputs = {&x, address(weight), address(bias), address(residual)};
        check_apart(address(running_mean), "running_mean", inputs);
        check_apart(address(running_var), "running_var", inputs);
        check_apart(address(running_var), "running_var", {address(running_mean)});
        T* means = write<T>(mean, "mean", channels);
        T* factors = write<T>(inv_std, "inv_std", channels);
        const py::gil_scoped_release release;
        batch_norm_training<T>(pixels, channels, input, eps, affine, added, momentum, mean_so_far,
                               var_so_far, output, means, factors);
    });
}

// Both gradients; dx None leaves that by the input out.
void bound_batch_norm_grad(const py::array& dy, const py::array& x, const py::array& mean,
                           const py::array& inv_std, const OptionalArray& weight,
                           const OptionalArray& bias, Activation activation, OptionalArray dx,
                           py::array dweight, py::array dbias) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const int64_t channels = channels_of(x, mean), pixels = x.size() / channels;
        const T* delta = read<T>(dy, "dy", x.size());
        const T* input = read<T>(x, "x", x.size());
        const T* means = read<T>(mean, "mean", channels);
        const T* factors = read<T>(inv_std, "inv_std", channels);
        const Affine<T> affine = read_affine<T>(weight, bias, activation, channels);
        T* result = dx ? write<T>(*dx, "dx", x.size()) : nullptr;
        T* products = write<T>(dweight, "dweight", channels);
        T* sums = write<T>(dbias, "dbias", channels);
        const auto others = {&dy, &x, &mean, &inv_std, address(weight), address(bias), address(dx)};
        check_apart(&dweight, "weight_out", others);
        check_apart(&dbias, "bias_out", others);
        check_apart(&dbias, "bias_out", {&dweight});
        const py::gil_scoped_release release;
        if (dx) {
            batch_norm_grad_input<T>(pixels, channels, delta, input, means, factors, affine, result,
                                     products, sums);
        } else {
            batch_norm_grad_weight<T>(pixels, channels, delta, input, means, factors, affine,
                                      products, sums);
        }
    });
}

// x is (samples, pixels, channels), mean (samples, groups).
GroupNormShape group_norm_shape(const py::array& x, const py::array& mean) {
    if (x.ndim() != 3 || mean.ndim() != 2) {
        throw py::value_error("x must be (samples, pixels, channels) and mean (samples, groups)");
    }
    const GroupNormShape shape = {x.shape(0), x.shape(1), x.shape(2), mean.shape(1)};
    if (shape.pixels < 1 || shape.groups < 1 || shape.channels < 1 ||
        shape.channels % shape.groups != 0) {
        throw py::value_error("x must have pixels, and channels that divide into mean's groups");
    }
    return shape;
}

void bound_group_norm(const py::array& x, double eps, const OptionalArray& weight,
                      const OptionalArray& bias, Activation activation, py::array y, py::array mean,
                      py::array inv_std) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const GroupNormShape shape = group_norm_shape(x, mean);
        const int64_t statistics = shape.samples * shape.groups;
        const T* input = read<T>(x, "x", x.size());
        const Affine<T> affine = read_affine<T>(weight, bias, activation, shape.channels);
        T* output = write<T>(y, "y", x.size());
        T* means = write<T>(mean, "mean", statistics);
        T* factors = write<T>(inv_std, "inv_std", statistics);
        const py::gil_scoped_release release;
        group_norm<T>(shape, input, eps, affine, output, means, factors);
    });
}

// Both gradients; dx None leaves that by the input out.
void bound_group_norm_grad(const py::array& dy, const py::array& x, const py::array& mean,
                           const py::array& inv_std, const OptionalArray& weight,
                           const OptionalArray& bias, Activation activation, OptionalArray dx,
                           py::array dweight, py::array dbias) {
    with_float_type(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const GroupNormShape shape = group_norm_shape(x, mean);
        const int64_t statistics = shape.samples * shape.groups;
        const T* delta = read<T>(dy, "dy", x.size());
        const T* input = read<T>(x, "x", x.size());
        const T* means = read<T>(mean, "mean", statistics);
        const T* factors = read<T>(inv_std, "inv_std", statistics);
        const Affine<T> affine = read_affine<T>(weight, bias, activation, shape.channels);
        T* result = dx ? write<T>(*dx, "dx", x.size()) : nullptr;
        T* products = write<T>(dweight, "dweight", shape.channels);
        T* sums = write<T>(dbias, "dbias", shape.channels);
        const auto others = {&dy, &x, &mean, &inv_std, address(weight), address(bias), address(dx)};
        check_apart(&dweight, "weight_out", others);
        check_apart(&dbias, "bias_out", others);
        check_apart(&dbias, "bias_out", {&dweight});
        const py::gil_scoped_release release;
        if (dx) {
            group_norm_grad_input<T>(shape, delta, input, means, factors, affine, result, products,
                                     sums);
        } else {
            group_norm_grad_weight<T>(shape, delta, input, means, factors, affine, products, sums);
        }
    });
}

}  // namespace

void bind_norm(py::module_& module) {
    module.def("batch_norm", &bound_batch_norm, py::arg("x"), py::arg("mean"), py::arg("var"),
               py::arg("eps"), py::arg("weight"), py::arg("bias"), py::arg("activation"),
               py::arg("residual"), py::arg("y"));
    module.def("batch_norm_training", &bound_batch_norm_training, py::arg("x"), py::arg("eps"),
               py::arg("weight"), py::arg("bias"), py::arg("activation"), py::arg("residual"),
               py::arg("momentum"), py::arg("running_mean"), py::arg("running_var"), py::arg("y"),
               py::arg("mean"), py::arg("inv_std"));
    module.def("batch_norm_grad", &bound_batch_norm_grad, py::arg("dy"), py::arg("x"),
               py::arg("mean"), py::arg("inv_std"), py::arg("weight"), py::arg("bias"),
               py::arg("activation"), py::arg("dx"), py::arg("dweight"), py::arg("dbias"));
    module.def("group_norm", &bound_group_norm, py::arg("x"), py::arg("eps"), py::arg("weight"),
               py::arg("bias"), py::arg("activation"), py::arg("y"), py::arg("mean"),
               py::arg("inv_std"));
    module.def("group_norm_grad", &bound_group_norm_grad, py::arg("dy"), py::arg("x"),
               py::arg("mean"), py::arg("inv_std"), py::arg("weight"), py::arg("bias"),
               py::arg("activation"), py::arg("dx"), py::arg("dweight"), py::arg("dbias"));
}

}  // namespace rot180
