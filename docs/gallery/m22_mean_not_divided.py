"""The gradient of mean-pooling is not divided by the size of the window.

Each entry contributes to the mean with the factor 1/4 in windows of 2 x 2, and gets delta times
that.

Symptom: everything below the pooling has gradients four times too large, as if it had a learning
rate of its own.
"""

import numpy as np


def avg_pool_backward(x, dy):
    dx = np.zeros_like(x)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            place = np.s_[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            dx[place] += dy[:, i : i + 1, j : j + 1]  # / 4 was meant
    return dx
