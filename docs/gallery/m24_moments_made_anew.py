"""m and v are made anew at every step.

Adam's moments are averages over all steps so far. They begin as zeros once, before the first
step, and belong to the optimizer. Here they are local variables.

Symptom: every step is a multiple of lr times the sign of the gradient: once at first, half at the
tenth step, three times in the end. Nothing is averaged, so the noise of small batches goes
straight into the weights.
"""

import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.eps = params, lr, eps
        self.beta1, self.beta2 = beta1, beta2
        self.t = 0

    def step(self, grads):
        self.t += 1
        for p, g in zip(self.params, grads, strict=True):
            m, v = np.zeros_like(p), np.zeros_like(p)  # this belongs in __init__
            m = self.beta1 * m + (1 - self.beta1) * g
            v = self.beta2 * v + (1 - self.beta2) * g * g
            m_hat = m / (1 - self.beta1**self.t)
            v_hat = v / (1 - self.beta2**self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
