"""Activation functions and their derivatives, on arrays of any shape.

Most gradients are taken from the saved output y; those of `silu` and `gelu`, which take one value
at two places, need the input x.
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
    gelu_form,
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


def relu6(x: ArrayLike) -> FloatArray:
    """min(max(x, 0), 6), element by element; NaN stays NaN.

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    array of x's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import relu6
    >>> relu6(np.array([-1.0, 2.0, 8.0])).tolist()
    [0.0, 2.0, 6.0]
    """
    return _activate(_core.Activation.relu6, x)


def elu(x: ArrayLike, alpha: float = 1.0) -> FloatArray:
    """Return x where it is positive, alpha * (exp(x) - 1) elsewhere (Clevert et al., 2016).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    alpha : float
        At least 0: the gradient is read off the sign of the output.

    Returns
    -------
    array of x's shape and dtype

    Raises
    ------
    ValueError
        If alpha is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import elu
    >>> elu(np.array([-1.0, 2.0])).round(4).tolist()
    [-0.6321, 2.0]
    """
    return _activate(_core.Activation.elu, x, real_number("alpha", alpha))


def gelu(x: ArrayLike, approximate: str = "none") -> FloatArray:
    """Return x * P(X < x), with X of the standard normal distribution (Hendrycks and Gimpel, 2016).

    Parameters
    ----------
    x : array of any shape, float32 or float64
    approximate : "none" or "tanh"
        "tanh" computes x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2.

    Returns
    -------
    array of x's shape and dtype
        Within a few units in the last place, far below 0 as well.

    Raises
    ------
    ValueError
        If approximate is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import gelu
    >>> gelu(np.array([-1.0, 0.0, 2.0])).round(4).tolist()
    [-0.1587, 0.0, 1.9545]
    >>> gelu(np.array([-1.0, 0.0, 2.0]), "tanh").round(4).tolist()
    [-0.1588, 0.0, 1.9546]
    """
    return _activate(_gelu_kind(approximate), x)


def silu(x: ArrayLike) -> FloatArray:
    """Return x * sigmoid(x), also known as swish (Elfwing et al., 2018).

    Parameters
    ----------
    x : array of any shape, float32 or float64

    Returns
    -------
    array of x's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import silu
    >>> silu(np.array([-1.0, 0.0, 2.0])).round(4).tolist()
    [-0.2689, 0.0, 1.7616]
    """
    return _activate(_core.Activation.silu, x)


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
    return _activate_grad_input(_core.Activation.relu, dy, y=y)


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
        _core.Activation.leaky_relu, dy, real_number("negative_slope", negative_slope), y=y
    )


def relu6_grad_input(dy: ArrayLike, y: ArrayLike) -> FloatArray:
    """Return dy where 0 < y < 6, 0 elsewhere: the derivative at 0 and at 6 is 0.

    Parameters
    ----------
    dy, y : arrays of one shape and dtype
        The loss's gradient by y, and y = relu6(x).

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import relu6_grad_input
    >>> relu6_grad_input(np.array([5.0, 5.0, 5.0]), np.array([0.0, 2.0, 6.0])).tolist()
    [0.0, 5.0, 0.0]
    """
    return _activate_grad_input(_core.Activation.relu6, dy, y=y)


def elu_grad_input(dy: ArrayLike, y: ArrayLike, alpha: float = 1.0) -> FloatArray:
    """Return dy where the output y is positive, dy * (y + alpha) elsewhere.

    Parameters
    ----------
    dy, y : arrays of one shape and dtype
        The loss's gradient by y, and y = elu(x, alpha).
    alpha : float
        At least 0.

    Returns
    -------
    array of dy's shape and dtype

    Raises
    ------
    ValueError
        If alpha is negative or not finite.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import elu_grad_input
    >>> elu_grad_input(np.array([4.0, 4.0]), np.array([-0.75, 2.0])).tolist()
    [1.0, 4.0]
    """
    return _activate_grad_input(_core.Activation.elu, dy, real_number("alpha", alpha), y=y)


def gelu_grad_input(dy: ArrayLike, x: ArrayLike, approximate: str = "none") -> FloatArray:
    """Dy * (P(X < x) + x * p(x)), with p the density of the standard normal distribution.

    Parameters
    ----------
    dy, x : arrays of one shape and dtype
        The loss's gradient by y = gelu(x, approximate), and x itself.
    approximate : "none" or "tanh"
        As in the forward pass.

    Returns
    -------
    array of dy's shape and dtype

    Raises
    ------
    ValueError
        If approximate is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import gelu_grad_input
    >>> gelu_grad_input(np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(4).tolist()
    [0.5, 1.0833]
    """
    return _activate_grad_input(_gelu_kind(approximate), dy, x=x)


def silu_grad_input(dy: ArrayLike, x: ArrayLike) -> FloatArray:
    """Dy * s * (1 + x * (1 - s)), with s = sigmoid(x).

    Parameters
    ----------
    dy, x : arrays of one shape and dtype
        The loss's gradient by y = silu(x), and x itself.

    Returns
    -------
    array of dy's shape and dtype

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import silu_grad_input
    >>> silu_grad_input(np.array([1.0, 1.0]), np.array([0.0, 1.0])).round(4).tolist()
    [0.5, 0.9277]
    """
    return _activate_grad_input(_core.Activation.silu, dy, x=x)


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
    return _activate_grad_input(_core.Activation.sigmoid, dy, y=y)


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
    return _activate_grad_input(_core.Activation.tanh, dy, y=y)


# The enumeration makes its table anew at each look.
_KINDS = dict(_core.Activation.__members__)


def core_activation(activation: str | None) -> _core.Activation:
    """The activation of that name, as the kernels take it."""
    return _KINDS[check_activation(activation) or "none"]


def _gelu_kind(approximate: str) -> _core.Activation:
    return _core.Activation.gelu if gelu_form(approximate) == "none" else _core.Activation.gelu_tanh


def _activate(kind: _core.Activation, x: ArrayLike, alpha: float = 0.0) -> FloatArray:
    x = float_array("x", x)
    y = new_array(x.shape, x.dtype)
    _core.activate(kind, x, alpha, y)
    return y


def _activate_grad_input(
    kind: _core.Activation, dy: ArrayLike, alpha: float = 0.0, **at: ArrayLike
) -> FloatArray:
    (name,) = at
    dy, saved = float_arrays(dy=dy, **at)
    expect_shape(name, saved, dy.shape, "the shape of dy")
    dx = new_array(dy.shape, dy.dtype)
    _core.activate_grad_input(kind, dy, saved, alpha, dx)
    return dx
