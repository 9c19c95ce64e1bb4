"""Numbers that were worked out by hand and verified with PyTorch in float64, as NHWC and HWIO."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def image(rows: list[list[float]]) -> np.ndarray:
    """(H, W) as a batch of one image with one channel, (1, H, W, 1)."""
    return np.array(rows, np.float64)[np.newaxis, :, :, np.newaxis]


def kernel(rows: list[list[float]]) -> np.ndarray:
    """(KH, KW) as one filter on one channel, (KH, KW, 1, 1)."""
    return np.array(rows, np.float64)[:, :, np.newaxis, np.newaxis]


class Convolution(NamedTuple):
    """The operands of a convolution without padding at stride 1, and all of its results."""

    x: np.ndarray
    weight: np.ndarray
    dy: np.ndarray
    y: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


G1 = Convolution(
    x=image([[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
    weight=kernel([[1, 2], [3, 4]]),
    dy=image([[1, -1], [2, 0.5]]),
    y=image([[37, 47], [67, 77]]),
    dx=image([[1, 1, -2], [5, 5.5, -3], [6, 9.5, 2]]),
    dw=kernel([[9.5, 12], [17, 19.5]]),
    db=np.array([2.5]),
)

# The same x, weight and dy when the forward pass is a true convolution, which turns the kernel.
# Its dx is what a correlation's backward pass yields by mistake if the kernel is not turned.
G1_TRUE_CONVOLUTION = G1._replace(
    y=image([[23, 33], [53, 63]]),
    dx=image([[4, -1, -3], [10, 7, 0.5], [4, 3, 0.5]]),
    dw=kernel([[19.5, 17], [12, 9.5]]),
)

_PYRAMID = np.outer([1.0, 2, 3, 2, 1], [1, 2, 3, 2, 1])

G2 = Convolution(
    x=np.ones((1, 5, 5, 3)),
    weight=np.ones((3, 3, 3, 16)),
    dy=np.ones((1, 3, 3, 16)),
    y=np.full((1, 3, 3, 16), 27.0),
    dx=np.repeat(16 * _PYRAMID[np.newaxis, :, :, np.newaxis], 3, axis=3),
    dw=np.full((3, 3, 3, 16), 9.0),
    db=np.full(16, 9.0),
)
G2_SUM_OF_DX = 3888.0

# One row and two columns of zeros between the entries.
G3 = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
G3_ROWS, G3_COLUMNS = 1, 2
G3_INTERLEAVED = np.array(
    [
        [1, 0, 0, 2, 0, 0, 3],
        [0, 0, 0, 0, 0, 0, 0],
        [4, 0, 0, 5, 0, 0, 6],
        [0, 0, 0, 0, 0, 0, 0],
        [7, 0, 0, 8, 0, 0, 9],
    ]
)

# A 9 x 9 input and a 5 x 5 output without padding: every (stride, kernel) that is possible.
G4_INPUT, G4_OUTPUT = 9, 5
G4_STRIDE_KERNEL = {(1, 5), (2, 1)}
