"""The sum of two arrays, as residual connections take it."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    LEAKY_RELU_SLOPE,
    FloatArray,
    expect_dtype,
    expect_shape,
    float_array,
    saved_output,
)
from rot180.functional.activation import core_activation
from rot180.functional.results import new_array, result_array


def add(
    a: ArrayLike, b: ArrayLike, *, activation: str | None = None, out: FloatArray | None = None
) -> FloatArray:
    """Y = g(a + b), element by element and in one pass.

    Parameters
    ----------
    a, b : arrays of one shape and dtype, float32 or float64
    activation : str, optional
        g: "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh".
    out : array, optional
        Where to write y; may be `a` or `b` itself.

    Returns
    -------
    array of the same shape and dtype

    Raises
    ------
    ValueError
        If the shapes differ, or the activation is unknown.
    TypeError
        If the dtypes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import add
    >>> add(np.array([1.0, 2.0]), np.array([3.0, -5.0]), activation="relu").tolist()
    [4.0, 0.0]
    """
    kind = core_activation(activation)
    a, b = float_array("a", a), float_array("b", b)
    expect_dtype("b", b, "a", a)
    expect_shape("b", b, a.shape, "the shape of a")
    others = (None if a is out else a, None if b is out else b)
    y = result_array(out, a.shape, a.dtype, others)
    _core.add(kind, a, b, y)
    return y


def add_grad_input(
    dy: ArrayLike, *, activation: str | None = None, y: ArrayLike | None = None
) -> FloatArray:
    """Da = db = dy * g'(a + b), with g' taken from the output y.

    Parameters
    ----------
    dy : array, float32 or float64
    activation : str, optional
        g, as in the forward pass.
    y : array, optional
        What `add` returned; needed with an activation, and only then.

    Returns
    -------
    array of dy's shape and dtype
        The gradient of a and of b; without an activation dy itself.

    Raises
    ------
    ValueError
        If y is missing, or has another shape than dy.
    TypeError
        If y has another dtype than dy.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import add_grad_input
    >>> add_grad_input(np.array([5.0, 6.0]), activation="relu", y=np.array([4.0, 0.0])).tolist()
    [5.0, 0.0]
    """
    dy = float_array("dy", dy)
    y = saved_output(activation, y, dy)
    if y is None:
        return dy
    da = new_array(dy.shape, dy.dtype)
    _core.activate_grad_input(core_activation(activation), dy, y, LEAKY_RELU_SLOPE, da)
    return da
