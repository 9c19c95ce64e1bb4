"""Activations, and their gradients from the saved output y: any shape, float32 or float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import (
    FloatArray,
    check_activation,
    expect_shape,
    float_array,
    float_arrays,
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
    return _scale_unless(x > 0, x, negative_slope)


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
    return _scale_unless(y > 0, dy, negative_slope)


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
    functions = {"relu": relu, "leaky_relu": leaky_relu, "sigmoid": sigmoid, "tanh": tanh}
    activation = check_activation(activation)
    if activation is None:
        return x
    return functions[activation](x)


def activate_grad_input(dy: FloatArray, activation: str | None, y: FloatArray | None) -> FloatArray:
    """Gradient with respect to what `activate` was given; y is what it returned, None with None."""
    functions = {
        "relu": relu_grad_input,
        "leaky_relu": leaky_relu_grad_input,
        "sigmoid": sigmoid_grad_input,
        "tanh": tanh_grad_input,
    }
    y = saved_output(activation, y, dy)
    if activation is None or y is None:
        return dy
    return functions[activation](dy, y)


def _scale_unless(keep: NDArray[np.bool_], values: FloatArray, slope: float) -> FloatArray:
    slope = real_number("negative_slope", slope)
    result = values.copy()
    np.multiply(values, slope, out=result, where=~keep)
    return result


def _gradient_and_output(dy: FloatArray, y: FloatArray) -> list[FloatArray]:
    dy, y = float_arrays(dy=dy, y=y)
    expect_shape("dy", dy, y.shape, "the shape of y")
    return [dy, y]
