"""rot180.diagnose.softmax_cross_entropy_backward: right ones pass, wrong ones are named."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

import rot180
from rot180 import diagnose
from rot180.diagnose import losses

judge = diagnose.softmax_cross_entropy_backward


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def hot(labels, z):
    return np.eye(z.shape[1], dtype=z.dtype)[labels]


def in_place(probs, y):
    grad = probs.copy()
    grad[np.arange(len(y)), y] -= 1
    grad /= len(y)
    return grad


def through_the_jacobian(logits, labels):
    dx = np.zeros_like(logits)
    for n, p in enumerate(softmax(logits)):
        jacobian = np.diag(p) - np.outer(p, p)
        dx[n] = jacobian[:, labels[n]] * -1 / p[labels[n]] / len(labels)
    return dx


def with_the_loss(scores, y):
    loss = rot180.losses.CrossEntropy()
    value = loss.forward(scores, y)
    return value, loss.backward()


def by_logsumexp(z, t):
    shifted = z - z.max(1)[:, None]
    log_p = shifted - np.log(np.exp(shifted).sum(1))[:, None]
    return (np.exp(log_p) - hot(t, z)) / z.dtype.type(len(t))


@pytest.mark.parametrize("backward", [in_place, through_the_jacobian, with_the_loss, by_logsumexp])
def test_right_implementations_pass(backward):
    found = judge(backward)
    assert found.right, found


def test_a_sum_that_is_kept_from_zero_is_right_to_single_precision():
    def kept(z, y):
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return (e / (e.sum(axis=1, keepdims=True) + 1e-9) - hot(y, z)) / len(y)

    found = judge(kept)
    assert found.right
    assert found.notes == ("dx is right to single precision only, which is no mistake",)


def test_one_hot_labels_and_a_sum():
    assert judge(lambda p, y: p - y, labels="onehot", reduction="sum").right
    assert judge(lambda p, y: (p - y) / len(y), labels="onehot").right
    found = judge(lambda p, y: (p - y) / len(y), labels="onehot", reduction="sum")
    assert found.mistakes == (losses.SUMMED,)


WRONG = {
    "no softmax": (lambda p, y: -hot(y, p) / p / len(p), losses.NO_SOFTMAX),
    "no cross-entropy": (lambda p, y: p * (1 - p) / len(p), losses.NO_CROSS_ENTROPY),
    "twice": (lambda p, y: (p - hot(y, p)) * p * (1 - p) / len(p), losses.SOFTMAX_TWICE),
    "diagonal": (lambda p, y: -hot(y, p) * (1 - p) / len(p), losses.DIAGONAL),
    "not averaged": (lambda p, y: p - hot(y, p), losses.NOT_AVERAGED),
    "averaged twice": (lambda p, y: (p - hot(y, p)) / len(p) ** 2, losses.AVERAGED_TWICE),
    "by size": (lambda p, y: (p - hot(y, p)) / p.size, losses.DIVIDED_BY_CLASSES),
    "no labels": (lambda p, y: p / len(p), losses.NO_ONEHOT),
    "negative": (lambda p, y: (hot(y, p) - p) / len(p), losses.NEGATIVE),
    "off by one": (lambda p, y: (p - hot(y - 1, p)) / len(p), losses.SHIFTED),
    "logits": (lambda z, y: (z - hot(y, z)) / len(z), losses.LOGITS_FOR_P),
}


def overflowing(z, y):
    e = np.exp(z)
    return (e / e.sum(axis=1, keepdims=True) - hot(y, z)) / len(z)


def one_maximum(z, y):
    e = np.exp(z - z.max())
    return (e / e.sum(axis=1, keepdims=True) - hot(y, z)) / len(z)


def over_the_batch(z, y):
    e = np.exp(z - z.max(axis=0))
    return (e / e.sum(axis=0) - hot(y, z)) / len(z)


WRONG["overflow"] = (overflowing, losses.OVERFLOW)
WRONG["one maximum"] = (one_maximum, losses.WRONG_MAXIMUM)
WRONG["over the batch"] = (over_the_batch, losses.WRONG_AXIS)


@pytest.mark.parametrize("case", WRONG)
def test_a_mistake_is_named(case):
    backward, mistake = WRONG[case]
    found = judge(backward)
    assert found.mistakes == (mistake,), found


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda p, y: hot(y, p) - p, {losses.NEGATIVE, losses.NOT_AVERAGED}),
        (lambda z, y: overflowing(z, y) * len(z), {losses.OVERFLOW, losses.NOT_AVERAGED}),
        (lambda z, y: -one_maximum(z, y), {losses.WRONG_MAXIMUM, losses.NEGATIVE}),
        (lambda p, y: -hot(y, p) / p, {losses.NO_SOFTMAX, losses.NOT_AVERAGED}),
        (lambda p, y: -p, None),
        (lambda p, y: p * (1 - p), {losses.NO_CROSS_ENTROPY, losses.NOT_AVERAGED}),
        (lambda p, y: (p - hot(y, p)) * p * (1 - p), {losses.SOFTMAX_TWICE, losses.NOT_AVERAGED}),
        (lambda z, y: -over_the_batch(z, y), {losses.WRONG_AXIS, losses.NEGATIVE}),
    ],
)
def test_several_mistakes(backward, expected):
    found = judge(backward)
    assert not found.right
    assert set(found.mistakes) == (expected or set())


# A backward in parts, so that two of them can be wrong.
PARTS = {
    "softmax": ("softmax(z)", {"overflow": "e / e.sum(1, keepdims=True)", "logits": "z"}),
    "labels": ("hot(y, z)", {"no labels": "0 * z", "off by one": "hot(y - 1, z)"}),
    "derivative": (
        "p - t",
        {
            "no softmax": "-t / p",
            "no cross-entropy": "p * (1 - p)",
            "twice": "(p - t) * p * (1 - p)",
            "diagonal": "-t * (1 - p)",
        },
    ),
    "factor": (
        "1 / n",
        {"not averaged": "1", "averaged twice": "1 / n**2", "by size": "1 / z.size"},
    ),
    "sign": ("+1", {"negative": "-1"}),
}


def in_parts(**wrong):
    lines = {name: wrong.get(name, right) for name, (right, _) in PARTS.items()}

    def backward(z, y):
        scope = {"softmax": softmax, "hot": hot, "z": z, "y": y, "n": len(z), "e": np.exp(z)}
        scope["p"], scope["t"] = eval(lines["softmax"], scope), eval(lines["labels"], scope)
        return eval(f"({lines['sign']}) * ({lines['derivative']}) * ({lines['factor']})", scope)

    return backward


def test_pairs_of_mistakes_are_named():
    assert judge(in_parts()).right
    missed, count = [], 0
    for one, other in combinations(PARTS, 2):
        for (name, line), (name2, line2) in product(PARTS[one][1].items(), PARTS[other][1].items()):
            if (one, other) == ("labels", "derivative") and name2 == "no cross-entropy":
                continue  # which takes no labels
            found = judge(in_parts(**{one: line, other: line2}))
            assert not found.right or (name, name2) == ("no labels", "no softmax")
            count += 1
            if set(found.mistakes) != {WRONG[name][1], WRONG[name2][1]}:
                missed.append((name, name2, [mistake.name for mistake in found.mistakes]))
    assert count == 53
    assert len(missed) <= count // 20, missed


def test_the_wrong_entry_is_written_out():
    (finding,) = judge(lambda p, y: p**2).findings
    assert not finding.mistakes
    assert "dx[0, 0] = (p[0,0] - onehot[0,0])/N = (0.297795 - 0)/1" in finding.facts[0]


def test_wrong_arguments():
    with pytest.raises(ValueError, match="labels is 'one-hot', expected 'integers' or 'onehot'"):
        judge(in_place, labels="one-hot")
    with pytest.raises(ValueError, match="reduction is 'none'"):
        judge(in_place, reduction="none")
