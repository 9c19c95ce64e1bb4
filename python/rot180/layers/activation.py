"""Activations as layers of their own. `Conv2d` and `Linear` can also apply one themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from rot180 import functional
from rot180.arguments import FloatArray, real_number
from rot180.layers.layer import Layer, call_text

Function: TypeAlias = Callable[[FloatArray], FloatArray]
GradFunction: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


class Activation(Layer):
    """y = g(x) and dx = dy * g'(x), element by element and for any shape.

    g' is computed from the saved output y, so that the input need not be kept.
    """

    def __init__(
        self,
        g: Function,
        g_grad_input: GradFunction,
    ) -> None:
        self._g = g
        self._g_grad_input = g_grad_input

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y = g(x)."""
        y = self._g(x)
        if training:
            self._save(y)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Compute dx = dy * g'(x)."""
        (y,) = self._take_saved()
        return self._g_grad_input(dy, y) if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return tuple(input_shape)

    def __repr__(self) -> str:
        return call_text(type(self).__name__)


class ReLU(Activation):
    """y = max(x, 0); g'(x) = 1 where x > 0, else 0.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> relu = rot180.ReLU()
    >>> relu.forward(np.array([[-1.0, 0.0, 2.0]]), training=True).tolist()
    [[0.0, 0.0, 2.0]]
    >>> relu.backward(np.array([[5.0, 5.0, 5.0]])).tolist()
    [[0.0, 0.0, 5.0]]
    """

    def __init__(self) -> None:
        super().__init__(functional.relu, functional.relu_grad_input)


class LeakyReLU(Activation):
    """y = x where x > 0, else negative_slope * x; g'(x) = 1 or negative_slope.

    Parameters
    ----------
    negative_slope
        At least 0. (From the output alone, a negative slope could not be told from a positive x.)

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.LeakyReLU(0.5).forward(np.array([[-4.0, 2.0]])).tolist()
    [[-2.0, 2.0]]
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        self.negative_slope = real_number("negative_slope", negative_slope)
        super().__init__(
            partial(functional.leaky_relu, negative_slope=negative_slope),
            partial(functional.leaky_relu_grad_input, negative_slope=negative_slope),
        )

    def __repr__(self) -> str:
        return call_text("LeakyReLU", self.negative_slope)


class Sigmoid(Activation):
    """y = 1 / (1 + exp(-x)); g'(x) = y (1 - y).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.Sigmoid().forward(np.array([[0.0]])).tolist()
    [[0.5]]
    """

    def __init__(self) -> None:
        super().__init__(functional.sigmoid, functional.sigmoid_grad_input)


class Tanh(Activation):
    """y = tanh(x); g'(x) = 1 - y**2.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.Tanh().forward(np.array([[0.0]])).tolist()
    [[0.0]]
    """

    def __init__(self) -> None:
        super().__init__(functional.tanh, functional.tanh_grad_input)
