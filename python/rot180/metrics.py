"""Figures that tell how good predictions are: accuracy and others, means over a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray
from rot180.losses import CrossEntropy, Loss

Targets: TypeAlias = npt.NDArray[Any]

# metric(prediction, target) of a batch, with the arrays that the loss gets.
Metric: TypeAlias = Callable[[FloatArray, Targets], float]

# Names that the history uses itself.
TAKEN_NAMES = ("loss", "seconds", "epoch")


def accuracy(prediction: FloatArray, target: Targets) -> float:
    """Share of samples whose largest logit, or probability, is the right class's.

    Parameters
    ----------
    prediction
        (..., classes).
    target
        Labels, (...) integers; or probabilities of the classes, (..., classes), of which the
        largest counts.

    Raises
    ------
    ValueError
        If the shapes do not fit each other.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.metrics import accuracy
    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]), np.array([0, 1, 1]))
    0.6666666666666666
    """
    labels = _labels(prediction, target)
    return int(np.count_nonzero(prediction.argmax(axis=-1) == labels)) / labels.size


def top5_accuracy(prediction: FloatArray, target: Targets) -> float:
    """Share of samples whose right class is among the five with the largest logits.

    Parameters
    ----------
    prediction
        (..., classes), more than five of them.
    target
        As `accuracy` takes it.

    Raises
    ------
    ValueError
        If the shapes do not fit each other, or there are no more than five classes.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.metrics import top5_accuracy
    >>> top5_accuracy(np.array([[6.0, 5.0, 4.0, 3.0, 2.0, 1.0]] * 2), np.array([4, 5]))
    0.5
    """
    if prediction.ndim and prediction.shape[-1] <= 5:
        raise ValueError(
            f"top5_accuracy of {prediction.shape[-1]} classes says nothing: use accuracy"
        )
    labels = _labels(prediction, target)
    right = np.take_along_axis(prediction, labels[..., np.newaxis], axis=-1)
    before = np.count_nonzero(~(prediction <= right), axis=-1)  # so that NaN is never right
    return int(np.count_nonzero(before < 5)) / labels.size


def binary_accuracy(prediction: FloatArray, target: Targets) -> float:
    """Share of elements whose logit is on the right side of 0: greater where target > 0.5.

    Parameters
    ----------
    prediction
        Logits of one class against the other, any shape.
    target
        0 or 1, or probabilities, of that shape.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.metrics import binary_accuracy
    >>> binary_accuracy(np.array([[3.0], [-0.5]]), np.array([[1.0], [1.0]]))
    0.5
    """
    _expect_same_shape(prediction, target)
    return int(np.count_nonzero((prediction > 0) == (target > 0.5))) / prediction.size


def mean_absolute_error(prediction: FloatArray, target: Targets) -> float:
    """Mean over all elements of abs(prediction - target).

    Parameters
    ----------
    prediction, target
        Arrays of one shape.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.metrics import mean_absolute_error
    >>> mean_absolute_error(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    1.0
    """
    _expect_same_shape(prediction, target)
    return float(np.abs(prediction - target).mean(dtype=np.float64))


def mean_squared_error(prediction: FloatArray, target: Targets) -> float:
    """Mean over all elements of (prediction - target)**2.

    Parameters
    ----------
    prediction, target
        Arrays of one shape.

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.metrics import mean_squared_error
    >>> mean_squared_error(np.array([[1.0, 2.0]]), np.array([[1.0, 4.0]]))
    2.0
    """
    _expect_same_shape(prediction, target)
    return float(np.square(prediction - target).mean(dtype=np.float64))


METRICS: dict[str, Metric] = {
    function.__name__: function
    for function in (
        accuracy,
        binary_accuracy,
        mean_absolute_error,
        mean_squared_error,
        top5_accuracy,
    )
}


def named_metrics(metrics: Sequence[str | Metric] | None, loss: Loss) -> dict[str, Metric]:
    """Return metrics by the names that a history has for them.

    Parameters
    ----------
    metrics
        Names, keys of `METRICS`, or functions, which go by their own name. None stands for
        accuracy with `CrossEntropy`, and for none with other losses.
    loss
        What the training minimises.

    Raises
    ------
    ValueError
        If a name is unknown, there twice, or one that the history uses itself.
    TypeError
        If an entry is neither a name nor a function.

    Examples
    --------
    >>> import rot180
    >>> list(rot180.metrics.named_metrics(None, rot180.losses.CrossEntropy()))
    ['accuracy']
    """
    if metrics is None:
        metrics = ["accuracy"] if isinstance(loss, CrossEntropy) else []
    if isinstance(metrics, str) or not isinstance(metrics, Sequence):
        raise TypeError(f"metrics must be a list of names and functions, got {metrics!r}")
    found: dict[str, Metric] = {}
    for metric in metrics:
        name, function = _named(metric)
        if name in found:
            raise ValueError(f"metrics has {name!r} twice")
        found[name] = function
    return found


class Means:
    """Means over samples of figures that come as means over batches.

    Examples
    --------
    >>> from rot180.metrics import Means
    >>> means = Means(["loss"])
    >>> means.add([2.0], 3)
    >>> means.add([6.0], 1)
    >>> means.result()
    {'loss': 3.0}
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.sums = [0.0] * len(self.names)
        self.samples = 0

    def add(self, figures: Sequence[float], samples: int) -> None:
        """Add a batch's figures, in the order of the names."""
        for i, figure in enumerate(figures):
            self.sums[i] += float(figure) * samples
        self.samples += samples

    def result(self) -> dict[str, float]:
        """Return the means so far, by name; there must have been a batch."""
        samples = self.samples
        return {name: total / samples for name, total in zip(self.names, self.sums, strict=True)}


def _named(metric: str | Metric) -> tuple[str, Metric]:
    if isinstance(metric, str):
        if metric not in METRICS:
            names = ", ".join(METRICS)
            raise ValueError(f"no metric is called {metric!r}: expected a function or {names}")
        return metric, METRICS[metric]
    if not callable(metric):
        raise TypeError(f"metrics has {metric!r}, expected a name or a function")
    name = getattr(metric, "__name__", type(metric).__name__)
    if name in TAKEN_NAMES or name.startswith("val_") or not name.isidentifier():
        raise ValueError(
            f"a metric is called {name!r}, by which the history could not tell it apart: "
            "define it with a name of its own"
        )
    return name, metric


def _labels(prediction: FloatArray, target: Targets) -> Targets:
    """Labels (...) that fit predictions (..., classes), from labels or probabilities."""
    if target.shape == prediction.shape and target.dtype.kind == "f":
        return np.asarray(target.argmax(axis=-1))
    if target.shape != prediction.shape[:-1]:
        raise ValueError(
            f"prediction has shape {prediction.shape} and target has shape {target.shape}, "
            f"expected labels of shape {prediction.shape[:-1]}"
        )
    return target


def _expect_same_shape(prediction: FloatArray, target: Targets) -> None:
    if prediction.shape != target.shape:
        raise ValueError(
            f"prediction has shape {prediction.shape} and target has shape {target.shape}, "
            "expected the same"
        )
