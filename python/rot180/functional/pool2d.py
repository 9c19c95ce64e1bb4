"""Maximum and average pooling of NHWC images, with their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rot180 import _core
from rot180.arguments import FloatArray, as_batch, batch_shape, expect_shape, float_array
from rot180.functional.results import new_array
from rot180.geometry import IntOrPair, Padding, frozen, pool2d_geometry

LARGEST_INDEXED_IMAGE = 2**31 - 1
INT32 = np.dtype(np.int32)


@overload
def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    return_indices: Literal[False] = False,
) -> FloatArray: ...


@overload
def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    return_indices: Literal[True],
) -> tuple[FloatArray, NDArray[np.int32]]: ...


def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    return_indices: bool = False,
) -> FloatArray | tuple[FloatArray, NDArray[np.int32]]:
    """Take the largest value of each window, channel by channel.

    y[n,i,j,c] = max over r,s of x[n, i*sh + r - top, j*sw + s - left, c]. The padding never wins.
    Of equal values the first in row-major order is chosen; the first NaN wins over everything.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair, optional
        kernel_size by default.
    padding : as in `conv2d`, smaller than the window on every side
    return_indices : bool
        Also return which pixel of x each output came from, as `max_pool2d_grad_input` needs it.

    Returns
    -------
    y : array (N, OH, OW, C) or (OH, OW, C)
    indices : int32 array of y's shape, h * W + w
        Only with return_indices.

    Raises
    ------
    ValueError, TypeError
        Where shapes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import max_pool2d
    >>> x = np.array([[1.0, 2.0, 0.0, 1.0], [3.0, 4.0, 1.0, 5.0]]).reshape(2, 4, 1)
    >>> y, indices = max_pool2d(x, 2, return_indices=True)
    >>> y.ravel().tolist(), indices.ravel().tolist()
    ([4.0, 5.0], [5, 7])
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    plan = _plan(images.shape, kernel_size, stride, padding)
    y = new_array(plan.output_shape if x.ndim == 4 else plan.output_shape[1:], x.dtype)
    indices = None
    if return_indices:
        _check_indexable(images.shape)
        indices = new_array(y.shape, INT32)
    _core.max_pool2d(plan.shape, images, y, indices)
    return y if indices is None else (y, indices)


def max_pool2d_grad_input(
    dy: ArrayLike,
    indices: NDArray[np.int32],
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
) -> FloatArray:
    """Hand each output's gradient to the one pixel that was its maximum.

    dx[n,h,w,c] = sum of dy[n,i,j,c] over the windows with indices[n,i,j,c] == h * W + w.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    indices : int32 array of dy's shape
        From ``max_pool2d(..., return_indices=True)``.
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding
        As in `max_pool2d`.

    Returns
    -------
    array of shape input_shape

    Raises
    ------
    ValueError, TypeError
        Where shapes, dtypes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import max_pool2d, max_pool2d_grad_input
    >>> x = np.array([[1.0, 2.0], [4.0, 4.0]]).reshape(2, 2, 1)
    >>> y, indices = max_pool2d(x, 2, return_indices=True)
    >>> max_pool2d_grad_input(np.ones_like(y), indices, x.shape, 2)[:, :, 0]
    array([[0., 0.],
           [1., 0.]])
    """
    dy = float_array("dy", dy)
    delta = as_batch("dy", dy)
    shape = batch_shape(input_shape, dy)
    plan = _plan(shape, kernel_size, stride, padding)
    expect_shape("dy", delta, plan.output_shape, "the shape of max_pool2d's output")
    if not isinstance(indices, np.ndarray) or indices.dtype != np.int32:
        raise TypeError("indices must be the int32 array of max_pool2d(..., return_indices=True)")
    if indices.shape != dy.shape:
        raise ValueError(f"indices has shape {indices.shape}, expected dy's {dy.shape}")
    _check_indexable(plan.input_shape)
    dx = new_array(shape if dy.ndim == 4 else shape[1:], dy.dtype)
    chosen = np.require(indices, np.int32, ("C", "A"))
    _core.max_pool2d_grad_input(plan.shape, delta, chosen, dx)
    return dx


def avg_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> FloatArray:
    """Average each window, channel by channel.

    y[n,i,j,c] = (sum over r,s of x[n, i*sh + r - top, j*sw + s - left, c]) / count, where count is
    the number of the window's cells, or of those inside x without `count_include_pad`.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    kernel_size, stride, padding
        As in `max_pool2d`.
    count_include_pad : bool
        Whether the zeros of the padding count.

    Returns
    -------
    array (N, OH, OW, C) or (OH, OW, C)

    Raises
    ------
    ValueError, TypeError
        Where shapes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import avg_pool2d
    >>> avg_pool2d(np.arange(8.0).reshape(2, 4, 1), 2).ravel().tolist()
    [2.5, 4.5]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    plan = _plan(images.shape, kernel_size, stride, padding)
    y = new_array(plan.output_shape if x.ndim == 4 else plan.output_shape[1:], x.dtype)
    _core.avg_pool2d(plan.shape, bool(count_include_pad), images, y)
    return y


def avg_pool2d_grad_input(
    dy: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> FloatArray:
    """Share each output's gradient evenly among the pixels of its window.

    dx[n,h,w,c] = sum of dy[n,i,j,c] / count over the windows that cover the pixel.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, count_include_pad
        As in `avg_pool2d`.

    Returns
    -------
    array of shape input_shape

    Raises
    ------
    ValueError, TypeError
        Where shapes, dtypes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import avg_pool2d_grad_input
    >>> avg_pool2d_grad_input(np.array([[[4.0]]]), (2, 2, 1), 2)[:, :, 0]
    array([[1., 1.],
           [1., 1.]])
    """
    dy = float_array("dy", dy)
    delta = as_batch("dy", dy)
    shape = batch_shape(input_shape, dy)
    plan = _plan(shape, kernel_size, stride, padding)
    expect_shape("dy", delta, plan.output_shape, "the shape of avg_pool2d's output")
    dx = new_array(shape if dy.ndim == 4 else shape[1:], dy.dtype)
    _core.avg_pool2d_grad_input(plan.shape, bool(count_include_pad), delta, dx)
    return dx


class _Plan(NamedTuple):
    """A checked geometry, as the kernels take it."""

    shape: _core.Pool2dShape
    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]


def _plan(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: Padding,
) -> _Plan:
    return _cached_plan(
        input_shape,
        frozen("kernel_size", kernel_size),
        frozen("stride", stride),
        frozen("padding", padding),
    )


@lru_cache(maxsize=1024)
def _cached_plan(*arguments: Any) -> _Plan:
    geometry = pool2d_geometry(*arguments)
    shape = _core.Pool2dShape(
        geometry.input_shape,
        geometry.output_shape,
        geometry.kernel_size,
        geometry.stride,
        geometry.padding,
    )
    return _Plan(shape, geometry.input_shape, geometry.output_shape)


def _check_indexable(shape: tuple[int, ...]) -> None:
    if shape[1] * shape[2] > LARGEST_INDEXED_IMAGE:
        raise ValueError(
            f"x has {shape[1]} * {shape[2]} pixels in an image, more than int32 indices can count"
        )
