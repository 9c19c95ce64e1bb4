"""Indices are clamped at the border, so that gradients at the edge repeat.

Outside the image x is zero: a term that falls there is none at all. `np.clip` (or `max` and
`min`) moves it to the nearest pixel instead. The edge is then counted again and again.

Symptom: the interior is right, the border is too large. Without padding nothing is wrong at all.
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
                    # What lies outside should be left out, not moved to the edge.
                    p = np.clip(i * stride + r - padding, 0, height - 1)
                    q = np.clip(j * stride + s - padding, 0, width - 1)
                    dx[:, p, q] += dy[:, i, j] @ w[r, s].T
                    dw[r, s] += x[:, p, q].T @ dy[:, i, j]

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
