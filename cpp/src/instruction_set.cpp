#include "instruction_set.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "rot180/runtime.h"

namespace rot180 {
namespace {

struct InstructionSet {
    const char* name;
    const KernelTable* table;
    bool (*supported)();
};

// The best first.
const InstructionSet compiled[] = {
#if defined(ROT180_X86_64)
    {"avx512", &rot180_kernels_avx512,
     [] {
         return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
     }},
    {"avx2", &rot180_kernels_avx2,
     [] { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }},
#endif
    {"baseline", &rot180_kernels_baseline, [] { return true; }},
};

const InstructionSet& find(const std::string& name, const char* source) {
    for (const InstructionSet& set : compiled) {
        if (name == set.name && set.supported()) return set;
    }
    std::string known;
    for (const std::string& set : instruction_sets()) known += (known.empty() ? "" : ", ") + set;
    throw std::invalid_argument(std::string(source) + " '" + name +
                                "' is unknown or not supported by this CPU: expected one of " +
                                known);
}

const InstructionSet& initial() {
    const char* forced = std::getenv("ROT180_INSTRUCTION_SET");
    return find(forced && *forced ? forced : instruction_sets().front(), "ROT180_INSTRUCTION_SET");
}

std::atomic<const InstructionSet*>& current() {
    static std::atomic<const InstructionSet*> set{&initial()};
    return set;
}

}  // namespace

std::vector<std::string> instruction_sets() {
    std::vector<std::string> names;
    for (const InstructionSet& set : compiled) {
        if (set.supported()) names.push_back(set.name);
    }
    return names;
}

std::string instruction_set() { return current().load(std::memory_order_relaxed)->name; }

void set_instruction_set(const std::string& name) {
    current().store(&find(name, "instruction set"), std::memory_order_relaxed);
}

std::string compiler() {
#if defined(__clang__)
    return std::string("Clang ") + __clang_version__;
#else
    return std::string("GCC ") + __VERSION__;
#endif
}

template <>
const Kernels<float>& kernels<float>() {
    return current().load(std::memory_order_relaxed)->table->float32;
}

template <>
const Kernels<double>& kernels<double>() {
    return current().load(std::memory_order_relaxed)->table->float64;
}

}  // namespace rot180
