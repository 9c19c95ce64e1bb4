"""Losses: values, gradients against finite differences, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rot180
from finite_differences import numerical_gradient
from rot180 import reference


def test_cross_entropy_by_hand():
    loss = rot180.losses.CrossEntropy()
    logits = np.log(np.array([[1.0, 3.0, 4.0], [2.0, 1.0, 1.0]]))
    expected = -(math.log(3 / 8) + math.log(2 / 4)) / 2
    assert loss.forward(logits, np.array([1, 0])) == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(
        loss.backward(),
        [[1 / 16, (3 / 8 - 1) / 2, 4 / 16], [(1 / 2 - 1) / 2, 1 / 8, 1 / 8]],
        rtol=1e-14,
    )


def test_mean_squared_error_by_hand():
    loss = rot180.losses.MeanSquaredError()
    assert loss.forward(np.array([[1.0, 2.0, 3.0]]), np.array([[1.0, 0.0, 4.0]])) == 5 / 3
    np.testing.assert_allclose(loss.backward(), [[0, 4 / 3, -2 / 3]], rtol=1e-15)


def problem(kind):
    rng = np.random.default_rng(2)
    prediction = rng.normal(size=(5, 4))
    if kind == "cross entropy":
        return rot180.losses.CrossEntropy(), prediction, rng.integers(0, 4, 5)
    return rot180.losses.MeanSquaredError(), prediction, rng.normal(size=(5, 4))


@pytest.mark.parametrize("kind", ["cross entropy", "mean squared error"])
def test_backward_agrees_with_finite_differences(kind):
    loss, prediction, target = problem(kind)
    expected = numerical_gradient(lambda values: loss.forward(values, target), prediction)
    loss.forward(prediction, target)
    np.testing.assert_allclose(loss.backward(), expected, rtol=0, atol=1e-8)
    assert abs(expected).max() > 0.01


def test_against_reference():
    loss, logits, labels = problem("cross entropy")
    value, probabilities = reference.softmax_cross_entropy(logits, labels)
    assert loss.forward(logits, labels) == pytest.approx(value, rel=1e-14)
    np.testing.assert_allclose(
        loss.backward(),
        reference.softmax_cross_entropy_grad_input(probabilities, labels),
        rtol=0,
        atol=1e-15,
    )


@pytest.mark.parametrize("kind", ["cross entropy", "mean squared error"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(kind, dtype):
    loss, prediction, target = problem(kind)
    prediction = prediction.astype(dtype)
    target = target if target.dtype.kind == "i" else target.astype(dtype)
    assert type(loss.forward(prediction, target)) is float
    gradient = loss.backward()
    assert (gradient.shape, gradient.dtype) == (prediction.shape, dtype)


@pytest.mark.parametrize("kind", ["cross entropy", "mean squared error"])
def test_backward_needs_a_forward_of_its_own(kind):
    loss, prediction, target = problem(kind)
    with pytest.raises(RuntimeError, match=r"forward\(prediction, target\)"):
        loss.backward()
    loss.forward(prediction, target)
    loss.backward()
    with pytest.raises(RuntimeError, match="call it first"):
        loss.backward()


def test_errors_of_cross_entropy():
    loss = rot180.losses.CrossEntropy()
    logits = np.zeros((3, 4), np.float32)
    with pytest.raises(TypeError, match=r"labels.*float"):
        loss.forward(logits, np.zeros(3))
    with pytest.raises(ValueError, match=r"labels\[1\] is 4"):
        loss.forward(logits, np.array([0, 4, -1]))
    with pytest.raises(ValueError, match="labels"):
        loss.forward(logits, np.array([0, 1]))
    with pytest.raises(ValueError, match=r"empty|N = 0"):
        loss.forward(logits[:0], np.array([], int))
    with pytest.raises(RuntimeError):
        loss.backward()


def test_errors_of_mean_squared_error():
    loss = rot180.losses.MeanSquaredError()
    with pytest.raises(ValueError, match="target"):
        loss.forward(np.zeros((3, 1)), np.zeros(3))  # would broadcast
    with pytest.raises(TypeError, match="target"):
        loss.forward(np.zeros(3), np.zeros(3, np.float32))


def test_repr():
    assert repr(rot180.losses.CrossEntropy()) == "CrossEntropy()"
