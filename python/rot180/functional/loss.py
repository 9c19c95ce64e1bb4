"""Losses that are a mean over the batch, with their gradients."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    class_labels,
    expect_shape,
    float_arrays,
    rows_of_classes,
)
from rot180.functional.results import new_array


def softmax(logits: ArrayLike) -> FloatArray:
    """probabilities[i,j] = exp(logits[i,j]) / sum over l of exp(logits[i,l]).

    Parameters
    ----------
    logits : array (N, classes), float32 or float64

    Returns
    -------
    array (N, classes)
        Each row sums to 1. Large logits do not overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax
    >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """
    logits = rows_of_classes("logits", logits)
    probabilities = new_array(logits.shape, logits.dtype)
    _core.softmax(logits, probabilities)
    return probabilities


def softmax_cross_entropy(logits: ArrayLike, labels: ArrayLike) -> tuple[float, FloatArray]:
    """Mean over the batch of -log softmax(logits)[i, labels[i]].

    Parameters
    ----------
    logits : array (N, classes), float32 or float64, N >= 1
    labels : integer array (N,), each from 0 to classes - 1

    Returns
    -------
    loss : float
    probabilities : array (N, classes)
        The softmax, as `softmax_cross_entropy_grad_input` needs it.

    Raises
    ------
    ValueError
        A label is out of range (the message names the first), the lengths differ, or N is 0.
    TypeError
        The labels are not integers.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax_cross_entropy
    >>> loss, probabilities = softmax_cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(loss, 6), probabilities.tolist()
    (1.386294, [[0.25, 0.25, 0.25, 0.25]])
    """
    logits = rows_of_classes("logits", logits)
    checked = class_labels("labels", labels, *logits.shape)
    probabilities = new_array(logits.shape, logits.dtype)
    loss = _core.softmax_cross_entropy(logits, checked, probabilities)
    return loss, probabilities


def softmax_cross_entropy_grad_input(probabilities: ArrayLike, labels: ArrayLike) -> FloatArray:
    """dlogits[i,j] = (probabilities[i,j] - (j == labels[i])) / N.

    Parameters
    ----------
    probabilities : array (N, classes)
        From `softmax_cross_entropy`.
    labels : integer array (N,)

    Returns
    -------
    array (N, classes)

    Raises
    ------
    ValueError, TypeError
        As `softmax_cross_entropy`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax_cross_entropy_grad_input
    >>> softmax_cross_entropy_grad_input(np.array([[0.25, 0.75]]), np.array([1])).tolist()
    [[0.25, -0.25]]
    """
    probabilities = rows_of_classes("probabilities", probabilities)
    checked = class_labels("labels", labels, *probabilities.shape)
    dlogits = new_array(probabilities.shape, probabilities.dtype)
    _core.softmax_cross_entropy_grad_input(probabilities, checked, dlogits)
    return dlogits


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
    prediction, target = _pair_of_arrays(prediction, target)
    return _core.mean_squared_error(prediction, target)


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
    prediction, target = _pair_of_arrays(prediction, target)
    dprediction = new_array(prediction.shape, prediction.dtype)
    _core.mean_squared_error_grad_input(prediction, target, dprediction)
    return dprediction


def _pair_of_arrays(prediction: ArrayLike, target: ArrayLike) -> list[FloatArray]:
    prediction, target = float_arrays(prediction=prediction, target=target)
    expect_shape("target", target, prediction.shape, "the shape of prediction")
    if prediction.size == 0:
        raise ValueError(f"prediction has shape {prediction.shape}: expected at least one element")
    return [prediction, target]
