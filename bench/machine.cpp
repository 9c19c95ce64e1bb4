// What the machine can do at best: multiply-adds on all threads for each width of vector, and bytes
// to and from memory. Prints one JSON object, which `python -m bench.compare --machine` reads;
// OMP_NUM_THREADS says how many threads. One file without dependencies, x86-64 or AArch64:
//     g++ -std=c++17 -O3 -ffp-contract=fast -fopenmp bench/machine.cpp -o machine
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace {

int threads() {
#if defined(_OPENMP)
    return omp_get_max_threads();
#else
    return 1;
#endif
}

template <class Body>
double seconds(const Body& body) {
    const auto start = std::chrono::steady_clock::now();
    body();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

#if defined(__x86_64__)
#define VECTOR_REGISTER "x"
#else
#define VECTOR_REGISTER "w"
#endif

// Twelve sums that do not wait for one another: with two multiply-adds a cycle and a latency of
// four cycles, eight are the fewest. The empty asm statements keep each sum in a register, unknown
// to the compiler, which can then neither drop a step nor merge two; they cost no instruction. A
// macro and no template, because a compiler may lower vectors to what a template's own target has
// before it inlines it.
constexpr int sums = 12;
#define FOR_EACH_SUM(F) F(a) F(b) F(c) F(d) F(e) F(f) F(g) F(h) F(i) F(j) F(k) F(l)
#define START(sum) V sum{};
#define STEP(sum) sum = sum * factor + term;
#define KEEP(value) asm volatile("" : "+" VECTOR_REGISTER(value));
#define MULTIPLY_ADDS(name, T, bytes, ...)               \
    __VA_ARGS__ void name(int64_t rounds) {              \
        typedef T V __attribute__((vector_size(bytes))); \
        V factor = V{} + T(0.5), term = V{} + T(1);      \
        KEEP(factor);                                    \
        KEEP(term);                                      \
        FOR_EACH_SUM(START);                             \
        while (rounds-- > 0) {                           \
            FOR_EACH_SUM(STEP);                          \
            FOR_EACH_SUM(KEEP);                          \
        }                                                \
    }                                                    \
    static_assert(true)

// What every machine of its kind has; on x86-64 a multiplication and an addition, not fused.
MULTIPLY_ADDS(float_128, float, 16);
MULTIPLY_ADDS(double_128, double, 16);
#if defined(__x86_64__)
MULTIPLY_ADDS(float_256, float, 32, __attribute__((target("avx2,fma"))));
MULTIPLY_ADDS(double_256, double, 32, __attribute__((target("avx2,fma"))));
MULTIPLY_ADDS(float_512, float, 64, __attribute__((target("avx512f"))));
MULTIPLY_ADDS(double_512, double, 64, __attribute__((target("avx512f"))));
#endif

using Kernel = void (*)(int64_t rounds);

struct Width {
    int bits;
    bool supported;
    Kernel float_kernel, double_kernel;
};

// On a shared machine the slower tries measure the others.
template <class Body>
double best_seconds(const Body& body) {
    constexpr int tries = 30;
    double best = seconds(body);
    for (int i = 1; i < tries; ++i) best = std::min(best, seconds(body));
    return best;
}

void run_on_all_threads(Kernel kernel, int64_t rounds) {
#pragma omp parallel
    kernel(rounds);
}

// GFLOP/s of all threads together.
double peak(Kernel kernel, int lanes) {
    constexpr int64_t rounds = 8'000'000;
    const double time = best_seconds([&] { run_on_all_threads(kernel, rounds); });
    return 2e-9 * sums * lanes * double(rounds) * threads() / time;
}

// GB/s of a = b + factor * c. As in STREAM an element counts three times: that the cache reads a
// line of a before it writes it is not counted.
double triad() {
    constexpr int64_t size = 16 * 1024 * 1024;  // 128 MB for each array: no cache holds them
    const std::unique_ptr<double[]> a(new double[size]), b(new double[size]), c(new double[size]);
    // Each thread touches first what it will read, so that the memory is near it.
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < size; ++i) {
        a[i] = 0;
        b[i] = 1;
        c[i] = 2;
    }
    double factor = 0;
    const double time = best_seconds([&] {
        factor += 1;
        double* const sum = a.get();
        const double *const term = b.get(), *const product = c.get();
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < size; ++i) sum[i] = term[i] + factor * product[i];
    });
    return 3e-9 * sizeof(double) * double(size) / time;
}

}  // namespace

int main() {
    const Width widths[] = {
        {128, true, float_128, double_128},
#if defined(__x86_64__)
        {256, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"), float_256,
         double_256},
        {512, bool(__builtin_cpu_supports("avx512f")), float_512, double_512},
#endif
    };
    std::printf("{\"threads\": %d, \"peak_gflops\": {", threads());
    for (const char* type : {"float32", "float64"}) {
        const bool single = type[5] == '3';
        std::printf("%s\"%s\": {", single ? "" : ", ", type);
        for (const Width& width : widths) {
            if (!width.supported) continue;
            const double gflops = peak(single ? width.float_kernel : width.double_kernel,
                                       width.bits / (single ? 32 : 64));
            std::printf("%s\"%d\": %.1f", width.bits == 128 ? "" : ", ", width.bits, gflops);
        }
        std::printf("}");
    }
    std::printf("}, \"triad_gb_per_s\": %.2f}\n", triad());
}
