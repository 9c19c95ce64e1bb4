"""Max and mean pooling. Pixel (p, q) = (i*sh + r - top, j*sw + s - left) is under tap (r, s)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    as_array,
    as_batch,
    batch_shape,
    expect_shape,
    float_array,
)
from rot180.geometry import (
    LARGEST_EXTENT,
    IntOrPair,
    Padding,
    Pool2dGeometry,
    pool2d_geometry,
)
from rot180.reference.taps import taps


def max_pool2d(
    x: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    return_indices: bool = False,
) -> FloatArray | tuple[FloatArray, NDArray[np.int32]]:
    """Keep the largest pixel of each window, the first one of equals.

    ``y[n,i,j,c] = max over r,s of x[n,p,q,c]``

    A NaN is larger than any number, and the first NaN wins; padding counts as -inf and is never
    chosen.

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair; None means kernel_size
    padding : as in `conv2d`, smaller than the window on every side
    return_indices : whether to return where each maximum was

    Returns
    -------
    y : (N, OH, OW, C) or (OH, OW, C)
    indices : int32, shape of y, ``p*W + q`` of the chosen pixel; only with return_indices

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
    geometry = pool2d_geometry(images.shape, kernel_size, stride, padding)
    pixels = _pixel_numbers(geometry)
    y = np.full(geometry.output_shape, -np.inf, x.dtype)
    indices = np.full(geometry.output_shape, -1, np.int32)
    for _, _, inputs, outputs in taps(geometry):
        value, best, index = images[inputs], y[outputs], indices[outputs]  # the last two: views
        wins = (index < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
        np.copyto(best, value, where=wins)
        np.copyto(index, pixels[inputs], where=wins)
    if x.ndim == 3:
        y, indices = y[0], indices[0]
    return (y, indices) if return_indices else y


def max_pool2d_grad_input(
    dy: FloatArray,
    indices: NDArray[np.integer[Any]],
    input_shape: Sequence[int],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
) -> FloatArray:
    """Hand each dy to the one pixel that was the maximum; it may have been so in several windows.

    ``dx[n, indices[n,i,j,c], c] += dy[n,i,j,c]``  with the pixels of x counted row by row

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    indices : integers, shape of dy, from `max_pool2d`
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding : as in `max_pool2d`

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
    geometry = pool2d_geometry(shape, kernel_size, stride, padding)
    gradient = as_batch("dy", dy)
    expect_shape("dy", gradient, geometry.output_shape, "the shape of max_pool2d's output")
    _expect_countable(*shape[1:3])
    chosen = _checked_indices(indices, dy.shape, shape[1] * shape[2]).reshape(gradient.shape)
    image, channel = np.arange(shape[0]).reshape(-1, 1, 1, 1), np.arange(shape[3])
    dx = np.zeros((shape[0], shape[1] * shape[2], shape[3]), dy.dtype)
    np.add.at(dx, (image, chosen, channel), gradient)
    return dx.reshape(input_shape)


def avg_pool2d(
    x: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    count_include_pad: bool = True,
) -> FloatArray:
    """Take the mean of each window.

    ``y[n,i,j,c] = (sum over r,s of x[n,p,q,c]) / count[i,j]``

    count is KH*KW, or, without count_include_pad, the number of the window's pixels inside x.

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    kernel_size : int or (KH, KW)
    stride : int or pair; None means kernel_size
    padding : as in `conv2d`, smaller than the window on every side
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
    geometry = pool2d_geometry(images.shape, kernel_size, stride, padding)
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
    count_include_pad: bool = True,
) -> FloatArray:
    """Hand every pixel of a window the same share of dy.

    ``dx[n,p,q,c] += dy[n,i,j,c] / count[i,j]``  for every i, j, r, s

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    input_shape : (N, H, W, C) or (H, W, C)
    kernel_size, stride, padding, count_include_pad : as in `avg_pool2d`

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
    geometry = pool2d_geometry(shape, kernel_size, stride, padding)
    gradient = as_batch("dy", dy)
    expect_shape("dy", gradient, geometry.output_shape, "the shape of avg_pool2d's output")
    share = gradient / _counts(geometry, dy.dtype, count_include_pad)
    dx = np.zeros(shape, dy.dtype)
    for _, _, inputs, outputs in taps(geometry):
        dx[inputs] += share[outputs]
    return dx if dy.ndim == 4 else dx[0]


def _counts(geometry: Pool2dGeometry, dtype: np.dtype[Any], include_pad: bool) -> FloatArray:
    """By how much each output pixel is divided, as (1, OH, OW, 1)."""
    _, out_height, out_width, _ = geometry.output_shape
    counts: FloatArray = np.zeros((1, out_height, out_width, 1), dtype)
    for _, _, _, outputs in taps(geometry):
        counts[outputs] += 1
    if include_pad:
        counts[:] = geometry.kernel_size[0] * geometry.kernel_size[1]
    return counts


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
