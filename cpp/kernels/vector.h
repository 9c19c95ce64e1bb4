// Vectors of T as wide as the instruction set that this file is compiled for.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

namespace rot180 {
namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64;
constexpr int vector_registers = 32;
#elif defined(__AVX__)
constexpr int vector_bytes = 32;
constexpr int vector_registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16;
constexpr int vector_registers = 32;
#else
constexpr int vector_bytes = 16;
constexpr int vector_registers = 16;
#endif

template <class T>
constexpr int width = vector_bytes / int(sizeof(T));

// The integer with as many bits as T.
template <class T>
struct SameSizeInt;
template <>
struct SameSizeInt<float> {
    using type = int32_t;
};
template <>
struct SameSizeInt<double> {
    using type = int64_t;
};
template <class T>
using IntOf = typename SameSizeInt<T>::type;

// W lanes of T; W = 1 serves the last lanes of an array with the code of the others.
template <class T, int W = width<T>>
struct VectorOf {
    typedef T type __attribute__((vector_size(W * sizeof(T))));
};
template <class T, int W = width<T>>
using Vector = typename VectorOf<T, W>::type;

template <class T, int W = width<T>>
inline Vector<T, W> load(const T* from) {
    Vector<T, W> value;
    memcpy(&value, from, sizeof value);
    return value;
}

template <class T, int W = width<T>>
inline void store(T* to, Vector<T, W> value) {
    memcpy(to, &value, sizeof value);
}

// Integers kept in fewer bits. To read them, compilers find the instruction where lanes are read
// one by one, and none in a conversion; to write them, one where no step does more than halve.
template <class To, int W, class From>
inline Vector<To, W> load_as(const From* from) {
    To lanes[W];
    for (int i = 0; i < W; ++i) lanes[i] = To(from[i]);
    return load<To, W>(lanes);
}
template <class To, int W, class From>
inline void store_as(To* to, From value) {
    if constexpr (sizeof(To) == 1) {
        const auto halves = __builtin_convertvector(value, Vector<int16_t, W>);
        store<To, W>(to, __builtin_convertvector(halves, Vector<To, W>));
    } else {
        store<To, W>(to, __builtin_convertvector(value, Vector<To, W>));
    }
}

// Keeps a pointer in a register of its own, by hiding how it was computed: else the compiler would
// work out one from another at each step, or address several by a common index, and an instruction
// that reads memory through an index counts as two on many processors.
template <class T>
__attribute__((always_inline)) inline void keep_in_register(T*& pointer) {
    asm("" : "+r"(pointer));
}
// The same for a vector, which else might be read again for each use.
template <class T>
__attribute__((always_inline)) inline void keep_in_register(T& vector) {
#if defined(__x86_64__)
    asm("" : "+v"(vector));
#elif defined(__aarch64__)
    asm("" : "+w"(vector));
#else
    (void)vector;
#endif
}

// The first `lanes` lanes, fewer than a vector has: pieces of fixed sizes, because a copy of
// variable size would be a call.
template <class T>
inline void copy_lanes(T* to, const T* from, int64_t lanes) {
#pragma GCC unroll 4
    for (int64_t piece = width<T> / 2; piece > 0; piece /= 2) {
        if (lanes & piece) {
            memcpy(to, from, size_t(piece) * sizeof(T));
            to += piece;
            from += piece;
        }
    }
}

template <class T>
inline Vector<T> load_first(const T* from, int64_t lanes) {
    T buffer[width<T>] = {};
    copy_lanes(buffer, from, lanes);
    return load(buffer);
}

template <class T>
inline void store_first(T* to, Vector<T> value, int64_t lanes) {
    T buffer[width<T>];
    store(buffer, value);
    copy_lanes(to, buffer, lanes);
}

// A mask of the first `lanes` lanes, and a value with zeros in the others.
template <class T>
inline Vector<IntOf<T>> first_lanes(int64_t lanes) {
    Vector<IntOf<T>> mask;
#pragma GCC unroll 16
    for (int i = 0; i < width<T>; ++i) mask[i] = i < lanes ? -1 : 0;
    return mask;
}
template <class T>
inline Vector<T> masked(Vector<T> value, Vector<IntOf<T>> mask) {
    return (Vector<T>)((Vector<IntOf<T>>)value & mask);
}

// value - 0 is value, even for -0, so it costs nothing; 0 + value would be an addition.
template <class T, int W = width<T>>
inline Vector<T, W> broadcast(T value) {
    return value - Vector<T, W>{};
}

// Lane i of the result is lane index[i] of a and b, one after the other; index must be constant.
template <class T>
inline Vector<T> shuffle(Vector<T> a, Vector<T> b, Vector<IntOf<T>> index) {
#if defined(__clang__)
    Vector<T> result;
    for (int i = 0; i < width<T>; ++i) {
        result[i] = index[i] < width<T> ? a[index[i]] : b[index[i] - width<T>];
    }
    return result;
#else
    return __builtin_shuffle(a, b, index);
#endif
}

// All lanes in one, by halves, so that the steps do not wait on one another.
template <class T, int W, class Combine>
inline T fold_lanes(Vector<T, W> value, const Combine& combine) {
    if constexpr (W == 1) {
        return value[0];
    } else {
        Vector<T, W / 2> half[2];
        memcpy(half, &value, sizeof value);
        return fold_lanes<T, W / 2>(combine(half[0], half[1]), combine);
    }
}
template <class T, int W>
inline T sum_of_lanes(Vector<T, W> value) {
    return fold_lanes<T, W>(value, [](auto a, auto b) { return a + b; });
}

// Beyond an array a prefetch does nothing, where a pointer would not be allowed.
template <class T>
inline void prefetch(const T* base, int64_t offset) {
    __builtin_prefetch((const void*)((uintptr_t)base + (uintptr_t)offset * sizeof(T)), 0);
}
// Into the second-level cache only, so that nothing in use is pushed out of the first.
template <class T>
inline void prefetch_later(const T* base, int64_t offset) {
    __builtin_prefetch((const void*)((uintptr_t)base + (uintptr_t)offset * sizeof(T)), 0, 2);
}
template <class T>
inline void prefetch_to_write(const T* base, int64_t offset) {
    __builtin_prefetch((const void*)((uintptr_t)base + (uintptr_t)offset * sizeof(T)), 1);
}

template <int W>
struct Lanes {
    static constexpr int count = W;
};

// body(Lanes<W>, i) for i in steps of the full width, then lane by lane to the end.
template <class T, class Body>
inline void for_lanes(int64_t size, Body&& body) {
    int64_t i = 0;
    for (; i + width<T> <= size; i += width<T>) body(Lanes<width<T>>{}, i);
    for (; i < size; ++i) body(Lanes<1>{}, i);
}

// body(Lanes<W>) with the widest vectors that `size` values fill, down to one lane.
template <class T, int W = width<T>, class Body>
inline void with_lanes(int64_t size, Body&& body) {
    if constexpr (W > 1) {
        if (size < W) return with_lanes<T, W / 2>(size, body);
    }
    body(Lanes<W>{});
}

// body(i) in steps of W up to `size`, at least W; the last step overlaps the one before it where W
// does not divide size, for results that may be computed twice.
template <int W, class Body>
inline void for_overlapping_lanes(int64_t size, Body&& body) {
    const int64_t last = size - W;
    for (int64_t i = 0;; i = i + W < last ? i + W : last) {
        body(i);
        if (i == last) return;
    }
}

template <int64_t N>
struct Count {
    constexpr operator int64_t() const { return N; }
};

// body(count), known to the compiler where it is one of `known`.
template <int64_t... known, class Body>
inline void with_count(int64_t count, Body&& body) {
    if (!((count == known ? (body(Count<known>{}), true) : false) || ...)) body(count);
}

}  // namespace
}  // namespace rot180
