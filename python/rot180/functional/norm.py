"""Normalisation of NHWC images, with its gradients."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    affine_of,
    expect_dtype,
    expect_shape,
    expect_variance,
    float_array,
    of_each_channel,
    real_number,
    residual_of,
    running_momentum,
    with_channels,
    writable_in_place,
)
from rot180.functional.activation import core_activation
from rot180.functional.results import new_array


def batch_norm(
    x: ArrayLike,
    mean: ArrayLike,
    var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    residual: ArrayLike | None = None,
    activation: str | None = None,
) -> FloatArray:
    """Normalise each channel by a given mean and variance, as a trained network does.

    y[...,c] = activation((x[...,c] - mean[c]) / sqrt(var[c] + eps) * weight[c] + bias[c]
    + residual[...,c])

    Parameters
    ----------
    x : array (N, H, W, C) or any other (..., C), float32 or float64
    mean, var : arrays (C,)
        The running statistics of `batch_norm_training`.
    weight, bias : arrays (C,), optional
        Ones and zeros by default.
    eps : float
        At least 0.
    residual : array of x's shape and dtype, optional
        Zeros by default: what a residual connection adds.
    activation : None, "relu", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    array of x's shape and dtype

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import batch_norm
    >>> x = np.array([[1.0, 50.0], [3.0, 90.0]])
    >>> batch_norm(x, np.array([2.0, 70.0]), np.array([4.0, 100.0]), eps=0)
    array([[-0.5, -2. ],
           [ 0.5,  2. ]])
    """
    x = with_channels("x", x)
    mean, var = of_each_channel("mean", mean, x), of_each_channel("var", var, x)
    weight, bias = affine_of(weight, bias, x)
    y = new_array(x.shape, x.dtype)
    _core.batch_norm(
        x,
        mean,
        var,
        real_number("eps", eps),
        weight,
        bias,
        core_activation(activation),
        residual_of(residual, x),
        y,
    )
    return y


def batch_norm_training(
    x: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    running_mean: FloatArray | None = None,
    running_var: FloatArray | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: ArrayLike | None = None,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Normalise each channel by the batch's own mean and variance, and move the running ones.

    y[...,c] = activation((x[...,c] - mean[c]) * inv_std[c] * weight[c] + bias[c]
    + residual[...,c]), with the mean over all axes but the last and inv_std = 1 / sqrt(var + eps):
    Ioffe and Szegedy (2015), "Batch normalization", algorithm 1. As there and in PyTorch, var is
    the biased variance, divided by the number of pixels n; the running variance takes the unbiased
    one, divided by n - 1:

    running = (1 - momentum) * running + momentum * of the batch

    Parameters
    ----------
    x : array (N, H, W, C) or any other (..., C), float32 or float64
        At least two pixels, or none: without pixels y is empty and nothing moves.
    weight, bias : arrays (C,), optional
        Ones and zeros by default.
    running_mean, running_var : arrays (C,), optional
        Changed in place. Both or neither.
    momentum : float
        From 0 to 1.
    eps, residual, activation
        As in `batch_norm`. With a residual, ``add_grad_input(dy, activation=activation, y=y)`` is
        the gradient by the residual, and dy for the gradients below, without an activation there.

    Returns
    -------
    y : array of x's shape and dtype
    mean, inv_std : arrays (C,)
        What the gradients need beside x.

    Raises
    ------
    ValueError, TypeError
        Where there is one pixel alone, or shapes or dtypes do not fit one another; the message
        names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import batch_norm_training
    >>> running_mean, running_var = np.zeros(1), np.ones(1)
    >>> y, mean, inv_std = batch_norm_training(
    ...     np.array([[1.0], [5.0]]), running_mean=running_mean, running_var=running_var, eps=0
    ... )
    >>> y.ravel().tolist(), mean.tolist(), inv_std.tolist()
    ([-1.0, 1.0], [3.0], [0.5])
    >>> running_mean.round(6).tolist(), running_var.round(6).tolist()
    ([0.3], [1.7])
    """
    x = with_channels("x", x)
    expect_variance(x)
    weight, bias = affine_of(weight, bias, x)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var: expected both or neither")
    for name, array in (("running_mean", running_mean), ("running_var", running_var)):
        if array is not None:
            of_each_channel(name, writable_in_place(name, array), x)
    y = new_array(x.shape, x.dtype)
    mean, inv_std = np.empty(x.shape[-1:], x.dtype), np.empty(x.shape[-1:], x.dtype)
    _core.batch_norm_training(
        x,
        real_number("eps", eps),
        weight,
        bias,
        core_activation(activation),
        residual_of(residual, x),
        running_momentum(momentum),
        running_mean,
        running_var,
        y,
        mean,
        inv_std,
    )
    return y, mean, inv_std


def batch_norm_grad_input(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    weight_out: FloatArray | None = None,
    bias_out: FloatArray | None = None,
) -> FloatArray:
    """Gradient by x of `batch_norm_training`, through the statistics too.

    With n pixels, xhat = (x - mean) * inv_std and g = dy * activation'(xhat * weight + bias):
    dx = weight * inv_std * (g - db / n - xhat * dw / n), where db = sum of g and
    dw = sum of g * xhat.

    Parameters
    ----------
    dy, x : arrays (..., C) of one shape
    mean, inv_std : arrays (C,)
        From `batch_norm_training`.
    weight, bias : arrays (C,), optional
    activation : str, optional
        As in the forward pass. Its derivative is computed from x, so that y need not be kept.
    weight_out, bias_out : arrays (C,), optional
        Where to write dw and db, which are on the way.

    Returns
    -------
    array of x's shape

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import batch_norm_grad_input, batch_norm_training
    >>> x = np.array([[0.0], [2.0], [4.0], [2.0]])
    >>> y, mean, inv_std = batch_norm_training(x, eps=0)
    >>> dy = np.array([[1.0], [0.0], [0.0], [0.0]])
    >>> batch_norm_grad_input(dy, x, mean, inv_std).round(3).ravel().tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    arguments = _checked(dy, x, mean, inv_std, weight, bias)
    x = arguments[1]
    dw, db = _sum("weight_out", weight_out, x), _sum("bias_out", bias_out, x)
    dx = new_array(x.shape, x.dtype)
    _core.batch_norm_grad(*arguments, core_activation(activation), dx, dw, db)
    return dx


def batch_norm_grad_weight(
    x: ArrayLike,
    dy: ArrayLike,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    activation: str | None = None,
    bias_out: FloatArray | None = None,
) -> FloatArray:
    """Gradient by the weight, dw = sum of g * xhat, and by the bias, db = sum of g.

    The formulas of `batch_norm_grad_input`, which yields both besides dx.

    Parameters
    ----------
    x, dy : arrays (..., C) of one shape
    mean, inv_std, weight, bias, activation
        As in `batch_norm_grad_input`. weight and bias matter to an activation's derivative alone.
    bias_out : array (C,), optional
        Where to write db.

    Returns
    -------
    array (C,)

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import batch_norm_grad_weight, batch_norm_training
    >>> x = np.array([[1.0], [5.0]])
    >>> y, mean, inv_std = batch_norm_training(x, eps=0)
    >>> batch_norm_grad_weight(x, np.array([[10.0], [30.0]]), mean, inv_std).tolist()
    [20.0]
    """
    arguments = _checked(dy, x, mean, inv_std, weight, bias)
    x = arguments[1]
    dw, db = np.empty(x.shape[-1:], x.dtype), _sum("bias_out", bias_out, x)
    _core.batch_norm_grad(*arguments, core_activation(activation), None, dw, db)
    return dw


_Arguments: TypeAlias = tuple[
    FloatArray, FloatArray, FloatArray, FloatArray, FloatArray | None, FloatArray | None
]


def _checked(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
) -> _Arguments:
    x, dy = with_channels("x", x), float_array("dy", dy)
    expect_dtype("dy", dy, "x", x)
    expect_shape("dy", dy, x.shape, "the shape of x")
    mean, inv_std = of_each_channel("mean", mean, x), of_each_channel("inv_std", inv_std, x)
    return dy, x, mean, inv_std, *affine_of(weight, bias, x)


def _sum(name: str, out: FloatArray | None, x: FloatArray) -> FloatArray:
    """Where a sum for each channel goes. That it overlaps nothing, the core looks after."""
    if out is None:
        return np.empty(x.shape[-1:], x.dtype)
    return of_each_channel(name, writable_in_place(name, out), x)
