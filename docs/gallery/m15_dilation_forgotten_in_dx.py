"""The dilation is forgotten in dx.

With dilation d the taps of the kernel are d pixels apart, in the backward pass as in the forward
one. Here dw knows it, and dx does not.

Symptom: right at dilation 1. Otherwise the gradient lies too close to the upper left.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0, dilation=1):
    _, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros_like(w)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r * dilation, r * dilation + stride * rows, stride)
            across = slice(s * dilation, s * dilation + stride * columns, stride)
            dw[r, s] = np.tensordot(x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2]))
            down = slice(r, r + stride * rows, stride)  # r * dilation was meant, and s * dilation
            across = slice(s, s + stride * columns, stride)
            dx_padded[:, down, across] += dy @ w[r, s].T

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
