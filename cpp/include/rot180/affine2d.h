// Images turned, moved and scaled.
#pragma once

#include <cstdint>

namespace rot180 {

// y[n,i,j,c] = x[n, r, s, c] between pixels, bilinearly, where
//   r = matrix[n][0]*i + matrix[n][1]*j + matrix[n][2]
//   s = matrix[n][3]*i + matrix[n][4]*j + matrix[n][5]
// and pixels outside x are zero. x and y are (batch, height, width, channels) and do not overlap,
// matrix is (batch, 2, 3). It runs on the thread that calls it: images are prepared beside a
// training, whose kernels have the others.
template <class T>
void affine2d(int64_t batch, int64_t height, int64_t width, int64_t channels, const T* x,
              const double* matrix, T* y);

}  // namespace rot180
