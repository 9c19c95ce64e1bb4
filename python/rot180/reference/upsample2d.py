"""Images made larger, or smaller: nearest neighbours and bilinear interpolation.

Both are linear, and the same for rows and for columns: pixel i of y is
``(1 - share[i]) * x[low[i]] + share[i] * x[high[i]]``, along one axis and then along the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    as_batch,
    batch_shape,
    check_interpolation,
    expect_shape,
    float_array,
    scale_pair,
)
from rot180.geometry import upsample2d_shape


def upsample2d(
    x: FloatArray,
    scale_factor: float | Sequence[float],
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> FloatArray:
    """Make images `scale_factor` times as large.

    ``y[n,i,j,c] = x[n,p,q,c]``

    where p is ``floor(i / scale)`` for the nearest pixel, and bilinearly
    ``max((i + 1/2) / scale - 1/2, 0)``, or ``i * (H-1) / (OH-1)`` with align_corners, but H - 1 at
    most; q likewise. Between pixels x is mixed of the nearest two.

    Parameters
    ----------
    x : (N, H, W, C) or one image (H, W, C), float32 or float64
    scale_factor : number or (vertical, horizontal), greater than 0
    mode : "nearest" or "bilinear"
    align_corners : whether corner pixels lie on one another, or their outer corners

    Returns
    -------
    y : (N, OH, OW, C) or (OH, OW, C), OH being floor(H * scale)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import upsample2d
    >>> x = np.array([[1.0, 5.0]])[:, :, np.newaxis]
    >>> upsample2d(x, (1, 2)).ravel().tolist()
    [1.0, 1.0, 5.0, 5.0]
    >>> upsample2d(x, (1, 2), mode="bilinear").ravel().tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    check_interpolation(mode, align_corners)
    scale = scale_pair(scale_factor)
    x = float_array("x", x)
    y = as_batch("x", x)
    out = upsample2d_shape(y.shape, scale)
    for axis in (1, 2):
        low, high, share = _sources(
            y.shape[axis], out[axis], scale[axis - 1], mode, align_corners, x.dtype
        )
        y = np.moveaxis(y, axis, 0)
        second = np.where(share > 0, y[high], 0)  # a share of infinity that is zero is no term
        y = (1 - share) * y[low] + share * second
        y = np.moveaxis(y, 0, axis)
    return y if x.ndim == 4 else y[0]


def upsample2d_grad_input(
    dy: FloatArray,
    input_shape: Sequence[int],
    scale_factor: float | Sequence[float],
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> FloatArray:
    """Hand dy back to the pixels that y was made of, by their shares.

    ``dx[low[i]] += (1 - share[i]) * dy[i]; dx[high[i]] += share[i] * dy[i]``  along each axis

    Parameters
    ----------
    dy : (N, OH, OW, C) or (OH, OW, C), float32 or float64
    input_shape : (N, H, W, C) or (H, W, C)
    scale_factor, mode, align_corners : as in `upsample2d`

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
    >>> from rot180.reference import upsample2d_grad_input
    >>> dy = np.array([[1.0, 2.0, 4.0, 8.0]])[:, :, np.newaxis]
    >>> upsample2d_grad_input(dy, (1, 2, 1), (1, 2)).ravel().tolist()
    [3.0, 12.0]
    """
    check_interpolation(mode, align_corners)
    scale = scale_pair(scale_factor)
    dy = float_array("dy", dy)
    shape = batch_shape(input_shape, dy)
    dx = as_batch("dy", dy)
    out = upsample2d_shape(shape, scale)
    expect_shape("dy", dx, out, "the shape of upsample2d's output")
    for axis in (1, 2):
        low, high, share = _sources(
            shape[axis], out[axis], scale[axis - 1], mode, align_corners, dy.dtype
        )
        gradient = np.moveaxis(dx, axis, 0)
        spread = np.zeros((shape[axis], *gradient.shape[1:]), dy.dtype)
        np.add.at(spread, low, (1 - share) * gradient)
        np.add.at(spread, high, share * np.where(share > 0, gradient, 0))
        dx = np.moveaxis(spread, 0, axis)
    return dx if dy.ndim == 4 else dx[0]


def _sources(
    size: int, out: int, scale: float, mode: str, align_corners: bool, dtype: np.dtype[Any]
) -> tuple[NDArray[np.intp], NDArray[np.intp], FloatArray]:
    """The two pixels that each output along an axis is mixed of, and the second's share of it.

    The shares have three more axes, for what each pixel along the axis is.
    """
    i = np.arange(out)
    if mode == "nearest":
        place = np.floor(i / scale)
    elif align_corners:
        place = i * (size - 1) / max(out - 1, 1)
    else:
        place = np.maximum((i + 0.5) / scale - 0.5, 0)
    place = np.minimum(place, size - 1)
    low = np.floor(place).astype(np.intp)
    share = (place - low).astype(dtype)
    return low, np.minimum(low + 1, size - 1), share.reshape(-1, 1, 1, 1)
