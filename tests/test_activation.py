"""The activation kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from comparison import assert_same
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
# The function and its options; whether the gradient is taken at the input.
ACTIVATIONS = {
    "relu": ("relu", {}, False),
    "relu6": ("relu6", {}, False),
    "leaky_relu": ("leaky_relu", {}, False),
    "sigmoid": ("sigmoid", {}, False),
    "tanh": ("tanh", {}, False),
    "elu": ("elu", {}, False),
    "elu, small alpha": ("elu", {"alpha": 0.3}, False),
    "silu": ("silu", {}, True),
    "gelu": ("gelu", {}, True),
    "gelu by tanh": ("gelu", {"approximate": "tanh"}, True),
}
SIZES = [0, 1, 7, 16, 37, 40_000]

# Units in the last place that exp and its quotients may be off, and the normal distribution.
ULPS = 4
ULPS_OF_NORMAL = 6


def numbers(dtype, size):
    """Magnitudes from 1e-6 to 100, both signs."""
    rng = np.random.default_rng(size)
    return (np.exp(rng.uniform(-14, 4.6, size)) * rng.choice([-1, 1], size)).astype(dtype)


def forward(passes, name, x):
    function, options, _ = ACTIVATIONS[name]
    return getattr(passes, function)(x, **options)


def gradient(passes, name, dy, x, y):
    function, options, from_input = ACTIVATIONS[name]
    return getattr(passes, f"{function}_grad_input")(dy, x if from_input else y, **options)


def relative_tolerance(name, dtype, x):
    """Of y. Errors of an exponent are those of exp: of gelu's form by tanh, and of erfc's in
    reference, whose argument is rounded."""
    ulps = ULPS
    if name == "gelu":
        ulps = ULPS_OF_NORMAL + (np.square(x) if dtype == np.float64 else 0)
    if name == "gelu by tanh":
        ulps = ULPS + 2 * np.abs(1.6 * x + 0.0714 * x**3)
    return ulps * np.finfo(dtype).eps


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("size", SIZES)
def test_forward_and_gradient(isa, name, dtype, size, instruction_set):
    instruction_set(isa)
    x = numbers(dtype, size)
    y = forward(functional, name, x)
    exact = x.astype(np.float64)
    expected = forward(reference, name, exact)
    tolerance = relative_tolerance(name, dtype, exact) * np.abs(expected)
    # A denormal factor of x counts as zero.
    tolerance += np.finfo(dtype).tiny * (1 + np.abs(exact))
    assert (np.abs(y - expected) <= tolerance).all()
    assert y.dtype == dtype
    dy = numbers(dtype, size)[::-1].copy()
    dx = gradient(functional, name, dy, x, y)
    expected = gradient(reference, name, dy.astype(np.float64), exact, y.astype(np.float64))
    # 1 - y and its like cancel near saturation: the error is relative to dy.
    ulps = ULPS_OF_NORMAL if "gelu" in name else ULPS
    atol = ulps * np.finfo(dtype).eps * np.abs(dy).max(initial=0)
    np.testing.assert_allclose(dx, expected, rtol=ulps * np.finfo(dtype).eps, atol=atol)


# x, x P(X < x) and its derivative, rounded from 30 digits.
GELU = [
    (-37, -2.1184613523340934e-298, -7.8382986694185162e-297),
    (-30, -1.4720141781444561e-196, -4.4160316907084944e-195),
    (-20.5, -2.2067580180521469e-92, -4.5238033061728781e-91),
    (-13, -7.9523137194148436e-38, -1.0337304440113356e-36),
    (-8.25, -6.5337742095800438e-16, -5.3881911380277952e-15),
    (-5, -1.4332578593959696e-6, -7.1469460017922946e-6),
    (-3.3, -0.0015952996698664657, -0.00520105335649337),
    (-1, -0.15865525393145705, -0.083315470587686298),
    (-0.3, -0.11462657334331421, 0.26767223317289015),
    (-1e-5, -4.9999601057719609e-6, 0.49999202115439224),
    (1e-5, 5.0000398942280399e-6, 0.50000797884560776),
    (0.3, 0.18537342665668578, 0.73232776682710985),
    (1, 0.84134474606854295, 1.0833154705876863),
    (3.3, 3.2984047003301334, 1.0052010533564934),
    (8.25, 8.2499999999999993, 1.0000000000000054),
]


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
def test_gelu_keeps_its_relative_accuracy_far_below_zero(isa, instruction_set):
    """Where 1 + erf(x / sqrt(2)) would leave nothing but rounding errors."""
    instruction_set(isa)
    x, y, slope = np.array(GELU).T
    ulp = np.finfo(np.float64).eps
    np.testing.assert_allclose(functional.gelu(x), y, rtol=ULPS_OF_NORMAL * ulp)
    # The sum of two terms of opposite sign: relative to the larger of them.
    dx = functional.gelu_grad_input(np.ones_like(x), x)
    size = np.maximum(np.abs(slope), y / x)
    assert (np.abs(dx - slope) <= ULPS_OF_NORMAL * ulp * size).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_special_values(name, dtype):
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e4, -1e4], dtype)
    x = np.tile(x, 5)
    y = forward(functional, name, x)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(y, forward(reference, name, x))
    ones = np.ones_like(x)
    dx = gradient(functional, name, ones, x, y)
    np.testing.assert_array_equal(dx, gradient(reference, name, ones, x, y))
    assert np.isfinite(dx[1:7]).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_derivative_at_zero(name):
    """The derivative of ReLU at 0 is 0, of leaky ReLU its slope."""
    x = np.zeros(20)
    dx = gradient(functional, name, np.ones(20), x, forward(functional, name, x))
    expected = {
        "relu": 0.0,
        "relu6": 0.0,
        "leaky_relu": 0.01,
        "sigmoid": 0.25,
        "tanh": 1.0,
        "elu": 1.0,
        "elu, small alpha": 0.3,
    }
    np.testing.assert_allclose(dx, expected.get(name, 0.5), rtol=4e-16)


def test_relu6_at_its_corners():
    x = np.array([-1.0, 0.0, 1e-300, 5.5, 6.0, 6.5])
    y = functional.relu6(x)
    assert y.tolist() == [0.0, 0.0, 1e-300, 5.5, 6.0, 6.0]
    assert functional.relu6_grad_input(np.full(6, 3.0), y).tolist() == [
        0.0,
        0.0,
        3.0,
        3.0,
        0.0,
        0.0,
    ]


def test_any_shape_and_stride():
    x = np.asfortranarray(numbers(np.float64, 24).reshape(2, 3, 4))[:, ::-1]
    y = functional.tanh(x)
    assert_same(y, functional.tanh(np.ascontiguousarray(x)), "y")
    assert functional.relu(np.float32(-2.0)).shape == ()


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape", [(1,), (5, 1), (0, 3), (70, 3), (200, 10), (3, 16), (2, 3, 4, 17), (130, 1000)]
)
def test_softmax(isa, dtype, shape, instruction_set):
    instruction_set(isa)
    rng = np.random.default_rng(0)
    x, dy = (3 * rng.normal(size=shape).astype(dtype) for _ in range(2))
    y = functional.softmax(x)
    rounding = np.finfo(dtype).eps * (8 + shape[-1] / 16)
    expected = reference.softmax(x.astype(np.float64))
    assert y.dtype == dtype
    # exp's argument is rounded.
    np.testing.assert_allclose(y, expected, rtol=rounding + 20 * np.finfo(dtype).eps)
    dx = functional.softmax_grad_input(dy, y)
    expected = reference.softmax_grad_input(dy.astype(np.float64), y.astype(np.float64))
    np.testing.assert_allclose(dx, expected, rtol=0, atol=20 * rounding)


@pytest.mark.parametrize("classes", [3, 40])
def test_softmax_of_nan_and_of_infinity(classes):
    for place in range(classes):
        x = np.zeros((3, classes), np.float32)
        x[0, place], x[1, place] = np.nan, -np.inf
        y = functional.softmax(x)
        assert np.isnan(y[0]).all()
        others = np.arange(classes) != place
        assert y[1, place] == 0
        assert (y[1, others] == np.float32(1) / np.float32(classes - 1)).all()
        assert (y[2] == np.float32(1) / np.float32(classes)).all()


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
        (lambda: functional.elu(np.zeros(3), -1), "alpha must be at least 0 and finite, got -1"),
        (
            lambda: functional.gelu(np.zeros(3), "erf"),
            "approximate='erf' is unknown: expected 'none' or 'tanh'",
        ),
        (lambda: functional.gelu_grad_input(np.zeros(3), np.zeros(3), None), "approximate=None"),
        (lambda: functional.relu_grad_input(np.zeros(3), np.zeros(4)), r"y has shape \(4,\)"),
        (lambda: functional.silu_grad_input(np.zeros(3), np.zeros(4)), r"x has shape \(4,\)"),
        (
            lambda: functional.tanh_grad_input(np.zeros(3), np.zeros(3, "f")),
            "y has dtype float32 but dy has dtype float64",
        ),
        (lambda: functional.softmax(np.float64(1)), r"x has shape \(\), expected \(..., classes\)"),
        (lambda: functional.softmax(np.zeros((3, 0))), "at least one class"),
        (
            lambda: functional.softmax_grad_input(np.zeros((2, 3)), np.zeros((3, 2))),
            r"y has shape \(3, 2\), expected \(2, 3\)",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
