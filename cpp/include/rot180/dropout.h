// Dropout.
#pragma once

#include <cstdint>

namespace rot180 {

// y[i] = x[i] / (1 - p) where number i is at least p * 2^32, else 0; 0 <= p < 1. The numbers are
// what Philox4x32-10 makes of the key at the counters 0, 1, ..., 64 numbers of 16 counters at a
// time: number 64 g + 16 w + l is word w of counter 16 g + l. The gradient is the same function of
// dy. x and y may be the same array.
template <class T>
void dropout(int64_t size, const T* x, double p, uint64_t key, T* y);

}  // namespace rot180
