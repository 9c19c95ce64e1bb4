"""Activations, and their gradients from the saved output y: any shape, float32 or float64.

The gradients of `silu` and `gelu` need the input x instead.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    check_activation,
    expect_shape,
    float_array,
    float_arrays,
    gelu_form,
    real_number,
    saved_output,
)


def relu(x: FloatArray) -> FloatArray:
    """``y = max(x, 0)``; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import relu
    >>> relu(np.array([-2.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 3.0]
    """
    return np.maximum(float_array("x", x), 0)


def relu_grad_input(dy: FloatArray, y: FloatArray) -> FloatArray:
    """``dx = dy if y > 0 else 0``: the derivative at 0 is taken as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import relu_grad_input
    >>> relu_grad_input(np.array([5.0, 5.0, 5.0]), np.array([0.0, 0.0, 3.0])).tolist()
    [0.0, 0.0, 5.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return np.where(y > 0, dy, np.zeros_like(dy))


def leaky_relu(x: FloatArray, negative_slope: float = 0.01) -> FloatArray:
    """``y = x if x > 0 else negative_slope * x``, negative_slope at least 0 (Maas et al., 2013).

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import leaky_relu
    >>> leaky_relu(np.array([-2.0, 0.0, 3.0]), 0.25).tolist()
    [-0.5, 0.0, 3.0]
    """
    x = float_array("x", x)
    return _scale_unless(x > 0, x, negative_slope, "negative_slope")


def leaky_relu_grad_input(
    dy: FloatArray, y: FloatArray, negative_slope: float = 0.01
) -> FloatArray:
    """``dx = dy if y > 0 else negative_slope * dy``: y is positive exactly where x is.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import leaky_relu_grad_input
    >>> leaky_relu_grad_input(np.array([8.0, 8.0]), np.array([-0.5, 3.0]), 0.25).tolist()
    [2.0, 8.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return _scale_unless(y > 0, dy, negative_slope, "negative_slope")


def relu6(x: FloatArray) -> FloatArray:
    """``y = min(max(x, 0), 6)``; NaN stays NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import relu6
    >>> relu6(np.array([-2.0, 3.0, 7.0])).tolist()
    [0.0, 3.0, 6.0]
    """
    return np.clip(float_array("x", x), 0, 6)


def relu6_grad_input(dy: FloatArray, y: FloatArray) -> FloatArray:
    """``dx = dy if 0 < y < 6 else 0``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import relu6_grad_input
    >>> relu6_grad_input(np.array([5.0, 5.0, 5.0]), np.array([0.0, 3.0, 6.0])).tolist()
    [0.0, 5.0, 0.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return np.where((y > 0) & (y < 6), dy, np.zeros_like(dy))


def elu(x: FloatArray, alpha: float = 1.0) -> FloatArray:
    """``y = x if x > 0 else alpha * (exp(x) - 1)``, alpha at least 0 (Clevert et al., 2016).

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import elu
    >>> elu(np.array([-np.inf, 0.0, 3.0]), 0.5).tolist()
    [-0.5, 0.0, 3.0]
    """
    x = float_array("x", x)
    return _scale_unless(x > 0, np.where(x > 0, x, np.expm1(np.minimum(x, 0))), alpha, "alpha")


def elu_grad_input(dy: FloatArray, y: FloatArray, alpha: float = 1.0) -> FloatArray:
    """``dx = dy if y > 0 else dy * (y + alpha)``, since ``alpha * exp(x) = y + alpha``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import elu_grad_input
    >>> elu_grad_input(np.array([8.0, 8.0]), np.array([-0.75, 3.0])).tolist()
    [2.0, 8.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return np.where(y > 0, dy, dy * (y + np.asarray(real_number("alpha", alpha), y.dtype)))


def gelu(x: FloatArray, approximate: str = "none") -> FloatArray:
    """``y = x * P(X < x)``, X of the standard normal distribution (Hendrycks and Gimpel, 2016).

    ``P(X < x) = erfc(-x / sqrt(2)) / 2``. With ``approximate="tanh"`` it is
    ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import gelu
    >>> gelu(np.array([-1.0, 0.0, 1.0])).round(4).tolist()
    [-0.1587, 0.0, 0.8413]
    """
    x = float_array("x", x)
    below, _ = _normal(_within(x, 40), approximate)
    return _times(x, below)


def gelu_grad_input(dy: FloatArray, x: FloatArray, approximate: str = "none") -> FloatArray:
    """``dx = dy * (P(X < x) + x * p(x))``, p being the derivative of ``P(X < x)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import gelu_grad_input
    >>> gelu_grad_input(np.array([8.0, 8.0]), np.array([0.0, 1.0])).round(4).tolist()
    [4.0, 8.6665]
    """
    dy, x = _gradient_and_input(dy, x)
    x = _within(x, 40)
    below, density = _normal(x, approximate)
    return dy * (below + x * density)


def silu(x: FloatArray) -> FloatArray:
    """``y = x * sigmoid(x)`` (Elfwing et al., 2018).

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import silu
    >>> silu(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-0.0, 0.0, 1000.0]
    """
    x = float_array("x", x)
    return _times(x, sigmoid(x))


def silu_grad_input(dy: FloatArray, x: FloatArray) -> FloatArray:
    """``dx = dy * s * (1 + x * (1 - s))``, with ``s = sigmoid(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import silu_grad_input
    >>> silu_grad_input(np.array([8.0, 8.0]), np.array([0.0, 1.0])).round(4).tolist()
    [4.0, 7.4214]
    """
    dy, x = _gradient_and_input(dy, x)
    x = _within(x, 800)
    s = sigmoid(x)
    return dy * (s * (1 + x * (1 - s)))


def sigmoid(x: FloatArray) -> FloatArray:
    """``y = 1 / (1 + exp(-x))``, written so that exp cannot overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import sigmoid
    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    x = float_array("x", x)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def sigmoid_grad_input(dy: FloatArray, y: FloatArray) -> FloatArray:
    """``dx = dy * y * (1 - y)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import sigmoid_grad_input
    >>> sigmoid_grad_input(np.array([8.0]), np.array([0.5])).tolist()
    [2.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return dy * y * (1 - y)


def tanh(x: FloatArray) -> FloatArray:
    """``y = tanh(x)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import tanh
    >>> tanh(np.array([-1000.0, 0.0, 1000.0])).tolist()
    [-1.0, 0.0, 1.0]
    """
    return np.tanh(float_array("x", x))


def tanh_grad_input(dy: FloatArray, y: FloatArray) -> FloatArray:
    """``dx = dy * (1 - y*y)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import tanh_grad_input
    >>> tanh_grad_input(np.array([8.0]), np.array([0.5])).tolist()
    [6.0]
    """
    dy, y = _gradient_and_output(dy, y)
    return dy * (1 - y * y)


def activate(x: FloatArray, activation: str | None) -> FloatArray:
    """Apply the activation of that name, with its default slope; None is the identity."""
    functions = {
        "relu": relu,
        "relu6": relu6,
        "leaky_relu": leaky_relu,
        "sigmoid": sigmoid,
        "tanh": tanh,
    }
    activation = check_activation(activation)
    if activation is None:
        return x
    return functions[activation](x)


def activate_grad_input(dy: FloatArray, activation: str | None, y: FloatArray | None) -> FloatArray:
    """Gradient with respect to what `activate` was given; y is what it returned, None with None."""
    functions = {
        "relu": relu_grad_input,
        "relu6": relu6_grad_input,
        "leaky_relu": leaky_relu_grad_input,
        "sigmoid": sigmoid_grad_input,
        "tanh": tanh_grad_input,
    }
    y = saved_output(activation, y, dy)
    if activation is None or y is None:
        return dy
    return functions[activation](dy, y)


def _scale_unless(
    keep: NDArray[np.bool_], values: FloatArray, factor: float, name: str
) -> FloatArray:
    factor = real_number(name, factor)
    result = values.copy()
    np.multiply(values, factor, out=result, where=~keep)
    return result


def _normal(x: FloatArray, approximate: str) -> tuple[FloatArray, FloatArray]:
    """P(X < x) and its derivative, X of the standard normal distribution."""
    if gelu_form(approximate) == "none":
        below = np.vectorize(math.erfc, otypes=[x.dtype])(-x / math.sqrt(2)) / 2
        return below, np.exp(-x * x / 2) / np.asarray(math.sqrt(2 * math.pi), x.dtype)
    # (1 + tanh(u)) / 2 = sigmoid(2 u), which does not cancel where tanh is near -1.
    factor = math.sqrt(8 / math.pi)
    below = sigmoid(factor * (x + 0.044715 * x**3))
    return below, below * (1 - below) * factor * (1 + 3 * 0.044715 * x**2)


def _within(x: FloatArray, limit: float) -> FloatArray:
    """Cut x off where the functions no longer change: infinity times 0 would be NaN."""
    return np.clip(x, -limit, limit)


def _times(x: FloatArray, factor: FloatArray) -> FloatArray:
    """The product; at -inf its limit, which is 0 because the factor falls faster than x grows."""
    return np.maximum(x, np.finfo(x.dtype).min) * factor


def _gradient_and_output(dy: FloatArray, y: FloatArray) -> list[FloatArray]:
    dy, y = float_arrays(dy=dy, y=y)
    expect_shape("y", y, dy.shape, "the shape of dy")
    return [dy, y]


def _gradient_and_input(dy: FloatArray, x: FloatArray) -> list[FloatArray]:
    dy, x = float_arrays(dy=dy, x=x)
    expect_shape("x", x, dy.shape, "the shape of dy")
    return [dy, x]
