// How kernels go from a number known when they run to a tile whose size is known to the compiler.
#pragma once

#include "vector.h"

namespace rot180 {
namespace {

// body(first, size) for the parts of [0, count): as few as will do with at most `most` each, and as
// even as possible, since a tile of one row would wait on every addition: 7 are 4 and 3, not 6 and
// 1. In 32 bits, whose division takes less.
template <class Body>
__attribute__((always_inline)) inline void for_even_parts(int64_t count, int most,
                                                          const Body& body) {
    if (count <= 0) return;
    const int size = int(count), parts = (size + most - 1) / most;
    const int part = size / parts;
    int larger = size % parts;  // so many have one more
    for (int first = 0; first < size; --larger) {
        const int some = part + (larger > 0);
        body(int64_t(first), some);
        first += some;
    }
}

// body(Count<count>) for 1 <= count <= MOST.
template <int MOST, class Body>
__attribute__((always_inline)) inline void with_exactly(int64_t count, const Body& body) {
    if constexpr (MOST > 0) {
        if (count == MOST) {
            body(Count<MOST>{});
        } else {
            with_exactly<MOST - 1>(count, body);
        }
    }
}

}  // namespace
}  // namespace rot180
