"""Losses, averaged over the batch, and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    class_labels,
    expect_shape,
    float_arrays,
    rows_of_classes,
)


def softmax(logits: FloatArray) -> FloatArray:
    """``p[n,k] = exp(z[n,k]) / sum over l of exp(z[n,l])``, of logits z (N, classes).

    Taking the largest logit of a row from all of them changes nothing and keeps exp in range.

    Raises
    ------
    TypeError, ValueError
        When logits has another dtype or shape, or no classes.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import softmax
    >>> softmax(np.log([[1.0, 2.0, 5.0]])).round(3).tolist()
    [[0.125, 0.25, 0.625]]
    """
    shifted = _shifted_logits(logits)
    exponentials = np.exp(shifted)
    probabilities: FloatArray = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def softmax_cross_entropy(
    logits: FloatArray, labels: NDArray[np.integer[Any]]
) -> tuple[float, FloatArray]:
    """Mean over the batch of ``-log p[n, labels[n]]``, with p = softmax(logits).

    ``log p[n,k] = z[n,k] - log(sum over l of exp(z[n,l]))``

    Parameters
    ----------
    logits : (N, classes), float32 or float64, N at least 1
    labels : (N,) integers from 0 to classes - 1

    Returns
    -------
    loss : float
    probabilities : (N, classes), for `softmax_cross_entropy_grad_input`

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or shape; the first label out of range; N = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import softmax_cross_entropy
    >>> loss, probabilities = softmax_cross_entropy(np.log([[1.0, 3.0]]), np.array([1]))
    >>> round(loss, 4), probabilities.round(2).tolist()
    (0.2877, [[0.25, 0.75]])
    """
    shifted = _shifted_logits(logits)
    labels = class_labels("labels", labels, *shifted.shape)
    log_sums = np.log(np.exp(shifted).sum(axis=1))
    log_likelihoods = shifted[np.arange(len(labels)), labels] - log_sums
    return float(-log_likelihoods.mean()), softmax(logits)


def softmax_cross_entropy_grad_input(
    probabilities: FloatArray, labels: NDArray[np.integer[Any]]
) -> FloatArray:
    """Gradient of softmax and cross-entropy together, with respect to the logits.

    ``dz[n,k] = (p[n,k] - (1 if k == labels[n] else 0)) / N``

    Parameters
    ----------
    probabilities : (N, classes), float32 or float64, from `softmax_cross_entropy`
    labels : (N,) integers from 0 to classes - 1

    Returns
    -------
    dlogits : (N, classes)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or shape; the first label out of range; N = 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import softmax_cross_entropy_grad_input
    >>> softmax_cross_entropy_grad_input(np.array([[0.25, 0.75]]), np.array([1])).tolist()
    [[0.25, -0.25]]
    """
    probabilities = rows_of_classes("probabilities", probabilities)
    labels = class_labels("labels", labels, *probabilities.shape)
    dlogits = probabilities.copy()
    dlogits[np.arange(len(labels)), labels] -= 1
    return dlogits / len(labels)


def mean_squared_error(prediction: FloatArray, target: FloatArray) -> float:
    """Mean over all M elements of ``(prediction - target)^2``, of two arrays of one shape.

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
    return float(np.mean(_difference(prediction, target) ** 2))


def mean_squared_error_grad_input(prediction: FloatArray, target: FloatArray) -> FloatArray:
    """``dprediction = 2 * (prediction - target) / M``, with M the number of elements.

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
    difference = _difference(prediction, target)
    return 2 * difference / difference.size


def _shifted_logits(logits: FloatArray) -> FloatArray:
    logits = rows_of_classes("logits", logits)
    shifted: FloatArray = logits - logits.max(axis=1, keepdims=True)
    return shifted


def _difference(prediction: FloatArray, target: FloatArray) -> FloatArray:
    prediction, target = float_arrays(prediction=prediction, target=target)
    expect_shape("target", target, prediction.shape, "the shape of prediction")
    if prediction.size == 0:
        raise ValueError(f"prediction has shape {prediction.shape}: expected at least one element")
    return prediction - target
