// Sums over an array in double, whatever the array holds.
#pragma once

#include "vector.h"

namespace rot180 {
namespace {

template <class T, int W>
inline Vector<double, W> in_double(Vector<T, W> value) {
    return __builtin_convertvector(value, Vector<double, W>);
}

// The sum of term(Lanes<W>, i), W doubles that belong to the elements from i on, over i.
template <class Term>
inline double sum_in_double(int64_t size, const Term& term) {
    constexpr int W = width<double>, accumulators = 4;
    Vector<double> sums[accumulators] = {};
    int64_t i = 0;
    for (; i + accumulators * W <= size; i += accumulators * W) {
#pragma GCC unroll 4
        for (int a = 0; a < accumulators; ++a) sums[a] += term(Lanes<W>{}, i + a * W);
    }
    double sum = sum_of_lanes<double, W>((sums[0] + sums[1]) + (sums[2] + sums[3]));
    for (; i < size; ++i) sum += term(Lanes<1>{}, i)[0];
    return sum;
}

}  // namespace
}  // namespace rot180
