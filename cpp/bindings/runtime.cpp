#include "rot180/runtime.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

namespace rot180 {

namespace py = pybind11;

void bind_runtime(py::module_& module) {
    module.def("version", [] { return ROT180_VERSION; });
    module.def("num_threads", &num_threads);
    module.def("set_num_threads", &set_num_threads, py::arg("threads"));
    module.def("instruction_set", &instruction_set);
    module.def("instruction_sets", &instruction_sets);
    module.def("set_instruction_set", &set_instruction_set, py::arg("name"));
    module.def("compiler", &compiler);
    module.def("openmp", &openmp);
    module.def("poison_scratch", &poison_scratch, py::arg("on"));
    instruction_set();  // a wrong ROT180_INSTRUCTION_SET is reported at import
}

}  // namespace rot180
