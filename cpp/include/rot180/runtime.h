// What the kernels run on: threads and instruction set.
#pragma once

#include <string>
#include <vector>

namespace rot180 {

// Threads that a kernel may use. At the start: ROT180_NUM_THREADS, else OMP_NUM_THREADS, else what
// the affinity mask and the cgroup's quota leave to this process. Never changes a result's bits.
int num_threads();
void set_num_threads(int threads);  // throws std::invalid_argument below 1

// Instruction sets that this build has and this CPU supports, the best first.
std::vector<std::string> instruction_sets();
// The one in use. At the start ROT180_INSTRUCTION_SET, else the best.
std::string instruction_set();
void set_instruction_set(const std::string& name);  // throws std::invalid_argument

std::string compiler();
std::string openmp();  // its version date, or "none"

// Fill scratch memory with NaN before each use, so that a test sees every read of a stale value.
void poison_scratch(bool on);

}  // namespace rot180
