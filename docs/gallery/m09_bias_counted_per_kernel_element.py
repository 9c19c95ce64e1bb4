"""db is counted once for each element of the kernel.

The bias is added once to each output pixel, not once for each product under the window. Here its
gradient is collected in the innermost loop.

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
    db = np.zeros_like(w[0, 0, 0])

    for i in range(rows):
        for j in range(columns):
            top, left = i * stride, j * stride
            window = x_padded[:, top : top + kernel_h, left : left + kernel_w]
            dx_window = dx_padded[:, top : top + kernel_h, left : left + kernel_w]
            for k in range(filters):
                delta = dy[:, i, j, k].reshape(-1, 1, 1, 1)
                dx_window += delta * w[:, :, :, k]
                for r in range(kernel_h):
                    for s in range(kernel_w):
                        dw[r, s, :, k] += (delta[:, 0, 0] * window[:, r, s]).sum(axis=0)
                        db[k] += delta.sum()  # this belongs two loops further out

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    return dx, dw, db
