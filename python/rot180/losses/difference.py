"""Losses that are a mean over the differences between predictions and targets."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from rot180 import functional
from rot180.arguments import FloatArray, positive_number
from rot180.layers.layer import call_text
from rot180.losses.loss import Loss

Function: TypeAlias = Callable[[FloatArray, FloatArray], float]
GradFunction: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


class DifferenceLoss(Loss):
    """Base of those below, each a function of prediction and target and its gradient."""

    def __init__(self, function: Function, grad_input: GradFunction) -> None:
        self._function = function
        self._grad_input = grad_input

    def forward(self, prediction: FloatArray, target: FloatArray) -> float:
        """Compute the loss of a batch.

        Parameters
        ----------
        prediction, target
            Arrays of one shape and dtype.

        Raises
        ------
        ValueError, TypeError
            If the shapes or dtypes differ, or there are no elements.
        """
        loss = self._function(prediction, target)
        self._saved = prediction, target
        return loss

    def backward(self) -> FloatArray:
        """Return dL/dprediction."""
        return self._grad_input(*self._take_saved())


class MeanSquaredError(DifferenceLoss):
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

    def __init__(self) -> None:
        super().__init__(functional.mean_squared_error, functional.mean_squared_error_grad_input)


class MeanAbsoluteError(DifferenceLoss):
    """Mean over all elements of |prediction - target|; gradient sign(prediction - target) / size.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.MeanAbsoluteError()
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    1.0
    >>> loss.backward().tolist()
    [[0.0, -0.5]]
    """

    def __init__(self) -> None:
        super().__init__(functional.mean_absolute_error, functional.mean_absolute_error_grad_input)


class Huber(DifferenceLoss):
    """Half the squared error up to a difference of delta, from there on a straight line.

    Mean over all elements of d**2 / 2 where |d| <= delta, else delta * (|d| - delta / 2), with
    d = prediction - target; gradient d / size, clipped to +-delta / size.

    Parameters
    ----------
    delta
        Greater than 0.

    Raises
    ------
    ValueError, TypeError
        If delta is not.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> loss = rot180.losses.Huber()
    >>> loss.forward(np.array([[1.0, 2.0]]), np.array([[2.0, 5.0]]))  # (1/2 + 5/2) / 2
    1.5
    >>> loss.backward().tolist()
    [[-0.5, -0.5]]
    """

    def __init__(self, delta: float = 1.0) -> None:
        self.delta = positive_number("delta", delta)
        super().__init__(
            partial(functional.huber, delta=self.delta),
            partial(functional.huber_grad_input, delta=self.delta),
        )

    def __repr__(self) -> str:
        return call_text("Huber", delta=(self.delta, 1.0))
