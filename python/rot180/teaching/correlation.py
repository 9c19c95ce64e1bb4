"""Correlation, convolution, the turn by 180 degrees that links them, and zeros in between."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import as_array
from rot180.geometry import Padding, conv2d_geometry, positive_int
from rot180.reference.taps import taps
from rot180.teaching.arguments import expect_axes, number_arrays


def rot180(w: NDArray[Any]) -> NDArray[Any]:
    """Turn a kernel by 180 degrees in its two spatial axes, never in its channel axes.

    ``rot180(w)[r, s] = w[KH-1-r, KW-1-s]``

    Parameters
    ----------
    w : (KH, KW), (KH, KW, C) or (KH, KW, C, K), any dtype

    Returns
    -------
    A new array of the same shape.

    Raises
    ------
    ValueError
        When w has another number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import rot180
    >>> rot180(np.array([[1, 2, 3], [4, 5, 6]]))
    array([[6, 5, 4],
           [3, 2, 1]])
    """
    w = as_array("w", w)
    expect_axes("w", w, ("(KH, KW)", "(KH, KW, C)", "(KH, KW, C, K)"))
    return w[::-1, ::-1].copy()


def correlate2d(x: NDArray[Any], w: NDArray[Any], mode: str = "full") -> NDArray[Any]:
    """Lay the kernel over the image at every position and sum the products.

    ``y[i,j] = sum over r,s of x[i + r - top, j + s - left] * w[r,s]``, terms outside x left out

    "valid": the kernel stays inside x, top = left = 0. "full": every position where it touches x,
    top = KH - 1, left = KW - 1. "same": y has the shape of x, top = (KH-1)//2, left = (KW-1)//2.
    As `scipy.signal.correlate2d`, except that a kernel larger than x is an error in mode "valid".

    Parameters
    ----------
    x : (H, W), integers, float32 or float64
    w : (KH, KW), the like
    mode : "full", "valid" or "same"

    Returns
    -------
    y : (H+KH-1, W+KW-1) in mode "full", (H-KH+1, W-KW+1) in "valid", (H, W) in "same"

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value.

    Examples
    --------
    The forward pass is a valid correlation, and dx a full one with the kernel turned:

    >>> import numpy as np
    >>> from rot180.teaching import correlate2d, rot180
    >>> x = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]])
    >>> w = np.array([[1, 2], [3, 4]])
    >>> correlate2d(x, w, "valid")
    array([[37, 47],
           [67, 77]])
    >>> dy = np.array([[1, -1], [2, 0.5]])
    >>> correlate2d(dy, rot180(w), "full")
    array([[ 1. ,  1. , -2. ],
           [ 5. ,  5.5, -3. ],
           [ 6. ,  9.5,  2. ]])
    """
    x, w = _image_and_kernel(x, w)
    return _correlate(x, w, _checked_mode(mode))


def convolve2d(x: NDArray[Any], w: NDArray[Any], mode: str = "full") -> NDArray[Any]:
    """Correlate with the kernel turned by 180 degrees: the convolution of mathematics.

    ``y[i,j] = sum over r,s of x[i + top' - r, j + left' - s] * w[r,s]``, terms outside x left out

    The modes are those of `correlate2d`, with top' = 0 in "full", KH - 1 in "valid" and (KH-1)//2
    in "same": under an even kernel, "same" has the odd row of padding on the other side than
    `correlate2d`. As `scipy.signal.convolve2d`.

    Parameters
    ----------
    x : (H, W), integers, float32 or float64
    w : (KH, KW), the like
    mode : "full", "valid" or "same"

    Returns
    -------
    y : of the shape that `correlate2d` returns

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import convolve2d
    >>> convolve2d([[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[1, 2], [3, 4]], "valid")
    array([[23, 33],
           [53, 63]])
    """
    x, w = _image_and_kernel(x, w)
    padding: Padding = _checked_mode(mode)
    if mode == "same":
        padding = tuple((size // 2, (size - 1) // 2) for size in w.shape)
    return _correlate(x, rot180(w), padding)


def interleave_zeros(x: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Put `rows` rows and `columns` columns of zeros between the entries of x.

    ``y[i*(rows+1), j*(columns+1)] = x[i,j]``, zero elsewhere. Stride s in the forward pass means
    s - 1 zeros between the entries of dy in the backward pass, which then has stride 1.

    Parameters
    ----------
    x : (H, W) or (H, W, C), any dtype
    rows, columns : int, 0 or more

    Returns
    -------
    y : (H + (H-1)*rows, W + (W-1)*columns), or the same with C

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong type, shape or value.

    Examples
    --------
    >>> from rot180.teaching import interleave_zeros
    >>> interleave_zeros([[1, 2, 3], [4, 5, 6], [7, 8, 9]], rows=1, columns=2)
    array([[1, 0, 0, 2, 0, 0, 3],
           [0, 0, 0, 0, 0, 0, 0],
           [4, 0, 0, 5, 0, 0, 6],
           [0, 0, 0, 0, 0, 0, 0],
           [7, 0, 0, 8, 0, 0, 9]])
    """
    x = as_array("x", x)
    expect_axes("x", x, ("(H, W)", "(H, W, C)"))
    rows, columns = _not_negative("rows", rows), _not_negative("columns", columns)
    height, width = (max(size - 1, 0) for size in x.shape[:2])
    shape = (x.shape[0] + height * rows, x.shape[1] + width * columns, *x.shape[2:])
    y = np.zeros(shape, x.dtype)
    y[:: rows + 1, :: columns + 1] = x
    return y


def full_mode_size(length: int, kernel: int, stride: int = 1) -> tuple[int, int, int]:
    """Output length and padding of a strided full-mode correlation along one axis.

    For length n, kernel f and stride s, with ``t = (n + f - 2) // s``:
    ``out = t + 1``, ``pad_left = f - 1``, ``pad_right = s*t - n + 1``. The padding is just enough
    for the last window; a negative pad_right says how many entries at the end no window reads.

    Parameters
    ----------
    length, kernel, stride : int, 1 or more

    Returns
    -------
    out, pad_left, pad_right : int

    Raises
    ------
    TypeError, ValueError
        Naming the argument that is not a positive integer.

    Examples
    --------
    >>> from rot180.teaching import full_mode_size
    >>> full_mode_size(10, 3, 2)
    (6, 2, 1)
    >>> full_mode_size(5, 5)
    (9, 4, 4)
    """
    n, f = positive_int("length", length), positive_int("kernel", kernel)
    s = positive_int("stride", stride)
    t = (n + f - 2) // s
    return t + 1, f - 1, s * t - n + 1


def _correlate(x: NDArray[Any], w: NDArray[Any], padding: Padding) -> NDArray[Any]:
    geometry = conv2d_geometry((1, *x.shape, 1), (*w.shape, 1, 1), padding=padding)
    y = np.zeros(geometry.output_shape[1:3], x.dtype)
    for r, s, (_, *inputs), (_, *outputs) in taps(geometry):
        y[tuple(outputs)] += w[r, s] * x[tuple(inputs)]
    return y


def _image_and_kernel(x: NDArray[Any], w: NDArray[Any]) -> list[NDArray[Any]]:
    x, w = number_arrays(x=x, w=w)
    mend = "rot180.reference.conv2d takes channels"
    expect_axes("x", x, ("(H, W)",), mend)
    expect_axes("w", w, ("(KH, KW)",), mend)
    return [x, w]


def _checked_mode(mode: str) -> str:
    if mode not in ("full", "valid", "same"):
        raise ValueError(f'mode={mode!r} is unknown: expected "full", "valid" or "same"')
    return mode


def _not_negative(name: str, value: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if number < 0:
        raise ValueError(f"{name} must be 0 or more, got {number}")
    return number
