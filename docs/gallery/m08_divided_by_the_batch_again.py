"""dw is divided by the batch size once more.

A loss that is a mean over the batch has put 1/N into delta already. The layer then has nothing to
divide: it adds up what comes.

Symptom: right for one image. With a batch of N the gradient of the weights is N times too small,
and the learning rate that one finds depends on the batch.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0):
    batch, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
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
            dw[r, s] = np.tensordot(x_padded[:, down, across], dy, axes=([0, 1, 2], [0, 1, 2]))

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    dw /= batch  # delta holds the 1/N of a mean loss already
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
