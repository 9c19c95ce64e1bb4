"""Max and mean pooling. Pixel (p, q) = (i*sh + r - top, j*sw + s - left) is under tap (r, s)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    as_array,
    as_batch,
    batch_shape,
    check_taps,
    expect_shape,
    float_array,
)
from rot180.geometry import (
    LARGEST_EXTENT,
    IntOrPair,
    Padding,
    Pool2dGeometry,
    adaptive_pool2d_shape,
    pool2d_geometry,
)
from rot180.reference.activation import activate, activate_grad_input
from rot180.reference.taps import taps


def max_pool2d(
    x: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    return_indices: bool = False,
    return_taps: bool = False,
) -> FloatArray | tuple[FloatArray, NDArray[np.int32]] | tuple[FloatArray, NDArray[np.uint8]]:
    """Keep the largest pixel of each window, the first one of equals, and apply the activation.

    ``y[n,i,j,c] = activation(max over r,s of x[n,p,q,c])``

    A NaN is larger than any number, and the first NaN wins; padding counts as -inf and is never
    chosen.

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair; None means kernel_size
    padding : as in `conv2d`, smaller than the window on every side
    ceil_mode : whether pixels left over at the end have a window, if it begins in x or before it
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"
    return_indices : whether to return where each maximum was in the image
    return_taps : whether to return where it was in the window, of at most 256 pixels

    Returns
    -------
    y : (N, OH, OW, C) or (OH, OW, C)
    indices : int32, shape of y, ``p*W + q`` of the chosen pixel; only with return_indices
    taps : uint8, shape of y, ``r*KW + s`` of the chosen pixel; only with return_taps

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import max_pool2d
    >>> x = np.array([[1.0, 5, 2, 2], [3, 4, 2, 2]]).reshape(2, 4, 1)
    >>> y, indices = max_pool2d(x, 2, return_indices=True)
    >>> y.ravel().tolist(), indices.ravel().tolist()
    ([5.0, 2.0], [1, 2])
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    geometry = pool2d_geometry(images.shape, kernel_size, stride, padding, ceil_mode)
    if return_taps:
        check_taps(geometry.kernel_size, return_indices)
    pixels = _pixel_numbers(geometry)
    y = np.full(geometry.output_shape, -np.inf, x.dtype)
    indices = np.full(geometry.output_shape, -1, np.int32)
    winners = np.zeros(geometry.output_shape, np.uint8)
    for r, s, inputs, outputs in taps(geometry):
        value, best, index = images[inputs], y[outputs], indices[outputs]  # the last two: views
        wins = (index < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
        np.copyto(best, value, where=wins)
        np.copyto(index, pixels[inputs], where=wins)
        if return_taps:
            np.copyto(winners[outputs], r * geometry.kernel_size[1] + s, where=wins)
    y = activate(y, activation)
    if x.ndim == 3:
        y, indices, winners = y[0], indices[0], winners[0]
    if return_taps:
        return y, winners
    return (y, indices) if return_indices else y


def max_pool2d_grad_input(
    dy: FloatArray,
    indices: NDArray[np.integer[Any]],
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    activation: str | None = None,
    y: FloatArray | None = None,
) -> FloatArray:
    """Hand each dy to the one pixel that was the maximum; it may have been so in several windows.

    ``dx[n, indices[n,i,j,c], c] += dy[n,i,j,c]``  with the pixels of x counted row by row

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    indices : integers, shape of dy, from `max_pool2d`; of dtype uint8 they are taps
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, ceil_mode : as in `max_pool2d`
    activation, y : the activation that max_pool2d applied and what it returned, of dy's shape and
        dtype, for a dy that is still to be multiplied by the activation's derivative

    Returns
    -------
    dx : of shape input_shape

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size; an index outside the image.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import max_pool2d_grad_input
    >>> dy = np.array([7.0, 9.0]).reshape(1, 2, 1)
    >>> indices = np.array([1, 2]).reshape(1, 2, 1)
    >>> max_pool2d_grad_input(dy, indices, (2, 4, 1), 2)[:, :, 0]
    array([[0., 7., 9., 0.],
           [0., 0., 0., 0.]])
    """
    dy = float_array("dy", dy)
    shape = batch_shape(input_shape, dy)
    geometry = pool2d_geometry(shape, kernel_size, stride, padding, ceil_mode)
    gradient = as_batch("dy", activate_grad_input(dy, activation, y))
    expect_shape("dy", gradient, geometry.output_shape, "the shape of max_pool2d's output")
    pixels = _pixel_numbers(geometry)
    dx = np.zeros(shape, dy.dtype)
    if as_array("indices", indices).dtype == np.uint8:
        check_taps(geometry.kernel_size)
        area, width = math.prod(geometry.kernel_size), geometry.kernel_size[1]
        chosen = _checked_indices(indices, dy.shape, area).reshape(gradient.shape)
        for r, s, inputs, outputs in taps(geometry):
            dx[inputs] += np.where(chosen[outputs] == r * width + s, gradient[outputs], 0)
    else:
        chosen = _checked_indices(indices, dy.shape, pixels.size).reshape(gradient.shape)
        image, channel = np.arange(shape[0]).reshape(-1, 1, 1, 1), np.arange(shape[3])
        flat = dx.reshape(shape[0], pixels.size, shape[3])  # a view
        np.add.at(flat, (image, chosen, channel), gradient)
    return dx.reshape(input_shape)


def avg_pool2d(
    x: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> FloatArray:
    """Take the mean of each window.

    ``y[n,i,j,c] = (sum over r,s of x[n,p,q,c]) / count[i,j]``

    count is the number of the window's pixels inside x, or, with count_include_pad, inside the
    padded x.

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair; None means kernel_size
    padding : as in `conv2d`, smaller than the window on every side
    ceil_mode : as in `max_pool2d`
    count_include_pad : whether the padding counts, as zeros

    Returns
    -------
    y : (N, OH, OW, C) or (OH, OW, C)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import avg_pool2d
    >>> x = np.array([[1.0, 5, 2, 2], [3, 4, 2, 2]]).reshape(2, 4, 1)
    >>> avg_pool2d(x, 2).ravel().tolist()
    [3.25, 2.0]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    geometry = pool2d_geometry(images.shape, kernel_size, stride, padding, ceil_mode)
    y = np.zeros(geometry.output_shape, x.dtype)
    for _, _, inputs, outputs in taps(geometry):
        y[outputs] += images[inputs]
    y /= _counts(geometry, x.dtype, count_include_pad)
    return y if x.ndim == 4 else y[0]


def avg_pool2d_grad_input(
    dy: FloatArray,
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> FloatArray:
    """Hand every pixel of a window the same share of dy.

    ``dx[n,p,q,c] += dy[n,i,j,c] / count[i,j]``  for every i, j, r, s

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, ceil_mode, count_include_pad : as in `avg_pool2d`

    Returns
    -------
    dx : of shape input_shape

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import avg_pool2d_grad_input
    >>> avg_pool2d_grad_input(np.array([[[8.0], [4.0]]]), (2, 4, 1), 2)[:, :, 0]
    array([[2., 2., 1., 1.],
           [2., 2., 1., 1.]])
    """
    dy = float_array("dy", dy)
    shape = batch_shape(input_shape, dy)
    geometry = pool2d_geometry(shape, kernel_size, stride, padding, ceil_mode)
    gradient = as_batch("dy", dy)
    expect_shape("dy", gradient, geometry.output_shape, "the shape of avg_pool2d's output")
    share = gradient / _counts(geometry, dy.dtype, count_include_pad)
    dx = np.zeros(shape, dy.dtype)
    for _, _, inputs, outputs in taps(geometry):
        dx[inputs] += share[outputs]
    return dx if dy.ndim == 4 else dx[0]


def adaptive_avg_pool2d(x: FloatArray, output_size: IntOrPair) -> FloatArray:
    """Take the means of OH * OW windows, as even as they can be.

    ``y[n,i,j,c] = mean of x[n,p,q,c]``  for p from floor(i*H / OH) to ceil((i+1)*H / OH) - 1, and
    q likewise

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    output_size : int or (OH, OW)

    Returns
    -------
    y : (N, OH, OW, C) or (OH, OW, C)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import adaptive_avg_pool2d
    >>> adaptive_avg_pool2d(np.arange(5.0).reshape(1, 5, 1), (1, 2)).ravel().tolist()
    [1.0, 3.0]
    """
    x = float_array("x", x)
    images = as_batch("x", x)
    y = np.zeros(adaptive_pool2d_shape(images.shape, output_size), x.dtype)
    for i, j, rows, columns in _adaptive_windows(images.shape, y.shape):
        y[:, i, j] = images[:, rows, columns].mean(axis=(1, 2))
    return y if x.ndim == 4 else y[0]


def adaptive_avg_pool2d_grad_input(dy: FloatArray, input_shape: Sequence[int]) -> FloatArray:
    """Hand every pixel of a window the same share of dy.

    ``dx[n,p,q,c] += dy[n,i,j,c] / count[i,j]``  for every pixel (p, q) of window (i, j)

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    input_shape : (N, H, W, C) or (H, W, C)

    Returns
    -------
    dx : of shape input_shape

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import adaptive_avg_pool2d_grad_input
    >>> adaptive_avg_pool2d_grad_input(np.array([[[6.0], [9.0]]]), (1, 5, 1)).ravel().tolist()
    [2.0, 2.0, 5.0, 3.0, 3.0]
    """
    dy = float_array("dy", dy)
    shape = batch_shape(input_shape, dy)
    gradient = as_batch("dy", dy)
    expected = adaptive_pool2d_shape(shape, gradient.shape[1:3])
    expect_shape("dy", gradient, expected, "the shape of adaptive_avg_pool2d's output")
    dx = np.zeros(shape, dy.dtype)
    for i, j, rows, columns in _adaptive_windows(shape, gradient.shape):
        window = dx[:, rows, columns]  # a view
        window += (gradient[:, i, j] / (window.shape[1] * window.shape[2]))[:, None, None]
    return dx if dy.ndim == 4 else dx[0]


def _adaptive_windows(
    x_shape: tuple[int, ...], y_shape: tuple[int, ...]
) -> Iterator[tuple[int, int, slice, slice]]:
    """Yield (i, j, rows, columns) of x for every pixel (i, j) of y."""

    def window(i: int, size: int, out: int) -> slice:
        return slice(i * size // out, -(-(i + 1) * size // out))

    for i, j in np.ndindex(*y_shape[1:3]):
        rows, columns = window(i, x_shape[1], y_shape[1]), window(j, x_shape[2], y_shape[2])
        yield i, j, rows, columns


def _counts(geometry: Pool2dGeometry, dtype: np.dtype[Any], include_pad: bool) -> FloatArray:
    """By how much each output pixel is divided, as (1, OH, OW, 1)."""
    cells = []
    for axis in (0, 1):
        size, padding = geometry.input_shape[1 + axis], geometry.padding[axis]
        first = np.arange(geometry.output_shape[1 + axis]) * geometry.stride[axis] - padding[0]
        last = first + geometry.kernel_size[axis]
        before, after = padding if include_pad else (0, 0)
        cells.append(np.minimum(last, size + after) - np.maximum(first, -before))
    return np.outer(*cells)[np.newaxis, :, :, np.newaxis].astype(dtype)


def _pixel_numbers(geometry: Pool2dGeometry) -> NDArray[np.int32]:
    """Count the pixels of an image row by row, as (1, H, W, 1)."""
    _, height, width, _ = geometry.input_shape
    _expect_countable(height, width)
    return np.arange(height * width, dtype=np.int32).reshape(1, height, width, 1)


def _expect_countable(height: int, width: int) -> None:
    if height * width > LARGEST_EXTENT:
        raise ValueError(
            f"x has {height} * {width} pixels in an image, more than int32 indices can count"
        )


def _checked_indices(given: Any, shape: tuple[int, ...], pixels: int) -> NDArray[Any]:
    indices = as_array("indices", given)
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"indices has dtype {indices.dtype}, expected the int32 indices of max_pool2d"
        )
    expect_shape("indices", indices, shape, "the shape of dy")
    wrong = (indices < 0) | (indices >= pixels)
    if wrong.any():
        where = tuple(int(axis[0]) for axis in np.nonzero(wrong))
        raise ValueError(
            f"indices{list(where)} is {int(indices[where])}, expected 0 to {pixels - 1}: "
            "pass the indices that max_pool2d returned for this input"
        )
    return indices
