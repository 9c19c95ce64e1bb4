"""eps is inside the root.

Outside, eps = 1e-8 matters where gradients are as small as 1e-8. Inside it is the square of what
counts: it matters below 1e-4, where many gradients are.

Symptom: weights with small gradients move too little. It looks like a smaller learning rate for
some layers.
"""

import numpy as np


def adam_step(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad**2
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    param -= lr * m_hat / np.sqrt(v_hat + eps)  # (np.sqrt(v_hat) + eps) was meant
