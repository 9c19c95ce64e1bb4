"""Height and width are exchanged.

The kernel is filled column by column: what belongs to (r, s) is stored as number s * KH + r, and
read as r * KW + s.

Symptom: square kernels come out transposed, which looks like a kernel; a symmetric test image
shows nothing.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, channels = x.shape
    kernel_h, kernel_w, _, filters = w.shape
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros((kernel_h * kernel_w, channels, filters), w.dtype)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            dx_padded[:, down, across] += dy @ w[r, s].T
            # r * kernel_w + s was meant
            dw[s * kernel_h + r] = np.tensordot(
                x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2])
            )

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    dw = dw.reshape(w.shape)
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
