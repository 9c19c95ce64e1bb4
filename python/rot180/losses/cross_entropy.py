"""Losses of a classifier, from logits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rot180 import functional
from rot180.arguments import FloatArray, real_number, weight_tuple
from rot180.layers.layer import call_text
from rot180.losses.loss import Loss


class CrossEntropy(Loss):
    """Softmax and cross-entropy in one, from logits: mean over n of -log softmax(logits)[n, label].

    Their gradients taken together are simple: (softmax(logits) - onehot(labels)) / N.

    Parameters
    ----------
    label_smoothing
        The share of each target that is spread evenly over all classes; at least 0, less than 1.
    class_weights
        A number of at least 0 for each class. As in PyTorch, the mean is divided by the weights of
        the labels; with probabilities as targets, by the number of examples.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range, or no number.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.CrossEntropy()
    >>> logits = np.log(np.array([[1.0, 3.0], [1.0, 1.0]]))
    >>> round(loss.forward(logits, np.array([1, 0])), 4)  # (-log 3/4 - log 1/2) / 2
    0.4904
    >>> loss.backward().round(4).tolist()
    [[0.125, -0.125], [-0.25, 0.25]]
    >>> weighted = rot180.losses.CrossEntropy(class_weights=(3, 1))
    >>> round(weighted.forward(logits, np.array([1, 0])), 4)  # (-log 3/4 - 3 log 1/2) / 4
    0.5918
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        class_weights: Sequence[float] | FloatArray | None = None,
    ) -> None:
        self.label_smoothing = real_number("label_smoothing", label_smoothing, below=1.0)
        self.class_weights = (
            None if class_weights is None else weight_tuple("class_weights", class_weights)
        )

    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction
            Logits, (N, classes) or (N, H, W, classes): the last layer's output, without a softmax.
        target
            Labels, (N,) or (N, H, W) integers from 0 to classes - 1; or probabilities of
            prediction's shape and dtype.

        Raises
        ------
        ValueError, TypeError
            As `rot180.functional.softmax_cross_entropy`.
        """
        loss, probabilities = functional.softmax_cross_entropy(
            prediction,
            target,
            label_smoothing=self.label_smoothing,
            class_weights=self.class_weights,
        )
        self._saved = probabilities, target
        return loss

    def backward(self) -> FloatArray:
        """Return dL/dlogits, which is (softmax(logits) - onehot(labels)) / N without weights."""
        probabilities, labels = self._take_saved()
        return functional.softmax_cross_entropy_grad_input(
            probabilities,
            labels,
            label_smoothing=self.label_smoothing,
            class_weights=self.class_weights,
        )

    def __repr__(self) -> str:
        return call_text(
            "CrossEntropy",
            label_smoothing=(self.label_smoothing, 0.0),
            class_weights=(self.class_weights, None),
        )


class BinaryCrossEntropy(Loss):
    """Sigmoid and cross-entropy in one, from logits, for answers that are yes or no.

    Mean over all elements of -(pos_weight * t * log s + (1 - t) * log(1 - s)), s = sigmoid(logits),
    t = target; gradient (s - t) / size without a weight.

    Parameters
    ----------
    pos_weight
        At least 0: what the positive answers weigh; one number, or one for each of the last axis.

    Raises
    ------
    ValueError, TypeError
        If it is out of range, or no number.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.BinaryCrossEntropy()
    >>> logits = np.log(np.array([[3.0], [3.0]]))
    >>> round(loss.forward(logits, np.array([[1.0], [0.0]])), 4)  # (-log 3/4 - log 1/4) / 2
    0.837
    >>> loss.backward().round(4).tolist()
    [[-0.125], [0.375]]
    """

    def __init__(self, pos_weight: float | Sequence[float] | FloatArray = 1.0) -> None:
        self.pos_weight = (
            real_number("pos_weight", pos_weight)
            if np.ndim(pos_weight) == 0
            else weight_tuple("pos_weight", pos_weight)
        )

    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction
            Logits, of any shape: the last layer's output, without a sigmoid.
        target
            Numbers from 0 to 1, of prediction's shape and dtype.

        Raises
        ------
        ValueError, TypeError
            As `rot180.functional.binary_cross_entropy`.
        """
        loss = functional.binary_cross_entropy(prediction, target, pos_weight=self.pos_weight)
        self._saved = prediction, target
        return loss

    def backward(self) -> FloatArray:
        """Return dL/dlogits."""
        return functional.binary_cross_entropy_grad_input(
            *self._take_saved(), pos_weight=self.pos_weight
        )

    def __repr__(self) -> str:
        return call_text("BinaryCrossEntropy", pos_weight=(self.pos_weight, 1.0))
