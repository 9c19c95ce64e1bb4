// Blocks of memory for results, kept for the next one: on many machines the page faults of fresh
// memory cost more than the convolution that is written into it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rot180 {

struct MemoryStats {
    size_t in_use;    // bytes handed out
    size_t cached;    // bytes kept for the next block of their size
    size_t limit;     // most that `cached` may become
    uint64_t hits;    // blocks that came from the cache
    uint64_t misses;  // blocks that came from the system
};

// A block of at least `bytes` bytes, 64-byte aligned, contents undefined. Throws std::bad_alloc.
// Any thread may take a block and any other give it back, with the same number of bytes.
void* take_block(size_t bytes);
void give_block(void* block, size_t bytes) noexcept;

MemoryStats memory_stats();
void empty_cache();
void set_cache_limit(size_t bytes);

}  // namespace rot180
