// Filter k meets only channel k mod C in the backward pass.

#include <cstddef>
#include <vector>

#include "save_npy.h"

using Array = std::vector<double>;

// One image: x[C][H][W], weights[K][C][KH][KW], y[K][OH][OW].
struct ConvLayer {
    int C, H, W, K, KH, KW, stride, pad;
    int OH = (H + 2 * pad - KH) / stride + 1;
    int OW = (W + 2 * pad - KW) / stride + 1;
    Array weights = Array(K * C * KH * KW), bias = Array(K);
    Array x{}, dw{}, db{};

    double& weight(int k, int c, int r, int s) { return weights[((k * C + c) * KH + r) * KW + s]; }

    Array forward(const Array& input) {
        x = input;
        Array y(K * OH * OW);
        for (int k = 0; k < K; ++k)
            for (int i = 0; i < OH; ++i)
                for (int j = 0; j < OW; ++j) {
                    double sum = bias[k];
                    for (int c = 0; c < C; ++c)
                        for (int r = 0; r < KH; ++r)
                            for (int s = 0; s < KW; ++s) {
                                const int p = i * stride + r - pad, q = j * stride + s - pad;
                                if (p < 0 || p >= H || q < 0 || q >= W) continue;
                                sum += x[(c * H + p) * W + q] * weight(k, c, r, s);
                            }
                    y[(k * OH + i) * OW + j] = sum;
                }
        return y;
    }

    Array backward(const Array& dy) {
        Array dx(C * H * W);
        dw.assign(K * C * KH * KW, 0.0);
        db.assign(K, 0.0);
        for (int k = 0; k < K; ++k)
            for (int i = 0; i < OH; ++i)
                for (int j = 0; j < OW; ++j) {
                    const double delta = dy[(k * OH + i) * OW + j];
                    db[k] += delta;
                    const int c = k % C;  // a loop over all channels was meant
                    for (int r = 0; r < KH; ++r)
                        for (int s = 0; s < KW; ++s) {
                            const int p = i * stride + r - pad, q = j * stride + s - pad;
                            if (p < 0 || p >= H || q < 0 || q >= W) continue;
                            dx[(c * H + p) * W + q] += delta * weight(k, c, r, s);
                            dw[((k * C + c) * KH + r) * KW + s] += delta * x[(c * H + p) * W + q];
                        }
                }
        return dx;
    }
};

// Numbers between -1 and 1, the same ones on every machine.
Array numbers(int count, unsigned seed) {
    Array values(count);
    for (double& value : values) {
        seed = seed * 1664525u + 1013904223u;
        value = static_cast<int>(seed >> 20) / 2048.0 - 1.0;
    }
    return values;
}

int main() {
    ConvLayer layer{/*C*/ 3,  /*H*/ 8,  /*W*/ 7,      /*K*/ 4,
                    /*KH*/ 3, /*KW*/ 2, /*stride*/ 2, /*pad*/ 1};
    layer.weights = numbers(static_cast<int>(layer.weights.size()), 1);
    layer.bias = numbers(layer.K, 2);
    const Array x = numbers(layer.C * layer.H * layer.W, 3);
    const Array y = layer.forward(x);
    const Array dy = numbers(static_cast<int>(y.size()), 4);
    const Array dx = layer.backward(dy);

    save_npy("x.npy", x, {layer.C, layer.H, layer.W});
    save_npy("w.npy", layer.weights, {layer.K, layer.C, layer.KH, layer.KW});
    save_npy("dy.npy", dy, {layer.K, layer.OH, layer.OW});
    save_npy("dx.npy", dx, {layer.C, layer.H, layer.W});
    save_npy("dw.npy", layer.dw, {layer.K, layer.C, layer.KH, layer.KW});
    save_npy("db.npy", layer.db, {layer.K});
}
