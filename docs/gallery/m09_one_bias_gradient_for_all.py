"""db is one number, the sum over all filters.

Each filter has a bias of its own, which is added to each pixel of its own output. Its gradient is
the sum over batch and positions of that output's delta, not over the filters too.

Symptom: all biases move together. The network learns, only later: the biases do no work.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w, _, filters = w.shape
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros_like(w)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            dx_padded[:, down, across] += dy @ w[r, s].T
            dw[r, s] = np.tensordot(x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2]))

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = np.full(filters, dy.sum(), dy.dtype)  # axis=(0, 1, 2) was meant
    return dx, dw, db
