#include "rot180/memory.h"

#include <pybind11/stl.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "array_view.h"

namespace rot180 {
namespace {

// What an array holds on to: gives the block back when the last view of it is gone.
struct Block {
    void* data;
    size_t bytes;

    explicit Block(size_t size) : data(take_block(size)), bytes(size) {}
    ~Block() { give_block(data, bytes); }
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
};

// Like numpy.empty, from the pool.
py::array empty(const std::vector<int64_t>& shape, const py::dtype& dtype) {
    size_t bytes = size_t(dtype.itemsize());
    for (const int64_t size : shape) {
        if (size < 0 || __builtin_mul_overflow(bytes, size_t(size), &bytes)) {
            throw py::value_error("shape is too large or negative");
        }
    }
    auto block = std::make_unique<Block>(bytes);
    void* data = block->data;
    const py::capsule owner(block.get(),
                            [](void* pointer) { delete static_cast<Block*>(pointer); });
    block.release();
    return py::array(dtype, shape, data, owner);
}

std::map<std::string, uint64_t> stats() {
    const MemoryStats now = memory_stats();
    return {{"in_use", now.in_use},
            {"cached", now.cached},
            {"limit", now.limit},
            {"hits", now.hits},
            {"misses", now.misses}};
}

}  // namespace

void bind_memory(py::module_& module) {
    module.def("empty", &empty, py::arg("shape"), py::arg("dtype"));
    module.def("memory_stats", &stats);
    module.def("empty_cache", &empty_cache);
    module.def("set_cache_limit", &set_cache_limit, py::arg("bytes"));
}

}  // namespace rot180
