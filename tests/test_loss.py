"""The loss kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
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


def target_of(kind, rng, shape, dtype):
    """Labels for logits of that shape: class numbers, or probabilities, some of them 0."""
    if kind == "labels":
        return rng.integers(0, shape[-1], shape[:-1])
    return reference.softmax(20 * rng.normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["labels", "probabilities"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("shape", [(1, 1), (130, 3), (70, 10), (2, 5, 4, 17)])
def test_targets_of_cross_entropy(isa, dtype, kind, weighted, smoothing, shape, instruction_set):
    instruction_set(isa)
    rng = np.random.default_rng(1)
    logits = (3 * rng.normal(size=shape)).astype(dtype)
    labels = target_of(kind, rng, shape, dtype)
    options = {"label_smoothing": smoothing}
    if weighted:
        options["class_weights"] = rng.uniform(0.1, 4, shape[-1])
    exact = labels.astype(np.float64) if kind == "probabilities" else labels
    eps = np.finfo(dtype).eps
    loss, probabilities = functional.softmax_cross_entropy(logits, labels, **options)
    expected, _ = reference.softmax_cross_entropy(logits.astype(np.float64), exact, **options)
    assert type(loss) is float
    assert abs(loss - expected) <= 80 * eps * max(expected, 1)
    dlogits = functional.softmax_cross_entropy_grad_input(probabilities, labels, **options)
    expected = reference.softmax_cross_entropy_grad_input(
        probabilities.astype(np.float64), exact, **options
    )
    assert (dlogits.shape, dlogits.dtype) == (shape, dtype)
    total = expected.size / shape[-1]
    np.testing.assert_allclose(dlogits, expected, rtol=4 * eps, atol=16 * eps / total)


def test_a_class_without_weight_does_not_count():
    """Neither its labels nor what is predicted for it: how a segmentation leaves out pixels."""
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(2, 5, 6, 4)), rng.integers(0, 4, (2, 5, 6))
    weights = [1.0, 1.0, 0.0, 1.0]
    loss, probabilities = functional.softmax_cross_entropy(logits, labels, class_weights=weights)
    kept = labels != 2
    expected, _ = functional.softmax_cross_entropy(logits[kept], labels[kept])
    assert loss == pytest.approx(expected, rel=1e-14)
    dlogits = functional.softmax_cross_entropy_grad_input(
        probabilities, labels, class_weights=weights
    )
    assert not dlogits[~kept].any()
    assert (abs(dlogits[kept]).min(axis=-1) > 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_impossible_class_costs_only_what_wants_it(dtype):
    logits = np.array([[0.0, -np.inf, 0.0]], dtype)
    labels = np.array([[0.5, 0.0, 0.5]], dtype)
    loss, _ = functional.softmax_cross_entropy(logits, labels)
    assert loss == pytest.approx(np.log(2), rel=1e-15)
    assert functional.softmax_cross_entropy(logits, np.array([1]))[0] == np.inf
    smoothed = functional.softmax_cross_entropy(logits, np.array([0]), label_smoothing=0.1)[0]
    assert smoothed == np.inf


ELEMENT_LOSSES = {
    "mean_squared_error": {},
    "mean_absolute_error": {},
    "huber": {"delta": 0.8},
}


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (5, 3), (40, 1001)])
@pytest.mark.parametrize("name", ELEMENT_LOSSES)
def test_losses_of_differences(isa, name, dtype, shape, instruction_set):
    instruction_set(isa)
    rng = np.random.default_rng(0)
    prediction, target = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    prediction.flat[0] = target.flat[0]
    exact = prediction.astype(np.float64), target.astype(np.float64)
    options = ELEMENT_LOSSES[name]
    expected = getattr(reference, name)(*exact, **options)
    loss = getattr(functional, name)(prediction, target, **options)
    assert type(loss) is float
    assert abs(loss - expected) <= 1e-12 * expected
    dprediction = getattr(functional, f"{name}_grad_input")(prediction, target, **options)
    expected = getattr(reference, f"{name}_grad_input")(*exact, **options)
    assert dprediction.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(dprediction, expected, rtol=4 * eps, atol=0)


@pytest.mark.parametrize("name", ELEMENT_LOSSES)
def test_nan_reaches_the_loss_and_its_gradient(name):
    for place in (0, 7, 36):
        prediction, target = np.ones(37, np.float32), np.zeros(37, np.float32)
        prediction[place] = np.nan
        assert np.isnan(getattr(functional, name)(prediction, target))
        dprediction = getattr(functional, f"{name}_grad_input")(prediction, target)
        assert np.isnan(dprediction[place])
        assert np.isfinite(np.delete(dprediction, place)).all()


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(1,), (7, 1), (50, 3), (4, 9, 10, 17), (40, 1001)])
@pytest.mark.parametrize("weighted", ["no", "one for all", "one for each"])
def test_binary_cross_entropy(isa, dtype, shape, weighted, instruction_set):
    instruction_set(isa)
    rng = np.random.default_rng(0)
    logits = (rng.normal(size=shape) * np.exp(rng.uniform(-3, 4, shape))).astype(dtype)
    target = rng.choice([0, 0.25, 1], shape).astype(dtype)
    weights = {"no": 1.0, "one for all": 2.5, "one for each": rng.uniform(0, 3, shape[-1])}
    options = {"pos_weight": weights[weighted]}
    exact = logits.astype(np.float64), target.astype(np.float64)
    eps = np.finfo(dtype).eps
    loss = functional.binary_cross_entropy(logits, target, **options)
    expected = reference.binary_cross_entropy(*exact, **options)
    assert type(loss) is float
    assert abs(loss - expected) <= 6 * eps * expected
    dlogits = functional.binary_cross_entropy_grad_input(logits, target, **options)
    expected = reference.binary_cross_entropy_grad_input(*exact, **options)
    assert (dlogits.shape, dlogits.dtype) == (shape, dtype)
    np.testing.assert_allclose(dlogits, expected, rtol=6 * eps, atol=6 * eps / logits.size)


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_cross_entropy_far_from_zero(dtype):
    """Each element's loss and gradient to rounding, also where log(1 - s) would be log 0."""
    z = np.array([-1000, -80, -20, -1e-3, 0, 1e-3, 20, 80, 1000], dtype)
    for t in (0.0, 1.0):
        for value in z:
            logits, target = np.full(1, value), np.full(1, t, dtype)
            exact = logits.astype(np.float64), target.astype(np.float64)
            close = {"rel": 8 * float(np.finfo(dtype).eps), "abs": float(np.finfo(dtype).tiny)}
            loss = functional.binary_cross_entropy(logits, target)
            assert loss == pytest.approx(reference.binary_cross_entropy(*exact), **close)
            slope = functional.binary_cross_entropy_grad_input(logits, target).item()
            expected = reference.binary_cross_entropy_grad_input(*exact).item()
            assert slope == pytest.approx(expected, **close)


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
            lambda: functional.softmax_cross_entropy(LOGITS[0], 1),
            ValueError,
            r"logits has shape \(4,\), expected \(N, classes\) or \(N, H, W, classes\)",
        ),
        (
            lambda: functional.softmax_cross_entropy(
                np.zeros((2, 3, 3, 4)), np.array([[[0] * 3] * 3, [[0] * 3, [0] * 3, [0, 4, 5]]])
            ),
            ValueError,
            r"labels\[1, 2, 1\] is 4, expected 0 to 3",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, np.eye(4, dtype=int)[:3]),
            ValueError,
            r"labels has shape \(3, 4\), expected \(3,\).*pass labels.argmax\(axis=-1\)",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, LOGITS),
            ValueError,
            r"labels\[0\] has the sum 0 and the smallest entry 0, expected probabilities",
        ),
        (
            lambda: functional.softmax_cross_entropy(
                LOGITS, np.array([[0.5, 0.5, 0, 0], [2.0, -1.0, 0, 0], [1, 0, 0, 0]])
            ),
            ValueError,
            r"labels\[1\] has the sum 1 and the smallest entry -1, expected probabilities",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, LOGITS + np.nan),
            ValueError,
            r"labels\[0\] has the sum nan",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, np.full((3, 4), 0.25, "f")),
            TypeError,
            "labels has dtype float32 but logits has dtype float64",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, [0, 1, 2], label_smoothing=1),
            ValueError,
            "label_smoothing must be at least 0 and less than 1, got 1",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, [0, 1, 2], class_weights=[1, 2, 3]),
            ValueError,
            r"class_weights has shape \(3,\), expected \(4,\): one number for each class",
        ),
        (
            lambda: functional.softmax_cross_entropy(
                LOGITS, [0, 1, 2], class_weights=[1, 2, -3, 1]
            ),
            ValueError,
            r"class_weights\[2\] is -3, expected at least 0 and finite",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, [0, 1, 2], class_weights="abcd"),
            TypeError,
            "class_weights has dtype <U4, expected numbers",
        ),
        (
            lambda: functional.softmax_cross_entropy(LOGITS, [3, 3, 3], class_weights=[1, 1, 1, 0]),
            ValueError,
            "class_weights is 0 for every label",
        ),
        (
            lambda: functional.huber(np.zeros(3), np.zeros(3), 0),
            ValueError,
            "delta must be greater than 0 and finite, got 0",
        ),
        (
            lambda: functional.binary_cross_entropy(np.zeros(3), np.array([0, 0.5, 1.5])),
            ValueError,
            r"target\[2\] is 1.5, expected 0 to 1",
        ),
        (
            lambda: functional.binary_cross_entropy(np.zeros(3), np.array([0, np.nan, 1])),
            ValueError,
            r"target\[1\] is nan, expected 0 to 1",
        ),
        (
            lambda: functional.binary_cross_entropy(np.zeros(3), np.array([0, 1, 1])),
            TypeError,
            "target has dtype int64, expected float32 or float64",
        ),
        (
            lambda: functional.binary_cross_entropy_grad_input(np.zeros((3, 1)), np.zeros(3)),
            ValueError,
            r"target has shape \(3,\), expected \(3, 1\): the shape of logits",
        ),
        (
            lambda: functional.binary_cross_entropy(LOGITS, LOGITS, pos_weight=[1.0, 2.0]),
            ValueError,
            r"pos_weight has shape \(2,\), expected \(4,\)",
        ),
        (
            lambda: functional.binary_cross_entropy(LOGITS, LOGITS, pos_weight=-1),
            ValueError,
            "pos_weight is -1, expected at least 0 and finite",
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
