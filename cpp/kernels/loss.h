// Losses that are a sum over elements, and their gradients.
#pragma once

#include "kernels.h"
#include "sum_in_double.h"
#include "vector_math.h"

namespace rot180 {
namespace {

template <class V, class T>
inline V error_term(ElementLoss loss, V difference, T delta) {
    const V magnitude = difference < T(0) ? -difference : difference;
    if (loss == ElementLoss::mean_absolute_error) return magnitude;
    const V square = difference * difference;
    if (loss == ElementLoss::mean_squared_error) return square;
    return magnitude > delta ? delta * (magnitude - delta * T(0.5)) : square * T(0.5);
}

// The derivative of error_term, but for a factor of 2 of the square.
template <class V, class T>
inline V error_slope(ElementLoss loss, V difference, T delta) {
    if (loss == ElementLoss::mean_squared_error) return difference;
    const T limit = loss == ElementLoss::huber ? delta : T(0);
    const V low = V{} - (loss == ElementLoss::huber ? delta : T(1));
    // Neither more nor less than the limit: the difference itself, 0 or NaN.
    const V below = difference < -limit ? low : difference;
    return difference > limit ? -low : below;
}

template <class T>
double element_loss(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                    double delta) {
    return sum_in_double(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<double, W> difference =
            in_double<T, W>(load<T, W>(prediction + i)) - in_double<T, W>(load<T, W>(target + i));
        return error_term(loss, difference, delta);
    });
}

template <class T>
void element_loss_grad(ElementLoss loss, int64_t size, const T* prediction, const T* target,
                       T delta, T scale, T* dprediction) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        const Vector<T, W> difference = load<T, W>(prediction + i) - load<T, W>(target + i);
        store<T, W>(dprediction + i, scale * error_slope(loss, difference, delta));
    });
}

template <class T>
double binary_cross_entropy(int64_t size, const T* logits, const T* target, const T* pos_weight,
                            int64_t period, int64_t first) {
    return sum_in_double(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V z = load<T, W>(logits + i), t = load<T, W>(target + i);
        const V weight = load<T, W>(pos_weight + (first + i) % period);
        // -log sigmoid(z) and -log(1 - sigmoid(z)), neither of them a difference.
        const V log = log1p_of_fraction<T, W>(exp<T, W>(z < T(0) ? z : -z));
        const V if_one = z < T(0) ? log - z : log;
        const V if_zero = z < T(0) ? log : log + z;
        return in_double<T, W>(weight * t * if_one + (T(1) - t) * if_zero);
    });
}

template <class T>
void binary_cross_entropy_grad(int64_t size, const T* logits, const T* target, const T* pos_weight,
                               int64_t period, int64_t first, T scale, T* dlogits) {
    for_lanes<T>(size, [&](auto lanes, int64_t i) {
        constexpr int W = decltype(lanes)::count;
        using V = Vector<T, W>;
        const V z = load<T, W>(logits + i), t = load<T, W>(target + i);
        const V weight = load<T, W>(pos_weight + (first + i) % period);
        const V small = exp<T, W>(z < T(0) ? z : -z);
        const V near = T(1) / (T(1) + small), far = small * near;
        const V one = z < T(0) ? far : near, zero = z < T(0) ? near : far;
        store<T, W>(dlogits + i, scale * ((T(1) - t) * one - weight * t * zero));
    });
}

}  // namespace
}  // namespace rot180
