// What a row of an output gives to a row of the input, added up where windows overlap.
#pragma once

#include "kernels.h"
#include "vector.h"

namespace rot180 {
namespace {

template <class T>
void add_windows(const AddWindows<T>& windows) {
    constexpr int W = width<T>;
    const int64_t whole = windows.length / W * W;
    const Vector<IntOf<T>> mask = first_lanes<T>(windows.length - whole);
    const T* from = windows.from;
    T* to = windows.to;
    for (int64_t p = 0; p < windows.pixels; ++p) {
        for (int64_t c = 0; c < whole; c += W) store(to + c, load(to + c) + load(from + c));
        if (whole < windows.length) {
            store(to + whole, load(to + whole) + masked<T>(load(from + whole), mask));
        }
        from += windows.from_stride;
        to += windows.to_stride;
    }
}

}  // namespace
}  // namespace rot180
