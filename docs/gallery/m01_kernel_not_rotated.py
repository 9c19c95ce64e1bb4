"""The kernel is not turned in dx.

In the forward pass output i reads input i + r through weight r. Seen from input p, output p - r
reached it through weight r: the sign of the index changes, and that is the turn by 180 degrees.
Here the full correlation takes the kernel as it lies.

Symptom: dx has the right shape, the right sum and the right mean. A test that compares sums
passes, and so does any symmetric kernel. Only the layers below learn the wrong thing.
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

    # dx: zeros between the entries of dy, then a full correlation with the kernel.
    size = (batch, (rows - 1) * stride + 1, (columns - 1) * stride + 1, filters)
    spread = np.zeros(size, dy.dtype)
    spread[:, ::stride, ::stride] = dy
    around = ((0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1), (0, 0))
    kernel = w.swapaxes(2, 3)  # w[::-1, ::-1] was meant
    full = correlate(np.pad(spread, around), kernel)
    dx_padded = np.zeros_like(x_padded)
    dx_padded[:, : full.shape[1], : full.shape[2]] = full
    dx = dx_padded[:, padding : padding + height, padding : padding + width]

    # dw: each window of x times the dy that it made.
    windows = sliding_window_view(x_padded, (kernel_h, kernel_w), axis=(1, 2))
    dw = np.einsum("nijcrs,nijk->rsck", windows[:, ::stride, ::stride], dy, optimize=True)

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
