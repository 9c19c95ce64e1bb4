// Microbenchmarks of the C++ library: rot180_bench [options of Google Benchmark] [shapes].
//     rot180_bench --benchmark_filter=conv2d_grad_weight/float32
//     rot180_bench 'n8 h56 w56 c64 k64 r3 s3 p1'      a convolution of your own, and nothing else
#include <benchmark/benchmark.h>
#include <rot180/runtime.h>

#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "benchmarks.h"
#include "shapes.h"

int main(int argc, char** argv) {
    using namespace rot180_bench;
    benchmark::Initialize(&argc, argv);
    const std::vector<std::string> names(argv + 1, argv + argc);
    try {
        add_conv2d(names.empty() ? conv2d_names : names);
    } catch (const std::invalid_argument& error) {
        std::cerr << error.what() << '\n';
        return 2;
    }
    if (names.empty()) {
        add_pool2d();
        add_activation();
        add_optim();
    }
    benchmark::AddCustomContext("instruction set", rot180::instruction_set());
    benchmark::AddCustomContext("threads", std::to_string(rot180::num_threads()));
    benchmark::AddCustomContext("compiler", rot180::compiler());
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
}
