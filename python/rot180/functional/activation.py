"""Activation functions and their derivatives, on arrays of any shape.

Every gradient is taken from the saved output y: none of these needs its input again.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    check_activation,
    expect_shape,
    float_array,
    float_arrays,
    real_number,
)
from rot180.functional.results import new_array


def relu(x: ArrayLike) -> FloatArray:
    """max(x, 0), element by element; NaN stays NaN.

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    array of x's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import relu
    >>> relu(np.array([-1.0, 0.0, 2.0])).tolist()
    [0.0, 0.0, 2.0]
    """
    return _activate(_core.Activation.relu, x)


def leaky_relu(x: ArrayLike, negative_slope: float = 0.01) -> FloatArray:
    """Return x where it is positive, negative_slope * x elsewhere.

    Parameters
    ----------
    x : array of any shape, float32 or float64
    negative_slope : float
        At least 0: the gradient is read off the sign of the output.

    Returns
    -------
    array of x's shape and dtype

    Raises
    ------
    ValueError
        If negative_slope is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import leaky_relu
    >>> leaky_relu(np.array([-1.0, 2.0]), 0.25).tolist()
    [-0.25, 2.0]
    """
    return _activate(_core.Activation.leaky_relu, x, real_number("negative_slope", negative_slope))


def sigmoid(x: ArrayLike) -> FloatArray:
    """1 / (1 + exp(-x)), element by element.

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    array of x's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import sigmoid
    >>> sigmoid(np.array([0.0, 1000.0])).tolist()
    [0.5, 1.0]
    """
    return _activate(_core.Activation.sigmoid, x)


def tanh(x: ArrayLike) -> FloatArray:
    """Hyperbolic tangent, element by element.

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    array of x's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import tanh
    >>> tanh(np.array([0.0, 1000.0])).tolist()
    [0.0, 1.0]
    """
    return _activate(_core.Activation.tanh, x)


def relu_grad_input(dy: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return dy where the output y is positive, 0 elsewhere: the derivative at 0 is 0.

    Parameters
    ----------
    dy, y : arrays of one shape and dtype
        The loss's gradient by y, and y = relu(x).

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import relu_grad_input
    >>> relu_grad_input(np.array([5.0, 5.0]), np.array([0.0, 2.0])).tolist()
    [0.0, 5.0]
    """
    return _activate_grad_input(_core.Activation.relu, dy, y)


def leaky_relu_grad_input(dy: ArrayLike, y: ArrayLike, negative_slope: float = 0.01) -> FloatArray:
    """Return dy where the output y is positive, negative_slope * dy elsewhere.

    Parameters
    ----------
    dy, y : arrays of one shape and dtype
        The loss's gradient by y, and y = leaky_relu(x, negative_slope).
    negative_slope : float
        At least 0.

    Returns
    -------
    array of dy's shape and dtype

    Raises
    ------
    ValueError
        If negative_slope is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import leaky_relu_grad_input
    >>> leaky_relu_grad_input(np.array([4.0, 4.0]), np.array([-1.0, 2.0]), 0.25).tolist()
    [1.0, 4.0]
    """
    return _activate_grad_input(
        _core.Activation.leaky_relu, dy, y, real_number("negative_slope", negative_slope)
    )


def sigmoid_grad_input(dy: ArrayLike, y: ArrayLike) -> FloatArray:
    """Dy * y * (1 - y), with y = sigmoid(x).

    Parameters
    ----------
    dy, y : arrays of one shape and dtype

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import sigmoid_grad_input
    >>> sigmoid_grad_input(np.array([8.0]), np.array([0.5])).tolist()
    [2.0]
    """
    return _activate_grad_input(_core.Activation.sigmoid, dy, y)


def tanh_grad_input(dy: ArrayLike, y: ArrayLike) -> FloatArray:
    """Dy * (1 - y * y), with y = tanh(x).

    Parameters
    ----------
    dy, y : arrays of one shape and dtype

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import tanh_grad_input
    >>> tanh_grad_input(np.array([8.0]), np.array([0.5])).tolist()
    [6.0]
    """
    return _activate_grad_input(_core.Activation.tanh, dy, y)


# The enumeration makes its table anew at each look.
_KINDS = dict(_core.Activation.__members__)


def core_activation(activation: str | None) -> _core.Activation:
    """The activation of that name, as the kernels take it."""
    return _KINDS[check_activation(activation) or "none"]


def _activate(kind: _core.Activation, x: ArrayLike, slope: float = 0.0) -> FloatArray:
    x = float_array("x", x)
    y = new_array(x.shape, x.dtype)
    _core.activate(kind, x, slope, y)
    return y


def _activate_grad_input(
    kind: _core.Activation, dy: ArrayLike, y: ArrayLike, slope: float = 0.0
) -> FloatArray:
    dy, y = float_arrays(dy=dy, y=y)
    expect_shape("y", y, dy.shape, "the shape of dy")
    dx = new_array(dy.shape, dy.dtype)
    _core.activate_grad_input(kind, dy, y, slope, dx)
    return dx
