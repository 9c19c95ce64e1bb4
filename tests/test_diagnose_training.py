"""rot180.diagnose.training_step: right loops pass, wrong ones are named."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import rot180
from rot180 import diagnose
from rot180.diagnose import training

LR = 0.125
RNG = np.random.default_rng(180)
X, LABELS = RNG.normal(size=(6, 4)), np.array([0, 2, 1, 2, 0, 1])

# Softmax regression as people write it, with places for mistakes.
MODEL = """
class Model:
    def __init__(self):
        rng = np.random.default_rng(1)
        self.params = {{"w": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}}
        self.grads = {{"w": 0, "b": 0}}

    def probabilities(self, x):
        z = x @ self.params["w"] + self.params["b"]
        e = np.exp(z - z.max(axis=1, keepdims=True))
        return e / e.sum(axis=1, keepdims=True)

    def loss(self, x, labels):
        return -np.log(self.probabilities(x)[np.arange(len(x)), labels]).mean()

    def backward(self, x, labels):
        dy = self.probabilities(x)
        dy[np.arange(len(x)), labels] -= 1
        dy /= {batch}
        for n in range(len(x)):
            self.grads["w"] {add} np.outer(x[n], dy[n]) {mean}
            self.grads["b"] {add} dy[n] {mean}

    def step(self, x, labels):
        {zero}
        {first}
        for name in {names}:
            self.params[name] {sign}= {lr} * self.grads[name]
        {last}
"""
RIGHT = {
    "batch": "len(x)",
    "add": "+=",
    "mean": "",
    "zero": "self.grads = {'w': 0, 'b': 0}",
    "first": "self.backward(x, labels)",
    "last": "",
    "names": "self.params",
    "sign": "-",
    "lr": LR,
}
WRONG = {
    "added": ({"sign": "+"}, training.ADDED),
    "divided": ({"mean": "/ len(x)"}, training.DIVIDED_TWICE),
    "not divided": ({"batch": "1"}, training.NOT_DIVIDED),
    "not zeroed": ({"zero": ""}, training.NOT_ZEROED),
    "overwritten": ({"add": "="}, training.OVERWRITTEN),
    "no lr": ({"lr": 1}, training.LR_MISSING),
    "lr twice": ({"lr": LR**2}, training.LR_TWICE),
}


def model_with(*changes):
    places = dict(RIGHT)
    for change in changes:
        places.update(change)
    scope = {"np": np}
    exec(MODEL.format(**places), scope)
    return scope["Model"]


def judge(make, lr=LR):
    return diagnose.training_step(make, X, LABELS, lr=lr)


class OfRot180:
    """A network of layers, with whatever a loop may do wrong."""

    def __init__(self, zero=True):
        rng = np.random.default_rng(2)
        layers = [
            rot180.Linear(4, 5, activation="tanh", rng=rng, dtype=np.float64),
            rot180.Linear(5, 3, rng=rng, dtype=np.float64),
        ]
        self.model, self.criterion, self.zero = (
            rot180.Sequential(layers),
            rot180.losses.CrossEntropy(),
            zero,
        )
        self.optimizer = rot180.optim.SGD(self.model.parameters(), lr=LR)

    def parameters(self):
        return self.model.parameters()

    def loss(self, x, y):
        return self.criterion.forward(self.model.forward(x), y)

    def step(self, x, y):
        if self.zero:
            self.optimizer.zero_grad()
        self.criterion.forward(self.model.forward(x, training=True), y)
        self.model.backward(self.criterion.backward())
        self.optimizer.step()


def test_right_loops_pass():
    found = judge(model_with())
    assert found.right, found
    assert [finding.array for finding in found.findings] == ["w", "b"]
    found = judge(OfRot180)
    assert found.right, found
    assert [finding.array for finding in found.findings][:2] == ["0.weight", "0.bias"]


def test_gradients_that_rot180_s_layers_were_not_told_to_forget():
    assert judge(lambda: OfRot180(zero=False)).mistakes == (training.NOT_ZEROED,)


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_named(name):
    change, mistake = WRONG[name]
    found = judge(model_with(change))
    assert found.mistakes == (mistake,), found
    assert all(finding.mistakes for finding in found.findings)


def test_a_step_with_the_gradient_of_the_batch_before():
    # The gradient is zeroed after the step, and made only then.
    change = {"zero": "", "first": "", "last": "self.grads = {'w': 0, 'b': 0}; " + RIGHT["first"]}
    assert judge(model_with(change)).mistakes == (training.STALE,)


def test_a_parameter_that_is_left_out():
    found = judge(model_with({"names": "['w']"}))
    assert [finding.right for finding in found.findings] == [True, False]
    assert found.mistakes == (training.NEVER,)


def test_pairs_of_mistakes_are_named():
    missed, count = [], 0
    for one, other in combinations(WRONG, 2):
        (change, mistake), (change2, mistake2) = WRONG[one], WRONG[other]
        if not change.keys().isdisjoint(change2) or {one, other} == {"divided", "not divided"}:
            continue  # of which the last is right
        count += 1
        found = judge(model_with(change, change2))
        assert not found.right
        if set(found.mistakes) != {mistake, mistake2}:
            missed.append((one, other, [mistake.name for mistake in found.mistakes]))
    assert count == 19
    assert len(missed) <= 1, missed


def test_divided_in_another_place_is_right():
    assert judge(model_with({"mean": "/ len(x)", "batch": "1"})).right


def test_facts_where_no_mistake_fits():
    found = judge(model_with({"lr": 3 * LR}))
    assert not found.mistakes
    assert found.findings[0].facts[0] == "the step is 3 times as long as it should be"
    assert "step 1 of 6 examples moves w[0, 0] by " in found.findings[0].facts[1]


def float32():
    model = model_with()()
    model.params["b"] = model.params["b"].astype(np.float32)
    return model


def raising():
    raise RuntimeError("no data")


class Bare:
    params = (np.zeros(2),)


class Vague(Bare):
    def loss(self, x, y):
        return x

    def step(self, x, y):
        pass


class Untrained(Vague):
    def loss(self, x, y):
        return 1.0


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (raising, "raising raised RuntimeError: no data"),
        (float32, "whose b is of float32, expected a float64 array"),
        (object, "neither params nor parameters"),
        (Bare, "has no loss"),
        (Vague, "whose loss is array"),
    ],
)
def test_what_cannot_be_judged(make, problem):
    found = judge(make)
    assert problem in found.problem
    assert found.exit_status == 2


def test_a_loss_that_depends_on_nothing_shows_nothing():
    found = judge(Untrained)
    assert not found.right
    assert found.findings[0].facts == ("the loss does not depend on it",)


@pytest.mark.parametrize(
    ("x", "y", "lr", "message"),
    [
        (X[:3], LABELS[:3], LR, "x has 3 examples, expected at least 4"),
        (X, LABELS[:5], LR, "x has 6 examples and y 5"),
        (X, LABELS, 0, "lr"),
    ],
)
def test_wrong_arguments(x, y, lr, message):
    with pytest.raises(ValueError, match=message):
        diagnose.training_step(model_with(), x, y, lr=lr)
