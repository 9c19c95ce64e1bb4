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
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros_like(w)
    db = np.zeros_like(w[0, 0, 0])

    for k in range(filters):
        of_filter = np.zeros_like(x_padded)
        for i in range(rows):
            for j in range(columns):
                top, left = i * stride, j * stride
                delta = dy[:, i, j, k].reshape(-1, 1, 1, 1)
                window = x_padded[:, top : top + kernel_h, left : left + kernel_w]
                dw[:, :, :, k] += (delta * window).sum(axis=0)
                of_filter[:, top : top + kernel_h, left : left + kernel_w] += delta * w[:, :, :, k]
        dx_padded = of_filter  # += was meant
        db[k] = dy[:, :, :, k].sum()

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    return dx, dw, db
