// exp, sigmoid, tanh and the normal distribution on vectors, within a few units in the last place;
// NaN stays NaN.
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
    static constexpr int artanh_terms = 7;             // remainder (1/3)^16 / 17 < 2^-29
    static constexpr float exp_lowest = -104.0f, exp_highest = 89.0f;
    static constexpr float tanh_saturates = 10.0f;
    static constexpr float normal_vanishes = 14.0f;
    static constexpr int32_t upper_half = int32_t(0xfffff000);
    static constexpr float ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
};
template <>
struct FloatFormat<double> {
    static constexpr int mantissa_bits = 52;
    static constexpr int exponent_bias = 1023;
    static constexpr double round_magic = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int taylor_terms = 13;                    // remainder 0.347^14 / 14! < 2^-57
    static constexpr int artanh_terms = 16;                    // remainder (1/3)^34 / 35 < 2^-58
    static constexpr double exp_lowest = -746.0, exp_highest = 710.0;
    static constexpr double tanh_saturates = 20.0;
    static constexpr double normal_vanishes = 38.5;
    static constexpr int64_t upper_half = int64_t(0xfffffffff8000000);
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

// The same of x - less: `less` is small, what a rounded x is too large by.
template <class T, int W>
inline Reduced<T, W> reduce_exp(Vector<T, W> x, Vector<T, W> less) {
    using F = FloatFormat<T>;
    using V = Vector<T, W>;
    using I = Vector<IntOf<T>, W>;
    const V magic = broadcast<T, W>(F::round_magic);
    const V shifted = (x - less) * T(1.44269504088896340736) + magic;
    const V n = shifted - magic;
    const V r = (x - n * F::ln2_high) - n * F::ln2_low - less;
    V series = broadcast<T, W>(T(reciprocal_factorial(F::taylor_terms)));
#pragma GCC unroll 16
    for (int k = F::taylor_terms - 1; k >= 2; --k) series = series * r + T(reciprocal_factorial(k));
    return {(I)shifted - (I)magic, (series * r) * r + r};
}

template <class T, int W>
inline Reduced<T, W> reduce_exp(Vector<T, W> x) {
    return reduce_exp<T, W>(x, Vector<T, W>{});
}

// exp(x), from n and r.
template <class T, int W>
inline Vector<T, W> scaled(const Reduced<T, W>& reduced) {
    // In two factors, so that neither overflows where the result does not.
    const auto half = reduced.n >> 1;
    return (reduced.expm1_r + T(1)) * power_of_two<T, W>(half) *
           power_of_two<T, W>(reduced.n - half);
}

template <class T, int W>
inline Vector<T, W> exp(Vector<T, W> x) {
    using F = FloatFormat<T>;
    return scaled<T, W>(reduce_exp<T, W>(clamp<T, W>(x, F::exp_lowest, F::exp_highest)));
}

// exp(x) - 1 where that is less than 1 / epsilon, exact to rounding for small x.
template <class T, int W>
inline Vector<T, W> expm1(Vector<T, W> x) {
    const T limit = 2 * FloatFormat<T>::tanh_saturates;
    const auto reduced = reduce_exp<T, W>(clamp<T, W>(x, -limit, limit));
    const Vector<T, W> scale = power_of_two<T, W>(reduced.n);
    return scale * reduced.expm1_r + (scale - T(1));
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
    const V e = expm1<T, W>(magnitude * T(2));
    const V result = e / (e + T(2));
    return x < T(0) ? -result : result;
}

// log(1 + u) for 0 <= u <= 1: log(1 + u) = 2 artanh(s) with s = u / (2 + u), by its Taylor series.
template <class T, int W>
inline Vector<T, W> log1p_of_fraction(Vector<T, W> u) {
    using F = FloatFormat<T>;
    const Vector<T, W> s = u / (u + T(2)), square = s * s;
    Vector<T, W> series = broadcast<T, W>(T(1.0 / (2 * F::artanh_terms + 1)));
#pragma GCC unroll 32
    for (int k = F::artanh_terms - 1; k >= 1; --k) series = series * square + T(1.0 / (2 * k + 1));
    return T(2) * (s + s * (series * square));
}

// log(x) for x >= 1 and NaN: x = 2^n m with 1 <= m < 2.
template <class T, int W>
inline Vector<T, W> log_of_at_least_one(Vector<T, W> x) {
    using F = FloatFormat<T>;
    using V = Vector<T, W>;
    using I = Vector<IntOf<T>, W>;
    const I exponent = ((I)x >> F::mantissa_bits) - IntOf<T>(F::exponent_bias);
    const V n = __builtin_convertvector(exponent, V);
    const V m = (V)((I)x - (exponent << F::mantissa_bits));
    return (n * F::ln2_high + (n * F::ln2_low + log1p_of_fraction<T, W>(m - T(1)))) + (x - x);
}

// The polynomial c[0] + c[1] x + ... + c[N - 1] x^(N - 1).
template <class T, int W, int N>
inline Vector<T, W> polynomial(const T (&c)[N], Vector<T, W> x) {
    Vector<T, W> sum = broadcast<T, W>(c[N - 1]);
#pragma GCC unroll 32
    for (int k = N - 2; k >= 0; --k) sum = sum * x + c[k];
    return sum;
}

// (a + shift) exp(a^2 / 2) times the normal distribution's tail beyond a >= 0, by powers of
// t = (a - shift) / (a + shift), which runs from -1 to 1: interpolated at Chebyshev's points to a
// relative error of 2^-26 and 2^-54 (as Shepherd and Laframboise, 1981, do for erfc).
template <class T>
struct NormalTail;
template <>
struct NormalTail<float> {
    static constexpr float shift = 3.5f;
    static constexpr float powers[] = {0.7444160754f,    -0.5655619087f,   0.315425058f,
                                       -0.1160490454f,   0.01740605873f,   6.465234077e-3f,
                                       -3.178985901e-3f, -4.177685982e-4f, 4.526939197e-4f,
                                       3.463520082e-5f,  -4.976688935e-5f};
};
template <>
struct NormalTail<double> {
    static constexpr double shift = 5.0;
    static constexpr double powers[] = {
        0.7691930497500629436,    -0.6653825028900568571,    0.4953056159699806394,
        -0.3135331566712858487,   0.165020366170189682,      -0.06911863870695670688,
        0.02079506680331946932,   -2.993376760347634806e-3,  -7.978694284287862913e-4,
        5.448989774454366266e-4,  -5.937558516344091873e-5,  -4.976236467507680716e-5,
        1.668084351964049351e-5,  3.979457180792049778e-6,   -2.768861633372940827e-6,
        -3.337060350835976973e-7, 4.334561019475753731e-7,   3.875330922435839798e-8,
        -6.740161179772031327e-8, -7.068045653980906027e-9,  9.268659037027118225e-9,
        1.322102962781694083e-9,  -7.842796363635920293e-10, -1.419192189358060265e-10};
};

// The standard normal distribution at x: its density, and the probability of less than x.
template <class T, int W>
struct Normal {
    Vector<T, W> density, below;
};

template <class T, int W>
inline Normal<T, W> normal(Vector<T, W> x) {
    using F = FloatFormat<T>;
    using V = Vector<T, W>;
    const V a = clamp<T, W>(x < T(0) ? -x : x, T(0), F::normal_vanishes);
    // a^2 is rounded by more than exp would forgive: take the square of its upper half, which is
    // exact, and what that leaves apart.
    const V high = (V)((Vector<IntOf<T>, W>)a & F::upper_half);
    const V less = (a - high) * (a + high) * T(0.5);
    const V bell = scaled<T, W>(reduce_exp<T, W>(high * high * T(-0.5), less));
    const V inverse = T(1) / (a + NormalTail<T>::shift);
    const V t = (a - NormalTail<T>::shift) * inverse;
    const V tail = bell * inverse * polynomial<T, W>(NormalTail<T>::powers, t);
    return {bell * T(0.398942280401432677940), x < T(0) ? tail : T(1) - tail};
}

}  // namespace
}  // namespace rot180
