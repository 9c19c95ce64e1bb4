"""dw is divided by the number of positions.

The loss depends on a weight through every position at which it is used, and the contributions add
up. That there are OH * OW of them is no reason to take their mean.

Symptom: dw is right but for a constant factor, OH * OW. SGD crawls; Adam, which divides by the
size of the gradient, hides the mistake altogether, until gradients are clipped or compared.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
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
    dw /= rows * columns  # a sum was meant
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
