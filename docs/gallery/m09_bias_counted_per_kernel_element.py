"""db is counted once for each element of the kernel.

The bias is added once to each output pixel, not once for each product under the window. Here its
gradient is collected in the loop over the kernel.

Symptom: db is KH * KW times too large. The biases race ahead of the weights; with a large
learning rate, ReLUs die.
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
    db = np.zeros(filters, w.dtype)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            db += dy.sum(axis=(0, 1, 2))  # this belongs outside the loops
            dx_padded[:, down, across] += dy @ w[r, s].T
            dw[r, s] = np.tensordot(x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2]))

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    return dx, dw, db
