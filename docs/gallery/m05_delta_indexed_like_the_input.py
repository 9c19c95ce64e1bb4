"""dw reads delta with the index of the input.

dw[r, s] pairs input i + r with the output i that it was read for. Here both have the index i + r,
as if delta were as large as x: each input meets the output at its own place, whichever weight is
asked for.

Symptom: dw has the right shape and plausible numbers, and its taps differ by little more than
what each leaves out at the border. The kernel hardly learns any pattern but a constant.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, _ = dy.shape
    dx = np.zeros_like(x)
    dw = np.zeros_like(w)

    for i in range(rows):
        for j in range(columns):
            for r in range(kernel_h):
                for s in range(kernel_w):
                    p = i * stride + r - padding
                    q = j * stride + s - padding
                    if 0 <= p < height and 0 <= q < width:
                        dx[:, p, q] += dy[:, i, j] @ w[r, s].T

    for r in range(kernel_h):
        for s in range(kernel_w):
            for i in range(rows):
                for j in range(columns):
                    p = i * stride + r - padding
                    q = j * stride + s - padding
                    inside = 0 <= p < height and 0 <= q < width
                    if inside and i + r < rows and j + s < columns:
                        # dy[:, i, j] was meant
                        dw[r, s] += x[:, p, q].T @ dy[:, i + r, j + s]

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
