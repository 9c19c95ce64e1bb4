"""The convolution as a product of matrices, in the two ways that textbooks know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import as_batch, expect_shape
from rot180.geometry import (
    Conv2dGeometry,
    IntOrPair,
    Padding,
    conv2d_geometry,
    frozen_shape,
    int_pair,
)
from rot180.reference.taps import taps
from rot180.teaching.arguments import expect_axes, number_arrays


def conv_matrix(
    w: NDArray[Any],
    input_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> NDArray[Any]:
    """Write the convolution of one image as a matrix M: ``y.ravel() == M @ x.ravel()``.

    ``M[(i,j,k), (p,q,c)] = w[r,s,c,k]`` where tap (r, s) of output pixel (i, j) reads pixel (p, q),
    zero elsewhere: sparse, and with each weight in many places. The gradient is its transpose:
    ``dx.ravel() == M.T @ dy.ravel()``.

    Parameters
    ----------
    w : (KH, KW) or (KH, KW, C // groups, K), integers, float32 or float64
    input_shape : (H, W) for a (KH, KW) kernel, else (H, W, C)
    stride, padding, dilation, groups : as in `rot180.reference.conv2d`

    Returns
    -------
    M : (OH * OW * K, H * W * C)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    A 4x4 image and a 3x3 kernel: 4 x 16, 36 entries of 9 distinct values.

    >>> import numpy as np
    >>> from rot180.teaching import conv_matrix
    >>> M = conv_matrix(np.arange(1, 10).reshape(3, 3), (4, 4))
    >>> M
    array([[1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0, 0],
           [0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0, 0, 0, 0],
           [0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9, 0],
           [0, 0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]])
    >>> int(np.count_nonzero(M)), len(np.unique(M[M != 0]))
    (36, 9)
    """
    (w,) = number_arrays(w=w)
    expect_axes("w", w, ("(KH, KW)", "(KH, KW, C // groups, K)"))
    shape = frozen_shape("input_shape", input_shape)
    if len(shape) != (2 if w.ndim == 2 else 3):
        wanted = "(H, W)" if w.ndim == 2 else "(H, W, C)"
        raise ValueError(f"input_shape is {shape}, expected {wanted} with w of shape {w.shape}")
    if w.ndim == 2:
        w, shape = w[:, :, np.newaxis, np.newaxis], (*shape, 1)
    geometry = conv2d_geometry((1, *shape), w.shape, stride, padding, dilation, groups)
    _, height, width, channels = geometry.input_shape
    _, out_height, out_width, out_channels = geometry.output_shape
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding

    matrix = np.zeros((out_height, out_width, out_channels, height, width, channels), w.dtype)
    for i, j, r, s in np.ndindex(out_height, out_width, *w.shape[:2]):
        p, q = i * sh + r * dh - top, j * sw + s * dw - left
        if 0 <= p < height and 0 <= q < width:
            for inputs, outputs in _group_channels(geometry):
                matrix[i, j, outputs, p, q, inputs] = w[r, s, :, outputs].T
    return matrix.reshape(out_height * out_width * out_channels, height * width * channels)


def im2col(
    x: NDArray[Any],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
) -> NDArray[Any]:
    """Copy what each window sees into a row, so that the convolution is one matrix product.

    ``cols[(n,i,j), (r,s,c)] = x[n, i*sh + r*dh - top, j*sw + s*dw - left, c]``, 0 outside x. With
    ``W = w.reshape(-1, K)`` and dy of shape (N*OH*OW, K): ``y = cols @ W``, ``dW = cols.T @ dy``,
    ``dx = col2im(dy @ W.T)``.

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), integers, float32 or float64
    kernel_size : int or (KH, KW)
    stride, padding, dilation : as in `rot180.reference.conv2d`

    Returns
    -------
    cols : (N * OH * OW, KH * KW * C), N = 1 for one image

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import im2col
    >>> cols = im2col(np.arange(1, 10).reshape(3, 3, 1), 2)
    >>> cols
    array([[1, 2, 4, 5],
           [2, 3, 5, 6],
           [4, 5, 7, 8],
           [5, 6, 8, 9]])
    >>> (cols @ np.array([1, 2, 3, 4])).reshape(2, 2)
    array([[37, 47],
           [67, 77]])
    """
    (x,) = number_arrays(x=x)
    x = as_batch("x", x)
    geometry = _one_filter(x.shape, kernel_size, stride, padding, dilation)
    cols = np.zeros(_six_axes(geometry), x.dtype)
    for r, s, inputs, outputs in taps(geometry):
        cols[:, :, :, r, s][outputs] = x[inputs]
    return cols.reshape(_two_axes(geometry))


def col2im(
    cols: NDArray[Any],
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
) -> NDArray[Any]:
    """Add every entry of cols to the pixel that `im2col` copies it from: the transpose of `im2col`.

    ``dx[n, i*sh + r*dh - top, j*sw + s*dw - left, c] += cols[(n,i,j), (r,s,c)]``

    Parameters
    ----------
    cols : (N * OH * OW, KH * KW * C), integers, float32 or float64
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, dilation : as in `im2col`

    Returns
    -------
    dx : of shape input_shape

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    The rotated full correlation appears by itself:

    >>> import numpy as np
    >>> from rot180.teaching import col2im
    >>> dy, W = np.array([[1], [-1], [2], [0.5]]), np.array([[1], [2], [3], [4]])
    >>> col2im(dy @ W.T, (3, 3, 1), 2)[:, :, 0]
    array([[ 1. ,  1. , -2. ],
           [ 5. ,  5.5, -3. ],
           [ 6. ,  9.5,  2. ]])
    """
    (cols,) = number_arrays(cols=cols)
    given = frozen_shape("input_shape", input_shape)
    if len(given) not in (3, 4):
        raise ValueError(f"input_shape is {given}, expected (N, H, W, C) or (H, W, C)")
    shape = given if len(given) == 4 else (1, *given)
    geometry = _one_filter(shape, kernel_size, stride, padding, dilation)
    expect_shape("cols", cols, _two_axes(geometry), "(N * OH * OW, KH * KW * C)")
    cols = cols.reshape(_six_axes(geometry))
    dx = np.zeros(shape, cols.dtype)
    for r, s, inputs, outputs in taps(geometry):
        dx[inputs] += cols[:, :, :, r, s][outputs]
    return dx.reshape(given)


def _one_filter(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair,
    padding: Padding,
    dilation: IntOrPair,
) -> Conv2dGeometry:
    kernel_h, kernel_w = int_pair("kernel_size", kernel_size)
    weight_shape = (kernel_h, kernel_w, input_shape[3], 1)
    return conv2d_geometry(input_shape, weight_shape, stride, padding, dilation)


def _six_axes(geometry: Conv2dGeometry) -> tuple[int, ...]:
    return (*geometry.output_shape[:3], *geometry.weight_shape[:3])  # N, OH, OW, KH, KW, C


def _two_axes(geometry: Conv2dGeometry) -> tuple[int, int]:
    batch, out_height, out_width, _ = geometry.output_shape
    kernel_h, kernel_w, channels, _ = geometry.weight_shape
    return batch * out_height * out_width, kernel_h * kernel_w * channels


def _group_channels(geometry: Conv2dGeometry) -> list[tuple[slice, slice]]:
    """Input and output channels of each group."""
    inputs = geometry.weight_shape[2]
    outputs = geometry.weight_shape[3] // geometry.groups
    return [
        (slice(g * inputs, (g + 1) * inputs), slice(g * outputs, (g + 1) * outputs))
        for g in range(geometry.groups)
    ]
