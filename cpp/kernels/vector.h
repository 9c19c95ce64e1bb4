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

template <class T>
inline void store_first(T* to, Vector<T> value, int64_t lanes) {
    memcpy(to, &value, size_t(lanes) * sizeof(T));
}

template <class T, int W = width<T>>
inline Vector<T, W> broadcast(T value) {
    return value - Vector<T, W>{};
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

}  // namespace
}  // namespace rot180
