"""s zeros are put between the entries of delta, instead of s - 1.

Stride s means that neighbours are s apart, so there is room for s - 1 zeros between them.

Symptom: wrong even at stride 1, where no zero belongs. dx is stretched: right in the first row
and column, further off with each one.
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
    apart = stride + 1  # stride zeros in between; stride - 1 was meant
    size = (batch, (rows - 1) * apart + 1, (columns - 1) * apart + 1, filters)
    spread = np.zeros(size, dy.dtype)
    spread[:, ::apart, ::apart] = dy
    around = ((0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1), (0, 0))
    turned = w[::-1, ::-1].swapaxes(2, 3)
    full = correlate(np.pad(spread, around), turned)
    dx_padded = np.zeros_like(x_padded)
    full = full[:, : dx_padded.shape[1], : dx_padded.shape[2]]
    dx_padded[:, : full.shape[1], : full.shape[2]] = full
    dx = dx_padded[:, padding : padding + height, padding : padding + width]

    # dw: each window of x times the dy that it made.
    windows = sliding_window_view(x_padded, (kernel_h, kernel_w), axis=(1, 2))
    dw = np.einsum("nijcrs,nijk->rsck", windows[:, ::stride, ::stride], dy, optimize=True)

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
