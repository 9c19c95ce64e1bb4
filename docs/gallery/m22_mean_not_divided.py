"""The gradient of mean-pooling is not divided by the size of the window.

Each entry contributes to the mean with the factor 1 / (size * size), and gets delta times that.

Symptom: everything below the pooling has gradients four times too large (for 2 x 2), as if it had
a learning rate of its own.
"""

import numpy as np


def avg_pool_backward(x, dy, size=2, stride=2):
    dx = np.zeros_like(x)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            place = np.s_[:, i * stride : i * stride + size, j * stride : j * stride + size]
            dx[place] += dy[:, i : i + 1, j : j + 1]  # / (size * size) was meant
    return dx
