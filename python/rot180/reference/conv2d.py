"""The convolution and its three gradients.

In every formula n counts images, i, j output pixels, r, s taps of the kernel, c input channels, k
output channels, and ``p = i*sh + r*dh - top``, ``q = j*sw + s*dw - left`` is the pixel of x under
tap (r, s); terms outside x are left out. With groups, c and k run over the channels of one group.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rot180.arguments import (
    FloatArray,
    as_batch,
    batch_shape,
    bias_array,
    expect_same_axes,
    expect_shape,
    float_array,
    float_arrays,
)
from rot180.geometry import IntOrPair, Padding, conv2d_geometry, int_pair, positive_int
from rot180.reference.activation import activate, activate_grad_input
from rot180.reference.taps import split_groups, taps


def conv2d(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
) -> FloatArray:
    """Cross-correlate x with the kernels, add the bias, apply the activation.

    ``y[n,i,j,k] = activation(b[k] + sum over r,s,c of x[n,p,q,c] * w[r,s,c,k])``

    Parameters
    ----------
    x : (N, H, W, C) or one image (H, W, C), float32 or float64
    weight : (KH, KW, C // groups, K), dtype of x
    bias : (K,), dtype of x, or None
    stride, dilation : int or (vertical, horizontal)
    padding : int, (ph, pw), ((top, bottom), (left, right)), "valid", "same" or "full"
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
    >>> from rot180.reference import conv2d
    >>> x = np.arange(1.0, 10).reshape(3, 3, 1)
    >>> weight = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
    >>> conv2d(x, weight)[:, :, 0]
    array([[37., 47.],
           [67., 77.]])
    """
    x, weight = float_arrays(x=x, weight=weight)
    images = as_batch("x", x)
    geometry = conv2d_geometry(images.shape, weight.shape, stride, padding, dilation, groups)
    images, weight = split_groups(images, groups), split_groups(weight, groups)
    y = np.zeros(geometry.output_shape, x.dtype)
    y_groups = split_groups(y, groups)  # a view
    for r, s, inputs, outputs in taps(geometry):
        y_groups[outputs] += np.einsum("nijgc,cgk->nijgk", images[inputs], weight[r, s])
    bias = bias_array(bias, x, y.shape[3])
    if bias is not None:
        y += bias
    y = activate(y, activation)
    return y if x.ndim == 4 else y[0]


def conv2d_grad_input(
    dy: FloatArray,
    weight: FloatArray,
    input_shape: Sequence[int],
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    y: FloatArray | None = None,
) -> FloatArray:
    """Gradient with respect to x: each output pixel hands dy back to the pixels that it read.

    ``dx[n,p,q,c] += dy[n,i,j,k] * w[r,s,c,k]``  for every i, j, r, s, k

    It is the full correlation of dy (s-1 zeros between its entries) with the kernel turned by 180
    degrees, cropped by the padding: index i falls as index r rises, because p = i*s + r*d - top.

    Parameters
    ----------
    dy : (N, OH, OW, K) or (OH, OW, K), float32 or float64
    weight : (KH, KW, C // groups, K), dtype of dy
    input_shape : (N, H, W, C) or (H, W, C), which a strided output does not determine
    stride, padding, dilation, groups : as in `conv2d`
    activation, y : the activation that conv2d applied and what it returned, of dy's shape and
        dtype, for a dy that is still to be multiplied by the activation's derivative

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
    >>> from rot180.reference import conv2d_grad_input
    >>> dy = np.array([[1.0, -1], [2, 0.5]]).reshape(2, 2, 1)
    >>> weight = np.array([[1.0, 2], [3, 4]]).reshape(2, 2, 1, 1)
    >>> conv2d_grad_input(dy, weight, (3, 3, 1))[:, :, 0]
    array([[ 1. ,  1. , -2. ],
           [ 5. ,  5.5, -3. ],
           [ 6. ,  9.5,  2. ]])
    """
    dy, weight = float_arrays(dy=dy, weight=weight)
    dy = activate_grad_input(dy, activation, y)
    shape = batch_shape(input_shape, dy)
    geometry = conv2d_geometry(shape, weight.shape, stride, padding, dilation, groups)
    gradient = as_batch("dy", dy)
    expect_shape("dy", gradient, geometry.output_shape, "the shape of conv2d's output")
    gradient, weight = split_groups(gradient, groups), split_groups(weight, groups)
    dx = np.zeros(shape, dy.dtype)
    dx_groups = split_groups(dx, groups)  # a view
    for r, s, inputs, outputs in taps(geometry):
        dx_groups[inputs] += np.einsum("nijgk,cgk->nijgc", gradient[outputs], weight[r, s])
    return dx if dy.ndim == 4 else dx[0]


def conv2d_grad_weight(
    x: FloatArray,
    dy: FloatArray,
    kernel_size: IntOrPair,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    activation: str | None = None,
    y: FloatArray | None = None,
) -> FloatArray:
    """Gradient with respect to the kernels, summed over the batch.

    ``dw[r,s,c,k] = sum over n,i,j of x[n,p,q,c] * dy[n,i,j,k]``

    Parameters
    ----------
    x : (N, H, W, C) or (H, W, C), float32 or float64
    dy : (N, OH, OW, K) or (OH, OW, K), dtype of x
    kernel_size : int or (KH, KW)
    stride, padding, dilation, groups : as in `conv2d`
    activation, y : as in `conv2d_grad_input`

    Returns
    -------
    dw : (KH, KW, C // groups, K); zeros when the batch is empty

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import conv2d_grad_weight
    >>> x = np.arange(1.0, 10).reshape(3, 3, 1)
    >>> dy = np.array([[1.0, -1], [2, 0.5]]).reshape(2, 2, 1)
    >>> conv2d_grad_weight(x, dy, 2)[:, :, 0, 0]
    array([[ 9.5, 12. ],
           [17. , 19.5]])
    """
    x, dy = float_arrays(x=x, dy=dy)
    expect_same_axes(x, dy)
    dy = activate_grad_input(dy, activation, y)
    x, dy = as_batch("x", x), as_batch("dy", dy)
    kernel_h, kernel_w = int_pair("kernel_size", kernel_size)
    groups = positive_int("groups", groups)
    weight_shape = (kernel_h, kernel_w, x.shape[3] // groups, dy.shape[3])
    geometry = conv2d_geometry(x.shape, weight_shape, stride, padding, dilation, groups)
    expect_shape("dy", dy, geometry.output_shape, "the shape of conv2d's output")
    x, dy = split_groups(x, groups), split_groups(dy, groups)
    dw = np.zeros(weight_shape, x.dtype)
    dw_groups = split_groups(dw, groups)  # a view
    for r, s, inputs, outputs in taps(geometry):
        dw_groups[r, s] = np.einsum("nijgc,nijgk->cgk", x[inputs], dy[outputs])
    return dw


def conv2d_grad_bias(dy: FloatArray) -> FloatArray:
    """Gradient with respect to the bias: one sum for each output channel.

    ``db[k] = sum over n,i,j of dy[n,i,j,k]``

    Parameters
    ----------
    dy : (N, OH, OW, K) or (OH, OW, K), float32 or float64

    Returns
    -------
    db : (K,); zeros when the batch is empty

    Raises
    ------
    TypeError, ValueError
        When dy has another dtype or number of axes, or no channels.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import conv2d_grad_bias
    >>> conv2d_grad_bias(np.array([[1.0, -1], [2, 0.5]]).reshape(2, 2, 1))
    array([2.5])
    """
    dy = as_batch("dy", float_array("dy", dy))
    if dy.shape[3] == 0:
        raise ValueError(f"dy has shape {dy.shape}: K is 0, expected at least 1")
    db: FloatArray = dy.sum(axis=(0, 1, 2))
    return db
