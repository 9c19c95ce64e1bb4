"""t advances once for each tensor, instead of once for each step.

t says how many gradients m and v have averaged. One step of the optimizer is one gradient for
each of the tensors, however many there are.

Symptom: the first tensor is corrected rightly at the first step, all others too little. The more
layers, the less correction; after some hundred steps m is right by itself.
"""

import numpy as np


class Adam:
    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.eps = params, lr, eps
        self.beta1, self.beta2 = beta1, beta2
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]
        self.t = 0

    def step(self, grads):
        for p, g, m, v in zip(self.params, grads, self.m, self.v, strict=True):
            self.t += 1  # this belongs before the loop
            m[...] = self.beta1 * m + (1 - self.beta1) * g
            v[...] = self.beta2 * v + (1 - self.beta2) * g * g
            m_hat = m / (1 - self.beta1**self.t)
            v_hat = v / (1 - self.beta2**self.t)
            p -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)
