"""The activation kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from comparison import assert_same
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
NAMES = ["relu", "leaky_relu", "sigmoid", "tanh"]
SIZES = [0, 1, 7, 16, 37, 40_000]

# Units in the last place that exp and its quotients may be off.
ULPS = 4


def numbers(dtype, size):
    """Magnitudes from 1e-6 to 100, both signs."""
    rng = np.random.default_rng(size)
    return (np.exp(rng.uniform(-14, 4.6, size)) * rng.choice([-1, 1], size)).astype(dtype)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_gradient(isa, name, dtype, size, instruction_set):
    instruction_set(isa)
    x = numbers(dtype, size)
    y = getattr(functional, name)(x)
    expected = getattr(reference, name)(x.astype(np.float64)).astype(dtype)
    tiny = np.finfo(dtype).tiny
    np.testing.assert_allclose(y, expected, rtol=ULPS * np.finfo(dtype).eps, atol=tiny)
    assert y.dtype == dtype
    dy = numbers(dtype, size)[::-1].copy()
    dx = getattr(functional, f"{name}_grad_input")(dy, y)
    expected = getattr(reference, f"{name}_grad_input")(dy.astype(np.float64), y.astype(np.float64))
    # 1 - y and 1 - y*y cancel near saturation: the error is relative to dy.
    atol = ULPS * np.finfo(dtype).eps * np.abs(dy).max(initial=0)
    np.testing.assert_allclose(dx, expected, rtol=ULPS * np.finfo(dtype).eps, atol=atol)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_special_values(name, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4], dtype)
    x = np.tile(x, 5)
    y = getattr(functional, name)(x)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(y, getattr(reference, name)(x))


@pytest.mark.parametrize("name", NAMES)
def test_derivative_at_zero(name):
    """The derivative of ReLU at 0 is 0, of leaky ReLU its slope."""
    y = getattr(functional, name)(np.zeros(20))
    dx = getattr(functional, f"{name}_grad_input")(np.ones(20), y)
    expected = {"relu": 0.0, "leaky_relu": 0.01, "sigmoid": 0.25, "tanh": 1.0}[name]
    assert (dx == expected).all()


def test_any_shape_and_stride():
    x = np.asfortranarray(numbers(np.float64, 24).reshape(2, 3, 4))[:, ::-1]
    y = functional.tanh(x)
    assert_same(y, functional.tanh(np.ascontiguousarray(x)), "y")
    assert functional.relu(np.float32(-2.0)).shape == ()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.relu(np.arange(3)), "x has dtype int64, expected float32 or float64"),
        (
            lambda: functional.leaky_relu(np.zeros(3), -0.1),
            "negative_slope must be at least 0 and finite, got -0.1",
        ),
        (
            lambda: functional.leaky_relu(np.zeros(3), float("nan")),
            "negative_slope must be .* got nan",
        ),
        (lambda: functional.relu_grad_input(np.zeros(3), np.zeros(4)), r"y has shape \(4,\)"),
        (
            lambda: functional.tanh_grad_input(np.zeros(3), np.zeros(3, "f")),
            "y has dtype float32 but dy has dtype float64",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
