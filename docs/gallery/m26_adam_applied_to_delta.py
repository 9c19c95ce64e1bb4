"""Adam is applied to delta, and the result is convolved with x.

Adam turns the gradient of a parameter into its step. Here each entry of delta is divided by its
own size first, and what is left of it, little more than the sign, goes through the backward pass.

Symptom: all errors count alike, large and small. m and v have the shape of delta, so a last batch
of another size fails.
"""

import numpy as np


def adam(delta, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
    """The first step of Adam."""
    m, v = (1 - beta1) * delta, (1 - beta2) * delta**2
    m_hat, v_hat = m / (1 - beta1), v / (1 - beta2)
    return lr * m_hat / (np.sqrt(v_hat) + eps)


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros_like(w)
    step = adam(dy)  # Adam belongs after dw: w -= adam(dw)

    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            dx_padded[:, down, across] += dy @ w[r, s].T
            dw[r, s] = np.tensordot(x_padded[:, down, across], step, axes=([0, 1, 2], [0, 1, 2]))

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = step.sum(axis=(0, 1, 2))
    return dx, dw, db
