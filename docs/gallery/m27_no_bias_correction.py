"""The bias correction is missing.

m and v begin as zeros, so after t steps they have only the share 1 - beta**t of their size. m
reaches it in tens of steps, v in thousands: uncorrected, the root of v is too small for long.

Symptom: the first step is three times too long, the tenth six times. With a small learning rate
nobody sees it; with a large one the loss jumps at the start.
"""

import numpy as np


def adam_step(param, grad, m, v, t, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    m[...] = beta1 * m + (1 - beta1) * grad
    v[...] = beta2 * v + (1 - beta2) * grad**2
    # m / (1 - beta1**t) and v / (1 - beta2**t) were meant
    param -= lr * m / (np.sqrt(v) + eps)
