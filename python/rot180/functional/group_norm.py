"""Normalisation of each sample by itself: by groups of channels, or over its last axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    expect_dtype,
    expect_shape,
    float_array,
    real_number,
    writable_in_place,
)
from rot180.functional.activation import core_activation
from rot180.functional.results import new_array
from rot180.grouping import (
    Groups,
    affine_of_groups,
    channel_groups,
    groups_like,
    of_groups,
    trailing_axes,
)


def group_norm(
    x: ArrayLike,
    num_groups: int,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Normalise each sample's groups of channels by their own mean and variance.

    y = activation(xhat * weight + bias) with xhat = (x - mean) * inv_std and inv_std =
    1 / sqrt(var + eps): Wu and He (2018), "Group normalization". Mean and biased variance are those
    of one sample, over its pixels and the C / num_groups channels of a group. One group is layer
    normalisation of whole images, with a weight for each channel; C groups are instance
    normalisation.

    Parameters
    ----------
    x : array (N, H, W, C), one image (H, W, C), or vectors (N, C), float32 or float64
    num_groups : int
        Divides C.
    weight, bias : arrays (C,), optional
        Ones and zeros by default.
    eps : float
        At least 0.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    y : array of x's shape and dtype
    mean, inv_std : arrays (N, num_groups), or (num_groups,) for one image
        What the gradients need beside x.

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import group_norm
    >>> x = np.array([[1.0, 3.0, 70.0, 90.0], [0.0, 8.0, 0.0, 2.0]])
    >>> y, mean, inv_std = group_norm(x, 2, eps=0)
    >>> y
    array([[-1.,  1., -1.,  1.],
           [-1.,  1., -1.,  1.]])
    >>> mean.tolist(), inv_std.tolist()
    ([[2.0, 80.0], [4.0, 1.0]], [[1.0, 0.1], [0.25, 1.0]])
    """
    x = float_array("x", x)
    return _normalise(x, channel_groups(x, num_groups), weight, bias, eps, activation)


def group_norm_grad_input(
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
    """Gradient by x of `group_norm`, through mean and variance too.

    With xhat = (x - mean) * inv_std, g = dy * activation'(xhat * weight + bias), h = g * weight,
    and means over a sample's group: dx = inv_std * (h - mean of h - xhat * mean of (h * xhat)).

    Parameters
    ----------
    dy, x : arrays of one shape, (N, H, W, C), (H, W, C) or (N, C)
    mean, inv_std : arrays (N, num_groups), or (num_groups,) for one image
        From `group_norm`.
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
    >>> from rot180.functional import group_norm, group_norm_grad_input
    >>> x = np.array([[0.0, 2.0, 4.0, 2.0]])
    >>> y, mean, inv_std = group_norm(x, 1, eps=0)
    >>> dy = np.array([[1.0, 0.0, 0.0, 0.0]])
    >>> group_norm_grad_input(dy, x, mean, inv_std).round(3).ravel().tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    arguments = (dy, x, mean, inv_std, weight, bias)
    return _grad_input(*arguments, activation, weight_out, bias_out, by_channels=True)


def group_norm_grad_weight(
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

    The sums are over samples and pixels; the formulas are those of `group_norm_grad_input`, which
    yields both besides dx.

    Parameters
    ----------
    x, dy : arrays of one shape, (N, H, W, C), (H, W, C) or (N, C)
    mean, inv_std, weight, bias, activation
        As in `group_norm_grad_input`. weight and bias matter to an activation's derivative alone.
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
    >>> from rot180.functional import group_norm, group_norm_grad_weight
    >>> x = np.array([[1.0, 5.0]])
    >>> y, mean, inv_std = group_norm(x, 1, eps=0)
    >>> group_norm_grad_weight(x, np.array([[10.0, 30.0]]), mean, inv_std).tolist()
    [-10.0, 30.0]
    """
    arguments = (dy, x, mean, inv_std, weight, bias)
    return _grad_weight(*arguments, activation, bias_out, by_channels=True)


def layer_norm(
    x: ArrayLike,
    normalized_shape: int | Sequence[int],
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    *,
    eps: float = 1e-5,
    activation: str | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Normalise what the last axes hold by its own mean and variance.

    y = activation(xhat * weight + bias) with xhat = (x - mean) * inv_std and inv_std =
    1 / sqrt(var + eps): Ba, Kiros and Hinton (2016), "Layer normalization". Mean and biased
    variance are over the last axes, for each index of the others.

    Parameters
    ----------
    x : array (..., *normalized_shape), float32 or float64
    normalized_shape : int or sequence of ints
        The last axes of x: C, or (H, W, C).
    weight, bias : arrays of shape normalized_shape, optional
        Ones and zeros by default.
    eps : float
        At least 0.
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    y : array of x's shape and dtype
    mean, inv_std : arrays of x's shape without the last axes
        What the gradients need beside x.

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import layer_norm
    >>> y, mean, inv_std = layer_norm(np.array([[1.0, 3.0], [70.0, 90.0]]), 2, eps=0)
    >>> y.tolist(), mean.tolist(), inv_std.tolist()
    ([[-1.0, 1.0], [-1.0, 1.0]], [2.0, 80.0], [1.0, 0.1])
    """
    x = float_array("x", x)
    return _normalise(x, trailing_axes(x, normalized_shape), weight, bias, eps, activation)


def layer_norm_grad_input(
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
    """Gradient by x of `layer_norm`: the formula of `group_norm_grad_input`, over the last axes.

    Parameters
    ----------
    dy, x : arrays of one shape
    mean, inv_std : arrays of x's shape without the normalised axes
        From `layer_norm`.
    weight, bias : arrays of the normalised shape, optional
    activation : str, optional
        As in the forward pass.
    weight_out, bias_out : arrays of the normalised shape, optional
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
    >>> from rot180.functional import layer_norm, layer_norm_grad_input
    >>> x = np.array([0.0, 2.0, 4.0, 2.0])
    >>> y, mean, inv_std = layer_norm(x, 4, eps=0)
    >>> dy = np.array([1.0, 0.0, 0.0, 0.0])
    >>> layer_norm_grad_input(dy, x, mean, inv_std).round(3).tolist()
    [0.177, -0.177, 0.177, -0.177]
    """
    arguments = (dy, x, mean, inv_std, weight, bias)
    return _grad_input(*arguments, activation, weight_out, bias_out, by_channels=False)


def layer_norm_grad_weight(
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

    The sums are over all axes but the normalised ones; the formulas are those of
    `layer_norm_grad_input`, which yields both besides dx.

    Parameters
    ----------
    x, dy : arrays of one shape
    mean, inv_std, weight, bias, activation
        As in `layer_norm_grad_input`. weight and bias matter to an activation's derivative alone.
    bias_out : array of the normalised shape, optional
        Where to write db.

    Returns
    -------
    array of the normalised shape

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import layer_norm, layer_norm_grad_weight
    >>> x = np.array([[1.0, 5.0]])
    >>> y, mean, inv_std = layer_norm(x, 2, eps=0)
    >>> layer_norm_grad_weight(x, np.array([[10.0, 30.0]]), mean, inv_std).tolist()
    [-10.0, 30.0]
    """
    arguments = (dy, x, mean, inv_std, weight, bias)
    return _grad_weight(*arguments, activation, bias_out, by_channels=False)


def _normalise(
    x: FloatArray,
    groups: Groups,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float,
    activation: str | None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    weight, bias = affine_of_groups(weight, bias, x, groups)
    y = new_array(x.shape, x.dtype)
    mean, inv_std = np.empty(groups.statistics, x.dtype), np.empty(groups.statistics, x.dtype)
    _core.group_norm(
        x.reshape(groups.view),
        real_number("eps", eps),
        weight,
        bias,
        core_activation(activation),
        y,
        mean.reshape(-1, groups.number),
        inv_std.reshape(-1, groups.number),
    )
    return y, mean, inv_std


def _grad_input(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    activation: str | None,
    weight_out: FloatArray | None,
    bias_out: FloatArray | None,
    *,
    by_channels: bool,
) -> FloatArray:
    x = float_array("x", x)
    dx = new_array(x.shape, x.dtype)
    _gradients(
        *(dy, x, mean, inv_std, weight, bias, activation, dx, weight_out, bias_out),
        by_channels=by_channels,
    )
    return dx


def _grad_weight(
    dy: ArrayLike,
    x: ArrayLike,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    activation: str | None,
    bias_out: FloatArray | None,
    *,
    by_channels: bool,
) -> FloatArray:
    return _gradients(
        *(dy, float_array("x", x), mean, inv_std, weight, bias, activation, None, None, bias_out),
        by_channels=by_channels,
    )


def _gradients(
    dy: ArrayLike,
    x: FloatArray,
    mean: ArrayLike,
    inv_std: ArrayLike,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    activation: str | None,
    dx: FloatArray | None,
    weight_out: FloatArray | None,
    bias_out: FloatArray | None,
    *,
    by_channels: bool,
) -> FloatArray:
    """Write dx, unless it is None, and db; return dw."""
    dy, mean = float_array("dy", dy), float_array("mean", mean)
    expect_dtype("dy", dy, "x", x)
    expect_shape("dy", dy, x.shape, "the shape of x")
    groups = groups_like(x, mean, by_channels=by_channels)
    mean, inv_std = (
        of_groups(name, array, x, groups) for name, array in (("mean", mean), ("inv_std", inv_std))
    )
    weight, bias = affine_of_groups(weight, bias, x, groups)
    dw, db = _sum("weight_out", weight_out, x, groups), _sum("bias_out", bias_out, x, groups)
    _core.group_norm_grad(
        dy,
        x.reshape(groups.view),
        mean.reshape(-1, groups.number),
        inv_std,
        weight,
        bias,
        core_activation(activation),
        dx,
        dw,
        db,
    )
    return dw


def _sum(name: str, out: FloatArray | None, x: FloatArray, groups: Groups) -> FloatArray:
    """Where a sum for each parameter goes. That it overlaps nothing, the core looks after."""
    if out is None:
        return np.empty(groups.parameters, x.dtype)
    writable_in_place(name, out)
    expect_dtype(name, out, "x", x)
    expect_shape(name, out, groups.parameters, "the shape that is normalised")
    return out
