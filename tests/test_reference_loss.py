"""Softmax with cross-entropy, and mean squared error, in NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest

from finite_differences import assert_gradient
from rot180.reference import (
    binary_cross_entropy,
    binary_cross_entropy_grad_input,
    huber,
    huber_grad_input,
    mean_absolute_error,
    mean_absolute_error_grad_input,
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


# What PyTorch 2.13 computes in float64: label smoothing, whether weighted, the loss, and the first
# row of the gradient.
WEIGHTS = [0.5, 2.0, 1.0, 3.0]
SOFT = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.0, 0.3, 0.0], [0.25, 0.25, 0.25, 0.25]])
PYTORCH = [
    (
        (LABELS, 0.0, None, 1.070547097681816),
        [0.03685125012057974, 0.001834715709194557, 0.022351413046870494, -0.06103737887664477],
    ),
    (
        (LABELS, 0.0, WEIGHTS, 0.5755503272733883),
        [0.060302045651857754, 0.003002262069591093, 0.03657503953124262, -0.09987934725269143],
    ),
    (
        (LABELS, 0.1, None, 1.230963764348483),
        [0.028517916787246415, -0.006498617624138776, 0.014018079713537163, -0.03603737887664475],
    ),
    (
        (LABELS, 0.1, WEIGHTS, 0.7356119691133014),
        [0.055265474620087, -0.006226250699507591, 0.03035322900727279, -0.0793924529278522],
    ),
    (
        (SOFT, 0.0, None, 2.7372137643484833),
        [0.0035179167872464137, -0.06483195095747211, -0.0776485869531295, 0.13896262112335525],
    ),
    (
        (SOFT, 0.0, WEIGHTS, 3.6452144899154484),
        [0.055193271068463834, -0.12975563770040394, -0.05641474455860253, 0.1309771111905427],
    ),
    (
        (SOFT, 0.1, None, 2.7309637643484828),
        [-0.0014820832127535905, -0.06649861762413878, -0.07598192028646285, 0.14396262112335523],
    ),
    (
        (SOFT, 0.1, WEIGHTS, 3.6796569442971987),
        [0.05149560543954499, -0.1331485992942861, -0.05547449881595917, 0.13712749267070026],
    ),
]


@pytest.mark.parametrize(("case", "first_row"), PYTORCH)
def test_cross_entropy_against_pytorch(case, first_row):
    labels, smoothing, weights, expected = case
    options = {"label_smoothing": smoothing, "class_weights": weights}
    loss, probabilities = softmax_cross_entropy(LOGITS, labels, **options)
    assert loss == pytest.approx(expected, rel=4e-15)
    dlogits = softmax_cross_entropy_grad_input(probabilities, labels, **options)
    np.testing.assert_allclose(dlogits[0], first_row, rtol=4e-15, atol=4e-17)
    assert_gradient(
        dlogits, lambda z: softmax_cross_entropy(z, labels, **options)[0], LOGITS, tolerance=1e-7
    )


def test_segmentation_against_pytorch():
    """PyTorch takes (N, C, H, W): the same numbers with the classes last."""
    logits = 3 * np.sin(1.7 * np.arange(24.0)).reshape(1, 2, 3, 4)
    labels = np.array([[[0, 3, 1], [2, 2, 0]]])
    options = {"label_smoothing": 0.2, "class_weights": WEIGHTS}
    loss, probabilities = softmax_cross_entropy(logits, labels, **options)
    assert loss == pytest.approx(3.823908592951653, rel=4e-15)
    dlogits = softmax_cross_entropy_grad_input(probabilities, labels, **options)
    expected = [-0.03511318385496301, -0.012259544461789548]
    expected += [-0.00472839586221971, 0.05210112417897227]
    np.testing.assert_allclose(dlogits[0, 1, 2], expected, rtol=1e-13)


PREDICTION = np.array([[0.5, -3.0, 2.0], [-0.25, 0.0, 30.0]])
TARGET = np.array([[0.0, 1.0, 2.5], [-0.25, 0.7, 28.0]])
ANSWERS = np.array([[1.0, 0.0, 0.3], [0.0, 1.0, 1.0]])


def test_losses_of_differences_against_pytorch():
    close = {"rtol": 4e-15, "atol": 0}
    sixth = 1 / 6
    for loss, gradient, value, slopes in (
        (
            mean_absolute_error(PREDICTION, TARGET),
            mean_absolute_error_grad_input(PREDICTION, TARGET),
            1.2833333333333334,
            [[sixth, -sixth, -sixth], [0, -sixth, sixth]],
        ),
        (
            huber(PREDICTION, TARGET),
            huber_grad_input(PREDICTION, TARGET),
            0.9158333333333334,
            [[sixth / 2, -sixth, -sixth / 2], [0, -0.11666666666666665, sixth]],
        ),
        (
            huber(PREDICTION, TARGET, 0.4),
            huber_grad_input(PREDICTION, TARGET, 0.4),
            0.4466666666666667,
            0.4 * np.array([[sixth, -sixth, -sixth], [0, -sixth, sixth]]),
        ),
        (
            mean_squared_error(PREDICTION, TARGET),
            mean_squared_error_grad_input(PREDICTION, TARGET),
            3.4983333333333335,
            [[sixth, -8 * sixth, -sixth], [0, -1.4 * sixth, 4 * sixth]],
        ),
    ):
        assert loss == pytest.approx(value, rel=4e-15)
        np.testing.assert_allclose(gradient, slopes, **close)


@pytest.mark.parametrize(
    ("pos_weight", "loss", "first_row"),
    [
        (
            1.0,
            0.5531131578726173,
            [-0.0629234447996909, 0.00790431219626113, 0.09679951299631373],
        ),
        (2.5, 0.8544387998858767, [-0.15730861199922727, 0.00790431219626113, 0.08785929384465489]),
        (
            [0.5, 1.0, 3.0],
            0.5262995436286035,
            [-0.03146172239984545, 0.00790431219626113, 0.08487922079410193],
        ),
    ],
)
def test_binary_cross_entropy_against_pytorch(pos_weight, loss, first_row):
    options = {"pos_weight": pos_weight}
    assert binary_cross_entropy(PREDICTION, ANSWERS, **options) == pytest.approx(loss, rel=4e-15)
    dlogits = binary_cross_entropy_grad_input(PREDICTION, ANSWERS, **options)
    np.testing.assert_allclose(dlogits[0], first_row, rtol=1e-14)
    assert_gradient(dlogits, lambda z: binary_cross_entropy(z, ANSWERS, **options), PREDICTION)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype):
    logits = LOGITS.astype(dtype)
    loss, probabilities = softmax_cross_entropy(logits, LABELS)
    assert type(loss) is float
    assert softmax(logits).dtype == probabilities.dtype == dtype
    assert softmax_cross_entropy_grad_input(probabilities, LABELS).dtype == dtype
    half = np.full_like(logits, 0.5)
    for loss, gradient in (
        (mean_squared_error, mean_squared_error_grad_input),
        (mean_absolute_error, mean_absolute_error_grad_input),
        (huber, huber_grad_input),
        (binary_cross_entropy, binary_cross_entropy_grad_input),
    ):
        assert type(loss(logits, half)) is float
        assert gradient(logits, half).dtype == dtype


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
        (lambda: softmax(LOGITS.astype(int)), TypeError, "x has dtype int"),
        (lambda: softmax(LOGITS[0, 0]), ValueError, r"x has shape \(\)"),
        (lambda: softmax(LOGITS[:, :0]), ValueError, "x has shape .*at least one class"),
        (lambda: softmax_cross_entropy(LOGITS[0], 1), ValueError, r"logits has shape \(4,\)"),
        (
            lambda: softmax_cross_entropy(LOGITS, SOFT.astype("f")),
            TypeError,
            "labels has dtype float32 but logits has dtype float64",
        ),
        (lambda: huber(LOGITS, LOGITS, -1), ValueError, "delta must be greater than 0"),
        (
            lambda: binary_cross_entropy(LOGITS, LOGITS),
            ValueError,
            r"target\[0, 1\] is -2.0, expected 0 to 1",
        ),
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
