"""x is not padded before dw is computed.

The forward pass read a padded image, so dw has to read the same one. Without it each delta meets
the window `padding` rows and columns further down and right, and the last ones meet none.

Symptom: right at padding 0. Otherwise the right shape, wrong by a shift.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view


def correlate(x, w):
    """Slide w over x: (N, H, W, C) and (KH, KW, C, K) make (N, H - KH + 1, W - KW + 1, K)."""
    windows = sliding_window_view(x, w.shape[:2], axis=(1, 2))
    return np.einsum("nijcrs,rsck->nijk", windows, w, optimize=True)


def backward(x, w, dy, stride=1, padding=0):
    batch, height, width, _ = x.shape
    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, filters = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)

    # dx: zeros between the entries of dy, then a full correlation with the turned kernel.
    size = (batch, (rows - 1) * stride + 1, (columns - 1) * stride + 1, filters)
    spread = np.zeros(size, dy.dtype)
    spread[:, ::stride, ::stride] = dy
    around = ((0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1), (0, 0))
    turned = w[::-1, ::-1].swapaxes(2, 3)
    full = correlate(np.pad(spread, around), turned)
    dx_padded = np.zeros_like(x_padded)
    dx_padded[:, : full.shape[1], : full.shape[2]] = full
    dx = dx_padded[:, padding : padding + height, padding : padding + width]

    # dw: each window of x times the dy that it made.
    windows = sliding_window_view(x, (kernel_h, kernel_w), axis=(1, 2))  # x_padded was meant
    windows = windows[:, ::stride, ::stride]
    met = dy[:, : windows.shape[1], : windows.shape[2]]
    dw = np.einsum("nijcrs,nijk->rsck", windows, met, optimize=True)

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
