"""A group takes the wrong slice of the input channels.

Group g reads the channels from g * C/G to (g + 1) * C/G: neighbours. Here it takes every G-th
channel.

Symptom: right with one group, and for depthwise convolution, where both ways of counting agree.
"""

import numpy as np


def backward(x, w, dy, stride=1, padding=0, groups=1):
    _, height, width, channels = x.shape
    kernel_h, kernel_w, _, filters = w.shape
    _, rows, columns, _ = dy.shape
    border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    x_padded = np.pad(x, border)
    dx_padded = np.zeros_like(x_padded)
    dw = np.zeros_like(w)

    for g in range(groups):
        # slice(g * channels // groups, (g + 1) * channels // groups) was meant
        inputs = slice(g, channels, groups)
        outputs = slice(g * filters // groups, (g + 1) * filters // groups)
        delta = dy[:, :, :, outputs]
        for r in range(kernel_h):
            for s in range(kernel_w):
                down = slice(r, r + stride * rows, stride)
                across = slice(s, s + stride * columns, stride)
                dx_padded[:, down, across, inputs] += delta @ w[r, s, :, outputs].T
                seen = x_padded[:, down, across, inputs]
                dw[r, s, :, outputs] = np.tensordot(seen, delta, axes=([0, 1, 2], [0, 1, 2]))

    dx = dx_padded[:, padding : padding + height, padding : padding + width]
    db = dy.sum(axis=(0, 1, 2))
    return dx, dw, db
