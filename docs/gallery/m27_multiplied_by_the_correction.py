"""m and v are multiplied by the correction instead of divided by it.

The share 1 - beta**t is what m and v have too little of. Multiplied by it they have still less.

Symptom: the first step is ten times too long, the tenth forty times: the error of v, though under
the root, outweighs that of m. It heals only after thousands of steps.
"""

import numpy as np


def adam_step(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad**2
    m_hat = m * (1 - beta1**t)  # / was meant
    v_hat = v * (1 - beta2**t)
    param -= lr * m_hat / (np.sqrt(v_hat) + eps)
