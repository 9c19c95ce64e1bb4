// Flush-to-zero while kernels run. Denormal operands cost up to a hundred cycles each on many CPUs.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace rot180 {

// Sets the calling thread's mode and gives the previous one back on the way out.
class FlushDenormals {
 public:
#if defined(__SSE2__)
    FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | flush_to_zero | are_zero); }
    ~FlushDenormals() { _mm_setcsr(saved_); }

 private:
    static constexpr unsigned flush_to_zero = 0x8000, are_zero = 0x0040;
    unsigned saved_;
#elif defined(__aarch64__)
    FlushDenormals() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" : : "r"(saved_ | flush_to_zero));
    }
    ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(saved_)); }

 private:
    static constexpr uint64_t flush_to_zero = uint64_t(1) << 24;
    uint64_t saved_;
#else
    FlushDenormals() {}
    ~FlushDenormals() {}

 public:
#endif
    FlushDenormals(const FlushDenormals&) = delete;
    FlushDenormals& operator=(const FlushDenormals&) = delete;
};

}  // namespace rot180
