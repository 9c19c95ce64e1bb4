"""Images made larger, or smaller: nearest neighbours and bilinear interpolation."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    as_batch,
    batch_shape,
    check_interpolation,
    expect_shape,
    float_array,
    scale_pair,
)
from rot180.functional.pool2d import resize2d_shape
from rot180.functional.results import new_array
from rot180.geometry import upsample2d_shape


def upsample2d(
    x: ArrayLike,
    scale_factor: float | Sequence[float],
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> FloatArray:
    """Make images `scale_factor` times as large.

    y[n,i,j,c] = x[n, p, q, c], where p is floor(i / scale) for the nearest pixel. Bilinearly, p is
    max((i + 1/2) / scale - 1/2, 0), or i * (H-1) / (OH-1) with `align_corners`, and between pixels
    the nearest two rows are mixed by their distance; beyond the last one it is the last one.
    Columns likewise.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C), float32 or float64
    scale_factor : number or (vertical, horizontal)
        Greater than 0, and whole or not; less than 1 leaves pixels out.
    mode : "nearest" or "bilinear"
    align_corners : bool
        Whether the corner pixels of x and y lie on one another, centre on centre; otherwise their
        outer corners do. Only with "bilinear".

    Returns
    -------
    array (N, OH, OW, C), or (OH, OW, C) for one image
        OH = floor(H * scale).

    Raises
    ------
    ValueError, TypeError
        Where shapes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import upsample2d
    >>> x = np.array([[1.0, 5.0]])[:, :, np.newaxis]
    >>> upsample2d(x, (1, 2)).ravel().tolist()
    [1.0, 1.0, 5.0, 5.0]
    >>> upsample2d(x, (1, 2), mode="bilinear").ravel().tolist()
    [1.0, 2.0, 4.0, 5.0]
    """
    check_interpolation(mode, align_corners)
    scale = scale_pair(scale_factor)
    x = float_array("x", x)
    images = as_batch("x", x)
    y_shape = upsample2d_shape(images.shape, scale)
    shape = resize2d_shape(images.shape, y_shape[1:3])
    y = new_array(y_shape if x.ndim == 4 else y_shape[1:], x.dtype)
    _core.upsample2d(shape, _interpolation(mode, align_corners), scale, images, y)
    return y


def upsample2d_grad_input(
    dy: ArrayLike,
    input_shape: Sequence[int],
    scale_factor: float | Sequence[float],
    *,
    mode: str = "nearest",
    align_corners: bool = False,
) -> FloatArray:
    """Hand each output's gradient to the pixels that it was made of, by their shares in it.

    The transpose of the linear map `upsample2d`:
    ``vdot(upsample2d(x, ...), dy) == vdot(x, upsample2d_grad_input(dy, ...))``.

    Parameters
    ----------
    dy : array (N, OH, OW, C) or (OH, OW, C)
    input_shape : (N, H, W, C) or (H, W, C)
    scale_factor, mode, align_corners
        As in `upsample2d`.

    Returns
    -------
    array of shape input_shape

    Raises
    ------
    ValueError, TypeError
        Where shapes or options do not fit; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import upsample2d_grad_input
    >>> dy = np.array([[1.0, 2.0, 4.0, 8.0]])[:, :, np.newaxis]
    >>> upsample2d_grad_input(dy, (1, 2, 1), (1, 2)).ravel().tolist()
    [3.0, 12.0]
    """
    check_interpolation(mode, align_corners)
    scale = scale_pair(scale_factor)
    dy = float_array("dy", dy)
    delta = as_batch("dy", dy)
    x_shape = batch_shape(input_shape, dy)
    y_shape = upsample2d_shape(x_shape, scale)
    expect_shape("dy", delta, y_shape, "the shape of upsample2d's output")
    shape = resize2d_shape(x_shape, y_shape[1:3])
    dx = new_array(x_shape if dy.ndim == 4 else x_shape[1:], dy.dtype)
    _core.upsample2d_grad_input(shape, _interpolation(mode, align_corners), scale, delta, dx)
    return dx


def _interpolation(mode: str, align_corners: bool) -> _core.Interpolation:
    if mode == "nearest":
        return _core.Interpolation.nearest
    if align_corners:
        return _core.Interpolation.bilinear_aligned
    return _core.Interpolation.bilinear
