// Kernels that read and write each element once: activations, loss terms, optimizer steps.
#pragma once

#include "activation_vector.h"
#include "kernels.h"
#include "vector_math.h"

namespace rot180 {
namespace {

template <class T, int W>
inline Vector<T, W> activation_at(Activation activation, Vector<T, W> z, T slope) {
    using V = Vector<T, W>;
    if (activation == Activation::relu) return z < T(0) ? V{} : z;
    if (activation == Activation::leaky_relu) return z < T(0) ? z * slope : z;
    if (activation == Activation::sigmoid) return sigmoid<T, W>(z);
    if (activation == Activation::tanh) return tanh<T, W>(z);
    return z;
}

template <class T>
void activate(Activation activation, int64_t size, const T* x, T slope, T* y) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        store<T, W>(y + i, activation_at<T, W>(activation, load<T, W>(x + i), slope));
    });
}

template <class T>
void add(Activation activation, int64_t size, const T* a, const T* b, T* y) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> z = load<T, W>(a + i) + load<T, W>(b + i);
        store<T, W>(y + i, activation_at<T, W>(activation, z, T(leaky_relu_slope)));
    });
}

template <class T>
void activate_grad(Activation activation, int64_t size, const T* dy, const T* y, T slope, T* dx) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> upstream = load<T, W>(dy + i), output = load<T, W>(y + i);
        store<T, W>(dx + i, times_derivative<T>(activation, upstream, output, slope));
    });
}

template <class T>
void softmax_row(const T* logits, int64_t classes, T* probabilities, T* log_sum, T* max) {
    T largest = logits[0];
    for (int64_t j = 1; j < classes; ++j) {
        // A NaN anywhere must reach the loss.
        if (logits[j] > largest || logits[j] != logits[j]) largest = logits[j];
    }
    for_lanes<T>(classes, [&](auto lanes, int64_t j) {
        constexpr int W = decltype(lanes)::count;
        store<T, W>(probabilities + j, exp<T, W>(load<T, W>(logits + j) - largest));
    });
    T sum = 0;
    for (int64_t j = 0; j < classes; ++j) sum += probabilities[j];
    for (int64_t j = 0; j < classes; ++j) probabilities[j] /= sum;
    *log_sum = T(__builtin_log(double(sum)));
    *max = largest;
}

template <class T>
double squared_distance(const T* a, const T* b, int64_t size) {
    double sum = 0;
    for (int64_t i = 0; i < size; ++i) {
        const double difference = double(a[i]) - double(b[i]);
        sum += difference * difference;
    }
    return sum;
}

template <class T>
void scaled_difference(const T* a, const T* b, T scale, int64_t size, T* out) {
    for (int64_t i = 0; i < size; ++i) out[i] = scale * (a[i] - b[i]);
}

inline float square_root(float x) { return __builtin_sqrtf(x); }
inline double square_root(double x) { return __builtin_sqrt(x); }

template <class T>
void adam(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict m,
          T* __restrict v, const AdamConstants<T>& constants) {
    const AdamConstants<T> k = constants;
    for (int64_t i = 0; i < size; ++i) {
        const T p = param[i];
        const T g = grad[i] + k.l2 * p;
        const T first = k.beta1 * m[i] + k.one_minus_beta1 * g;
        const T second = k.beta2 * v[i] + k.one_minus_beta2 * (g * g);
        m[i] = first;
        v[i] = second;
        param[i] = p * k.shrink - k.alpha * first / (square_root(second) * k.scale + k.eps);
    }
}

template <class T>
void sgd(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict velocity,
         const SgdConstants<T>& constants) {
    const SgdConstants<T> k = constants;
    if (!velocity) {
        for (int64_t i = 0; i < size; ++i) {
            const T g = grad[i] + k.l2 * param[i];
            param[i] = param[i] * k.shrink - k.lr * g;
        }
        return;
    }
    for (int64_t i = 0; i < size; ++i) {
        const T g = grad[i] + k.l2 * param[i];
        const T moving = k.momentum * velocity[i] + g;
        velocity[i] = moving;
        param[i] = param[i] * k.shrink - k.lr * (k.nesterov ? g + k.momentum * moving : moving);
    }
}

// m and velocity are read and written only if they are meant to be there.
template <bool centered, bool with_momentum, class T>
void rmsprop_variant(int64_t size, T* __restrict param, const T* __restrict grad, T* __restrict v,
                     T* __restrict m, T* __restrict velocity, const RmspropConstants<T>& k) {
    for (int64_t i = 0; i < size; ++i) {
        const T p = param[i];
        const T g = grad[i] + k.l2 * p;
        const T second = k.alpha * v[i] + k.one_minus_alpha * (g * g);
        v[i] = second;
        T variance = second;
        if (centered) {
            const T first = k.alpha * m[i] + k.one_minus_alpha * g;
            m[i] = first;
            variance = second - first * first;
            variance = variance < T(0) ? T(0) : variance;  // NaN stays NaN
        }
        T moving = g / (square_root(variance) + k.eps);
        if (with_momentum) {
            moving += k.momentum * velocity[i];
            velocity[i] = moving;
        }
        param[i] = p * k.shrink - k.lr * moving;
    }
}

template <class T>
void rmsprop(int64_t size, T* param, const T* grad, T* v, T* m, T* velocity,
             const RmspropConstants<T>& constants) {
    const RmspropConstants<T> k = constants;
    if (m) {
        if (velocity) return rmsprop_variant<true, true>(size, param, grad, v, m, velocity, k);
        return rmsprop_variant<true, false>(size, param, grad, v, m, velocity, k);
    }
    if (velocity) return rmsprop_variant<false, true>(size, param, grad, v, m, velocity, k);
    rmsprop_variant<false, false>(size, param, grad, v, m, velocity, k);
}

template <class T>
void move_towards(int64_t size, const T* __restrict x, T share, T* __restrict y) {
    for (int64_t i = 0; i < size; ++i) y[i] += share * (x[i] - y[i]);
}

template <class T>
double sum_of_squares(int64_t size, const T* x) {
    constexpr int W = width<double>, accumulators = 4;
    using V = Vector<double, W>;
    V sums[accumulators] = {};
    int64_t i = 0;
    for (; i + accumulators * W <= size; i += accumulators * W) {
#pragma GCC unroll 4
        for (int a = 0; a < accumulators; ++a) {
            const V value = __builtin_convertvector(load<T, W>(x + i + a * W), V);
            sums[a] += value * value;
        }
    }
    const V total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    double sum = 0;
    for (int lane = 0; lane < W; ++lane) sum += total[lane];
    for (; i < size; ++i) sum += double(x[i]) * double(x[i]);
    return sum;
}

template <class T>
void scale(int64_t size, double factor, T* x) {
    for (int64_t i = 0; i < size; ++i) x[i] = T(double(x[i]) * factor);
}

}  // namespace
}  // namespace rot180
