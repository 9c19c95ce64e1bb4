"""Losses: values, gradients against finite differences, and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import rot180
from finite_differences import numerical_gradient
from rot180 import losses, reference


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


def probabilities(rng):
    return reference.softmax(rng.normal(size=(5, 4)))


# Each loss, and targets for predictions (5, 4).
LOSSES = {
    "cross entropy": (lambda: losses.CrossEntropy(), lambda rng: rng.integers(0, 4, 5)),
    "cross entropy of probabilities": (
        lambda: losses.CrossEntropy(label_smoothing=0.1),
        probabilities,
    ),
    "weighted cross entropy": (
        lambda: losses.CrossEntropy(0.2, class_weights=[1.0, 0.5, 2.0, 3.0]),
        lambda rng: rng.integers(0, 4, 5),
    ),
    "binary cross entropy": (
        lambda: losses.BinaryCrossEntropy(),
        lambda rng: rng.integers(0, 2, (5, 4)).astype(float),
    ),
    "weighted binary cross entropy": (
        lambda: losses.BinaryCrossEntropy(pos_weight=np.array([1.0, 2.0, 0.5, 3.0])),
        lambda rng: rng.uniform(size=(5, 4)),
    ),
    "mean squared error": (
        lambda: losses.MeanSquaredError(),
        lambda rng: rng.normal(size=(5, 4)),
    ),
    "mean absolute error": (
        lambda: losses.MeanAbsoluteError(),
        lambda rng: rng.normal(size=(5, 4)),
    ),
    "huber": (lambda: losses.Huber(0.7), lambda rng: rng.normal(size=(5, 4))),
}


def problem(kind):
    rng = np.random.default_rng(2)
    prediction = rng.normal(size=(5, 4))
    make, target = LOSSES[kind]
    return make(), prediction, target(rng)


@pytest.mark.parametrize("kind", LOSSES)
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


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(kind, dtype):
    loss, prediction, target = problem(kind)
    prediction = prediction.astype(dtype)
    target = target if target.dtype.kind == "i" else target.astype(dtype)
    assert type(loss.forward(prediction, target)) is float
    gradient = loss.backward()
    assert (gradient.shape, gradient.dtype) == (prediction.shape, dtype)


@pytest.mark.parametrize("kind", LOSSES)
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


def test_segmentation():
    """Each pixel is an example: the same as a batch of that many."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 3, 5, 4)), rng.integers(0, 4, (2, 3, 5))
    loss = losses.CrossEntropy(0.1, class_weights=[1, 2, 3, 4])
    value = loss.forward(logits, labels)
    dlogits = loss.backward()
    assert value == loss.forward(logits.reshape(30, 4), labels.ravel())
    np.testing.assert_array_equal(dlogits, loss.backward().reshape(logits.shape))


def test_smoothing_is_a_target_of_probabilities():
    loss, logits, labels = problem("cross entropy")
    smoothed = losses.CrossEntropy(label_smoothing=0.2)
    target = 0.8 * np.eye(4)[labels] + 0.2 / 4
    assert smoothed.forward(logits, labels) == pytest.approx(
        loss.forward(logits, target), rel=1e-14
    )
    np.testing.assert_allclose(smoothed.backward(), loss.backward(), rtol=0, atol=1e-16)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: losses.CrossEntropy(1.5), ValueError, "label_smoothing must be .* less than 1"),
        (
            lambda: losses.CrossEntropy(class_weights=[1, -1]),
            ValueError,
            r"class_weights\[1\] is -1",
        ),
        (lambda: losses.CrossEntropy(class_weights=2), ValueError, r"class_weights has shape \(\)"),
        (lambda: losses.CrossEntropy(class_weights="ab"), TypeError, "class_weights has dtype"),
        (lambda: losses.BinaryCrossEntropy(-1), ValueError, "pos_weight must be at least 0"),
        (lambda: losses.BinaryCrossEntropy([1, np.inf]), ValueError, r"pos_weight\[1\] is inf"),
        (lambda: losses.Huber(0), ValueError, "delta must be greater than 0 and finite, got 0"),
        (lambda: losses.Huber("1 m"), TypeError, "delta must be a number, got '1 m'"),
    ],
)
def test_wrong_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_wrong_targets_of_binary_cross_entropy():
    loss = losses.BinaryCrossEntropy()
    with pytest.raises(ValueError, match=r"target\[1\] is 2.0, expected 0 to 1"):
        loss.forward(np.zeros(3), np.array([0.0, 2.0, 1.0]))
    with pytest.raises(TypeError, match="target has dtype int64"):
        loss.forward(np.zeros(3), np.array([0, 1, 1]))
    with pytest.raises(RuntimeError):
        loss.backward()


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (losses.CrossEntropy(), "CrossEntropy()"),
        (
            losses.CrossEntropy(0.1, np.array([1, 2])),
            "CrossEntropy(label_smoothing=0.1, class_weights=(1.0, 2.0))",
        ),
        (losses.BinaryCrossEntropy(), "BinaryCrossEntropy()"),
        (losses.BinaryCrossEntropy(2), "BinaryCrossEntropy(pos_weight=2.0)"),
        (losses.BinaryCrossEntropy([1, 2]), "BinaryCrossEntropy(pos_weight=(1.0, 2.0))"),
        (losses.MeanSquaredError(), "MeanSquaredError()"),
        (losses.MeanAbsoluteError(), "MeanAbsoluteError()"),
        (losses.Huber(), "Huber()"),
        (losses.Huber(0.5), "Huber(delta=0.5)"),
    ],
)
def test_repr(loss, text):
    assert repr(loss) == text
    assert repr(eval(text, vars(losses))) == text
