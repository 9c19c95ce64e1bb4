"""Convolution and its three gradients, on NHWC images and HWIO weights."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    as_batch,
    batch_shape,
    bias_array,
    expect_dtype,
    expect_same_axes,
    expect_shape,
    float_array,
    float_dtype,
    saved_output,
)
from rot180.functional.activation import core_activation
from rot180.functional.results import result_array
from rot180.geometry import (
    Conv2dGeometry,
    IntOrPair,
    Padding,
    conv2d_geometry,
    int_pair,
    positive_int,
)
from rot180.runtime import core_algorithm

_PASSES = {
    "conv2d": _core.Pass.conv2d,
    "conv2d_grad_input": _core.Pass.conv2d_grad_input,
    "conv2d_grad_weight": _core.Pass.conv2d_grad_weight,
}


def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
    out: FloatArray | None = None,
) -> FloatArray:
    """Convolve a batch of images: a cross-correlation plus bias, and an activation if one is named.

    y[n,i,j,k] = activation(bias[k] + sum over r,s,c of
    x[n, i*sh + r*dh - top, j*sw + s*dw - left, c] * weight[r,s,c,k]), x being 0 outside the image.

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C)
        float32 or float64. Any strides; what is not contiguous is copied first.
    weight : array (KH, KW, C // groups, K)
        The filters, of x's dtype.
    bias : array (K,), optional
        One number for each filter.
    stride, dilation : int or (vertical, horizontal)
    padding : int, (ph, pw), ((top, bottom), (left, right)), "valid", "same" or "full"
        Zeros around the image. "same" is TensorFlow's: ceil(H / stride) rows.
    groups : int
        Output channels of group g see the input channels of group g alone; C is depthwise.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"
    algorithm : "auto", "direct" or "winograd"
        Winograd's takes a quarter of a 3x3 kernel's multiplications and rounds a little more; it
        serves square kernels of 2 to 5 taps for each step of the stride, which must divide the
        kernel, without dilation and groups. "auto" is `rot180.set_algorithm`'s choice, or the
        faster one for the shape: `conv2d_algorithm` tells which.
    out : array, optional
        Where to write y: C-contiguous, of y's shape and x's dtype, overlapping no input.

    Returns
    -------
    array (N, OH, OW, K), or (OH, OW, K) for one image
        OH = (H + top + bottom - dh*(KH-1) - 1) // sh + 1.

    Raises
    ------
    ValueError, TypeError
        Where shapes, dtypes or options do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv2d
    >>> x = np.arange(1.0, 10.0).reshape(3, 3, 1)
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1)
    >>> conv2d(x, w)[:, :, 0]
    array([[37., 47.],
           [67., 77.]])
    """
    x = float_array("x", x)
    weight = float_array("weight", weight)
    expect_dtype("weight", weight, "x", x)
    images = as_batch("x", x)
    geometry = conv2d_geometry(images.shape, weight.shape, stride, padding, dilation, groups)
    bias = bias_array(bias, x, geometry.output_shape[3])
    how = core_algorithm(algorithm)
    y_shape = geometry.output_shape if x.ndim == 4 else geometry.output_shape[1:]
    y = result_array(out, y_shape, x.dtype, (x, weight, bias))
    _core.conv2d(core_shape(geometry), images, weight, bias, core_activation(activation), y, how)
    return y


def conv2d_grad_input(
    dy: ArrayLike,
    weight: ArrayLike,
    input_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    y: ArrayLike | None = None,
    algorithm: str = "auto",
    out: FloatArray | None = None,
) -> FloatArray:
    """Carry the gradient of a convolution's output back to its input.

    dx[n,p,q,c] = sum over k and over every (i,r), (j,s) with p = i*sh + r*dh - top,
    q = j*sw + s*dw - left of dy[n,i,j,k] * weight[r,s,c,k]. For stride 1 this is the full-mode
    correlation of dy with the kernel turned by 180 degrees, its channels exchanged.

    Parameters
    ----------
    dy : array (N, OH, OW, K) or (OH, OW, K)
        The loss's gradient by y, the output of conv2d.
    weight : array (KH, KW, C // groups, K)
    input_shape : (N, H, W, C) or (H, W, C)
        The shape of x. A strided output does not determine it.
    stride, padding, dilation, groups, algorithm, out
        As in `conv2d`.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"
        What conv2d applied. dy is multiplied by its derivative as it is read, with no pass of its
        own.
    y : array of dy's shape and dtype
        What conv2d returned, from which the derivative is taken. With an activation, and only then.

    Returns
    -------
    array of shape input_shape

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv2d_grad_input
    >>> dy = np.array([[1.0, -1.0], [2.0, 0.5]]).reshape(2, 2, 1)
    >>> w = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(2, 2, 1, 1)
    >>> conv2d_grad_input(dy, w, (3, 3, 1))[:, :, 0]
    array([[ 1. ,  1. , -2. ],
           [ 5. ,  5.5, -3. ],
           [ 6. ,  9.5,  2. ]])
    >>> y = np.array([[0.0, 3.0], [0.0, 0.0]]).reshape(2, 2, 1)  # as relu left it
    >>> conv2d_grad_input(dy, w, (3, 3, 1), activation="relu", y=y)[:, :, 0]
    array([[ 0., -1., -2.],
           [ 0., -3., -4.],
           [ 0.,  0.,  0.]])
    """
    dy = float_array("dy", dy)
    weight = float_array("weight", weight)
    expect_dtype("weight", weight, "dy", dy)
    delta = as_batch("dy", dy)
    x_shape = batch_shape(input_shape, dy)
    geometry = conv2d_geometry(x_shape, weight.shape, stride, padding, dilation, groups)
    expect_shape("dy", delta, geometry.output_shape, "the shape of conv2d's output for input_shape")
    how = core_algorithm(algorithm)
    y = saved_output(activation, y, dy)
    kind = core_activation(activation)
    dx = result_array(out, x_shape if dy.ndim == 4 else x_shape[1:], dy.dtype, (dy, weight, y))
    _core.conv2d_grad_input(core_shape(geometry), delta, kind, y, weight, dx, how)
    return dx


def conv2d_grad_weight(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    y: ArrayLike | None = None,
    algorithm: str = "auto",
    out: FloatArray | None = None,
    bias_out: FloatArray | None = None,
) -> FloatArray:
    """Gradient of a convolution's weight, summed over the batch.

    dw[r,s,c,k] = sum over n,i,j of
    x[n, i*sh + r*dh - top, j*sw + s*dw - left, c] * dy[n,i,j,k].

    Parameters
    ----------
    x : array (N, H, W, C) or (H, W, C)
    dy : array (N, OH, OW, K) or (OH, OW, K)
        The loss's gradient by y, the output of conv2d.
    kernel_size : int or (KH, KW)
    stride, padding, dilation, groups, algorithm, out
        As in `conv2d`.
    activation, y
        As in `conv2d_grad_input`.
    bias_out : array (K,), optional
        Where to write db, the gradient of the bias, in the same read of dy: C-contiguous, of x's
        dtype, overlapping no input and not out.

    Returns
    -------
    array (KH, KW, C // groups, K)
        Zeros for a batch of none.

    Raises
    ------
    ValueError, TypeError
        As `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv2d_grad_weight
    >>> x = np.arange(1.0, 10.0).reshape(3, 3, 1)
    >>> dy = np.array([[1.0, -1.0], [2.0, 0.5]]).reshape(2, 2, 1)
    >>> conv2d_grad_weight(x, dy, 2)[:, :, 0, 0]
    array([[ 9.5, 12. ],
           [17. , 19.5]])
    >>> db = np.empty(1)
    >>> dw = conv2d_grad_weight(x, dy, 2, bias_out=db)
    >>> db
    array([2.5])
    """
    x = float_array("x", x)
    dy = float_array("dy", dy)
    expect_dtype("dy", dy, "x", x)
    expect_same_axes(x, dy)
    images, delta = as_batch("x", x), as_batch("dy", dy)
    group_channels = images.shape[3] // positive_int("groups", groups)
    weight_shape = (*int_pair("kernel_size", kernel_size), group_channels, delta.shape[3])
    geometry = conv2d_geometry(images.shape, weight_shape, stride, padding, dilation, groups)
    expect_shape("dy", delta, geometry.output_shape, "the shape of conv2d's output for x")
    how = core_algorithm(algorithm)
    y = saved_output(activation, y, dy)
    kind = core_activation(activation)
    dw = result_array(out, weight_shape, x.dtype, (x, dy, y))
    if bias_out is not None:
        result_array(bias_out, dy.shape[-1:], x.dtype, (x, dy, y, out), "bias_out")
    _core.conv2d_grad_weight(core_shape(geometry), images, delta, kind, y, dw, bias_out, how)
    return dw


def conv2d_grad_bias(dy: ArrayLike) -> FloatArray:
    """Gradient of a convolution's bias: dy summed over batch and positions, db[k].

    Parameters
    ----------
    dy : array (N, OH, OW, K) or (OH, OW, K)

    Returns
    -------
    array (K,)

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv2d_grad_bias
    >>> conv2d_grad_bias(np.ones((2, 3, 3, 4))).tolist()
    [18.0, 18.0, 18.0, 18.0]
    """
    dy = as_batch("dy", float_array("dy", dy))
    if dy.shape[3] == 0:
        raise ValueError(f"dy has shape {dy.shape}: expected at least one channel")
    db = result_array(None, dy.shape[3:], dy.dtype, ())
    _core.conv2d_grad_bias(dy, db)
    return db


def conv2d_algorithm(
    name: str,
    input_shape: Sequence[int],
    weight_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    dtype: DTypeLike = np.float32,
) -> str:
    """Tell which algorithm "auto" comes to for one shape.

    It depends on the shape, the dtype, the instruction set and `rot180.set_algorithm`, and never on
    the number of threads.

    Parameters
    ----------
    name : "conv2d", "conv2d_grad_input" or "conv2d_grad_weight"
    input_shape : (N, H, W, C)
        The shape of x.
    weight_shape : (KH, KW, C // groups, K)
    stride, padding, dilation, groups
        As in `conv2d`.
    dtype : float32 or float64

    Returns
    -------
    "direct" or "winograd"

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or does not fit the others.

    Examples
    --------
    >>> from rot180.functional import conv2d_algorithm
    >>> conv2d_algorithm("conv2d", (8, 56, 56, 64), (3, 3, 64, 64), padding=1)
    'winograd'
    >>> conv2d_algorithm("conv2d", (8, 56, 56, 64), (3, 3, 64, 64), padding=1, stride=2)
    'direct'
    """
    if name not in _PASSES:
        raise ValueError(f"name is {name!r}, expected one of {list(_PASSES)}")
    geometry = conv2d_geometry(
        tuple(input_shape), tuple(weight_shape), stride, padding, dilation, groups
    )
    how = _core.conv2d_algorithm(_PASSES[name], core_shape(geometry), float_dtype(dtype))
    return how.name


@lru_cache(maxsize=1024)
def core_shape(geometry: Conv2dGeometry) -> _core.Conv2dShape:
    """A checked geometry, as the kernels take it."""
    (top, _), (left, _) = geometry.padding
    return _core.Conv2dShape(
        geometry.input_shape,
        geometry.weight_shape,
        geometry.output_shape,
        geometry.stride,
        (top, left),
        geometry.dilation,
        geometry.groups,
    )
