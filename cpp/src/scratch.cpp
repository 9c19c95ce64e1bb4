#include "scratch.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

#include "pages.h"
#include "rot180/runtime.h"

namespace rot180 {
namespace {

constexpr size_t alignment = 64;
constexpr size_t largest_kept = size_t(256) << 20;
constexpr size_t largest_plan = size_t(1) << 62;

std::atomic<bool> poison{false};

// The block that a thread keeps between calls.
struct Kept {
    char* data = nullptr;
    size_t bytes = 0;

    ~Kept() { std::free(data); }
};
thread_local Kept kept;

}  // namespace

Scratch::Scratch(size_t bytes) {
    if (kept.bytes >= bytes && kept.data) {
        data_ = kept.data;
        bytes_ = kept.bytes;
        kept = {};
    } else {
        data_ = static_cast<char*>(allocate_pages(bytes ? bytes : alignment));
        bytes_ = bytes;
    }
    if (poison.load(std::memory_order_relaxed)) std::memset(data_, 0xFF, bytes);
}

Scratch::~Scratch() {
    if (bytes_ > largest_kept || bytes_ < kept.bytes) {
        std::free(data_);
        return;
    }
    std::free(kept.data);
    kept.data = data_;
    kept.bytes = bytes_;
}

size_t ScratchPlan::add(int64_t count, size_t element_size) {
    const size_t offset = bytes_;
    if (element_size == 0) count = 0;
    if (count < 0 || (count > 0 && size_t(count) > (largest_plan - bytes_) / element_size)) {
        throw std::bad_alloc();
    }
    bytes_ += (size_t(count) * element_size + alignment - 1) / alignment * alignment;
    return offset;
}

void poison_scratch(bool on) { poison.store(on, std::memory_order_relaxed); }

}  // namespace rot180
