"""The stride is forgotten in dx.

With stride s, neighbours in delta are s pixels apart in x. Before the full correlation, s - 1
zeros belong between the entries of delta. Here delta is taken as it is.

Symptom: right at stride 1. At stride 2 the gradient fills the upper left quarter of dx and the
rest is zero.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def correlate(x, w):
    """Slide w over x: (N, H, W, C) and (KH, KW, C, K) make (N, H - KH + 1, W - KW + 1, K)."""
    windows = sliding_window_view(x, w.shape[:2], axis=(1, 2))
    return np.einsum("nijcrs,rsck->nijk", windows, w, optimize=True)


def backward(x, w, dy, stride=1, padding=0):
    _, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)

    # dx: a full correlation with the turned kernel. (stride - 1 zeros belong between the entries.)
    around = ((0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1), (0, 0))
    turned = w[::-1, ::-1].swapaxes(2, 3)
    full = correlate(np.pad(dy, around), turned)
    dx_padded = np.zeros_like(x_padded)
    dx_padded[:, : full.shape[1], : full.shape[2]] = full
    dx = dx_padded[:, padding : padding + height, padding : padding + width]

    # dw: each window of x times the dy that it made.
    windows = sliding_window_view(x_padded, (kernel_h, kernel_w), axis=(1, 2))
    dw = np.einsum("nijcrs,nijk->rsck", windows[:, ::stride, ::stride], dy, optimize=True)

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
