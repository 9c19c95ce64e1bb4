"""Softmax over the last axis, alone and with cross-entropy."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from rot180 import _core
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
from rot180.functional.results import new_array


def softmax(x: ArrayLike) -> FloatArray:
    """y[...,j] = exp(x[...,j]) / sum over l of exp(x[...,l]).

    Parameters
    ----------
    x : array (..., classes), float32 or float64

    Returns
    -------
    array of x's shape and dtype
        Each row, along the last axis, sums to 1. Large numbers do not overflow.

    Raises
    ------
    ValueError
        If x has no axes, or the last one is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax
    >>> softmax(np.array([[1000.0, 1000.0]])).tolist()
    [[0.5, 0.5]]
    """
    x = with_last_axis("x", x)
    y = new_array(x.shape, x.dtype)
    _core.softmax(x, y)
    return y


def softmax_grad_input(dy: ArrayLike, y: ArrayLike) -> FloatArray:
    """dx[...,j] = y[...,j] * (dy[...,j] - sum over l of dy[...,l] * y[...,l]).

    Parameters
    ----------
    dy, y : arrays (..., classes) of one shape and dtype
        The loss's gradient by y, and y = softmax(x).

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax_grad_input
    >>> softmax_grad_input(np.array([[4.0, 0.0]]), np.array([[0.75, 0.25]])).tolist()
    [[0.75, -0.75]]
    """
    dy, y = float_arrays(dy=with_last_axis("dy", dy), y=y)
    expect_shape("y", y, dy.shape, "the shape of dy")
    dx = new_array(dy.shape, dy.dtype)
    _core.softmax_grad_input(dy, y, dx)
    return dx


def softmax_cross_entropy(
    logits: ArrayLike,
    labels: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    class_weights: ArrayLike | None = None,
) -> tuple[float, FloatArray]:
    """Mean over the examples of -log softmax(logits)[i, labels[i]].

    In general -(sum over i, j of t[i,j] * log softmax(logits)[i,j]) / total, where
    t[i,j] = class_weights[j] * ((1 - label_smoothing) * q[i,j] + label_smoothing / classes); q is
    1 for the label and 0 elsewhere, or the probabilities given as labels. As in PyTorch, total is
    the sum of class_weights[labels[i]], and with probabilities the number of examples.

    Parameters
    ----------
    logits : array (N, classes) or (N, H, W, classes), float32 or float64, N >= 1
    labels : integer array (N,) or (N, H, W), or array of logits' shape and dtype
        Class numbers from 0 to classes - 1, or for each example probabilities that sum to 1.
    label_smoothing : float
        The share of each target that is spread evenly over all classes; at least 0, less than 1.
    class_weights : array (classes,), optional
        At least 0. None is 1 for each class.

    Returns
    -------
    loss : float
    probabilities : array of logits' shape and dtype
        The softmax, as `softmax_cross_entropy_grad_input` needs it.

    Raises
    ------
    ValueError
        A label is out of range (the message names the first), the shapes do not fit, N is 0, or
        every label has class weight 0.
    TypeError
        The labels are neither integers nor of logits' shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import softmax_cross_entropy
    >>> loss, probabilities = softmax_cross_entropy(np.zeros((1, 4)), np.array([2]))
    >>> round(loss, 6), probabilities.tolist()
    (1.386294, [[0.25, 0.25, 0.25, 0.25]])
    >>> logits, labels = np.log([[1.0, 3.0], [1.0, 1.0]]), np.array([1, 0])
    >>> round(softmax_cross_entropy(logits, labels, class_weights=[3.0, 1.0])[0], 4)
    0.5918
    """
    logits = class_scores("logits", logits)
    target = _target(labels, logits, "logits", label_smoothing, class_weights)
    probabilities = new_array(logits.shape, logits.dtype)
    loss = _core.softmax_cross_entropy(logits, *target, probabilities)
    return loss, probabilities


def softmax_cross_entropy_grad_input(
    probabilities: ArrayLike,
    labels: ArrayLike,
    *,
    label_smoothing: float = 0.0,
    class_weights: ArrayLike | None = None,
) -> FloatArray:
    """dlogits[i,j] = (probabilities[i,j] * sum over l of t[i,l] - t[i,j]) / total.

    With neither smoothing nor weights that is (probabilities[i,j] - q[i,j]) / N.

    Parameters
    ----------
    probabilities : array (N, classes) or (N, H, W, classes)
        From `softmax_cross_entropy`.
    labels, label_smoothing, class_weights
        As they were given to it.

    Returns
    -------
    array of probabilities' shape and dtype

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
    probabilities = class_scores("probabilities", probabilities)
    target = _target(labels, probabilities, "probabilities", label_smoothing, class_weights)
    dlogits = new_array(probabilities.shape, probabilities.dtype)
    _core.softmax_cross_entropy_grad_input(probabilities, *target, dlogits)
    return dlogits


def _target(
    labels: ArrayLike,
    scores: FloatArray,
    name: str,
    label_smoothing: float,
    class_weights: ArrayLike | None,
) -> tuple[NDArray[Any], float, FloatArray | None]:
    """Labels, smoothing and weights as the kernels take them, for scores (..., classes)."""
    checked = class_labels("labels", labels, *scores.shape)
    if checked.dtype.kind == "f":
        expect_dtype("labels", checked, name, scores)
    smoothing = real_number("label_smoothing", label_smoothing, below=1.0)
    weights = class_weight_array(class_weights, checked, scores.shape[-1])
    return checked, smoothing, weights
