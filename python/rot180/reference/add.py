"""The sum of two arrays, in plain NumPy."""

from __future__ import annotations

from numpy.typing import ArrayLike

from rot180.arguments import FloatArray, expect_shape, float_array, float_arrays, saved_output
from rot180.reference.activation import activate, activate_grad_input


def add(a: ArrayLike, b: ArrayLike, *, activation: str | None = None) -> FloatArray:
    """``y = g(a + b)``.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import add
    >>> add(np.array([1.0, 2.0]), np.array([3.0, -5.0]), activation="relu").tolist()
    [4.0, 0.0]
    """
    a, b = float_arrays(a=a, b=b)
    expect_shape("b", b, a.shape, "the shape of a")
    return activate(a + b, activation)


def add_grad_input(
    dy: ArrayLike, *, activation: str | None = None, y: ArrayLike | None = None
) -> FloatArray:
    """``da = db = dy * g'(a + b)``, from the output y.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import add_grad_input
    >>> add_grad_input(np.array([5.0, 6.0]), activation="relu", y=np.array([4.0, 0.0])).tolist()
    [5.0, 0.0]
    """
    dy = float_array("dy", dy)
    return activate_grad_input(dy, activation, saved_output(activation, y, dy))
