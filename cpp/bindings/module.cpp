#include <pybind11/pybind11.h>

namespace rot180 {

void bind_runtime(pybind11::module_& module);
void bind_activation(pybind11::module_& module);
void bind_affine2d(pybind11::module_& module);
void bind_conv2d(pybind11::module_& module);
void bind_pool2d(pybind11::module_& module);
void bind_resize2d(pybind11::module_& module);
void bind_memory(pybind11::module_& module);
void bind_dropout(pybind11::module_& module);
void bind_loss(pybind11::module_& module);
void bind_norm(pybind11::module_& module);
void bind_softmax(pybind11::module_& module);
void bind_optim(pybind11::module_& module);

PYBIND11_MODULE(_core, module) {
    module.doc() = "The C++ kernels. Use rot180.functional, which checks its arguments kindly.";
    bind_runtime(module);
    bind_activation(module);
    bind_affine2d(module);
    bind_conv2d(module);
    bind_pool2d(module);
    bind_resize2d(module);
    bind_memory(module);
    bind_dropout(module);
    bind_loss(module);
    bind_norm(module);
    bind_softmax(module);
    bind_optim(module);
}

}  // namespace rot180
