"""Losses that are a mean over elements, with their gradients."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    positive_number,
    positive_weights,
    predictions_and_targets,
    zero_to_one,
)
from rot180.functional.results import new_array


def mean_squared_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Mean over all elements of (prediction - target)^2.

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        The shapes or dtypes differ, or there are no elements.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import mean_squared_error
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    return _element_loss(_core.ElementLoss.mean_squared_error, prediction, target)


def mean_squared_error_grad_input(prediction: ArrayLike, target: ArrayLike) -> FloatArray:
    """Dprediction = 2 (prediction - target) / size.

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element

    Returns
    -------
    array of prediction's shape

    Raises
    ------
    ValueError, TypeError
        As `mean_squared_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import mean_squared_error_grad_input
    >>> mean_squared_error_grad_input(np.array([1.0, 2.0]), np.array([1.0, 4.0])).tolist()
    [0.0, -2.0]
    """
    return _element_loss_grad_input(_core.ElementLoss.mean_squared_error, prediction, target)


def mean_absolute_error(prediction: ArrayLike, target: ArrayLike) -> float:
    """Mean over all elements of |prediction - target|.

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As `mean_squared_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import mean_absolute_error
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return _element_loss(_core.ElementLoss.mean_absolute_error, prediction, target)


def mean_absolute_error_grad_input(prediction: ArrayLike, target: ArrayLike) -> FloatArray:
    """Dprediction = sign(prediction - target) / size, 0 where they are equal.

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element

    Returns
    -------
    array of prediction's shape

    Raises
    ------
    ValueError, TypeError
        As `mean_squared_error`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import mean_absolute_error_grad_input
    >>> mean_absolute_error_grad_input(np.array([1.0, 2.0]), np.array([1.0, 4.0])).tolist()
    [0.0, -0.5]
    """
    return _element_loss_grad_input(_core.ElementLoss.mean_absolute_error, prediction, target)


def huber(prediction: ArrayLike, target: ArrayLike, delta: float = 1.0) -> float:
    """Mean over all elements of d^2 / 2 where |d| <= delta, else delta (|d| - delta / 2).

    d = prediction - target (Huber, 1964).

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element
    delta : float
        Greater than 0: where the parabola goes over into straight lines.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        As `mean_squared_error`; or delta is not a number above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import huber
    >>> huber(np.array([1.0, 2.0]), np.array([2.0, 5.0]))  # (1/2 + 5/2) / 2
    1.5
    """
    delta = positive_number("delta", delta)
    return _element_loss(_core.ElementLoss.huber, prediction, target, delta)


def huber_grad_input(prediction: ArrayLike, target: ArrayLike, delta: float = 1.0) -> FloatArray:
    """Dprediction = (prediction - target), clipped to [-delta, delta], / size.

    Parameters
    ----------
    prediction, target : arrays of one shape and dtype, with at least one element
    delta : float
        Greater than 0.

    Returns
    -------
    array of prediction's shape

    Raises
    ------
    ValueError, TypeError
        As `huber`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import huber_grad_input
    >>> huber_grad_input(np.array([1.0, 2.0]), np.array([1.5, 5.0])).tolist()
    [-0.25, -0.5]
    """
    delta = positive_number("delta", delta)
    return _element_loss_grad_input(_core.ElementLoss.huber, prediction, target, delta)


def binary_cross_entropy(
    logits: ArrayLike, target: ArrayLike, *, pos_weight: ArrayLike = 1.0
) -> float:
    """Mean of -(pos_weight * t * log s + (1 - t) * log(1 - s)), with s = sigmoid(logits).

    t = target. The logarithms are taken together with the sigmoid, so that neither overflows.

    Parameters
    ----------
    logits : array (...) or (..., C), float32 or float64, with at least one element
    target : array of logits' shape and dtype
        From 0 to 1: the probability that the answer is yes.
    pos_weight : float, or array (C,)
        At least 0: what the positive answers weigh; one for all or one for each of the last axis.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        The shapes differ, there are no elements, or a target is not from 0 to 1: names the first.
    TypeError
        The dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import binary_cross_entropy
    >>> round(binary_cross_entropy(np.log([3.0, 3.0]), np.array([1.0, 0.0])), 4)
    0.837
    """
    logits, target, weight = _binary(logits, target, pos_weight)
    return _core.binary_cross_entropy(logits, target, weight)


def binary_cross_entropy_grad_input(
    logits: ArrayLike, target: ArrayLike, *, pos_weight: ArrayLike = 1.0
) -> FloatArray:
    """Dlogits = ((1 - t) * s - pos_weight * t * (1 - s)) / size, which is (s - t) / size at 1.

    Parameters
    ----------
    logits, target, pos_weight
        As `binary_cross_entropy` takes them.

    Returns
    -------
    array of logits' shape

    Raises
    ------
    ValueError, TypeError
        As `binary_cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import binary_cross_entropy_grad_input
    >>> logits, target = np.log([3.0, 3.0]), np.array([1.0, 0.0])
    >>> binary_cross_entropy_grad_input(logits, target).round(4).tolist()
    [-0.125, 0.375]
    """
    logits, target, weight = _binary(logits, target, pos_weight)
    dlogits = new_array(logits.shape, logits.dtype)
    _core.binary_cross_entropy_grad_input(logits, target, weight, dlogits)
    return dlogits


def _element_loss(
    loss: _core.ElementLoss, prediction: ArrayLike, target: ArrayLike, delta: float = 1.0
) -> float:
    prediction, target = predictions_and_targets(prediction=prediction, target=target)
    return _core.element_loss(loss, prediction, target, delta)


def _element_loss_grad_input(
    loss: _core.ElementLoss, prediction: ArrayLike, target: ArrayLike, delta: float = 1.0
) -> FloatArray:
    prediction, target = predictions_and_targets(prediction=prediction, target=target)
    dprediction = new_array(prediction.shape, prediction.dtype)
    _core.element_loss_grad_input(loss, prediction, target, delta, dprediction)
    return dprediction


def _binary(
    logits: ArrayLike, target: ArrayLike, pos_weight: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    logits, target = predictions_and_targets(logits=logits, target=target)
    return logits, zero_to_one("target", target), positive_weights(pos_weight, logits)
