// Dropout: which values pass is drawn anew at each call, from a key and the place of the value.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

// The products of the lower 32 bits of each lane with a factor of 32 bits. Of x86 one instruction,
// which GCC does not find in the formula.
inline Vector<uint64_t> multiply_lower(Vector<uint64_t> a, uint32_t factor) {
    const Vector<uint64_t> b = Vector<uint64_t>{} + uint64_t(factor);
#if defined(__clang__) || !defined(__SSE2__)
    return (a & uint64_t(0xffffffff)) * b;
#else
    using Halves = Vector<int32_t>;
#if defined(__AVX512F__)
    using Products = Vector<long long>;
    return (Vector<uint64_t>)__builtin_ia32_pmuludq512_mask((Halves)a, (Halves)b, Products{}, -1);
#elif defined(__AVX2__)
    return (Vector<uint64_t>)__builtin_ia32_pmuludq256((Halves)a, (Halves)b);
#else
    return (Vector<uint64_t>)__builtin_ia32_pmuludq128((Halves)a, (Halves)b);
#endif
#endif
}

constexpr int philox_counters = 16, philox_words = 4 * philox_counters;

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) at the
// counters first, ..., first + 15, all of them at once: word w of counter first + i becomes
// words[16 w + i]. Each lane is a word in its lower half; what the upper one holds does not matter.
inline void philox(uint64_t key, uint64_t first, uint32_t* words) {
    constexpr int W = width<uint64_t>, vectors = philox_counters / W;
    using V = Vector<uint64_t>;
    V lane;
    for (int i = 0; i < W; ++i) lane[i] = uint64_t(i);
    V state[4][vectors] = {};
    for (int v = 0; v < vectors; ++v) {
        state[0][v] = lane + (first + uint64_t(v * W));
        state[1][v] = state[0][v] >> 32;
    }
    uint32_t key0 = uint32_t(key), key1 = uint32_t(key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            const V product0 = multiply_lower(state[0][v], 0xD2511F53u);
            const V product2 = multiply_lower(state[2][v], 0xCD9E8D57u);
            state[0][v] = (product2 >> 32) ^ state[1][v] ^ uint64_t(key0);
            state[1][v] = product2;
            state[2][v] = (product0 >> 32) ^ state[3][v] ^ uint64_t(key1);
            state[3][v] = product0;
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    for (int w = 0; w < 4; ++w) {
        for (int v = 0; v < vectors; ++v) {
            const auto lower = __builtin_convertvector(state[w][v], Vector<uint32_t, W>);
            store<uint32_t, W>(words + w * philox_counters + v * W, lower);
        }
    }
}

template <class T>
void dropout(int64_t first, int64_t size, const T* x, uint64_t key, uint32_t threshold, T scale,
             T* y) {
    uint32_t words[philox_words];
    const auto pass = [&](int64_t i, int64_t count) {
        philox(key, uint64_t(first + i) / 4, words);
        for (int64_t j = 0; j < count; ++j) {
            y[i + j] = words[j] < threshold ? T(0) : x[i + j] * scale;
        }
    };
    const int64_t whole = size - size % philox_words;
    for (int64_t i = 0; i < whole; i += philox_words) pass(i, philox_words);
    if (whole < size) pass(whole, size - whole);
}

}  // namespace
}  // namespace rot180
