// Dropout: which values pass is drawn anew at each call, from a key and the place of the value.
#pragma once

#include "kernels.h"

namespace rot180 {
namespace {

constexpr int philox_blocks = 16;

// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", 2011) at the
// counters first, ..., first + 15, all of them at once: word w of the block of counter first + i
// becomes words[16 w + i].
inline void philox(uint64_t key, uint64_t first, uint32_t* words) {
    uint32_t a[philox_blocks], b[philox_blocks], c[philox_blocks], d[philox_blocks];
    for (int i = 0; i < philox_blocks; ++i) {
        a[i] = uint32_t(first + uint64_t(i));
        b[i] = uint32_t((first + uint64_t(i)) >> 32);
        c[i] = d[i] = 0;
    }
    uint32_t key0 = uint32_t(key), key1 = uint32_t(key >> 32);
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
        for (int i = 0; i < philox_blocks; ++i) {
            const uint64_t product0 = uint64_t(0xD2511F53u) * a[i];
            const uint64_t product1 = uint64_t(0xCD9E8D57u) * c[i];
            a[i] = uint32_t(product1 >> 32) ^ b[i] ^ key0;
            b[i] = uint32_t(product1);
            c[i] = uint32_t(product0 >> 32) ^ d[i] ^ key1;
            d[i] = uint32_t(product0);
        }
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    memcpy(words, a, sizeof a);
    memcpy(words + philox_blocks, b, sizeof b);
    memcpy(words + 2 * philox_blocks, c, sizeof c);
    memcpy(words + 3 * philox_blocks, d, sizeof d);
}

template <class T>
void dropout(int64_t first, int64_t size, const T* x, uint64_t key, uint32_t threshold, T scale,
             T* y) {
    constexpr int64_t group = 4 * philox_blocks;
    for (int64_t i = 0; i < size; i += group) {
        uint32_t words[group];
        philox(key, uint64_t(first + i) / 4, words);
        const int64_t count = size - i < group ? size - i : group;
        for (int64_t j = 0; j < count; ++j) {
            y[i + j] = words[j] < threshold ? T(0) : x[i + j] * scale;
        }
    }
}

}  // namespace
}  // namespace rot180
