"""The loss kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rot180 import functional, reference

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 200), classes=st.integers(1, 40), scale=st.sampled_from([1e-3, 1, 300]))
def test_softmax_cross_entropy(dtype, rows, classes, scale):
    rng = np.random.default_rng(rows)
    logits = (rng.normal(size=(rows, classes)) * scale).astype(dtype)
    labels = rng.integers(0, classes, rows)
    eps = np.finfo(dtype).eps
    loss, probabilities = functional.softmax_cross_entropy(logits, labels)
    expected_loss, expected = reference.softmax_cross_entropy(logits.astype(np.float64), labels)
    largest = float(np.abs(logits).max())
    assert isinstance(loss, float)
    assert abs(loss - expected_loss) <= eps * (classes + 4 * largest + 4)
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=eps * (classes + largest))
    np.testing.assert_array_equal(functional.softmax(logits), probabilities)
    dlogits = functional.softmax_cross_entropy_grad_input(probabilities, labels)
    expected = reference.softmax_cross_entropy_grad_input(probabilities.astype(np.float64), labels)
    np.testing.assert_allclose(dlogits, expected, rtol=2 * eps, atol=2 * eps / rows)


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int32, np.uint64, ">i4"])
def test_labels_of_any_integer_type(kind):
    logits = np.random.default_rng(0).normal(size=(3, 4))
    labels = np.array([3, 0, 2])
    expected = functional.softmax_cross_entropy(logits, labels)[0]
    assert functional.softmax_cross_entropy(logits, labels.astype(kind))[0] == expected
    assert functional.softmax_cross_entropy(logits, labels.tolist())[0] == expected


def test_nan_reaches_the_loss_from_every_place():
    for place in range(5):
        logits = np.zeros((2, 5), np.float32)
        logits[1, place] = np.nan
        loss, probabilities = functional.softmax_cross_entropy(logits, np.array([0, 0]))
        assert np.isnan(loss)
        assert np.isnan(probabilities[1]).all()
        assert (probabilities[0] == np.float32(0.2)).all()


def test_large_logits_do_not_overflow():
    loss, probabilities = functional.softmax_cross_entropy(
        np.array([[1e30, 0.0, -1e30]]), np.array([1])
    )
    assert loss == 1e30
    assert probabilities.tolist() == [[1.0, 0.0, 0.0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (5, 3), (40, 1001)])
def test_mean_squared_error(dtype, shape):
    rng = np.random.default_rng(0)
    prediction, target = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    exact = reference.mean_squared_error(prediction.astype(np.float64), target.astype(np.float64))
    loss = functional.mean_squared_error(prediction, target)
    assert abs(loss - exact) <= 1e-12 * exact
    dprediction = functional.mean_squared_error_grad_input(prediction, target)
    expected = reference.mean_squared_error_grad_input(
        prediction.astype(np.float64), target.astype(np.float64)
    )
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(dprediction, expected, rtol=4 * eps, atol=0)


LOGITS = np.zeros((3, 4))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: functional.softmax_cross_entropy(LOGITS, np.zeros(3)),
            TypeError,
            "labels has dtype float64, expected class numbers",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, np.array([0, 4, 9])),
            ValueError,
            r"labels\[1\] is 4, expected 0 to 3",
        ),
        (
            lambda: functional.softmax_cross_entropy_grad_input(LOGITS, np.array([0, 1, -1])),
            ValueError,
            r"labels\[2\] is -1, expected 0 to 3",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, np.zeros(2, int)),
            ValueError,
            r"labels has shape \(2,\), expected \(3,\)",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS[:0], np.zeros(0, int)),
            ValueError,
            "the batch is empty, N = 0",
        ),
        (
            lambda: functional.softmax(np.zeros(3)),
            ValueError,
            r"logits has shape \(3,\), expected \(N, classes\)",
        ),
        (
            lambda: functional.mean_squared_error(np.zeros(3), np.zeros((3, 1))),
            ValueError,
            "target has shape",
        ),
        (
            lambda: functional.mean_squared_error(np.zeros(0), np.zeros(0)),
            ValueError,
            "prediction has shape .* at least one element",
        ),
        (
            lambda: functional.mean_squared_error(np.zeros(2), np.zeros(2, "f")),
            TypeError,
            "target has dtype float32",
        ),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
