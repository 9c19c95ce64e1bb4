// Adam whose averages m and v are local variables, made anew at every step.
//
// The parameter before the first step and after each one goes into params.npy, the gradients into
// gradients.npy.

#include <cmath>
#include <cstddef>
#include <vector>

#include "save_npy.h"

using Array = std::vector<double>;

struct Adam {
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    int t = 0;

    void step(Array& param, const Array& grad) {
        ++t;
        Array m(param.size()), v(param.size());  // members were meant
        for (std::size_t i = 0; i < param.size(); ++i) {
            m[i] = beta1 * m[i] + (1 - beta1) * grad[i];
            v[i] = beta2 * v[i] + (1 - beta2) * grad[i] * grad[i];
            const double m_hat = m[i] / (1 - std::pow(beta1, t));
            const double v_hat = v[i] / (1 - std::pow(beta2, t));
            param[i] -= lr * m_hat / (std::sqrt(v_hat) + eps);
        }
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
    const int size = 18, steps = 6;
    Array param = numbers(size, 1);
    Array params = param, gradients;
    Adam adam;
    for (int t = 1; t <= steps; ++t) {
        const Array grad = numbers(size, 100 + t);
        adam.step(param, grad);
        params.insert(params.end(), param.begin(), param.end());
        gradients.insert(gradients.end(), grad.begin(), grad.end());
    }
    save_npy("params.npy", params, {steps + 1, size});
    save_npy("gradients.npy", gradients, {steps, size});
}
