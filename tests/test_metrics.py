"""Metrics: right on what can be counted by hand; names that a history can hold."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from rot180.losses import CrossEntropy, MeanSquaredError
from rot180.metrics import (
    METRICS,
    Means,
    accuracy,
    binary_accuracy,
    mean_absolute_error,
    mean_squared_error,
    named_metrics,
    top5_accuracy,
)

LOGITS = np.array([[0.1, 0.7, 0.2], [3.0, 1.0, 2.0], [-3.0, -1.0, -2.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize(
    ("labels", "share"), [([1, 0, 1, 2], 1.0), ([1, 0, 1, 0], 0.75), ([0, 1, 2, 0], 0.0)]
)
def test_accuracy(labels, share):
    assert accuracy(LOGITS, np.array(labels)) == share
    assert accuracy(LOGITS.astype(np.float32), np.array(labels, np.uint8)) == share
    images = LOGITS.reshape(2, 2, 3), np.array(labels).reshape(2, 2)
    assert accuracy(*images) == share, "every pixel has a class"
    assert accuracy(LOGITS, np.eye(3)[labels]) == share, "probabilities"
    assert type(accuracy(LOGITS, np.array(labels))) is float


def test_top5_accuracy():
    logits = np.arange(12.0).reshape(2, 6)  # the first class is the sixth best
    assert top5_accuracy(logits, np.array([0, 1])) == 0.5
    assert top5_accuracy(logits, np.array([0, 0])) == 0.0
    assert top5_accuracy(logits, np.array([1, 5])) == 1.0
    assert top5_accuracy(logits, np.eye(6)[[0, 5]]) == 0.5
    assert top5_accuracy(np.full((1, 6), np.nan), np.array([3])) == 0.0
    with pytest.raises(ValueError, match="5 classes says nothing: use accuracy"):
        top5_accuracy(np.zeros((2, 5)), np.array([0, 1]))


def test_binary_accuracy():
    logits = np.array([[2.0, -1.0], [0.0, 3.0]])
    assert binary_accuracy(logits, np.array([[1.0, 0.0], [0.0, 1.0]])) == 1.0
    assert binary_accuracy(logits, np.array([[0, 0], [1, 1]])) == 0.5


def test_errors_of_numbers():
    prediction, target = np.array([[1.0, 2.0], [3.0, -4.0]]), np.array([[1.0, 0.0], [0.0, -3.0]])
    assert mean_absolute_error(prediction, target) == 1.5
    assert mean_squared_error(prediction, target) == 3.5
    many = np.full(10**6, 0.1, np.float32)
    assert mean_absolute_error(many, 0 * many) == pytest.approx(float(many[0]), rel=1e-12)


@pytest.mark.parametrize("name", METRICS)
def test_shapes_that_do_not_fit(name):
    for target in (np.zeros(3), np.zeros((2, 6, 1)), np.zeros((2, 7), int)):
        with pytest.raises(ValueError, match=r"prediction has shape \(2, 6\) and target has shape"):
            METRICS[name](np.zeros((2, 6)), target)


def test_names():
    def iou(prediction, target):
        return 0.5

    assert list(named_metrics(None, CrossEntropy())) == ["accuracy"]
    assert list(named_metrics(None, MeanSquaredError())) == []
    assert list(named_metrics([], CrossEntropy())) == []
    found = named_metrics(["top5_accuracy", iou, accuracy], CrossEntropy())
    assert found == {"top5_accuracy": top5_accuracy, "iou": iou, "accuracy": accuracy}


@pytest.mark.parametrize(
    ("metrics", "error", "message"),
    [
        (["acuracy"], ValueError, "no metric is called 'acuracy': expected a function or accuracy"),
        ("accuracy", TypeError, "a list of names and functions, got 'accuracy'"),
        (accuracy, TypeError, "a list of names and functions"),
        ([3], TypeError, "metrics has 3"),
        (["accuracy", accuracy], ValueError, "'accuracy' twice"),
        ([lambda p, t: 0.0], ValueError, "a metric is called '<lambda>'.*a name of its own"),
    ],
)
def test_what_is_no_metric(metrics, error, message):
    with pytest.raises(error, match=message):
        named_metrics(metrics, CrossEntropy())


@pytest.mark.parametrize("name", ["loss", "seconds", "epoch", "val_loss", "val_iou"])
def test_names_that_the_history_uses(name):
    metric = functools.wraps(accuracy)(lambda p, t: 0.0)
    metric.__name__ = name
    with pytest.raises(ValueError, match=f"a metric is called '{name}'"):
        named_metrics([metric], CrossEntropy())


def test_means_weigh_by_samples():
    means = Means(["a", "b"])
    means.add([1.0, np.float32(0.5)], 3)
    means.add([5.0, True], 1)
    assert means.result() == {"a": 2.0, "b": 0.625}
    assert all(type(total) is float for total in means.sums)
