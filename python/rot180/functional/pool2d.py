"""Maximum and average pooling of NHWC images, with their gradients."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    as_batch,
    batch_shape,
    check_taps,
    expect_shape,
    float_array,
    saved_output,
)
from rot180.functional.activation import core_activation
from rot180.functional.results import new_array
from rot180.geometry import IntOrPair, Padding, adaptive_pool2d_shape, frozen, pool2d_geometry

LARGEST_INDEXED_IMAGE = 2**31 - 1
INT32 = np.dtype(np.int32)
UINT8 = np.dtype(np.uint8)


@overload
def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    return_indices: Literal[False] = False,
    return_taps: Literal[False] = False,
) -> FloatArray: ...


@overload
def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    return_indices: Literal[True],
    return_taps: Literal[False] = False,
) -> tuple[FloatArray, NDArray[np.int32]]: ...


@overload
def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    return_indices: Literal[False] = False,
    return_taps: Literal[True],
) -> tuple[FloatArray, NDArray[np.uint8]]: ...


def max_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    return_indices: bool = False,
    return_taps: bool = False,
) -> FloatArray | tuple[FloatArray, NDArray[np.int32]] | tuple[FloatArray, NDArray[np.uint8]]:
    """Take the largest value of each window, channel by channel, and apply an activation to it.

    y[n,i,j,c] = activation(max over r,s of x[n, i*sh + r - top, j*sw + s - left, c]). The padding
    never wins. Of equal values the first in row-major order is chosen; the first NaN wins over
    everything.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair, optional
        kernel_size by default.
    padding : as in `conv2d`, smaller than the window on every side
    ceil_mode : bool
        Whether rows and columns that are left over at the end have a window too, which reaches
        beyond the padding. As in PyTorch, it must begin within x or the padding before x.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"
        None of them ever falls, so that it is the same before and after the maximum; after, there
        are fewer values.
    return_indices : bool
        Also return which pixel of x each output came from, as `max_pool2d_grad_input` needs it.
    return_taps : bool
        Return instead which pixel of its window that was, for windows of at most 256: a quarter of
        the memory, from which `max_pool2d_grad_input` is faster. One of the two at most.

    Returns
    -------
    y : array (N, OH, OW, C) or (OH, OW, C)
    indices : int32 array of y's shape, h * W + w
        Only with return_indices.
    taps : uint8 array of y's shape, r * KW + s
        Only with return_taps.

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
    >>> max_pool2d(x, 2, return_taps=True)[1].ravel().tolist()
    [3, 3]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    plan = _plan(images.shape, kernel_size, stride, padding, ceil_mode)
    kind = core_activation(activation)
    y = new_array(plan.output_shape if x.ndim == 4 else plan.output_shape[1:], x.dtype)
    if not (return_indices or return_taps):
        _core.max_pool2d(plan.shape, images, kind, y, None)
        return y
    if return_taps:
        check_taps(plan.kernel_size, return_indices)
        taps = new_array(y.shape, UINT8)
        _core.max_pool2d(plan.shape, images, kind, y, taps)
        return y, taps
    _check_indexable(images.shape)
    indices = new_array(y.shape, INT32)
    _core.max_pool2d(plan.shape, images, kind, y, indices)
    return y, indices


def max_pool2d_grad_input(
    dy: ArrayLike,
    indices: NDArray[np.int32] | NDArray[np.uint8],
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    y: ArrayLike | None = None,
) -> FloatArray:
    """Hand each output's gradient to the one pixel that was its maximum.

    dx[n,h,w,c] = sum of dy[n,i,j,c] * activation'(n,i,j,c) over the windows with
    indices[n,i,j,c] == h * W + w.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    indices : int32 or uint8 array of dy's shape
        From ``max_pool2d(..., return_indices=True)``, or as uint8 from ``return_taps=True``.
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, ceil_mode, activation
        As in `max_pool2d`.
    y : array of dy's shape and dtype
        What max_pool2d returned, from which the derivative is taken. With an activation, and only
        then.

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
    plan = _plan(shape, kernel_size, stride, padding, ceil_mode)
    expect_shape("dy", delta, plan.output_shape, "the shape of max_pool2d's output")
    if not isinstance(indices, np.ndarray) or indices.dtype not in (INT32, UINT8):
        raise TypeError(
            "indices must be the int32 array of max_pool2d(..., return_indices=True) "
            "or the uint8 array of max_pool2d(..., return_taps=True)"
        )
    if indices.shape != dy.shape:
        raise ValueError(f"indices has shape {indices.shape}, expected dy's {dy.shape}")
    if indices.dtype == UINT8:
        check_taps(plan.kernel_size)
    else:
        _check_indexable(plan.input_shape)
    y = saved_output(activation, y, dy)
    dx = new_array(shape if dy.ndim == 4 else shape[1:], dy.dtype)
    chosen = np.require(indices, indices.dtype.newbyteorder("="), ("C", "A"))
    _core.max_pool2d_grad_input(plan.shape, delta, core_activation(activation), y, chosen, dx)
    return dx


def avg_pool2d(
    x: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> FloatArray:
    """Average each window, channel by channel.

    y[n,i,j,c] = (sum over r,s of x[n, i*sh + r - top, j*sw + s - left, c]) / count, where count is
    the number of the window's cells inside the padded image, or inside x without
    `count_include_pad`.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    kernel_size, stride, padding, ceil_mode
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
    plan = _plan(images.shape, kernel_size, stride, padding, ceil_mode)
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
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> FloatArray:
    """Share each output's gradient evenly among the pixels of its window.

    dx[n,h,w,c] = sum of dy[n,i,j,c] / count over the windows that cover the pixel.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, ceil_mode, count_include_pad
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
    plan = _plan(shape, kernel_size, stride, padding, ceil_mode)
    expect_shape("dy", delta, plan.output_shape, "the shape of avg_pool2d's output")
    dx = new_array(shape if dy.ndim == 4 else shape[1:], dy.dtype)
    _core.avg_pool2d_grad_input(plan.shape, bool(count_include_pad), delta, dx)
    return dx


def adaptive_avg_pool2d(x: ArrayLike, output_size: IntOrPair) -> FloatArray:
    """Average as many windows as the output is to have pixels, as even as they can be.

    y[n,i,j,c] = mean of x[n,p,q,c] over p from floor(i*H / OH) to ceil((i+1)*H / OH) - 1, and q
    likewise. A size of 1 averages whole images.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    output_size : int or (OH, OW)

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
    >>> from rot180.functional import adaptive_avg_pool2d
    >>> x = np.arange(5.0).reshape(1, 5, 1)
    >>> adaptive_avg_pool2d(x, (1, 2)).ravel().tolist()
    [1.0, 3.0]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    y_shape = adaptive_pool2d_shape(images.shape, output_size)
    y = new_array(y_shape if x.ndim == 4 else y_shape[1:], x.dtype)
    _core.adaptive_avg_pool2d(resize2d_shape(images.shape, y_shape[1:3]), images, y)
    return y


def adaptive_avg_pool2d_grad_input(dy: ArrayLike, input_shape: Sequence[int]) -> FloatArray:
    """Share each output's gradient evenly among the pixels of its window.

    dx[n,p,q,c] = sum of dy[n,i,j,c] / count[i,j] over the windows that cover the pixel.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    input_shape : (N, H, W, C) or (H, W, C)

    Returns
    -------
    array of shape input_shape

    Raises
    ------
    ValueError, TypeError
        Where shapes do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import adaptive_avg_pool2d_grad_input
    >>> adaptive_avg_pool2d_grad_input(np.array([[[6.0], [9.0]]]), (1, 5, 1)).ravel().tolist()
    [2.0, 2.0, 5.0, 3.0, 3.0]
    """
    dy = float_array("dy", dy)
    delta = as_batch("dy", dy)
    shape = batch_shape(input_shape, dy)
    expect_shape(
        "dy",
        delta,
        adaptive_pool2d_shape(shape, delta.shape[1:3]),
        "the shape of adaptive_avg_pool2d's output",
    )
    dx = new_array(shape if dy.ndim == 4 else shape[1:], dy.dtype)
    _core.adaptive_avg_pool2d_grad_input(resize2d_shape(shape, delta.shape[1:3]), delta, dx)
    return dx


@lru_cache(maxsize=1024)
def resize2d_shape(
    input_shape: tuple[int, ...], output_size: tuple[int, ...]
) -> _core.Resize2dShape:
    """Checked sizes, as the kernels take them."""
    return _core.Resize2dShape(input_shape, output_size)


class _Plan(NamedTuple):
    """A checked geometry, as the kernels take it."""

    shape: _core.Pool2dShape
    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]
    kernel_size: tuple[int, int]


def _plan(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: Padding,
    ceil_mode: bool,
) -> _Plan:
    return _cached_plan(
        input_shape,
        frozen("kernel_size", kernel_size),
        frozen("stride", stride),
        frozen("padding", padding),
        bool(ceil_mode),
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
    return _Plan(shape, geometry.input_shape, geometry.output_shape, geometry.kernel_size)


def _check_indexable(shape: tuple[int, ...]) -> None:
    if shape[1] * shape[2] > LARGEST_INDEXED_IMAGE:
        raise ValueError(
            f"x has {shape[1]} * {shape[2]} pixels in an image, more than int32 indices can count"
        )
