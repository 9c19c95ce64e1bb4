"""In and out channels are exchanged in dw.

The matrix of a tap is (in channels, out channels): x on the left, delta on the right. Here they
have changed sides, and the result was pressed into shape.

Symptom: right with one channel and one filter; a transposed matrix for each tap where C = K; else
a shuffled one, if `reshape` hides that the shape was wrong.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, channels = x.shape
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
            outer = np.tensordot(dy, x_padded[:, down, across], axes=([0, 1, 2], [0, 1, 2]))
            dw[r, s] = outer.reshape(channels, filters)  # outer.T was meant

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
