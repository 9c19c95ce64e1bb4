#include "rot180/memory.h"

#include <pthread.h>
#include <unistd.h>

#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "pages.h"

namespace rot180 {
namespace {

constexpr size_t alignment = 64;
constexpr size_t largest_block = size_t(1) << 62;

// Sizes are rounded up to four steps an octave, so that blocks of almost one size serve each other
// and at most a fifth of a block is wasted.
size_t rounded(size_t bytes) {
    if (bytes > largest_block) throw std::bad_alloc();
    size_t octave = 4 * alignment;
    if (bytes <= octave) return bytes ? (bytes + alignment - 1) / alignment * alignment : alignment;
    while (octave < bytes / 2) octave *= 2;
    const size_t step = octave / 4;
    return (bytes + step - 1) / step * step;
}

// A quarter of the machine's memory, where the system tells, at most 4 GiB.
size_t default_limit() {
    constexpr size_t most = size_t(4) << 30;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page <= 0) return size_t(1) << 30;
    const size_t quarter = size_t(pages) / 4 * size_t(page);
    return quarter < most ? quarter : most;
}

struct Pool {
    std::mutex mutex;
    std::map<size_t, std::vector<void*>> free;  // by rounded size
    MemoryStats stats = {0, 0, default_limit(), 0, 0};

    // Frees cached blocks, the largest first, until no more than `bytes` are left.
    void shrink_to(size_t bytes) noexcept {
        while (stats.cached > bytes) {
            auto largest = std::prev(free.end());
            std::free(largest->second.back());
            stats.cached -= largest->first;
            largest->second.pop_back();
            if (largest->second.empty()) free.erase(largest);
        }
    }
};

// Never destroyed: arrays may outlive every static object.
Pool& pool() {
    static Pool* const instance = new Pool;
    return *instance;
}

// A fork in the middle of another thread's take_block would leave the child a locked pool.
void lock_pool() { pool().mutex.lock(); }
void unlock_pool() { pool().mutex.unlock(); }
[[maybe_unused]] const int fork_handlers = pthread_atfork(lock_pool, unlock_pool, unlock_pool);

}  // namespace

void* take_block(size_t bytes) {
    const size_t size = rounded(bytes);
    Pool& p = pool();
    {
        const std::lock_guard<std::mutex> lock(p.mutex);
        const auto found = p.free.find(size);
        if (found != p.free.end()) {
            void* block = found->second.back();
            found->second.pop_back();
            if (found->second.empty()) p.free.erase(found);
            p.stats.cached -= size;
            p.stats.in_use += size;
            ++p.stats.hits;
            return block;
        }
    }
    void* block = nullptr;
    try {
        block = allocate_pages(size);
    } catch (const std::bad_alloc&) {
        empty_cache();  // what is kept of other sizes may be what is missing
        block = allocate_pages(size);
    }
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.stats.in_use += size;
    ++p.stats.misses;
    return block;
}

void give_block(void* block, size_t bytes) noexcept {
    const size_t size = rounded(bytes);
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.stats.in_use -= size;
    if (size > p.stats.limit) {
        std::free(block);
        return;
    }
    try {
        p.free[size].push_back(block);
    } catch (const std::bad_alloc&) {
        std::free(block);
        return;
    }
    p.stats.cached += size;
    p.shrink_to(p.stats.limit);
}

MemoryStats memory_stats() {
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    return p.stats;
}

void empty_cache() {
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.shrink_to(0);
}

void set_cache_limit(size_t bytes) {
    Pool& p = pool();
    const std::lock_guard<std::mutex> lock(p.mutex);
    p.stats.limit = bytes;
    p.shrink_to(bytes);
}

}  // namespace rot180
