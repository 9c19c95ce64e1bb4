"""The transposed convolution and its gradients.

In every formula n counts images, i, j pixels of x, r, s taps of the kernel, c input channels, k
output channels, and ``p = i*sh + r*dh - top``, ``q = j*sw + s*dw - left`` is the pixel of y that
tap (r, s) spreads pixel (i, j) to; what lies outside y is left out. With groups, c and k run over
the channels of one group. The geometry is that of the convolution that is transposed, which reads
y and makes x.
"""

from __future__ import annotations

import numpy as np

from rot180.arguments import (
    FloatArray,
    as_batch,
    bias_array,
    expect_same_axes,
    expect_shape,
    float_arrays,
)
from rot180.geometry import (
    IntOrPair,
    Padding,
    conv_transpose2d_geometry,
    conv_transpose2d_input_shape,
    int_pair,
    positive_int,
)
from rot180.reference.activation import activate
from rot180.reference.taps import split_groups, taps


def conv_transpose2d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> FloatArray:
    """Spread each pixel of x over a window of y, add the bias, apply the activation.

    ``y[n,p,q,k] += x[n,i,j,c] * w[r,s,k,c]``  for every i, j, r, s, c, then
    ``y = activation(y + b)``

    It is the transpose of the linear map `conv2d` with the same weight and options, from y's shape
    to x's: ``vdot(conv_transpose2d(x, w), z) == vdot(x, conv2d(z, w))``.

    Parameters
    ----------
    x : (N, H, W, C) or one image (H, W, C), float32 or float64
    weight : (KH, KW, K // groups, C), dtype of x
    bias : (K,), dtype of x, or None
    stride, dilation : int or (vertical, horizontal)
    padding : int, (ph, pw), ((top, bottom), (left, right)), "valid", "same" or "full"
    output_padding : int or (vertical, horizontal), less than the stride or the dilation
    groups : int
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    y : (N, OH, OW, K), or (OH, OW, K) for one image

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import conv_transpose2d
    >>> x = np.array([[0.0, 1], [2, 3]]).reshape(2, 2, 1)
    >>> weight = np.array([[0.0, 1], [2, 3]]).reshape(2, 2, 1, 1)
    >>> conv_transpose2d(x, weight)[:, :, 0]
    array([[ 0.,  0.,  1.],
           [ 0.,  4.,  6.],
           [ 4., 12.,  9.]])
    """
    x, weight = float_arrays(x=x, weight=weight)
    images = as_batch("x", x)
    geometry = conv_transpose2d_geometry(
        images.shape, weight.shape, stride, padding, output_padding, dilation, groups
    )
    images, weight = split_groups(images, groups), split_groups(weight, groups)
    y = np.zeros(geometry.input_shape, x.dtype)
    y_groups = split_groups(y, groups)  # a view
    for r, s, in_y, in_x in taps(geometry):
        y_groups[in_y] += np.einsum("nijgc,kgc->nijgk", images[in_x], weight[r, s])
    bias = bias_array(bias, x, y.shape[3])
    if bias is not None:
        y += bias
    y = activate(y, activation)
    return y if x.ndim == 4 else y[0]


def conv_transpose2d_grad_input(
    dy: FloatArray,
    weight: FloatArray,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> FloatArray:
    """Gradient with respect to x: each pixel of x collects dy from where it was spread to.

    ``dx[n,i,j,c] = sum over r,s,k of dy[n,p,q,k] * w[r,s,k,c]``

    Parameters
    ----------
    dy : (N, OH, OW, K) or (OH, OW, K), float32 or float64
    weight : (KH, KW, K // groups, C), dtype of dy
    stride, padding, output_padding, dilation, groups : as in `conv_transpose2d`

    Returns
    -------
    dx : (N, H, W, C) or (H, W, C)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import conv_transpose2d_grad_input
    >>> weight = np.array([[0.0, 1], [2, 3]]).reshape(2, 2, 1, 1)
    >>> conv_transpose2d_grad_input(np.ones((3, 3, 1)), weight)[:, :, 0]
    array([[6., 6.],
           [6., 6.]])
    """
    dy, weight = float_arrays(dy=dy, weight=weight)
    gradient = as_batch("dy", dy)
    options = (stride, padding, output_padding, dilation)
    shape = conv_transpose2d_input_shape(gradient.shape, weight.shape, *options)
    geometry = conv_transpose2d_geometry(shape, weight.shape, *options, groups)
    expect_shape("dy", gradient, geometry.input_shape, f"conv_transpose2d's output for x {shape}")
    gradient, weight = split_groups(gradient, groups), split_groups(weight, groups)
    dx = np.zeros(shape, dy.dtype)
    dx_groups = split_groups(dx, groups)  # a view
    for r, s, in_y, in_x in taps(geometry):
        dx_groups[in_x] += np.einsum("nijgk,kgc->nijgc", gradient[in_y], weight[r, s])
    return dx if dy.ndim == 4 else dx[0]


def conv_transpose2d_grad_weight(
    x: FloatArray,
    dy: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> FloatArray:
    """Gradient with respect to the kernels, summed over the batch.

    ``dw[r,s,k,c] = sum over n,i,j of x[n,i,j,c] * dy[n,p,q,k]``

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    dy : (N, OH, OW, K) or (OH, OW, K), dtype of x
    kernel_size : int or (KH, KW)
    stride, padding, output_padding, dilation, groups : as in `conv_transpose2d`

    Returns
    -------
    dw : (KH, KW, K // groups, C); zeros when the batch is empty

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import conv_transpose2d_grad_weight
    >>> x = np.array([[0.0, 1], [2, 3]]).reshape(2, 2, 1)
    >>> dy = np.arange(9.0).reshape(3, 3, 1)
    >>> conv_transpose2d_grad_weight(x, dy, 2)[:, :, 0, 0]
    array([[19., 25.],
           [37., 43.]])
    """
    x, dy = float_arrays(x=x, dy=dy)
    expect_same_axes(x, dy)
    x, dy = as_batch("x", x), as_batch("dy", dy)
    groups = positive_int("groups", groups)
    weight_shape = (*int_pair("kernel_size", kernel_size), dy.shape[3] // groups, x.shape[3])
    geometry = conv_transpose2d_geometry(
        x.shape, weight_shape, stride, padding, output_padding, dilation, groups
    )
    expect_shape("dy", dy, geometry.input_shape, "conv_transpose2d's output for x")
    x, dy = split_groups(x, groups), split_groups(dy, groups)
    dw = np.zeros(weight_shape, x.dtype)
    dw_groups = split_groups(dw, groups)  # a view
    for r, s, in_y, in_x in taps(geometry):
        dw_groups[r, s] = np.einsum("nijgc,nijgk->kgc", x[in_x], dy[in_y])
    return dw
