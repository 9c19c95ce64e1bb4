"""Losses that are a mean over elements, and their gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rot180.arguments import (
    FloatArray,
    positive_number,
    positive_weights,
    predictions_and_targets,
    zero_to_one,
)
from rot180.reference.activation import sigmoid


def mean_squared_error(prediction: FloatArray, target: FloatArray) -> float:
    """Mean over all M elements of ``d^2``, with ``d = prediction - target``, of one shape.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, or there are no elements.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import mean_squared_error
    >>> mean_squared_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    2.0
    """
    return _mean(_difference(prediction, target) ** 2)


def mean_squared_error_grad_input(prediction: FloatArray, target: FloatArray) -> FloatArray:
    """``dprediction = 2 * d / M``, with M the number of elements.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, or there are no elements.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import mean_squared_error_grad_input
    >>> mean_squared_error_grad_input(np.array([1.0, 2.0]), np.array([1.0, 4.0])).tolist()
    [0.0, -2.0]
    """
    d = _difference(prediction, target)
    return 2 * d / d.size


def mean_absolute_error(prediction: FloatArray, target: FloatArray) -> float:
    """Mean over all M elements of ``|d|``, with ``d = prediction - target``.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, or there are no elements.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import mean_absolute_error
    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    1.0
    """
    return _mean(np.abs(_difference(prediction, target)))


def mean_absolute_error_grad_input(prediction: FloatArray, target: FloatArray) -> FloatArray:
    """``dprediction = sign(d) / M``, 0 where d is 0.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, or there are no elements.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import mean_absolute_error_grad_input
    >>> mean_absolute_error_grad_input(np.array([1.0, 2.0]), np.array([1.0, 4.0])).tolist()
    [0.0, -0.5]
    """
    d = _difference(prediction, target)
    return np.sign(d) / d.size


def huber(prediction: FloatArray, target: FloatArray, delta: float = 1.0) -> float:
    """Mean over all M elements of ``d^2 / 2 if |d| <= delta else delta * (|d| - delta / 2)``.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, there are no elements, or delta is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import huber
    >>> huber(np.array([1.0, 2.0]), np.array([2.0, 5.0]))
    1.5
    """
    delta = positive_number("delta", delta)
    size = np.abs(_difference(prediction, target))
    inside = np.minimum(size, delta)
    return _mean(inside**2 / 2 + delta * (size - inside))


def huber_grad_input(prediction: FloatArray, target: FloatArray, delta: float = 1.0) -> FloatArray:
    """``dprediction = min(max(d, -delta), delta) / M``.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, there are no elements, or delta is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import huber_grad_input
    >>> huber_grad_input(np.array([1.0, 2.0]), np.array([1.5, 5.0])).tolist()
    [-0.25, -0.5]
    """
    delta = positive_number("delta", delta)
    d = _difference(prediction, target)
    return np.clip(d, -delta, delta) / d.size


def binary_cross_entropy(
    logits: FloatArray, target: FloatArray, *, pos_weight: ArrayLike = 1.0
) -> float:
    """Mean over all M elements of ``-(w * t * log s + (1 - t) * log(1 - s))``.

    ``s = 1 / (1 + exp(-logits))``, t = target from 0 to 1, w = pos_weight, a number or (C,) for
    logits (..., C). ``-log s = log(1 + exp(-logits))`` and ``-log(1 - s) = log(1 + exp(logits))``.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, there are no elements, or a target is not from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import binary_cross_entropy
    >>> round(binary_cross_entropy(np.log([3.0, 3.0]), np.array([1.0, 0.0])), 4)
    0.837
    """
    z, t = predictions_and_targets(logits=logits, target=target)
    weight = positive_weights(pos_weight, z)
    zero_to_one("target", t)
    return _mean(weight * t * np.logaddexp(0, -z) + (1 - t) * np.logaddexp(0, z))


def binary_cross_entropy_grad_input(
    logits: FloatArray, target: FloatArray, *, pos_weight: ArrayLike = 1.0
) -> FloatArray:
    """``dlogits = ((1 - t) * s - w * t * (1 - s)) / M``.

    Raises
    ------
    TypeError, ValueError
        When dtypes or shapes differ, there are no elements, or a target is not from 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import binary_cross_entropy_grad_input
    >>> logits, target = np.log([3.0, 3.0]), np.array([1.0, 0.0])
    >>> binary_cross_entropy_grad_input(logits, target).round(4).tolist()
    [-0.125, 0.375]
    """
    z, t = predictions_and_targets(logits=logits, target=target)
    weight = positive_weights(pos_weight, z)
    zero_to_one("target", t)
    # sigmoid(-z) is 1 - sigmoid(z) without the rounding of the difference.
    return ((1 - t) * sigmoid(z) - weight * t * sigmoid(-z)) / z.size


def _mean(terms: FloatArray) -> float:
    return float(np.mean(terms, dtype=np.float64))


def _difference(prediction: FloatArray, target: FloatArray) -> FloatArray:
    prediction, target = predictions_and_targets(prediction=prediction, target=target)
    return prediction - target
