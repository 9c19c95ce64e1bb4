// What the microbenchmarks of all topics share: where they are registered, and their memory.
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

namespace rot180_bench {

// One function a topic; that of the convolutions takes the shapes' names.
void add_conv2d(const std::vector<std::string>& names);
void add_pool2d();
void add_activation();
void add_optim();

// An array of numbers between -1 and 1, 64-byte aligned, the same in every run. None is zero or
// denormal, whose speed is another.
template <class T>
class Operand {
 public:
    explicit Operand(int64_t size) {
        const size_t bytes = (size_t(size) * sizeof(T) + 63) / 64 * 64;
        memory_.reset(static_cast<T*>(std::aligned_alloc(64, bytes)));
        if (!memory_) throw std::bad_alloc();
        uint32_t random = 1;
        for (int64_t i = 0; i < size; ++i) {
            random = random * 1664525u + 1013904223u;
            memory_[i] = T(int32_t(random | 256u)) / T(2147483648.0);
        }
    }
    T* data() const { return memory_.get(); }

 private:
    struct Free {
        void operator()(T* memory) const { std::free(memory); }
    };
    std::unique_ptr<T[], Free> memory_;
};

// Registers "<operation>/<type>/<name>". `prepare` allocates, before the clock starts, and returns
// the call to be timed, which owns its memory.
template <class T, class Prepare>
void add(const std::string& operation, const std::string& name, double flops, double bytes,
         const Prepare& prepare) {
    const std::string type = std::is_same_v<T, float> ? "float32" : "float64";
    const auto body = [=](benchmark::State& state) {
        const auto call = prepare();
        for (auto _ : state) call();
        using benchmark::Counter;
        if (flops > 0) state.counters["FLOP"] = Counter(flops, Counter::kIsIterationInvariantRate);
        state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate);
    };
    // Real time: what helping threads spend is not in the calling thread's processor time.
    benchmark::RegisterBenchmark((operation + "/" + type + "/" + name).c_str(), body)
        ->Unit(benchmark::kMicrosecond)
        ->UseRealTime();
}

}  // namespace rot180_bench
