"""Activations as layers of their own. `Conv2d` and `Linear` can also apply one themselves."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from rot180 import functional
from rot180.arguments import FloatArray, gelu_form, real_number
from rot180.layers.layer import Layer, call_text

Function: TypeAlias = Callable[[FloatArray], FloatArray]
GradFunction: TypeAlias = Callable[[FloatArray, FloatArray], FloatArray]


class Activation(Layer):
    """y = g(x) and dx = dy * g'(x), for x of any shape.

    g' is computed from the saved output y, so that the input need not be kept; but for `SiLU` and
    `GELU`, whose output does not tell it, from the saved x.
    """

    def __init__(
        self, g: Function, g_grad_input: GradFunction, *, from_input: bool = False
    ) -> None:
        self._g = g
        self._g_grad_input = g_grad_input
        self._from_input = from_input

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y = g(x)."""
        y = self._g(x)
        if training:
            self._save(x if self._from_input else y)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Compute dx = dy * g'(x)."""
        (saved,) = self._take_saved()
        return self._g_grad_input(dy, saved) if input_grad else None

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


class ReLU6(Activation):
    """y = min(max(x, 0), 6); g'(x) = 1 where 0 < x < 6, else 0.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.ReLU6().forward(np.array([[-1.0, 2.0, 8.0]])).tolist()
    [[0.0, 2.0, 6.0]]
    """

    def __init__(self) -> None:
        super().__init__(functional.relu6, functional.relu6_grad_input)


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


class ELU(Activation):
    """y = x where x > 0, else alpha * (exp(x) - 1); g'(x) = 1 or y + alpha.

    Parameters
    ----------
    alpha
        At least 0: minus the limit far below 0.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.ELU().forward(np.array([[-1.0, 2.0]])).round(4).tolist()
    [[-0.6321, 2.0]]
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = real_number("alpha", alpha)
        super().__init__(
            partial(functional.elu, alpha=self.alpha),
            partial(functional.elu_grad_input, alpha=self.alpha),
        )

    def __repr__(self) -> str:
        return call_text("ELU", alpha=(self.alpha, 1.0))


class SiLU(Activation):
    """y = x * s with s = sigmoid(x); g'(x) = s * (1 + x * (1 - s)).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.SiLU().forward(np.array([[-1.0, 2.0]])).round(4).tolist()
    [[-0.2689, 1.7616]]
    """

    def __init__(self) -> None:
        super().__init__(functional.silu, functional.silu_grad_input, from_input=True)


class GELU(Activation):
    """y = x * P(X < x), X of the standard normal distribution; g'(x) = P(X < x) + x * p(x).

    Parameters
    ----------
    approximate
        "none", or "tanh": P(X < x) as (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.GELU().forward(np.array([[-1.0, 2.0]])).round(4).tolist()
    [[-0.1587, 1.9545]]
    """

    def __init__(self, approximate: str = "none") -> None:
        self.approximate = gelu_form(approximate)
        super().__init__(
            partial(functional.gelu, approximate=approximate),
            partial(functional.gelu_grad_input, approximate=approximate),
            from_input=True,
        )

    def __repr__(self) -> str:
        return call_text("GELU", approximate=(self.approximate, "none"))


class Softmax(Activation):
    """y = exp(x) / (sum of exp(x)) along the last axis, the classes or channels.

    To train a classifier, leave it out: `rot180.losses.CrossEntropy` takes what comes before it.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.Softmax().forward(np.log([[1.0, 3.0]])).round(4).tolist()
    [[0.25, 0.75]]
    """

    def __init__(self) -> None:
        super().__init__(functional.softmax, functional.softmax_grad_input)
