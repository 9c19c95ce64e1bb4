"""Softmax with cross-entropy, and mean squared error, in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finite_differences import assert_gradient
from rot180.reference import (
    mean_squared_error,
    mean_squared_error_grad_input,
    softmax,
    softmax_cross_entropy,
    softmax_cross_entropy_grad_input,
)

LOGITS = np.array([[1.0, -2.0, 0.5, 3.0], [0.0, 0.25, -1.0, 2.0], [4.0, 4.0, -3.0, 0.0]])
LABELS = np.array([3, 0, 1])


def test_softmax_by_hand():
    probabilities = softmax(np.log([[1.0, 2.0, 5.0], [3.0, 3.0, 2.0]]))
    np.testing.assert_allclose(probabilities, [[1 / 8, 2 / 8, 5 / 8], [3 / 8, 3 / 8, 2 / 8]])


def test_cross_entropy_by_hand():
    loss, probabilities = softmax_cross_entropy(np.log([[1.0, 3.0], [4.0, 1.0]]), np.array([0, 0]))
    assert isinstance(loss, float)
    assert loss == pytest.approx((math.log(4) + math.log(5 / 4)) / 2, rel=1e-15)
    np.testing.assert_allclose(probabilities, [[0.25, 0.75], [0.8, 0.2]])
    dlogits = softmax_cross_entropy_grad_input(probabilities, np.array([0, 0]))
    np.testing.assert_allclose(dlogits, [[-0.375, 0.375], [-0.1, 0.1]])


def test_gradients_by_finite_differences():
    _, probabilities = softmax_cross_entropy(LOGITS, LABELS)
    dlogits = softmax_cross_entropy_grad_input(probabilities, LABELS)
    assert_gradient(dlogits, lambda z: softmax_cross_entropy(z, LABELS)[0], LOGITS)
    np.testing.assert_allclose(dlogits.sum(axis=1), 0, atol=1e-16)

    target = np.cos(LOGITS)
    gradient = mean_squared_error_grad_input(LOGITS, target)
    assert_gradient(gradient, lambda p: mean_squared_error(p, target), LOGITS)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    logits = LOGITS.astype(dtype)
    loss, probabilities = softmax_cross_entropy(logits, LABELS)
    assert type(loss) is float
    assert softmax(logits).dtype == probabilities.dtype == dtype
    assert softmax_cross_entropy_grad_input(probabilities, LABELS).dtype == dtype
    assert type(mean_squared_error(logits, logits)) is float
    assert mean_squared_error_grad_input(logits, logits).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_large_logits_neither_overflow_nor_lose_the_loss(dtype):
    logits = np.array([[1000.0, 0.0], [-1e30, 1e30]], dtype)
    loss, probabilities = softmax_cross_entropy(logits, np.array([1, 1]))
    assert loss == 500
    assert probabilities.tolist() == [[1, 0], [0, 1]]


def test_mean_squared_error_of_any_shape():
    prediction = np.arange(12.0).reshape(1, 2, 3, 2)
    target = prediction.copy()
    target[0, 0, 0, 0], target[0, 1, 2, 1] = 3, 8
    assert mean_squared_error(prediction, target) == (9 + 9) / 12
    gradient = mean_squared_error_grad_input(prediction, target)
    assert gradient.ravel().tolist() == [-0.5, *[0.0] * 10, 0.5]


def test_empty_batch():
    logits = np.ones((0, 3))
    assert softmax(logits).shape == (0, 3)
    with pytest.raises(ValueError, match="N = 0"):
        softmax_cross_entropy(logits, np.ones(0, int))
    with pytest.raises(ValueError, match="N = 0"):
        softmax_cross_entropy_grad_input(logits, np.ones(0, int))
    with pytest.raises(ValueError, match="at least one element"):
        mean_squared_error(logits, logits)
    with pytest.raises(ValueError, match="at least one element"):
        mean_squared_error_grad_input(logits, logits)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, np.int64, list])
def test_labels_of_any_integer_dtype(kind):
    labels = LABELS.tolist() if kind is list else LABELS.astype(kind)
    assert softmax_cross_entropy(LOGITS, labels)[0] == softmax_cross_entropy(LOGITS, LABELS)[0]


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (LABELS.astype(float), TypeError, r"labels has dtype float64.*astype\(numpy.int64\)"),
        (LABELS > 0, TypeError, "labels has dtype bool"),
        (LABELS[:2], ValueError, r"labels has shape \(2,\), expected \(3,\)"),
        (np.eye(4, dtype=int)[LABELS], ValueError, r"labels has shape \(3, 4\)"),
        ([0, 4, 9], ValueError, r"labels\[1\] is 4, expected 0 to 3"),
        ([0, 1, -1], ValueError, r"labels\[2\] is -1, expected 0 to 3"),
        (
            np.array([2**64 - 1, 0, 0], np.uint64),
            ValueError,
            r"labels\[0\] is 18446744073709551615",
        ),
    ],
)
@pytest.mark.parametrize("function", [softmax_cross_entropy, softmax_cross_entropy_grad_input])
def test_labels_are_checked(function, labels, error, message):
    with pytest.raises(error, match=message):
        function(LOGITS, labels)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: softmax(LOGITS.astype(int)), TypeError, "logits has dtype int"),
        (lambda: softmax(LOGITS[0]), ValueError, r"logits has shape \(4,\)"),
        (lambda: softmax(LOGITS[:, :0]), ValueError, "logits has shape .*at least one class"),
        (lambda: softmax_cross_entropy_grad_input(LOGITS[0], LABELS), ValueError, "probabilities"),
        (lambda: mean_squared_error(LOGITS, LOGITS[0]), ValueError, "target has shape"),
        (
            lambda: mean_squared_error(LOGITS, LOGITS.astype(np.float32)),
            TypeError,
            "target has dtype float32",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
