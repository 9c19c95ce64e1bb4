"""Adam is applied to delta, and the result is convolved with x.

Adam turns the gradient of a parameter into its step. Here each entry of delta is divided by the
size of what was in its place before, and what is left, little more than its sign, is convolved
with x as if it were delta still.

Symptom: large and small errors count alike. m and v have the shape of delta, so a last batch of
another size fails.
"""

import numpy as np


def adam_layer(x, w, b, dy, state, t, stride=1, padding=0, lr=1e-3):
    m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * dy  # dw belongs here, and db
    v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * dy**2
    step = lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

    kernel_h, kernel_w = w.shape[:2]
    _, rows, columns, _ = dy.shape
    x_padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    for r in range(kernel_h):
        for s in range(kernel_w):
            down = slice(r, r + stride * rows, stride)
            across = slice(s, s + stride * columns, stride)
            w[r, s] -= np.tensordot(x_padded[:, down, across], step, axes=([0, 1, 2], [0, 1, 2]))
    b -= step.sum(axis=(0, 1, 2))
