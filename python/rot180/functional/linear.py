"""The fully connected layer's arithmetic: a convolution of one pixel with a 1x1 kernel.

Going through the convolution keeps one set of kernels, one pool of threads, and the promise of the
same bits for any number of them, which a BLAS does not make.
"""

from __future__ import annotations

from functools import lru_cache

from numpy.typing import ArrayLike

from rot180 import _core
from rot180.arguments import (
    FloatArray,
    bias_array,
    expect_dtype,
    expect_shape,
    float_array,
    saved_output,
)
from rot180.functional.activation import core_activation
from rot180.functional.conv2d import core_shape
from rot180.functional.results import new_array, result_array
from rot180.geometry import conv2d_geometry
from rot180.runtime import core_algorithm

_AUTO = core_algorithm("auto")


def linear(
    x: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None, *, activation: str | None = None
) -> FloatArray:
    """y[n,k] = activation(bias[k] + sum over c of x[n,c] * weight[c,k]).

    Parameters
    ----------
    x : array (N, C), float32 or float64
    weight : array (C, K)
    bias : array (K,), optional
    activation : None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh"

    Returns
    -------
    array (N, K)

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import linear
    >>> linear(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [0.0, 10.0]]), np.array([0.5, 0.5]))
    array([[ 1.5, 20.5]])
    """
    x, weight = _matrix("x", x, "(N, C)"), _matrix("weight", weight, "(C, K)")
    if x.shape[1] != weight.shape[0]:
        raise ValueError(
            f"x has shape {x.shape} (N, C) and weight {weight.shape} (C, K): C differs"
            + (", weight.T would fit" if x.shape[1] == weight.shape[1] else "")
        )
    expect_dtype("weight", weight, "x", x)
    bias = bias_array(bias, x, weight.shape[1])
    kind = core_activation(activation)
    y = new_array((x.shape[0], weight.shape[1]), x.dtype)
    _core.conv2d(_pixels(x.shape[0], *weight.shape), x, weight, bias, kind, y, _AUTO)
    return y


def linear_grad_input(
    dy: ArrayLike,
    weight: ArrayLike,
    *,
    activation: str | None = None,
    y: ArrayLike | None = None,
) -> FloatArray:
    """dx[n,c] = sum over k of dy[n,k] * weight[c,k].

    Parameters
    ----------
    dy : array (N, K), float32 or float64
    weight : array (C, K)
    activation, y
        As in `conv2d_grad_input`: the activation that linear applied, and what it returned.

    Returns
    -------
    array (N, C)

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import linear_grad_input
    >>> linear_grad_input(np.array([[1.0, 1.0]]), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[3., 7.]])
    """
    dy, weight = _matrix("dy", dy, "(N, K)"), _matrix("weight", weight, "(C, K)")
    expect_dtype("weight", weight, "dy", dy)
    expect_shape("dy", dy, (dy.shape[0], weight.shape[1]), "(N, K) with the K of weight")
    y = saved_output(activation, y, dy)
    dx = new_array((dy.shape[0], weight.shape[0]), dy.dtype)
    shape = _pixels(dy.shape[0], *weight.shape)
    _core.conv2d_grad_input(shape, dy, core_activation(activation), y, weight, dx, _AUTO)
    return dx


def linear_grad_weight(
    x: ArrayLike,
    dy: ArrayLike,
    *,
    activation: str | None = None,
    y: ArrayLike | None = None,
    bias_out: FloatArray | None = None,
) -> FloatArray:
    """dw[c,k] = sum over n of x[n,c] * dy[n,k].

    Parameters
    ----------
    x : array (N, C), float32 or float64
    dy : array (N, K)
    activation, y
        As in `conv2d_grad_input`: the activation that linear applied, and what it returned.
    bias_out : array (K,), optional
        Where to write db in the same read of dy, as in `conv2d_grad_weight`.

    Returns
    -------
    array (C, K)

    Raises
    ------
    ValueError, TypeError
        Where shapes or dtypes do not fit one another; the message names the argument.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import linear_grad_weight
    >>> linear_grad_weight(np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]]))
    array([[10., 20.],
           [20., 40.]])
    """
    x, dy = _matrix("x", x, "(N, C)"), _matrix("dy", dy, "(N, K)")
    expect_dtype("dy", dy, "x", x)
    expect_shape("dy", dy, (x.shape[0], dy.shape[1]), "(N, K) with the N of x")
    y = saved_output(activation, y, dy)
    dw = new_array((x.shape[1], dy.shape[1]), x.dtype)
    if bias_out is not None:
        result_array(bias_out, dy.shape[1:], x.dtype, (x, dy, y), "bias_out")
    shape = _pixels(x.shape[0], *dw.shape)
    _core.conv2d_grad_weight(shape, x, dy, core_activation(activation), y, dw, bias_out, _AUTO)
    return dw


def linear_grad_bias(dy: ArrayLike) -> FloatArray:
    """db[k] = sum over n of dy[n,k].

    Parameters
    ----------
    dy : array (N, K), float32 or float64

    Returns
    -------
    array (K,)

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import linear_grad_bias
    >>> linear_grad_bias(np.ones((5, 2))).tolist()
    [5.0, 5.0]
    """
    dy = _matrix("dy", dy, "(N, K)")
    db = new_array(dy.shape[1:], dy.dtype)
    _core.conv2d_grad_bias(dy, db)
    return db


def _matrix(name: str, value: ArrayLike, meaning: str) -> FloatArray:
    array = float_array(name, value)
    if array.ndim != 2 or array.shape[1] == 0:
        mend = f": pass {name}.reshape(len({name}), -1), or put Flatten() before Linear"
        raise ValueError(
            f"{name} has shape {array.shape}, expected {meaning} with features"
            + (mend if array.ndim > 2 else "")
        )
    return array


@lru_cache(maxsize=1024)
def _pixels(batch: int, in_features: int, out_features: int) -> _core.Conv2dShape:
    """A batch of images of one pixel, and a 1x1 kernel."""
    geometry = conv2d_geometry((batch, 1, 1, in_features), (1, 1, in_features, out_features))
    return core_shape(geometry)
