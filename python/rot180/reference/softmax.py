"""Softmax over the last axis, alone and with cross-entropy, in plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rot180.arguments import (
    FloatArray,
    class_labels,
    class_scores,
    class_weight_array,
    expect_dtype,
    expect_shape,
    float_arrays,
    real_number,
    with_last_axis,
)


def softmax(x: FloatArray) -> FloatArray:
    """``y[n,k] = exp(x[n,k]) / sum over l of exp(x[n,l])``, of x (N, classes) or (..., classes).

    Taking the largest of a row from all of them changes nothing and keeps exp in range.

    Raises
    ------
    TypeError, ValueError
        When x has another dtype or shape, or no classes.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import softmax
    >>> softmax(np.log([[1.0, 2.0, 5.0]])).round(3).tolist()
    [[0.125, 0.25, 0.625]]
    """
    exponentials = np.exp(_shifted(with_last_axis("x", x)))
    y: FloatArray = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return y


def softmax_grad_input(dy: FloatArray, y: FloatArray) -> FloatArray:
    """``dx[n,k] = y[n,k] * (dy[n,k] - sum over l of dy[n,l] * y[n,l])``, with y = softmax(x).

    Raises
    ------
    TypeError, ValueError
        When the dtypes or shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import softmax_grad_input
    >>> softmax_grad_input(np.array([[4.0, 0.0]]), np.array([[0.75, 0.25]])).tolist()
    [[0.75, -0.75]]
    """
    dy, y = float_arrays(dy=with_last_axis("dy", dy), y=y)
    expect_shape("y", y, dy.shape, "the shape of dy")
    dx: FloatArray = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
    return dx


def softmax_cross_entropy(
    logits: FloatArray,
    labels: NDArray[Any],
    *,
    label_smoothing: float = 0.0,
    class_weights: ArrayLike | None = None,
) -> tuple[float, FloatArray]:
    """``-(sum over n, k of t[n,k] * log p[n,k]) / total``, with p = softmax(logits).

    ``t[n,k] = w[k] * ((1 - e) * q[n,k] + e / classes)`` with the label smoothing e and the class
    weights w. q is 1 for the label and 0 elsewhere, or the probabilities given as labels. As in
    PyTorch, total is the sum over n of w[labels[n]], and with probabilities N.

    Parameters
    ----------
    logits : (N, classes) or (N, H, W, classes), float32 or float64, N at least 1
    labels : (N,) or (N, H, W) integers from 0 to classes - 1, or probabilities of logits' shape
    label_smoothing : at least 0, less than 1
    class_weights : (classes,), at least 0, or None for 1 each

    Returns
    -------
    loss : float
    probabilities : logits' shape, for `softmax_cross_entropy_grad_input`

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
    logits = class_scores("logits", logits)
    target, total = _target(logits, "logits", labels, label_smoothing, class_weights)
    shifted = _shifted(logits)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    log_p[target == 0] = 0  # may be -inf, which times 0 would be NaN
    return float(-(target * log_p).sum(dtype=np.float64) / total), softmax(logits)


def softmax_cross_entropy_grad_input(
    probabilities: FloatArray,
    labels: NDArray[Any],
    *,
    label_smoothing: float = 0.0,
    class_weights: ArrayLike | None = None,
) -> FloatArray:
    """Gradient of softmax and cross-entropy together, with respect to the logits.

    ``dlogits[n,k] = (p[n,k] * sum over l of t[n,l] - t[n,k]) / total``, where the sum is 1 unless
    there are class weights.

    Parameters
    ----------
    probabilities : (N, classes) or (N, H, W, classes), from `softmax_cross_entropy`
    labels, label_smoothing, class_weights : as they were given to it

    Returns
    -------
    dlogits : probabilities' shape

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
    p = class_scores("probabilities", probabilities)
    target, total = _target(p, "probabilities", labels, label_smoothing, class_weights)
    dlogits: FloatArray = (p * target.sum(axis=-1, keepdims=True) - target) / p.dtype.type(total)
    return dlogits


def _target(
    scores: FloatArray,
    name: str,
    labels: NDArray[Any],
    label_smoothing: float,
    class_weights: ArrayLike | None,
) -> tuple[FloatArray, float]:
    """T, of the shape and dtype of scores, and what the sums are divided by."""
    classes = scores.shape[-1]
    labels = class_labels("labels", labels, *scores.shape)
    smoothing = real_number("label_smoothing", label_smoothing, below=1.0)
    weights = class_weight_array(class_weights, labels, classes)
    if weights is None:
        weights = np.ones(classes)
    if labels.dtype.kind == "f":
        expect_dtype("labels", labels, name, scores)
        q, total = labels, float(scores.size // classes)
    else:
        q, total = np.eye(classes)[labels], float(weights[labels].sum())
    target = weights * ((1 - smoothing) * q + smoothing / classes)
    return target.astype(scores.dtype), total


def _shifted(x: FloatArray) -> FloatArray:
    shifted: FloatArray = x - x.max(axis=-1, keepdims=True)
    return shifted
