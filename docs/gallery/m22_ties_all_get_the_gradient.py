"""Where several entries of a window are the maximum, each of them gets the whole gradient.

The pooled value is passed on once. With a tie one entry gets it: the first, by convention.

Symptom: random numbers have no ties, so a gradient check passes. After a ReLU windows full of
zeros are ties, and there the derivative of the ReLU, zero, hides the mistake again. It comes out
with few grey values, or with another activation: delta then arrives up to four times.
"""

import numpy as np


def max_pool_backward(x, dy):
    dx = np.zeros_like(x)
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            place = np.s_[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
            largest = x[place] == x[place].max(axis=(1, 2), keepdims=True)
            dx[place] += largest * dy[:, i : i + 1, j : j + 1]  # all that are equal to it
    return dx
