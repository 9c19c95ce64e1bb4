#include "rot180/affine2d.h"

#include <algorithm>

#include "denormals.h"

namespace rot180 {
namespace {

template <class T>
struct Image {
    const T* pixels;
    int64_t height, width, channels;

    bool has(int64_t r, int64_t s) const { return r >= 0 && r < height && s >= 0 && s < width; }
    const T* at(int64_t r, int64_t s) const { return pixels + (r * width + s) * channels; }
};

// y = x between four pixels. Few channels are a template argument, 0 stands for any number.
template <int few, class T>
void sample(const Image<T>& x, double r, double s, T* y) {
    const int64_t channels = few ? few : x.channels;
    std::fill(y, y + channels, T(0));
    // What is not near the image, or NaN, would not fit an integer.
    if (!(r > -1 && r < double(x.height) && s > -1 && s < double(x.width))) return;
    const int64_t top = int64_t(r + 1) - 1, left = int64_t(s + 1) - 1;  // rounded down
    const T down = T(r - double(top)), right = T(s - double(left));
    const T weight[4] = {(1 - down) * (1 - right), (1 - down) * right, down * (1 - right),
                         down * right};
    if (x.has(top, left) && x.has(top + 1, left + 1)) {
        const T *a = x.at(top, left), *b = a + channels;
        const T *c = x.at(top + 1, left), *d = c + channels;
        for (int64_t k = 0; k < channels; ++k) {
            y[k] = weight[0] * a[k] + weight[1] * b[k] + weight[2] * c[k] + weight[3] * d[k];
        }
        return;
    }
    for (int corner = 0; corner < 4; ++corner) {
        const int64_t row = top + corner / 2, column = left + corner % 2;
        if (!x.has(row, column)) continue;
        const T* pixel = x.at(row, column);
        for (int64_t k = 0; k < channels; ++k) y[k] += weight[corner] * pixel[k];
    }
}

template <int few, class T>
void transform(const Image<T>& x, const double* m, T* y) {
    for (int64_t i = 0; i < x.height; ++i) {
        const double r = m[0] * double(i) + m[2], s = m[3] * double(i) + m[5];
        for (int64_t j = 0; j < x.width; ++j, y += x.channels) {
            sample<few>(x, r + m[1] * double(j), s + m[4] * double(j), y);
        }
    }
}

}  // namespace

template <class T>
void affine2d(int64_t batch, int64_t height, int64_t width, int64_t channels, const T* x,
              const double* matrix, T* y) {
    const FlushDenormals flush;
    const int64_t size = height * width * channels;
    for (int64_t n = 0; n < batch; ++n, matrix += 6) {
        const Image<T> image{x + n * size, height, width, channels};
        if (channels == 1) {
            transform<1>(image, matrix, y + n * size);
        } else if (channels == 3) {
            transform<3>(image, matrix, y + n * size);
        } else {
            transform<0>(image, matrix, y + n * size);
        }
    }
}

template void affine2d(int64_t, int64_t, int64_t, int64_t, const float*, const double*, float*);
template void affine2d(int64_t, int64_t, int64_t, int64_t, const double*, const double*, double*);

}  // namespace rot180
