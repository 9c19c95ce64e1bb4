"""Normalisation of each sample by itself. Statistics are computed in float64."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, expect_dtype, expect_shape, float_array, real_number
from rot180.grouping import (
    Groups,
    affine_of_groups,
    channel_groups,
    groups_like,
    of_groups,
    trailing_axes,
)
from rot180.reference.activation import activate, activate_grad_input


def group_norm(
    x: FloatArray,
    num_groups: int,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    eps: float = 1e-5,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``y = activation((x - mean) * inv_std * weight + bias)``, for each sample and group.

    Mean and variance are over the pixels and the C / num_groups channels of a group (Wu, He, 2018).

    Parameters
    ----------
    x : (N, H, W, C), (H, W, C) or (N, C), float32 or float64
    num_groups : divides C
    weight, bias : (C,), or None for ones and zeros
    eps : at least 0
    activation : None, "relu", "relu6", "leaky_relu", "sigmoid" or "tanh"

    Returns
    -------
    y : shape and dtype of x
    mean, inv_std : (N, num_groups) or (num_groups,); ``inv_std = 1 / sqrt(var + eps)``

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import group_norm
    >>> x = np.array([[1.0, 3.0, 70.0, 90.0], [0.0, 8.0, 0.0, 2.0]])
    >>> y, mean, inv_std = group_norm(x, 2, eps=0)
    >>> mean.tolist(), inv_std.tolist()
    ([[2.0, 80.0], [4.0, 1.0]], [[1.0, 0.1], [0.25, 1.0]])
    """
    x = float_array("x", x)
    return _normalise(x, channel_groups(x, num_groups), weight, bias, eps, activation)


def group_norm_grad_input(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``dx = inv_std * (h - mean of h - xhat * mean of (h * xhat))``.

    with the means over a sample's group, ``xhat = (x - mean) * inv_std`` and
    ``h = dy * activation'(xhat * weight + bias) * weight``.

    Parameters
    ----------
    dy, x : (N, H, W, C), (H, W, C) or (N, C), float32 or float64
    mean, inv_std : (N, num_groups) or (num_groups,), from `group_norm`
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
    >>> from rot180.reference import group_norm, group_norm_grad_input
    >>> x = np.array([[0.0, 2.0, 4.0, 2.0]])
    >>> y, mean, inv_std = group_norm(x, 1, eps=0)
    >>> dy = np.array([[1.0, 0.0, 0.0, 0.0]])
    >>> group_norm_grad_input(dy, x, mean, inv_std).round(3).ravel().tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    return _grad_input(dy, x, mean, inv_std, weight, bias, activation, by_channels=True)


def group_norm_grad_weight(
    x: FloatArray,
    dy: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``dw = sum over samples and pixels of g * xhat``; the gradient by the bias is that of g.

    Parameters
    ----------
    x, dy : (N, H, W, C), (H, W, C) or (N, C), float32 or float64
    mean, inv_std, weight, bias, activation : as in `group_norm_grad_input`

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
    >>> from rot180.reference import group_norm, group_norm_grad_weight
    >>> x = np.array([[1.0, 5.0]])
    >>> y, mean, inv_std = group_norm(x, 1, eps=0)
    >>> group_norm_grad_weight(x, np.array([[10.0, 30.0]]), mean, inv_std).tolist()
    [-10.0, 30.0]
    """
    return _grad_weight(dy, x, mean, inv_std, weight, bias, activation, by_channels=True)


def layer_norm(
    x: FloatArray,
    normalized_shape: int | Sequence[int],
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    eps: float = 1e-5,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """``y = activation((x - mean) * inv_std * weight + bias)``, with the mean over the last axes.

    The variance is the biased one (Ba, Kiros, Hinton, 2016).

    Parameters
    ----------
    x : (..., *normalized_shape), float32 or float64
    normalized_shape : the last axes of x
    weight, bias : of shape normalized_shape, or None for ones and zeros
    eps : at least 0
    activation : None, "relu", "relu6", "leaky_relu", "sigmoid" or "tanh"

    Returns
    -------
    y : shape and dtype of x
    mean, inv_std : x's shape without the last axes; ``inv_std = 1 / sqrt(var + eps)``

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import layer_norm
    >>> y, mean, inv_std = layer_norm(np.array([[1.0, 3.0], [70.0, 90.0]]), 2, eps=0)
    >>> y.tolist(), mean.tolist(), inv_std.tolist()
    ([[-1.0, 1.0], [-1.0, 1.0]], [2.0, 80.0], [1.0, 0.1])
    """
    x = float_array("x", x)
    return _normalise(x, trailing_axes(x, normalized_shape), weight, bias, eps, activation)


def layer_norm_grad_input(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """Compute the formula of `group_norm_grad_input`, with the means over the last axes.

    Parameters
    ----------
    dy, x : of one shape, float32 or float64
    mean, inv_std : x's shape without the normalised axes, from `layer_norm`
    weight, bias : of the normalised shape, or None for ones and zeros
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
    >>> from rot180.reference import layer_norm, layer_norm_grad_input
    >>> x = np.array([0.0, 2.0, 4.0, 2.0])
    >>> y, mean, inv_std = layer_norm(x, 4, eps=0)
    >>> dy = np.array([1.0, 0.0, 0.0, 0.0])
    >>> layer_norm_grad_input(dy, x, mean, inv_std).round(3).tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    return _grad_input(dy, x, mean, inv_std, weight, bias, activation, by_channels=False)


def layer_norm_grad_weight(
    x: FloatArray,
    dy: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None = None,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``dw = sum over all but the last axes of g * xhat``; the gradient by the bias is that of g.

    Parameters
    ----------
    x, dy : of one shape, float32 or float64
    mean, inv_std, weight, bias, activation : as in `layer_norm_grad_input`

    Returns
    -------
    dw : the normalised shape

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or size.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import layer_norm, layer_norm_grad_weight
    >>> x = np.array([[1.0, 5.0]])
    >>> y, mean, inv_std = layer_norm(x, 2, eps=0)
    >>> layer_norm_grad_weight(x, np.array([[10.0, 30.0]]), mean, inv_std).tolist()
    [-10.0, 30.0]
    """
    return _grad_weight(dy, x, mean, inv_std, weight, bias, activation, by_channels=False)


# Axes of x once it is split by `_split`: samples, pixels, groups, channels of a group.
WITHIN_GROUP, OVER_SAMPLES = (1, 3), (0, 1)


def _split(array: FloatArray, groups: Groups) -> FloatArray:
    samples, pixels, channels = groups.view
    return array.reshape(samples, pixels, groups.number, channels // groups.number)


def _of_each(array: FloatArray, groups: Groups) -> FloatArray:
    """One number for each sample and group, beside a split x."""
    return array.reshape(groups.view[0], 1, groups.number, 1)


def _parameter(array: FloatArray | None, groups: Groups, default: float) -> FloatArray | float:
    """A weight or bias, beside a split x."""
    return default if array is None else array.reshape(1, 1, groups.number, -1)


def _normalise(
    x: FloatArray,
    groups: Groups,
    weight: FloatArray | None,
    bias: FloatArray | None,
    eps: float,
    activation: str | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    eps = real_number("eps", eps)
    weight, bias = affine_of_groups(weight, bias, x, groups)
    parts = _split(x, groups)
    mean = parts.mean(axis=WITHIN_GROUP, dtype=np.float64, keepdims=True)
    var = np.square(parts - mean).mean(axis=WITHIN_GROUP, keepdims=True)
    mean, inv_std = mean.astype(x.dtype), (1 / np.sqrt(var + eps)).astype(x.dtype)
    z = (parts - mean) * inv_std * _parameter(weight, groups, 1) + _parameter(bias, groups, 0)
    y = activate(z.astype(x.dtype).reshape(x.shape), activation)
    return y, mean.reshape(groups.statistics), inv_std.reshape(groups.statistics)


def _gradient_and_xhat(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None,
    bias: FloatArray | None,
    activation: str | None,
    by_channels: bool,
) -> tuple[FloatArray, FloatArray, Groups]:
    """What dy is before the activation, and what the weight multiplied; both split."""
    x, dy, mean = float_array("x", x), float_array("dy", dy), float_array("mean", mean)
    expect_dtype("dy", dy, "x", x)
    expect_shape("dy", dy, x.shape, "the shape of x")
    groups = groups_like(x, mean, by_channels=by_channels)
    mean, inv_std = of_groups("mean", mean, x, groups), of_groups("inv_std", inv_std, x, groups)
    weight, bias = affine_of_groups(weight, bias, x, groups)
    xhat = (_split(x, groups) - _of_each(mean, groups)) * _of_each(inv_std, groups)
    z = xhat * _parameter(weight, groups, 1) + _parameter(bias, groups, 0)
    y = None if activation is None else activate(z.astype(x.dtype), activation)
    return activate_grad_input(_split(dy, groups), activation, y), xhat, groups


def _grad_input(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None,
    bias: FloatArray | None,
    activation: str | None,
    *,
    by_channels: bool,
) -> FloatArray:
    g, xhat, groups = _gradient_and_xhat(
        dy, x, mean, inv_std, weight, bias, activation, by_channels
    )
    h = g * _parameter(weight, groups, 1)

    def mean_of(values: FloatArray) -> FloatArray:
        means: FloatArray = values.mean(axis=WITHIN_GROUP, keepdims=True)
        return means

    inv_std = _of_each(np.asarray(inv_std), groups)
    dx: npt.NDArray[np.floating] = inv_std * (h - mean_of(h) - xhat * mean_of(h * xhat))
    return dx.reshape(np.shape(x))


def _grad_weight(
    dy: FloatArray,
    x: FloatArray,
    mean: FloatArray,
    inv_std: FloatArray,
    weight: FloatArray | None,
    bias: FloatArray | None,
    activation: str | None,
    *,
    by_channels: bool,
) -> FloatArray:
    g, xhat, groups = _gradient_and_xhat(
        dy, x, mean, inv_std, weight, bias, activation, by_channels
    )
    dw: FloatArray = (g * xhat).sum(axis=OVER_SAMPLES)
    return dw.reshape(groups.parameters)
