"""The fully connected layer: x is (N, C), weight (C, K), bias (K,), y (N, K)."""

from __future__ import annotations

from rot180.arguments import FloatArray, bias_array, float_array, float_arrays
from rot180.reference.activation import activate, activate_grad_input


def linear(
    x: FloatArray,
    weight: FloatArray,
    bias: FloatArray | None = None,
    *,
    activation: str | None = None,
) -> FloatArray:
    """``y[n,k] = activation(b[k] + sum over c of x[n,c] * w[c,k])``.

    Parameters
    ----------
    x : (N, C), float32 or float64
    weight : (C, K), dtype of x
    bias : (K,), dtype of x, or None
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    y : (N, K)

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import linear
    >>> linear(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([0.5])).tolist()
    [[11.5]]
    """
    x, weight = float_arrays(x=x, weight=weight)
    _expect_matrix("x", x, "(N, C)")
    _expect_matrix("weight", weight, "(C, K)")
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} (N, C) and weight has shape {weight.shape} (C, K): "
            "expected the same C"
        )
    y = x @ weight
    bias = bias_array(bias, x, y.shape[1])
    if bias is not None:
        y += bias
    return activate(y, activation)


def linear_grad_input(
    dy: FloatArray,
    weight: FloatArray,
    *,
    activation: str | None = None,
    y: FloatArray | None = None,
) -> FloatArray:
    """``dx[n,c] = sum over k of dy[n,k] * w[c,k]``: dy is (N, K), weight (C, K), dx (N, C).

    With the activation that linear applied and what it returned, y, dy is first multiplied by the
    activation's derivative.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import linear_grad_input
    >>> linear_grad_input(np.array([[2.0]]), np.array([[3.0], [4.0]])).tolist()
    [[6.0, 8.0]]
    """
    dy, weight = float_arrays(dy=dy, weight=weight)
    _expect_matrix("dy", dy, "(N, K)")
    _expect_matrix("weight", weight, "(C, K)")
    if dy.shape[1] != weight.shape[1]:
        raise ValueError(
            f"dy has shape {dy.shape} (N, K) and weight has shape {weight.shape} (C, K): "
            "expected the same K"
        )
    return activate_grad_input(dy, activation, y) @ weight.T


def linear_grad_weight(
    x: FloatArray, dy: FloatArray, *, activation: str | None = None, y: FloatArray | None = None
) -> FloatArray:
    """``dw[c,k] = sum over n of x[n,c] * dy[n,k]``: x is (N, C), dy (N, K), dw (C, K).

    activation and y are as in `linear_grad_input`.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import linear_grad_weight
    >>> linear_grad_weight(np.array([[1.0, 2.0]]), np.array([[3.0]])).tolist()
    [[3.0], [6.0]]
    """
    x, dy = float_arrays(x=x, dy=dy)
    _expect_matrix("x", x, "(N, C)")
    _expect_matrix("dy", dy, "(N, K)")
    if x.shape[0] != dy.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} (N, C) and dy has shape {dy.shape} (N, K): expected the same N"
        )
    return x.T @ activate_grad_input(dy, activation, y)


def linear_grad_bias(dy: FloatArray) -> FloatArray:
    """``db[k] = sum over n of dy[n,k]``: dy is (N, K), db (K,).

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import linear_grad_bias
    >>> linear_grad_bias(np.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
    [4.0, 6.0]
    """
    dy = float_array("dy", dy)
    _expect_matrix("dy", dy, "(N, K)")
    db: FloatArray = dy.sum(axis=0)
    return db


def _expect_matrix(name: str, array: FloatArray, meaning: str) -> None:
    if array.ndim != 2:
        raise ValueError(
            f"{name} has shape {array.shape}, expected two axes {meaning}: "
            f"flatten images with {name}.reshape(len({name}), -1)"
        )
    # Only a batch may be empty.
    if 0 in array.shape[1:] or (name == "weight" and 0 in array.shape):
        raise ValueError(f"{name} has shape {array.shape} {meaning}: expected at least 1 feature")
