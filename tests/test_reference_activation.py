"""Activations and the fully connected layer in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from finite_differences import assert_gradient
from rot180.reference import (
    leaky_relu,
    leaky_relu_grad_input,
    linear,
    linear_grad_bias,
    linear_grad_input,
    linear_grad_weight,
    relu,
    relu_grad_input,
    sigmoid,
    sigmoid_grad_input,
    tanh,
    tanh_grad_input,
)

PAIRS = {
    "relu": (relu, relu_grad_input),
    "leaky_relu": (leaky_relu, leaky_relu_grad_input),
    "sigmoid": (sigmoid, sigmoid_grad_input),
    "tanh": (tanh, tanh_grad_input),
}
pairs = pytest.mark.parametrize(("function", "gradient"), PAIRS.values(), ids=PAIRS.keys())


@pairs
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 2, 3), (0, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_and_dtype_are_kept(function, gradient, shape, dtype):
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    y = function(x)
    dx = gradient(x, y)
    assert x.shape == y.shape == dx.shape
    assert x.dtype == y.dtype == dx.dtype
    assert not np.shares_memory(x, y)


@pairs
def test_gradient_by_finite_differences(function, gradient):
    x = np.array([-4, -1.5, -0.3, 0.2, 0.9, 3.0]).reshape(2, 3)
    dy = np.array([1, -2, 3, 0.5, 2, -1.5]).reshape(2, 3)
    assert_gradient(gradient(dy, function(x)), lambda x: float((function(x) * dy).sum()), x)


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
    assert relu(x).tolist() == [0, 0, 0, *x[3:].tolist()]
    assert leaky_relu(x, 0.5).tolist() == [*(x[:3] / 2).tolist(), *x[3:].tolist()]


def test_sigmoid_keeps_its_relative_accuracy_far_from_zero():
    x = np.array([-40.0, -100.0])
    np.testing.assert_allclose(sigmoid(x), np.exp(x), rtol=1e-14)


@pairs
def test_nan_stays(function, gradient):
    assert np.isnan(function(np.array([np.nan]))).all()


@pytest.mark.parametrize("slope", [-0.1, np.nan, np.inf])
def test_slope_is_not_negative(slope):
    with pytest.raises(ValueError, match="negative_slope"):
        leaky_relu(np.ones(2), slope)
    with pytest.raises(ValueError, match="negative_slope"):
        leaky_relu_grad_input(np.ones(2), np.ones(2), slope)


@pairs
def test_errors_name_the_argument(function, gradient):
    with pytest.raises(TypeError, match=r"x has dtype int.*astype\(numpy.float32\)"):
        function(np.array([1, 2]))
    with pytest.raises(TypeError, match="y has dtype float64 but dy has dtype float32"):
        gradient(np.ones(2, np.float32), np.ones(2))
    with pytest.raises(ValueError, match=r"dy has shape \(3,\), expected \(2,\)"):
        gradient(np.ones(3), np.ones(2))


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
