"""dx is not summed over the filters: each one overwrites what the one before it found.

A pixel is read by every filter, so its gradient is a sum over all of them. Here `=` stands inside
the loop over filters where `+=` was meant, and the last filter wins.

Symptom: right with one filter. With many, dx is too small and follows one filter alone.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w, _, filters = w.shape
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dw = np.zeros_like(w)

    for k in range(filters):
        delta = dy[:, :, :, k, np.newaxis]
        of_filter = np.zeros_like(x_padded)
        for r in range(kernel_h):
            for s in range(kernel_w):
                down = slice(r, r + stride * rows, stride)
                across = slice(s, s + stride * columns, stride)
                of_filter[:, down, across] += delta * w[r, s, :, k]
                dw[r, s, :, k] = (x_padded[:, down, across] * delta).sum(axis=(0, 1, 2))
        dx_padded = of_filter  # += was meant

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
