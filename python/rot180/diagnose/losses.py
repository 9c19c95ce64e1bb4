"""Names the mistake in the backward pass of softmax with cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.callables import gradients
from rot180.diagnose.candidates import RIGHT, Names, Way
from rot180.diagnose.diagnosis import Diagnosis, Mistake
from rot180.diagnose.judging import Gradient, Probe, judge

_NAMES = {
    "logits": ("logits", "z", "x", "scores", "prediction", "predictions", "logit", "inputs", "o"),
    "probabilities": (
        *("probabilities", "p", "probs", "prob", "softmax", "yhat", "ypred", "a", "output", "out"),
        *("s", "probability"),
    ),
    "labels": (
        *("labels", "label", "target", "targets", "y", "t", "ytrue", "onehot", "yonehot", "truth"),
        "classes",
    ),
}
_PAGE = "softmax-delta"
_LINE = "dlogits = (softmax(logits) - onehot) / len(logits)"
_STABLE = "e = np.exp(logits - logits.max(axis=1, keepdims=True)); p = e / e.sum(1, keepdims=True)"


def _mistake(name: str, reason: str, remedy: str = _LINE, code: str = "M23") -> Mistake:
    return Mistake(code, name, reason, remedy, _PAGE)


_TOGETHER = (
    "The gradient of the cross-entropy by p, -onehot/p, times the matrix of softmax's derivatives "
    "is p - onehot."
)
NO_SOFTMAX = _mistake(
    "the derivative of softmax is forgotten",
    f"{_TOGETHER} -onehot/p alone is the gradient by the probabilities, not by the logits.",
)
NO_CROSS_ENTROPY = _mistake(
    "the derivative of the cross-entropy is forgotten",
    f"{_TOGETHER} p*(1-p) alone knows nothing of the loss and the labels.",
)
SOFTMAX_TWICE = _mistake(
    "the derivative of softmax is applied twice",
    f"{_TOGETHER} It holds both derivatives already, so nothing is to be multiplied.",
)
DIAGONAL = _mistake(
    "softmax's derivative is taken as p*(1-p) for each class by itself",
    "Every probability depends on every logit, so softmax has a matrix of derivatives: "
    "diag(p) - p p'. With its diagonal alone, the logits of wrong classes get no gradient.",
)
NOT_AVERAGED = _mistake(
    "not averaged over the batch",
    "The loss is a mean over the batch, so its gradient has the factor 1/N. Without it every step "
    "grows with the batch.",
)
AVERAGED_TWICE = _mistake(
    "averaged over the batch twice",
    "The loss is a mean over the batch, so its gradient has the factor 1/N once. A second one "
    "makes every step N times too short.",
)
DIVIDED_BY_CLASSES = _mistake(
    "averaged over the classes too",
    "Cross-entropy sums over the classes, of which one has a label; the mean is over the batch. "
    "dlogits.mean() or .size in place of N divides by the classes as well.",
)
SUMMED = _mistake(
    "averaged over the batch where the loss is a sum",
    "A loss that sums over the batch has the gradient p - onehot, without 1/N.",
    "dlogits = softmax(logits) - onehot",
)
NO_ONEHOT = _mistake(
    "the labels are not subtracted",
    f"{_TOGETHER} Without the labels, every logit is pushed down, whatever is right.",
)
NEGATIVE = _mistake(
    "the sign is wrong: onehot - p",
    "The gradient points to where the loss grows: away from the label. The optimizer subtracts it, "
    "so that the label's logit grows.",
    code="M10",
)
OVERFLOW = _mistake(
    "softmax overflows: the row's maximum is not subtracted",
    "exp overflows beyond 709 in float64, beyond 88 in float32, and inf/inf is NaN. Softmax is the "
    "same if the largest logit of each row is subtracted first.",
    _STABLE,
)
WRONG_MAXIMUM = _mistake(
    "the maximum of the whole batch is subtracted instead of each row's",
    "In a row far below that maximum every exp is 0, and 0/0 is NaN. Each row needs its own.",
    _STABLE,
)
WRONG_AXIS = _mistake(
    "softmax sums over the batch instead of the classes",
    "The probabilities of one example sum to 1 over the classes, the last axis.",
    _STABLE,
)
LOGITS_FOR_P = _mistake(
    "the logits are taken for the probabilities",
    f"{_TOGETHER} p is softmax(logits), not the logits themselves.",
)
SHIFTED = _mistake(
    "the labels are off by one",
    "Labels count from 0: label 3 is the fourth class.",
    code="other",
)

_WAYS = {
    "no softmax": Way("derivatives", NO_SOFTMAX),
    "no cross-entropy": Way("derivatives", NO_CROSS_ENTROPY),
    "softmax twice": Way("derivatives", SOFTMAX_TWICE),
    "softmax's diagonal on top": Way("derivatives", SOFTMAX_TWICE),
    "diagonal": Way("derivatives", DIAGONAL),
    "no labels": Way("labels", NO_ONEHOT),
    "shifted up": Way("labels", SHIFTED),
    "shifted down": Way("labels", SHIFTED),
    "negative": Way("sign", NEGATIVE),
    "overflow": Way("softmax", OVERFLOW),
    "wrong maximum": Way("softmax", WRONG_MAXIMUM),
    "wrong axis": Way("softmax", WRONG_AXIS),
    "logits for p": Way("softmax", LOGITS_FOR_P),
    "by classes": Way("classes", DIVIDED_BY_CLASSES),
}
_MEANS = {
    "not averaged": Way("batch", NOT_AVERAGED),
    "averaged twice": Way("batch", AVERAGED_TWICE),
}
_SUMS = {"averaged": Way("batch", SUMMED)}


def softmax_cross_entropy_backward(
    fn: Callable[..., Any], *, labels: str = "integers", reduction: str = "mean"
) -> Diagnosis:
    """Say whether the gradient of softmax with cross-entropy is right, or which mistake it has.

    Parameters
    ----------
    fn : callable
        ``backward(logits, labels)`` or ``backward(probabilities, labels)``, in any order and under
        the usual names: logits (N, classes), or their softmax. Returns dL/dlogits, of that shape;
        or the loss, one number, and dL/dlogits, of which the second is judged.
    labels : str
        ``"integers"``, (N,), or ``"onehot"``, (N, classes).
    reduction : str
        ``"mean"`` or ``"sum"``: how the loss goes over the batch.

    Returns
    -------
    Diagnosis
        One finding, of ``"dx"``, the gradient of the logits.

    Raises
    ------
    ValueError
        If labels or reduction is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose, reference
    >>> def backward(logits, labels):
    ...     return reference.softmax(logits) - np.eye(logits.shape[1])[labels]
    >>> diagnose.softmax_cross_entropy_backward(backward).mistakes[0].name
    'not averaged over the batch'
    """
    for name, value, known in (
        ("labels", labels, ("integers", "onehot")),
        ("reduction", reduction, ("mean", "sum")),
    ):
        if value not in known:
            raise ValueError(f"{name} is {value!r}, expected {' or '.join(map(repr, known))}")
    mean = reduction == "mean"

    def make(given: Mapping[str, Any], names: Names) -> tuple[FloatArray, FloatArray]:
        dx = _dlogits(given, names, mean)
        logits = given["logits"].astype(np.float64)
        spread = np.ptp(logits, axis=1, keepdims=True)
        # exp is right to an epsilon of its argument; p and the difference to one of 1.
        size = 16 * (4 + spread) * (1 / len(logits) if mean else 1)
        return dx, np.broadcast_to(size * np.maximum(1, np.abs(np.nan_to_num(dx))), dx.shape)

    gradient = Gradient("dx", {**_WAYS, **(_MEANS if mean else _SUMS)}, make, _term, (RIGHT,))
    probes = _probes(labels == "onehot")
    return judge(fn, _NAMES, ("logits", "labels"), probes, [gradient], _without_loss)


def _without_loss(result: Any, names: Sequence[str]) -> Mapping[str, Any]:
    """Leave out a loss that was returned before the gradient."""
    if isinstance(result, (tuple, list)) and len(result) == 2 and np.ndim(result[0]) == 0:
        return gradients(result[1], names)
    return gradients(result, names)


def _probes(onehot: bool) -> list[Probe]:
    rng = np.random.default_rng(180)
    probes = []
    for shows, n, classes, offset, needs in (
        ("one example", 1, 3, 0.0, ()),
        ("a batch of 3", 3, 5, 0.0, ()),
        ("logits near 1000 and near -1000", 4, 3, 1000.0, ("logits",)),
    ):
        logits = rng.uniform(-2, 2, (n, classes))
        logits += offset * np.where(np.arange(n) % 2, -1.0, 1.0)[:, None]
        label = (np.arange(n) * 2 + 1) % classes
        hot = np.eye(classes)[label]
        arguments = {
            "logits": logits,
            "probabilities": _softmax(logits, RIGHT),
            "labels": hot if onehot else label,
        }
        probes.append(Probe(shows, arguments, needs))
    return probes


def _onehot(given: Mapping[str, Any]) -> FloatArray:
    labels = given["labels"]
    if labels.ndim == 2:
        return np.asarray(labels, np.float64)
    return np.asarray(np.eye(given["logits"].shape[1])[labels])


def _softmax(logits: FloatArray, names: Names) -> FloatArray:
    axis = 0 if "wrong axis" in names else 1
    if "logits for p" in names:
        return logits
    with np.errstate(all="ignore"):
        if "wrong maximum" in names:
            e = np.exp(logits - logits.max())
        elif "overflow" in names:
            e = np.exp(logits)
        else:
            e = np.exp(logits - logits.max(axis=axis, keepdims=True))
        return np.asarray(e / e.sum(axis=axis, keepdims=True))


def _dlogits(given: Mapping[str, Any], names: Names, mean: bool) -> FloatArray:
    p, hot = _softmax(given["logits"].astype(np.float64), names), _onehot(given)
    if "no labels" in names:
        hot = np.zeros_like(hot)
    elif "shifted up" in names:
        hot = np.roll(hot, 1, axis=1)
    elif "shifted down" in names:
        hot = np.roll(hot, -1, axis=1)
    with np.errstate(all="ignore"):
        if "no softmax" in names:
            dx = -hot / p
        elif "no cross-entropy" in names:
            dx = p * (1 - p)
        elif "softmax's diagonal on top" in names:
            dx = (p - hot) * p * (1 - p)
        elif "softmax twice" in names:
            dx = p * ((p - hot) - ((p - hot) * p).sum(axis=1, keepdims=True))
        elif "diagonal" in names:
            dx = -hot * (1 - p)
        else:
            dx = p - hot
    n, classes = p.shape
    power = ("averaged" in names) if not mean else 1
    power += ("averaged twice" in names) - ("not averaged" in names)
    dx = dx / n**power / (classes if "by classes" in names else 1)
    return np.asarray(-dx if "negative" in names else dx)


def _term(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
    n, k = at
    p, hot = _softmax(given["logits"].astype(np.float64), RIGHT)[at], _onehot(given)[at]
    return f"(p[{n},{k}] - onehot[{n},{k}])/N = ({p:.6g} - {hot:g})/{len(given['logits'])}"
