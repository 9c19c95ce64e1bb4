"""Filter k meets only channel k mod C.

Each filter sums over all input channels. Code that was written for one channel grows to many with
an index like `k % channels`, and does something else: one channel for each filter.

Symptom: right with one channel. With more, most of the weights have no gradient and never move.
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
    db = np.zeros_like(w[0, 0, 0])

    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x_padded[:, top : top + kernel_h, left : left + kernel_w]
            dx_window = dx_padded[:, top : top + kernel_h, left : left + kernel_w]
            for k in range(filters):
                c = k % channels  # a loop over all channels was meant
                delta = dy[:, i, j, k].reshape(-1, 1, 1)
                dx_window[:, :, :, c] += delta * w[:, :, c, k]
                dw[:, :, c, k] += (delta * window[:, :, :, c]).sum(axis=0)
                db[k] += delta.sum()

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    return dx, dw, db
