"""Normalisation. Statistics are computed in float64, whatever the dtype of x."""

from __future__ import annotations

import numpy as np

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
from rot180.reference.activation import activate, activate_grad_input


def batch_norm(
    x: FloatArray,
    mean: FloatArray,
    var: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    eps: float = 1e-5,
    residual: FloatArray | None = None,
    activation: str | None = None,
) -> FloatArray:
    """``y = activation((x - mean) / sqrt(var + eps) * weight + bias + residual)``, by channel.

    Parameters
    ----------
    x : (..., C), float32 or float64
    mean, var : (C,)
    weight, bias : (C,), or None for ones and zeros
    eps : at least 0
    residual : of x's shape, or None for zeros
    activation : None, "relu", "leaky_relu", "sigmoid" or "tanh"

    Returns
    -------
    y : shape and dtype of x

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import batch_norm
    >>> x = np.array([[1.0, 50.0], [3.0, 90.0]])
    >>> batch_norm(x, np.array([2.0, 70.0]), np.array([4.0, 100.0]), eps=0)
    array([[-0.5, -2. ],
           [ 0.5,  2. ]])
    """
    x = with_channels("x", x)
    mean, var = of_each_channel("mean", mean, x), of_each_channel("var", var, x)
    inv_std = 1 / np.sqrt(var + real_number("eps", eps))
    return activate(_normalised(x, mean, inv_std, weight, bias, residual), activation)


def batch_norm_training(
    x: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    running_mean: FloatArray | None = None,
    running_var: FloatArray | None = None,
    momentum: float = 0.1,
    eps: float = 1e-5,
    residual: FloatArray | None = None,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Compute `batch_norm` by the mean and variance of x over all n pixels (Ioffe, Szegedy, 2015).

    ``running = (1 - momentum) * running + momentum * of x``, where the variance is divided by
    n - 1, and by n everywhere else.

    Parameters
    ----------
    x : (..., C), float32 or float64, n != 1
    weight, bias : (C,), or None for ones and zeros
    running_mean, running_var : (C,), changed in place; or both None
    momentum : from 0 to 1
    eps, residual, activation : as in `batch_norm`

    Returns
    -------
    y : shape and dtype of x
    mean, inv_std : (C,); ``inv_std = 1 / sqrt(var + eps)``

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import batch_norm_training
    >>> y, mean, inv_std = batch_norm_training(np.array([[1.0], [5.0]]), eps=0)
    >>> y.ravel().tolist(), mean.tolist(), inv_std.tolist()
    ([-1.0, 1.0], [3.0], [0.5])
    """
    x = with_channels("x", x)
    expect_variance(x)
    eps, momentum = real_number("eps", eps), running_momentum(momentum)
    if (running_mean is None) != (running_var is None):
        raise ValueError("running_mean and running_var: expected both or neither")
    channels, pixels = x.shape[-1], x.size // x.shape[-1]
    mean, var = np.zeros(channels), np.zeros(channels)
    if pixels:
        mean = x.reshape(pixels, channels).mean(axis=0, dtype=np.float64)
        var = np.square(x.reshape(pixels, channels) - mean).mean(axis=0)
    if pixels and running_mean is not None and running_var is not None:
        _move("running_mean", running_mean, mean, momentum, x)
        _move("running_var", running_var, var * pixels / (pixels - 1), momentum, x)
    mean, inv_std = mean.astype(x.dtype), (1 / np.sqrt(var + eps)).astype(x.dtype)
    z = _normalised(x, mean, inv_std, weight, bias, residual)
    return activate(z, activation), mean, inv_std


def batch_norm_grad_input(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``dx = weight * inv_std * (g - mean of g - xhat * mean of (g * xhat))``.

    with the means over all pixels, ``xhat = (x - mean) * inv_std`` and
    ``g = dy * activation'(xhat * weight + bias)``. The mean and the variance of x depend on every
    pixel: the two subtracted terms are what they send back.

    Parameters
    ----------
    dy, x : (..., C), float32 or float64
    mean, inv_std : (C,), from `batch_norm_training`
    weight, bias : (C,), or None for ones and zeros
    activation : as in the forward pass

    Returns
    -------
    dx : shape of x

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import batch_norm_grad_input, batch_norm_training
    >>> x = np.array([[0.0], [2.0], [4.0], [2.0]])
    >>> y, mean, inv_std = batch_norm_training(x, eps=0)
    >>> dy = np.array([[1.0], [0.0], [0.0], [0.0]])
    >>> batch_norm_grad_input(dy, x, mean, inv_std).round(3).ravel().tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    g, xhat = _gradient_and_xhat(dy, x, mean, inv_std, weight, bias, activation)
    if g.size == 0:
        return g
    axes = tuple(range(g.ndim - 1))
    scale = inv_std if weight is None else weight * inv_std
    dx: FloatArray = scale * (g - g.mean(axis=axes) - xhat * (g * xhat).mean(axis=axes))
    return dx


def batch_norm_grad_weight(
    x: FloatArray,
    dy: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``dw = sum over pixels of g * xhat``; the gradient by the bias is the sum of g.

    Parameters
    ----------
    x, dy : (..., C), float32 or float64
    mean, inv_std, weight, bias, activation : as in `batch_norm_grad_input`

    Returns
    -------
    dw : (C,)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import batch_norm_grad_weight, batch_norm_training
    >>> x = np.array([[1.0], [5.0]])
    >>> y, mean, inv_std = batch_norm_training(x, eps=0)
    >>> batch_norm_grad_weight(x, np.array([[10.0], [30.0]]), mean, inv_std).tolist()
    [20.0]
    """
    g, xhat = _gradient_and_xhat(dy, x, mean, inv_std, weight, bias, activation)
    dw: FloatArray = (g * xhat).sum(axis=tuple(range(g.ndim - 1)))
    return dw


def _normalised(
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None,
    bias: FloatArray | None,
    residual: FloatArray | None = None,
) -> FloatArray:
    """``xhat * weight + bias + residual``."""
    weight, bias = affine_of(weight, bias, x)
    residual = residual_of(residual, x)
    z = (x - mean) * inv_std
    if weight is not None:
        z = z * weight
    if bias is not None:
        z = z + bias
    if residual is not None:
        z = z + residual
    return z


def _gradient_and_xhat(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None,
    bias: FloatArray | None,
    activation: str | None,
) -> tuple[FloatArray, FloatArray]:
    """What dy is before the activation, and what the weight multiplied."""
    x, dy = with_channels("x", x), float_array("dy", dy)
    expect_dtype("dy", dy, "x", x)
    expect_shape("dy", dy, x.shape, "the shape of x")
    mean, inv_std = of_each_channel("mean", mean, x), of_each_channel("inv_std", inv_std, x)
    z = _normalised(x, mean, inv_std, weight, bias)
    y = None if activation is None else activate(z, activation)
    return activate_grad_input(dy, activation, y), (x - mean) * inv_std


def _move(
    name: str, running: FloatArray, batch: FloatArray, momentum: float, x: FloatArray
) -> None:
    of_each_channel(name, writable_in_place(name, running), x)
    running[...] = (1 - momentum) * running + momentum * batch
