"""The convolution and its gradients for one image, loop by loop: something to compare yours with.

x is (H, W, C), weight (KH, KW, C, K), bias (K,), y and dy (OH, OW, K); integers, float32 or
float64. Each function agrees with the one of the same name in `rot180.reference`, without groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import expect_shape
from rot180.geometry import (
    Conv2dGeometry,
    IntOrPair,
    Padding,
    conv2d_geometry,
    frozen_shape,
    int_pair,
)
from rot180.teaching.arguments import expect_axes, number_arrays


def conv2d(
    x: NDArray[Any],
    weight: NDArray[Any],
    bias: NDArray[Any] | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
) -> NDArray[Any]:
    """Add up, for each output pixel and filter, the products under the window.

    ``y[i,j,k] = b[k] + sum over r,s,c of x[i*sh + r*dh - top, j*sw + s*dw - left, c] * w[r,s,c,k]``

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import loops
    >>> x = np.arange(1, 10).reshape(3, 3, 1)
    >>> weight = np.array([[1, 2], [3, 4]]).reshape(2, 2, 1, 1)
    >>> loops.conv2d(x, weight)[:, :, 0]
    array([[37, 47],
           [67, 77]])
    """
    if bias is None:
        bias = np.zeros(np.shape(weight)[-1:], int)
    x, weight, bias = number_arrays(x=x, weight=weight, bias=bias)
    expect_axes("x", x, ("(H, W, C)",))
    geometry = _geometry(x.shape, weight.shape, stride, padding, dilation)
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    height, width, channels = x.shape
    kernel_h, kernel_w, _, filters = weight.shape
    _, out_height, out_width, _ = geometry.output_shape
    expect_shape("bias", bias, (filters,), "one entry for each output channel")

    y = np.zeros((out_height, out_width, filters), x.dtype)
    for i in range(out_height):
        for j in range(out_width):
            for k in range(filters):
                y[i, j, k] = bias[k]
                for r in range(kernel_h):
                    for s in range(kernel_w):
                        p, q = i * sh + r * dh - top, j * sw + s * dw - left
                        if 0 <= p < height and 0 <= q < width:
                            for c in range(channels):
                                y[i, j, k] += x[p, q, c] * weight[r, s, c, k]
    return y


def conv2d_grad_input(
    dy: NDArray[Any],
    weight: NDArray[Any],
    input_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
) -> NDArray[Any]:
    """Gather for each input pixel from the windows that read it: no two write to one place.

    ``dx[p,q,c] = sum over i,j,k of dy[i,j,k] * w[r,s,c,k]``

    with ``r = (p + top - i*sh) / dh`` and ``s = (q + left - j*sw) / dw``, for the windows i, j of
    `windows_over` where these are whole numbers. As i grows r falls: that is the turned kernel.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import loops
    >>> dy = np.array([[1, -1], [2, 0.5]]).reshape(2, 2, 1)
    >>> weight = np.array([[1, 2], [3, 4]]).reshape(2, 2, 1, 1)
    >>> loops.conv2d_grad_input(dy, weight, (3, 3, 1))[:, :, 0]
    array([[ 1. ,  1. , -2. ],
           [ 5. ,  5.5, -3. ],
           [ 6. ,  9.5,  2. ]])
    """
    dy, weight = number_arrays(dy=dy, weight=weight)
    geometry = _geometry(
        frozen_shape("input_shape", input_shape), weight.shape, stride, padding, dilation
    )
    expect_shape("dy", dy, geometry.output_shape[1:], "the shape of conv2d's output")
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    window_h, window_w = geometry.effective_kernel
    _, height, width, channels = geometry.input_shape
    out_height, out_width, filters = dy.shape

    dx = np.zeros((height, width, channels), dy.dtype)
    for p in range(height):
        for q in range(width):
            for i in windows_over(p + top, window_h, sh, out_height):
                for j in windows_over(q + left, window_w, sw, out_width):
                    r, between_rows = divmod(p + top - i * sh, dh)
                    s, between_columns = divmod(q + left - j * sw, dw)
                    if between_rows or between_columns:
                        continue  # the pixel lies between two taps of the dilated kernel
                    for c in range(channels):
                        for k in range(filters):
                            dx[p, q, c] += dy[i, j, k] * weight[r, s, c, k]
    return dx


def windows_over(position: int, window: int, stride: int, out: int) -> range:
    """Return the windows i, of out in a row, that cover a position of the padded input.

    Window i covers ``i*stride .. i*stride + window - 1``, so ``i*stride <= position`` and
    ``i*stride >= position - window + 1``. The upper bound is rounded down and is at most out - 1;
    the lower bound is rounded UP and is at least 0: ``ceil((position - window + 1) / stride)`` is
    ``(position - window) // stride + 1``. Rounded down, it would name a window that ends before
    the position, and read outside the kernel. (In C, where -1 / 2 is 0, test position < window
    first, as here.)

    Examples
    --------
    Windows of 3 at stride 2 over 7 positions: 0-2, 2-4, 4-6.

    >>> from rot180.teaching import loops
    >>> [list(loops.windows_over(position, 3, 2, 3)) for position in range(7)]
    [[0], [0], [0, 1], [1], [1, 2], [2], [2]]
    """
    first = 0 if position < window else (position - window) // stride + 1
    last = min(out - 1, position // stride)
    return range(first, last + 1)


def conv2d_grad_weight(
    x: NDArray[Any],
    dy: NDArray[Any],
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
) -> NDArray[Any]:
    """Add up, for each weight, what it was multiplied with, times dy: a sum, not a mean.

    ``dw[r,s,c,k] = sum over i,j of x[i*sh + r*dh - top, j*sw + s*dw - left, c] * dy[i,j,k]``

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import loops
    >>> x = np.arange(1, 10).reshape(3, 3, 1)
    >>> dy = np.array([[1, -1], [2, 0.5]]).reshape(2, 2, 1)
    >>> loops.conv2d_grad_weight(x, dy, 2)[:, :, 0, 0]
    array([[ 9.5, 12. ],
           [17. , 19.5]])
    """
    x, dy = number_arrays(x=x, dy=dy)
    expect_axes("x", x, ("(H, W, C)",))
    expect_axes("dy", dy, ("(OH, OW, K)",))
    kernel_h, kernel_w = int_pair("kernel_size", kernel_size)
    height, width, channels = x.shape
    out_height, out_width, filters = dy.shape
    weight_shape = (kernel_h, kernel_w, channels, filters)
    geometry = _geometry(x.shape, weight_shape, stride, padding, dilation)
    expect_shape("dy", dy, geometry.output_shape[1:], "the shape of conv2d's output")
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding

    gradient = np.zeros(weight_shape, x.dtype)
    for r in range(kernel_h):
        for s in range(kernel_w):
            for i in range(out_height):
                for j in range(out_width):
                    p, q = i * sh + r * dh - top, j * sw + s * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        for c in range(channels):
                            for k in range(filters):
                                gradient[r, s, c, k] += x[p, q, c] * dy[i, j, k]
    return gradient


def conv2d_grad_bias(dy: NDArray[Any]) -> NDArray[Any]:
    """Add up dy over all pixels, for each filter: a filter has one bias, and every pixel uses it.

    ``db[k] = sum over i,j of dy[i,j,k]``

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.teaching import loops
    >>> loops.conv2d_grad_bias(np.array([[1, -1], [2, 0.5]]).reshape(2, 2, 1))
    array([2.5])
    """
    (dy,) = number_arrays(dy=dy)
    expect_axes("dy", dy, ("(OH, OW, K)",))
    out_height, out_width, filters = dy.shape
    db = np.zeros(filters, dy.dtype)
    for i in range(out_height):
        for j in range(out_width):
            for k in range(filters):
                db[k] += dy[i, j, k]
    return db


def _geometry(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair,
    padding: Padding,
    dilation: IntOrPair,
) -> Conv2dGeometry:
    if len(input_shape) != 3:
        raise ValueError(f"input_shape is {input_shape}, expected one image (H, W, C)")
    return conv2d_geometry((1, *input_shape), weight_shape, stride, padding, dilation)
