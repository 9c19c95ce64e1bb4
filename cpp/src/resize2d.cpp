#include "rot180/resize2d.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <stdexcept>

#include "resampling.h"

namespace rot180 {
namespace {

Images input_images(const Resize2dShape& s) { return {s.batch, s.height, s.width, s.channels}; }
Images output_images(const Resize2dShape& s) {
    return {s.batch, s.out_height, s.out_width, s.channels};
}

Windows adaptive_windows(int64_t size, int64_t out_size) {
    Windows result;
    result.reserve(size_t(out_size));
    for (int64_t i = 0; i < out_size; ++i) {
        const int64_t first = i * size / out_size;
        const int64_t count = divide_up((i + 1) * size, out_size) - first;
        result.push_back({int32_t(first), int32_t(count), count});
    }
    return result;
}

template <class T>
Resampling<T> interpolation(int64_t size, int64_t out_size, Interpolation mode, double scale) {
    Resampling<T> map;
    map.windows.reserve(size_t(out_size));
    for (int64_t i = 0; i < out_size; ++i) {
        double place = 0;
        if (mode == Interpolation::nearest) {
            place = std::floor(double(i) / scale);
        } else if (mode == Interpolation::bilinear) {
            place = std::max((double(i) + 0.5) / scale - 0.5, 0.0);
        } else if (out_size > 1) {
            place = double(i) * double(size - 1) / double(out_size - 1);
        }
        place = std::min(place, double(size - 1));
        const double first = std::floor(place);
        const T weight = T(place - first);  // of the pixel after, which has no part if it is zero
        map.windows.push_back({int32_t(first), weight > 0 ? 2 : 1, int64_t(map.weights.size())});
        map.weights.push_back(1 - weight);
        if (weight > 0) map.weights.push_back(weight);
    }
    return map;
}

}  // namespace

void Resize2dShape::validate() const {
    constexpr int64_t largest_extent = (int64_t(1) << 31) - 1;
    constexpr double largest_array = double(int64_t(1) << 59);
    for (const int64_t size : {height, width, channels, out_height, out_width}) {
        if (size < 1 || size > largest_extent) {
            throw std::invalid_argument("Resize2dShape: a size is out of range");
        }
    }
    if (batch < 0 || batch > largest_extent ||
        double(batch) * double(height) * double(width) * double(channels) > largest_array ||
        double(batch) * double(out_height) * double(out_width) * double(channels) > largest_array) {
        throw std::invalid_argument("Resize2dShape: an array is too large");
    }
}

template <class T>
void adaptive_avg_pool2d(const Resize2dShape& shape, const T* x, T* y) {
    mean_over_windows(input_images(shape), adaptive_windows(shape.height, shape.out_height),
                      adaptive_windows(shape.width, shape.out_width), x, y);
}

template <class T>
void adaptive_avg_pool2d_grad_input(const Resize2dShape& shape, const T* dy, T* dx) {
    mean_over_windows_grad(input_images(shape), adaptive_windows(shape.height, shape.out_height),
                           adaptive_windows(shape.width, shape.out_width), dy, dx);
}

template <class T>
void upsample2d(const Resize2dShape& shape, Interpolation mode, double scale_h, double scale_w,
                const T* x, T* y) {
    resample(input_images(shape), interpolation<T>(shape.height, shape.out_height, mode, scale_h),
             interpolation<T>(shape.width, shape.out_width, mode, scale_w), x, y);
}

template <class T>
void upsample2d_grad_input(const Resize2dShape& shape, Interpolation mode, double scale_h,
                           double scale_w, const T* dy, T* dx) {
    const auto rows = interpolation<T>(shape.height, shape.out_height, mode, scale_h);
    const auto columns = interpolation<T>(shape.width, shape.out_width, mode, scale_w);
    resample(output_images(shape), transposed(rows, shape.height), transposed(columns, shape.width),
             dy, dx);
}

#define INSTANTIATE(T)                                                                           \
    template void adaptive_avg_pool2d(const Resize2dShape&, const T*, T*);                       \
    template void adaptive_avg_pool2d_grad_input(const Resize2dShape&, const T*, T*);            \
    template void upsample2d(const Resize2dShape&, Interpolation, double, double, const T*, T*); \
    template void upsample2d_grad_input(const Resize2dShape&, Interpolation, double, double,     \
                                        const T*, T*);
INSTANTIATE(float)
INSTANTIATE(double)
#undef INSTANTIATE

}  // namespace rot180
