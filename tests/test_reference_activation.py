"""Activations and the fully connected layer in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from finite_differences import assert_gradient
from rot180.reference import (
    elu,
    elu_grad_input,
    gelu,
    gelu_grad_input,
    leaky_relu,
    leaky_relu_grad_input,
    linear,
    linear_grad_bias,
    linear_grad_input,
    linear_grad_weight,
    relu,
    relu6,
    relu6_grad_input,
    relu_grad_input,
    sigmoid,
    sigmoid_grad_input,
    silu,
    silu_grad_input,
    softmax,
    softmax_grad_input,
    tanh,
    tanh_grad_input,
)

PAIRS = {
    "relu": (relu, relu_grad_input),
    "relu6": (relu6, relu6_grad_input),
    "leaky_relu": (leaky_relu, leaky_relu_grad_input),
    "sigmoid": (sigmoid, sigmoid_grad_input),
    "tanh": (tanh, tanh_grad_input),
    "elu": (elu, elu_grad_input),
    "softmax": (softmax, softmax_grad_input),
    "silu": (silu, silu_grad_input),
    "gelu": (gelu, gelu_grad_input),
    "gelu by tanh": (
        lambda x: gelu(x, approximate="tanh"),
        lambda dy, x: gelu_grad_input(dy, x, approximate="tanh"),
    ),
}
# Whose gradient is taken at the input x, and not at the output y.
FROM_INPUT = ("silu", "gelu", "gelu by tanh")
pairs = pytest.mark.parametrize("name", PAIRS)


def gradient_at(name, dy, x):
    function, gradient = PAIRS[name]
    return gradient(dy, x if name in FROM_INPUT else function(x))


@pairs
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 2, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_are_kept(name, shape, dtype):
    function, gradient = PAIRS[name]
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    y = function(x)
    dx = gradient(x, y)
    assert x.shape == y.shape == dx.shape
    assert x.dtype == y.dtype == dx.dtype
    assert not np.shares_memory(x, y)


@pairs
def test_gradient_by_finite_differences(name):
    function, _ = PAIRS[name]
    x = np.array([-4, -1.5, -0.3, 0.2, 0.9, 3.0, 5.9, 6.1]).reshape(2, 4)
    dy = np.array([1, -2, 3, 0.5, 2, -1.5, 1.25, -0.5]).reshape(2, 4)
    assert_gradient(gradient_at(name, dy, x), lambda x: float((function(x) * dy).sum()), x)


# What PyTorch 2.13 computes in float64: x, y, and dx for a dy of ones.
PYTORCH = {
    "relu6": """
        -1 0 0, 0 0 0, 0.5 0.5 1, 3 3 1, 6 6 0, 9 6 0
    """,
    "elu": """
        -7 -0.9990881180344455 0.0009118819655545162, -2.5 -0.9179150013761013 0.0820849986238988,
        -1 -0.6321205588285577 0.3678794411714423, -0.125 -0.1175030974154046 0.8824969025845955,
        0 0 1, 3 3 1
    """,
    "silu": """
        -7 -0.006377358360804518 -0.005460497066452141, -1 -0.2689414213699951 0.07232948812851325,
        -0.125 -0.05859882832828047 0.4376623797495416, 0 0 0.5,
        3 2.8577223804673 1.088104106015169, 9 8.998889448816124 1.000987019571898
    """,
    "gelu": """
        -7 -8.958667141456544e-12 -6.26632332669155e-11, -1 -0.158655253931457 -0.0833154705876863,
        -0.125 -0.05628272189623588 0.4007820643017934, 0 0 0.5,
        3 2.99595030590511 1.011945647204184, 6 5.999999994080474 1.000000035468709
    """,
    "gelu by tanh": """
        -7 -2.331468351712829e-15 -2.78425581909089e-14, -1 -0.1588080093917232 -0.0829640838457825,
        -0.125 -0.05628280137577661 0.4007845938372085, 0 0 0.5,
        3 2.996362607918227 1.01158416663097, 6 5.999999999915604 1.000000000770998
    """,
}


@pytest.mark.parametrize("name", PYTORCH)
def test_against_pytorch(name):
    function, _ = PAIRS[name]
    x, y, dx = np.array([row.split() for row in PYTORCH[name].split(",")], float).T
    # PyTorch's gelu loses its relative accuracy far below 0, where 1 + erf cancels.
    close = {"rtol": 4e-15, "atol": 1e-15}
    np.testing.assert_allclose(function(x), y, **close)
    np.testing.assert_allclose(gradient_at(name, np.ones_like(x), x), dx, **close)


def test_elu_and_softmax_against_pytorch():
    x = np.array([-7.0, -2.5, -1.0, -0.125])
    np.testing.assert_allclose(
        elu(x, 0.5),
        [-0.4995440590172228, -0.4589575006880506, -0.3160602794142788, -0.0587515487077023],
        rtol=4e-15,
    )
    np.testing.assert_allclose(
        elu_grad_input(np.ones(4), elu(x, 0.5), 0.5),
        [0.0004559409827772581, 0.0410424993119494, 0.1839397205857212, 0.4412484512922977],
        rtol=1e-12,
    )
    y = softmax(np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]]))
    expected = [
        [0.6037488961486258, 0.030058887569574023, 0.3661922162818002],
        [0.05906975759251023, 0.9240064735078669, 0.016923768899622816],
    ]
    np.testing.assert_allclose(y, expected, rtol=4e-15)
    expected = [
        [-0.3877322321479535, -0.10948071385909673, 0.49721294600705024],
        [-0.0803717332163513, 0.12878427366423786, -0.04841254044788635],
    ]
    dy = np.array([[1.0, -2, 3], [0.5, 2, -1]])
    np.testing.assert_allclose(softmax_grad_input(dy, y), expected, rtol=4e-15)


def test_values():
    x = np.array([-2.0, 0.0, 1.0])
    assert relu(x).tolist() == [0, 0, 1]
    assert leaky_relu(x).tolist() == [-0.02, 0, 1]
    assert leaky_relu(x, 0.5).tolist() == [-1, 0, 1]
    np.testing.assert_allclose(sigmoid(x), 1 / (1 + np.exp(-x)), rtol=1e-15)
    np.testing.assert_array_equal(tanh(x), np.tanh(x))


def test_derivative_at_zero():
    one, zero = np.ones(1), np.zeros(1)
    assert relu_grad_input(one, zero).item() == 0
    assert leaky_relu_grad_input(one, zero, 0.25).item() == 0.25
    assert sigmoid_grad_input(one, sigmoid(zero)).item() == 0.25
    assert tanh_grad_input(one, tanh(zero)).item() == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_arguments_neither_overflow_nor_warn(dtype):
    x = np.array([-np.inf, -1e30, -800, 800, 1e30, np.inf], dtype)
    assert sigmoid(x).tolist() == [0, 0, 0, 1, 1, 1]
    assert tanh(x).tolist() == [-1, -1, -1, 1, 1, 1]
    assert elu(x, 2.0).tolist() == [-2, -2, -2, *x[3:].tolist()]
    assert relu6(x).tolist() == [0, 0, 0, 6, 6, 6]
    for name in FROM_INPUT:
        function, gradient = PAIRS[name]
        assert function(x).tolist() == [0, 0, 0, *x[3:].tolist()]
        assert gradient(np.ones_like(x), x).tolist() == [0, 0, 0, 1, 1, 1]
    assert relu(x).tolist() == [0, 0, 0, *x[3:].tolist()]
    assert leaky_relu(x, 0.5).tolist() == [*(x[:3] / 2).tolist(), *x[3:].tolist()]


def test_sigmoid_keeps_its_relative_accuracy_far_from_zero():
    x = np.array([-40.0, -100.0])
    np.testing.assert_allclose(sigmoid(x), np.exp(x), rtol=1e-14)


@pairs
def test_nan_stays(name):
    function, _ = PAIRS[name]
    assert np.isnan(function(np.array([np.nan]))).all()


@pytest.mark.parametrize("slope", [-0.1, np.nan, np.inf])
def test_slope_is_not_negative(slope):
    with pytest.raises(ValueError, match="negative_slope"):
        leaky_relu(np.ones(2), slope)
    with pytest.raises(ValueError, match="negative_slope"):
        leaky_relu_grad_input(np.ones(2), np.ones(2), slope)
    with pytest.raises(ValueError, match="alpha"):
        elu(np.ones(2), slope)
    with pytest.raises(ValueError, match="alpha"):
        elu_grad_input(np.ones(2), np.ones(2), slope)


@pairs
def test_errors_name_the_argument(name):
    function, gradient = PAIRS[name]
    at = "x" if name in FROM_INPUT else "y"
    with pytest.raises(TypeError, match=r"x has dtype int.*astype\(numpy.float32\)"):
        function(np.array([1, 2]))
    with pytest.raises(TypeError, match=f"{at} has dtype float64 but dy has dtype float32"):
        gradient(np.ones(2, np.float32), np.ones(2))
    with pytest.raises(ValueError, match=rf"{at} has shape \(2,\), expected \(3,\)"):
        gradient(np.ones(3), np.ones(2))


@pytest.mark.parametrize("approximate", ["erf", None, True, ["tanh"]])
def test_gelu_has_two_forms(approximate):
    for wrong in (
        lambda: gelu(np.ones(2), approximate),
        lambda: gelu_grad_input(np.ones(2), np.ones(2), approximate),
    ):
        with pytest.raises(ValueError, match=r"approximate=.* is unknown: expected 'none' or"):
            wrong()


def test_linear_by_finite_differences():
    rng = np.random.default_rng(0)
    x, weight, bias, dy = (rng.normal(size=s) for s in ((3, 4), (4, 5), (5,), (3, 5)))

    def loss(x, weight, bias):
        return float((linear(x, weight, bias) * dy).sum())

    assert_gradient(linear_grad_input(dy, weight), lambda x: loss(x, weight, bias), x)
    assert_gradient(linear_grad_weight(x, dy), lambda weight: loss(x, weight, bias), weight)
    assert_gradient(linear_grad_bias(dy), lambda bias: loss(x, weight, bias), bias)
    np.testing.assert_array_equal(
        linear(x, weight, bias, activation="tanh"), np.tanh(x @ weight + bias)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_of_an_empty_batch(dtype):
    x, weight, dy = np.ones((0, 4), dtype), np.ones((4, 5), dtype), np.ones((0, 5), dtype)
    results = (
        (linear(x, weight, np.ones(5, dtype)), (0, 5)),
        (linear_grad_input(dy, weight), (0, 4)),
        (linear_grad_weight(x, dy), (4, 5)),
        (linear_grad_bias(dy), (5,)),
    )
    for result, shape in results:
        assert (result.shape, result.dtype) == (shape, dtype)
        assert not result.any()


X, W, DY = np.ones((3, 4)), np.ones((4, 5)), np.ones((3, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linear(X.astype(int), W), TypeError, "x has dtype int"),
        (lambda: linear(X, W.astype(np.float32)), TypeError, "weight has dtype float32"),
        (lambda: linear(X[0], W), ValueError, r"x has shape \(4,\).*reshape"),
        (lambda: linear(X, W.T), ValueError, "x has shape .* weight has shape .*same C"),
        (lambda: linear(X, W, np.ones(4)), ValueError, r"bias has shape \(4,\)"),
        (lambda: linear(X[:, :0], W[:0]), ValueError, "x has shape .*at least 1 feature"),
        (lambda: linear(X, W[:, :0]), ValueError, "weight has shape .*at least 1 feature"),
        (lambda: linear(X, W, activation="softmax"), ValueError, "activation"),
        (lambda: linear_grad_input(DY, W.T), ValueError, "dy has shape .*same K"),
        (lambda: linear_grad_weight(X[:2], DY), ValueError, "x has shape .*same N"),
        (lambda: linear_grad_bias(DY[0]), ValueError, "dy has shape"),
    ],
)
def test_linear_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
