"""Transposed convolution and its gradients: passes of the convolution that it transposes."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    as_batch,
    bias_array,
    expect_dtype,
    expect_same_axes,
    expect_shape,
    float_array,
)
from rot180.functional.activation import core_activation
from rot180.functional.conv2d import core_shape
from rot180.functional.results import result_array
from rot180.geometry import (
    IntOrPair,
    Padding,
    conv_transpose2d_geometry,
    conv_transpose2d_input_shape,
    int_pair,
    positive_int,
)
from rot180.runtime import core_algorithm


def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    algorithm: str = "auto",
    out: FloatArray | None = None,
) -> FloatArray:
    """Spread each pixel of x over a window of y: what carries gradients back through `conv2d`.

    y[n,p,q,k] = activation(bias[k] + sum over c and over every (i,r), (j,s) with
    p = i*sh + r*dh - top, q = j*sw + s*dw - left of x[n,i,j,c] * weight[r,s,k,c]). A pixel of y
    that no tap reaches is activation(bias[k]).

    Parameters
    ----------
    x : array (N, H, W, C) or one image (H, W, C)
        float32 or float64. Any strides; what is not contiguous is copied first.
    weight : array (KH, KW, K // groups, C)
        Of x's dtype, and laid out as the weight of the convolution that it transposes, which leads
        from y's K channels to x's C: the same array serves both. One of PyTorch's ConvTranspose2d,
        (C, K // groups, KH, KW), fits as ``weight.transpose(2, 3, 1, 0)``.
    bias : array (K,), optional
        One number for each channel of y.
    stride, dilation : int or (vertical, horizontal)
    padding : int, (ph, pw), ((top, bottom), (left, right)), "valid", "same" or "full"
        Of the convolution that it transposes: rows and columns that are cut off the full result.
        "same" makes H * sh rows, whatever the kernel.
    output_padding : int or (vertical, horizontal)
        Rows at the bottom and columns at the right to make y larger by, less than the stride or the
        dilation: a strided convolution takes images of several sizes to the same size. 0 with
        "same".
    groups : int
        Output channels of group g see the input channels of group g alone.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"
    algorithm : "auto", "direct" or "winograd"
        As in `conv2d`.
    out : array, optional
        Where to write y: C-contiguous, of y's shape and x's dtype, overlapping no input.

    Returns
    -------
    array (N, OH, OW, K), or (OH, OW, K) for one image
        OH = (H-1)*sh - top - bottom + dh*(KH-1) + 1 + output_padding.

    Raises
    ------
    ValueError, TypeError
        Where shapes, dtypes or options do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv_transpose2d
    >>> x = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1)
    >>> w = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1, 1)
    >>> conv_transpose2d(x, w, stride=2)[:, :, 0]
    array([[0., 0., 0., 1.],
           [0., 0., 2., 3.],
           [0., 2., 0., 3.],
           [4., 6., 6., 9.]])
    """
    x = float_array("x", x)
    weight = float_array("weight", weight)
    expect_dtype("weight", weight, "x", x)
    images = as_batch("x", x)
    geometry = conv_transpose2d_geometry(
        images.shape, weight.shape, stride, padding, output_padding, dilation, groups
    )
    y_shape = geometry.input_shape if x.ndim == 4 else geometry.input_shape[1:]
    bias = bias_array(bias, x, y_shape[-1])
    how = core_algorithm(algorithm)
    kind = core_activation(activation)
    y = result_array(out, y_shape, x.dtype, (x, weight, bias))
    _core.conv_transpose2d(core_shape(geometry), images, weight, bias, kind, y, how)
    return y


def conv_transpose2d_grad_input(
    dy: ArrayLike,
    weight: ArrayLike,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    algorithm: str = "auto",
    out: FloatArray | None = None,
) -> FloatArray:
    """Carry the gradient of a transposed convolution's output back to its input: a convolution.

    dx[n,i,j,c] = sum over r,s,k of
    dy[n, i*sh + r*dh - top, j*sw + s*dw - left, k] * weight[r,s,k,c].

    Parameters
    ----------
    dy : array (N, OH, OW, K) or (OH, OW, K)
        The loss's gradient by y. Where an activation was applied, pass `relu_grad_input(dy, y)` or
        the like.
    weight : array (KH, KW, K // groups, C)
    stride, padding, output_padding, dilation, groups, algorithm, out
        As in `conv_transpose2d`. Together they determine H and W.

    Returns
    -------
    array (N, H, W, C), or (H, W, C) for one image

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv_transpose2d_grad_input
    >>> w = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1, 1)
    >>> conv_transpose2d_grad_input(np.ones((4, 6, 1)), w, stride=2)[:, :, 0]
    array([[6., 6., 6.],
           [6., 6., 6.]])
    """
    dy = float_array("dy", dy)
    weight = float_array("weight", weight)
    expect_dtype("weight", weight, "dy", dy)
    delta = as_batch("dy", dy)
    options = (stride, padding, output_padding, dilation)
    x_shape = conv_transpose2d_input_shape(delta.shape, weight.shape, *options)
    geometry = conv_transpose2d_geometry(x_shape, weight.shape, *options, groups)
    expect_shape("dy", delta, geometry.input_shape, f"conv_transpose2d's output for x {x_shape}")
    how = core_algorithm(algorithm)
    dx = result_array(out, x_shape if dy.ndim == 4 else x_shape[1:], dy.dtype, (dy, weight))
    _core.conv2d(core_shape(geometry), delta, weight, None, _core.Activation.none, dx, how)
    return dx


def conv_transpose2d_grad_weight(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    algorithm: str = "auto",
    out: FloatArray | None = None,
    bias_out: FloatArray | None = None,
) -> FloatArray:
    """Gradient of a transposed convolution's weight: `conv2d_grad_weight`, x and dy exchanged.

    dw[r,s,k,c] = sum over n,i,j of
    x[n,i,j,c] * dy[n, i*sh + r*dh - top, j*sw + s*dw - left, k].

    Parameters
    ----------
    x : array (N, H, W, C) or (H, W, C)
    dy : array (N, OH, OW, K) or (OH, OW, K)
        As in `conv_transpose2d_grad_input`.
    kernel_size : int or (KH, KW)
    stride, padding, output_padding, dilation, groups, algorithm, out
        As in `conv_transpose2d`.
    bias_out : array (K,), optional
        Where to write db, the gradient of the bias, which is `conv2d_grad_bias(dy)`: C-contiguous,
        of x's dtype, overlapping no input and not out.

    Returns
    -------
    array (KH, KW, K // groups, C)
        Zeros for a batch of none.

    Raises
    ------
    ValueError, TypeError
        As `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import conv_transpose2d_grad_weight
    >>> x = np.array([[0.0, 1.0], [2.0, 3.0]]).reshape(2, 2, 1)
    >>> dy = np.arange(9.0).reshape(3, 3, 1)
    >>> conv_transpose2d_grad_weight(x, dy, 2)[:, :, 0, 0]
    array([[19., 25.],
           [37., 43.]])
    """
    x = float_array("x", x)
    dy = float_array("dy", dy)
    expect_dtype("dy", dy, "x", x)
    expect_same_axes(x, dy)
    images, delta = as_batch("x", x), as_batch("dy", dy)
    group_channels = delta.shape[3] // positive_int("groups", groups)
    weight_shape = (*int_pair("kernel_size", kernel_size), group_channels, images.shape[3])
    geometry = conv_transpose2d_geometry(
        images.shape, weight_shape, stride, padding, output_padding, dilation, groups
    )
    expect_shape("dy", delta, geometry.input_shape, "conv_transpose2d's output for x")
    how = core_algorithm(algorithm)
    dw = result_array(out, weight_shape, x.dtype, (x, dy))
    if bias_out is not None:
        result_array(bias_out, dy.shape[-1:], x.dtype, (x, dy, out), "bias_out")
    none = _core.Activation.none
    _core.conv2d_grad_weight(core_shape(geometry), delta, images, none, None, dw, None, how)
    if bias_out is not None:
        _core.conv2d_grad_bias(delta, bias_out)
    return dw
