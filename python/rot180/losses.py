"""Losses: the last step of the forward pass and the first of the backward pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from rot180 import functional
from rot180.arguments import FloatArray


class Loss(ABC):
    """A number that says how wrong a batch of predictions is, and its gradient.

    ``forward(prediction, target)`` returns the loss and saves what ``backward()`` needs;
    ``backward()`` returns dL/dprediction. Both losses here are means, so the gradient is divided by
    the batch already: the layers only sum.
    """

    _saved: tuple[Any, ...] | None = None

    @abstractmethod
    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch."""

    @abstractmethod
    def backward(self) -> FloatArray:
        """Return dL/dprediction, of the prediction's shape.

        Raises
        ------
        RuntimeError
            If there was no forward before.
        """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def _take_saved(self) -> tuple[Any, ...]:
        saved, self._saved = self._saved, None
        if saved is None:
            raise RuntimeError(
                "backward() needs what forward(prediction, target) saves: call it first, "
                "once before each backward"
            )
        return saved


class CrossEntropy(Loss):
    """Softmax and cross-entropy in one, from logits: mean over n of -log softmax(logits)[n, label].

    Their gradients taken together are simple: (softmax(logits) - onehot(labels)) / N.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.CrossEntropy()
    >>> logits = np.log(np.array([[1.0, 3.0], [1.0, 1.0]]))
    >>> round(loss.forward(logits, np.array([1, 0])), 4)  # (-log 3/4 - log 1/2) / 2
    0.4904
    >>> loss.backward().round(4).tolist()
    [[0.125, -0.125], [-0.25, 0.25]]
    """

    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction
            Logits, (N, classes): the last layer's output, without a softmax.
        target
            Labels, (N,) integers from 0 to classes - 1.

        Raises
        ------
        ValueError, TypeError
            As `rot180.functional.softmax_cross_entropy`.
        """
        loss, probabilities = functional.softmax_cross_entropy(prediction, target)
        self._saved = probabilities, target
        return loss

    def backward(self) -> FloatArray:
        """Return dL/dlogits = (softmax(logits) - onehot(labels)) / N."""
        probabilities, labels = self._take_saved()
        return functional.softmax_cross_entropy_grad_input(probabilities, labels)


class MeanSquaredError(Loss):
    """Mean over all elements of (prediction - target)**2; gradient 2 (prediction - target) / size.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.MeanSquaredError()
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.0
    >>> loss.backward().tolist()
    [[0.0, -2.0]]
    """

    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction, target
            Arrays of one shape and dtype.

        Raises
        ------
        ValueError, TypeError
            As `rot180.functional.mean_squared_error`.
        """
        loss = functional.mean_squared_error(prediction, target)
        self._saved = prediction, target
        return loss

    def backward(self) -> FloatArray:
        """Return dL/dprediction = 2 (prediction - target) / size."""
        return functional.mean_squared_error_grad_input(*self._take_saved())
