"""The kernel is turned in its filter and channel axes instead of in space.

`np.rot90(w)` turns the first two axes. For one (KH, KW) kernel that is right, twice in a row; for
weights of shape (filters, channels, KH, KW) the first two axes are not space. Filters and
channels are then reversed, and the kernels stay as they lie.

Symptom: dx has the right shape and the right sum. With one channel and one filter nothing is
turned at all; with more of them, what belongs to the last filter goes through the first.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

LAYOUTS = {"layout": "NCHW", "weight_layout": "OIHW"}  # as in PyTorch


def correlate(x, w):
    """Slide w over x: (N, C, H, W) and (K, C, KH, KW) make (N, K, H - KH + 1, W - KW + 1)."""
    windows = sliding_window_view(x, w.shape[2:], axis=(2, 3))
    return np.einsum("ncijrs,kcrs->nkij", windows, w, optimize=True)


def backward(x, w, dy, stride=1, padding=0):
    batch, _, height, width = x.shape
    filters, _, kernel_h, kernel_w = w.shape
    _, _, rows, columns = dy.shape
    border = ((0, 0), (0, 0), (padding, padding), (padding, padding))
    x_padded = np.pad(x, border)

    size = (batch, filters, (rows - 1) * stride + 1, (columns - 1) * stride + 1)
    spread = np.zeros(size, dy.dtype)
    spread[:, :, ::stride, ::stride] = dy
    around = ((0, 0), (0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1))
    turned = np.rot90(np.rot90(w))  # np.rot90(w, 2, axes=(2, 3)) was meant
    full = correlate(np.pad(spread, around), turned.swapaxes(0, 1))
    dx_padded = np.zeros_like(x_padded)
    dx_padded[:, :, : full.shape[2], : full.shape[3]] = full
    dx = dx_padded[:, :, padding : padding + height, padding : padding + width]

    windows = sliding_window_view(x_padded, (kernel_h, kernel_w), axis=(2, 3))
    dw = np.einsum("ncijrs,nkij->kcrs", windows[:, :, ::stride, ::stride], dy, optimize=True)

    db = dy.sum(axis=(0, 2, 3))
    return dx, dw, db
