"""Losses that are a mean over the batch, with their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rot180 import _core
from rot180.functional.arrays import FloatArray, expect_shape, float_array, same_dtype


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
    logits = _rows("logits", logits)
    probabilities = np.empty_like(logits)
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
    logits = _rows("logits", logits)
    checked = label_array(labels, *logits.shape)
    if logits.shape[0] == 0:
        raise ValueError("logits has no rows: the mean loss of an empty batch is undefined")
    probabilities = np.empty_like(logits)
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
    probabilities = _rows("probabilities", probabilities)
    checked = label_array(labels, *probabilities.shape)
    dlogits = np.empty_like(probabilities)
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
    dprediction = np.empty_like(prediction)
    _core.mean_squared_error_grad_input(prediction, target, dprediction)
    return dprediction


def label_array(labels: ArrayLike, rows: int, classes: int) -> NDArray[np.int64]:
    """Class labels as int64, or an error that names the first that is out of range."""
    array: NDArray[Any] = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"labels has dtype {array.dtype}, expected integers: pass labels.astype(numpy.int64)"
        )
    if array.shape != (rows,):
        raise ValueError(f"labels has shape {array.shape}, expected ({rows},), one for each row")
    wrong = np.flatnonzero((array < 0) | (array >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f"labels[{first}] is {int(array[first])}, expected 0 to {classes - 1} "
            f"for {classes} classes"
        )
    return np.ascontiguousarray(array, np.int64)


def _rows(name: str, value: ArrayLike) -> FloatArray:
    array = float_array(name, value)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected (N, classes)")
    return array


def _pair_of_arrays(prediction: ArrayLike, target: ArrayLike) -> tuple[FloatArray, FloatArray]:
    first, second = float_array("prediction", prediction), float_array("target", target)
    same_dtype("prediction", first, "target", second)
    expect_shape("target", second, first.shape, "as prediction")
    if first.size == 0:
        raise ValueError("prediction is empty: the mean of no elements is undefined")
    return first, second
