// Aligned memory for arrays.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdlib>
#include <new>

namespace rot180 {

// At least 64-byte aligned, on huge pages where the size allows and the system has them: kernels
// walk over far more small pages than a processor remembers. For std::free. Throws std::bad_alloc.
inline void* allocate_pages(size_t bytes) {
    constexpr size_t alignment = 64, huge_page = size_t(2) << 20;
    void* block = nullptr;
    if (posix_memalign(&block, bytes >= huge_page ? huge_page : alignment, bytes) != 0) {
        throw std::bad_alloc();
    }
#if defined(MADV_HUGEPAGE)
    if (bytes >= huge_page) madvise(block, bytes / huge_page * huge_page, MADV_HUGEPAGE);
#endif
    return block;
}

}  // namespace rot180
