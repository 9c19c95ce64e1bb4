"""dw comes out turned by 180 degrees.

Under a correlation only dx takes the turned kernel. dw is the plain correlation of x with delta.
`scipy.signal.convolve` turns its second argument, and so turns the result.

Symptom: the kernel's gradient is its mirror image in both axes. Symmetric kernels show nothing;
the network unlearns what it learns.
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
    windows = sliding_window_view(x_padded, (kernel_h, kernel_w), axis=(1, 2))
    dw = np.einsum("nijcrs,nijk->rsck", windows[:, ::stride, ::stride], dy, optimize=True)

    dw = dw[::-1, ::-1]  # right for a true convolution, wrong for a correlation

    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
