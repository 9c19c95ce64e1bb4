"""Initial weights, drawn from a `numpy.random.Generator`.

A shape is (KH, KW, C // groups, K) for a convolution or (C, K) for a linear layer. One output reads
fan_in = KH * KW * C // groups inputs; one input channel feeds fan_out = KH * KW * K products. Every
function draws in float64 and rounds to `dtype`: one seed gives the same network in both dtypes.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, float_dtype, random_generator


class Initializer(Protocol):
    """What a layer's `initializer` must be: a function of a shape that draws the weights."""

    def __call__(
        self, shape: tuple[int, ...], *, rng: np.random.Generator, dtype: npt.DTypeLike
    ) -> FloatArray:
        """Draw an array of that shape and dtype."""


def he_normal(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> FloatArray:
    """Draw from a normal distribution of variance 2 / fan_in, made for ReLU.

    He, Zhang, Ren, Sun (2015), "Delving deep into rectifiers", equation 10: ReLU halves the mean
    square of what passes through it, the factor 2 restores it.

    Parameters
    ----------
    shape
        (KH, KW, C // groups, K) or (C, K).
    rng
        For example ``numpy.random.default_rng(0)``.
    dtype
        float32 or float64.

    Returns
    -------
    FloatArray
        New weights of that shape and dtype.

    Raises
    ------
    ValueError
        If `shape` has not two or four sizes, all at least 1.
    TypeError
        If `rng` is no Generator or `dtype` neither float32 nor float64.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.init.he_normal((3, 3, 16, 32), rng=np.random.default_rng(0))
    >>> w.shape, round(float(w.var() * 3 * 3 * 16), 1)
    ((3, 3, 16, 32), 2.0)
    """
    fan_in, _ = _fans(shape)
    return _normal(shape, math.sqrt(2.0 / fan_in), rng, dtype)


def he_uniform(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> FloatArray:
    """Draw evenly from ±sqrt(6 / fan_in): the variance of `he_normal`, with bounded weights.

    Parameters, Returns and Raises are those of `he_normal`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.init.he_uniform((6, 100), rng=np.random.default_rng(0))
    >>> bool(abs(w).max() <= 1)
    True
    """
    fan_in, _ = _fans(shape)
    return _uniform(shape, math.sqrt(6.0 / fan_in), rng, dtype)


def xavier_normal(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> FloatArray:
    """Draw from a normal distribution of variance 2 / (fan_in + fan_out), made for tanh.

    Glorot, Bengio (2010), "Understanding the difficulty of training deep feedforward neural
    networks", equation 12: between 1 / fan_in, which keeps the variance of the signal, and
    1 / fan_out, which keeps that of the gradient.

    Parameters, Returns and Raises are those of `he_normal`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.init.xavier_normal((300, 100), rng=np.random.default_rng(0))
    >>> round(float(w.var() * (300 + 100)), 1)
    2.0
    """
    return _normal(shape, math.sqrt(2.0 / sum(_fans(shape))), rng, dtype)


def xavier_uniform(
    shape: tuple[int, ...], *, rng: np.random.Generator, dtype: npt.DTypeLike = np.float32
) -> FloatArray:
    """Draw evenly from ±sqrt(6 / (fan_in + fan_out)): Glorot & Bengio (2010), equation 16.

    Parameters, Returns and Raises are those of `he_normal`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.init.xavier_uniform((2, 4), rng=np.random.default_rng(0))
    >>> bool(abs(w).max() <= 1)
    True
    """
    return _uniform(shape, math.sqrt(6.0 / sum(_fans(shape))), rng, dtype)


def default_initializer(activation: str | None) -> Initializer:
    """Return what a layer uses when it is given no initializer, by the activation that follows."""
    return xavier_uniform if activation in ("sigmoid", "tanh") else he_normal


def initial_weight(
    initializer: Initializer,
    shape: tuple[int, ...],
    rng: np.random.Generator | None,
    dtype: np.dtype[Any],
) -> FloatArray:
    """Call an initializer, which may be the user's own, and check what it returns."""
    rng = np.random.default_rng() if rng is None else rng
    weight = np.asarray(initializer(shape, rng=rng, dtype=dtype))
    if weight.shape != shape:
        raise ValueError(
            f"initializer {initializer!r} returned shape {weight.shape}, expected {shape}"
        )
    return weight.astype(dtype)


def _normal(
    shape: tuple[int, ...], deviation: float, rng: np.random.Generator, dtype: npt.DTypeLike
) -> FloatArray:
    dtype = float_dtype(dtype)
    return (random_generator(rng).standard_normal(shape) * deviation).astype(dtype)


def _uniform(
    shape: tuple[int, ...], bound: float, rng: np.random.Generator, dtype: npt.DTypeLike
) -> FloatArray:
    dtype = float_dtype(dtype)
    return random_generator(rng).uniform(-bound, bound, shape).astype(dtype)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    if len(shape) not in (2, 4) or min(shape) < 1:
        raise ValueError(
            f"shape is {tuple(shape)}: expected (KH, KW, C // groups, K) or (C, K), all at least 1"
        )
    return math.prod(shape[:-1]), math.prod(shape[:-2]) * shape[-1]
