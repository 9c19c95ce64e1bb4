"""Gradients by central differences, in float64: what every gradient is measured against."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def numerical_gradient(function: Callable[[np.ndarray], float], x: np.ndarray, step: float = 1e-5):
    """d function(x) / dx, entry by entry: (f(x + step) - f(x - step)) / (2 * step)."""
    x = np.array(x, np.float64)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        value = x[index]
        x[index] = value + step
        above = function(x)
        x[index] = value - step
        below = function(x)
        x[index] = value
        gradient[index] = (above - below) / (2 * step)
    return gradient


def relative_error(actual: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, over the largest expected value: two zero gradients are no agreement."""
    assert actual.shape == expected.shape, f"{actual.shape} where {expected.shape} was expected"
    scale = float(np.abs(expected).max())
    assert scale > 0, "the expected gradient is zero everywhere: the check could not fail"
    return float(np.abs(actual - expected).max()) / scale


def assert_gradient(
    actual: np.ndarray,
    function: Callable[[np.ndarray], float],
    x: np.ndarray,
    tolerance: float = 1e-6,
) -> None:
    """The gradient of a scalar function at x is right to `tolerance`."""
    error = relative_error(actual, numerical_gradient(function, x))
    assert error <= tolerance, f"relative error {error:.1e} of the gradient, at most {tolerance}"
