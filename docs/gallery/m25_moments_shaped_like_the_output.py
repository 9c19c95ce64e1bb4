"""m and v have one entry for each filter, like the output, instead of the parameter's shape.

Adam works element by element: each weight has an m and a v of its own. Here all weights of a
filter share the mean of their gradients, so all of them take the same step.

Symptom: every filter moves as a whole, by a constant. The kernel's pattern, what it is there for,
is never learned.
"""

import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.eps = params, lr, eps
        self.beta1, self.beta2 = beta1, beta2
        self.m = [np.zeros(p.shape[-1], p.dtype) for p in params]  # np.zeros_like(p) was meant
        self.v = [np.zeros(p.shape[-1], p.dtype) for p in params]
        self.t = 0

    def step(self, grads):
        self.t += 1
        for i, (p, g) in enumerate(zip(self.params, grads, strict=True)):
            g = g.reshape(-1, p.shape[-1]).mean(axis=0)  # so that the shapes fit
            self.m[i] = self.beta1 * self.m[i] + (1 - self.beta1) * g
            self.v[i] = self.beta2 * self.v[i] + (1 - self.beta2) * g * g
            m_hat = self.m[i] / (1 - self.beta1**self.t)
            v_hat = self.v[i] / (1 - self.beta2**self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
