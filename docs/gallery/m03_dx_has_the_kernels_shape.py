"""dx has the kernel's shape: the weights times the sum of delta.

"Every weight met every delta, so the gradient is the kernel times the sum of them." That forgets
where each of them met. dx needs one number for each pixel of x, from the windows that read it.

Symptom: dx has the shape of w. A layer below takes it only if its output happens to be as large,
or if the language does not check.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dw = np.zeros_like(w)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            dw[r, s] = np.tensordot(x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2]))

    db = dy.sum(axis=(0, 1, 2))
    dx = w * db  # one number for each weight, none for a pixel
    return dx, dw, db
