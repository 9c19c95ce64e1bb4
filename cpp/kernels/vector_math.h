// exp, sigmoid and tanh on vectors, within a few units in the last place; NaN stays NaN.
#pragma once

#include "vector.h"

namespace rot180 {
namespace {

template <class T>
struct FloatFormat;
template <>
struct FloatFormat<float> {
    static constexpr int mantissa_bits = 23;
    static constexpr int exponent_bias = 127;
    static constexpr float round_magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
    static constexpr int taylor_terms = 7;             // remainder 0.347^8 / 8! < 2^-26
    static constexpr float exp_lowest = -104.0f, exp_highest = 89.0f;
    static constexpr float tanh_saturates = 10.0f;
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
};
template <>
struct FloatFormat<double> {
    static constexpr int mantissa_bits = 52;
    static constexpr int exponent_bias = 1023;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int taylor_terms = 13;                    // remainder 0.347^14 / 14! < 2^-57
    static constexpr double exp_lowest = -746.0, exp_highest = 710.0;
    static constexpr double tanh_saturates = 20.0;
    static constexpr double ln2_high = 6.93145751953125e-1, ln2_low = 1.42860682030941723212e-6;
};

constexpr double reciprocal_factorial(int n) {
    double product = 1;
    for (int i = 2; i <= n; ++i) product *= i;
    return 1 / product;
}

template <class T, int W>
inline Vector<T, W> clamp(Vector<T, W> x, T low, T high) {
    x = x < low ? broadcast<T, W>(low) : x;
    return x > high ? broadcast<T, W>(high) : x;
}

// 2^n for integers n in the exponent's range.
template <class T, int W>
inline Vector<T, W> power_of_two(Vector<IntOf<T>, W> n) {
    using F = FloatFormat<T>;
    return (Vector<T, W>)((n + IntOf<T>(F::exponent_bias)) << F::mantissa_bits);
}

// x = n ln 2 + r with |r| <= ln(2) / 2; exp(r) - 1 by its Taylor series.
template <class T, int W>
struct Reduced {
    Vector<IntOf<T>, W> n;
    Vector<T, W> expm1_r;
};

template <class T, int W>
inline Reduced<T, W> reduce_exp(Vector<T, W> x) {
    using F = FloatFormat<T>;
    using V = Vector<T, W>;
    using I = Vector<IntOf<T>, W>;
    const V magic = broadcast<T, W>(F::round_magic);
    const V shifted = x * T(1.44269504088896340736) + magic;
    const V n = shifted - magic;
    const V r = (x - n * F::ln2_high) - n * F::ln2_low;
    V series = broadcast<T, W>(T(reciprocal_factorial(F::taylor_terms)));
#pragma GCC unroll 16
    for (int k = F::taylor_terms - 1; k >= 2; --k) series = series * r + T(reciprocal_factorial(k));
    return {(I)shifted - (I)magic, (series * r) * r + r};
}

template <class T, int W>
inline Vector<T, W> exp(Vector<T, W> x) {
    using F = FloatFormat<T>;
    const auto reduced = reduce_exp<T, W>(clamp<T, W>(x, F::exp_lowest, F::exp_highest));
    // In two factors, so that neither overflows where the result does not.
    const auto half = reduced.n >> 1;
    return (reduced.expm1_r + T(1)) * power_of_two<T, W>(half) *
           power_of_two<T, W>(reduced.n - half);
}

template <class T, int W>
inline Vector<T, W> sigmoid(Vector<T, W> x) {
    return T(1) / (T(1) + exp<T, W>(-x));
}

// tanh |x| = e / (e + 2) with e = exp(2|x|) - 1, which keeps small arguments exact to rounding.
template <class T, int W>
inline Vector<T, W> tanh(Vector<T, W> x) {
    using V = Vector<T, W>;
    const V magnitude = x < T(0) ? -x : x;
    const T limit = 2 * FloatFormat<T>::tanh_saturates;
    const auto reduced = reduce_exp<T, W>(clamp<T, W>(magnitude * T(2), T(0), limit));
    const V scale = power_of_two<T, W>(reduced.n);
    const V e = scale * reduced.expm1_r + (scale - T(1));
    const V result = e / (e + T(2));
    return x < T(0) ? -result : result;
}

}  // namespace
}  // namespace rot180
