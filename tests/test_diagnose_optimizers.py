"""rot180.diagnose.adam: right implementations pass, wrong ones are named, alone and in pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import rot180
from rot180 import diagnose

# One step of Adam as people write it, with places for mistakes.
STEP = """
def step(param, grad, m, v, t, lr, beta1, beta2, eps):
    g = grad
    {begin}
    t = {t}
    m[...] = beta1 * m + {new_m} * {first}
    v[...] = beta2 * v + {new_v} * {second}
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    {hats}
    param[...] = param {sign} {lr} * {numerator} / {root}
    {end}
"""
RIGHT = {
    "begin": "",
    "t": "t",
    "new_m": "(1 - beta1)",
    "new_v": "(1 - beta2)",
    "first": "g",
    "second": "g * g",
    "hats": "",
    "sign": "-",
    "lr": "lr",
    "numerator": "m_hat",
    "root": "(np.sqrt(v_hat) + eps)",
    "end": "",
}
MISTAKES = {
    "M10 added": {"sign": "+"},
    "M24 both": {"begin": "m, v = np.zeros_like(param), np.zeros_like(param)"},
    "M24 m": {"begin": "m = np.zeros_like(param)"},
    "M24 v": {"begin": "v = np.zeros_like(param)"},
    "M25 mean": {
        "first": "g.mean(axis=tuple(range(g.ndim - 1)))",
        "second": "(g * g).mean(axis=tuple(range(g.ndim - 1)))",
    },
    "M25 sum": {"begin": "g = grad.sum(axis=tuple(range(grad.ndim - 1)))"},
    "M27 neither": {"hats": "m_hat, v_hat = m, v"},
    "M27 m only": {"hats": "v_hat = v"},
    "M27 v only": {"hats": "m_hat = m"},
    "M27 multiplied": {"hats": "m_hat, v_hat = m * (1 - beta1**t), v * (1 - beta2**t)"},
    "M28": {"t": "3 * (t - 1) + {4: 1, 1: 2, 2: 3}[param.ndim]"},
    "M29": {"root": "np.sqrt(v_hat + eps)"},
    "stored": {"end": "m[...] = m_hat; v[...] = v_hat"},
    "t constant": {"t": "1"},
    "t from 0": {"t": "t - 1"},
    "t from 2": {"t": "t + 1"},
    "no eps": {"root": "np.sqrt(v_hat)"},
    "no root": {"root": "(v_hat + eps)"},
    "m unscaled": {"new_m": "1"},
    "v unscaled": {"new_v": "1"},
    "not squared": {"second": "np.abs(g)"},
    "square of m": {"second": "m * m"},
    "no lr": {"lr": "1"},
    "RMSprop": {"numerator": "g"},
}
NAMES = {
    "M10": diagnose.adam_steps.ADDED,
    "M24": diagnose.adam_steps.RECREATED,
    "M25": diagnose.adam_steps.SHARED,
    "M28": diagnose.adam_steps.T_PER_TENSOR,
    "M29": diagnose.adam_steps.EPS_INSIDE,
    "M27 multiplied": diagnose.adam_steps.MULTIPLIED,
    "M27": diagnose.adam_steps.UNCORRECTED,
    "stored": diagnose.adam_steps.STORED,
    "t constant": diagnose.adam_steps.T_CONSTANT,
    "t from 0": diagnose.adam_steps.T_EARLY,
    "t from 2": diagnose.adam_steps.T_LATE,
    "no eps": diagnose.adam_steps.EPS_MISSING,
    "no root": diagnose.adam_steps.NO_ROOT,
    "m unscaled": diagnose.adam_steps.M_UNSCALED,
    "v unscaled": diagnose.adam_steps.M_UNSCALED,
    "not squared": diagnose.adam_steps.NOT_SQUARED,
    "square of m": diagnose.adam_steps.V_OF_M,
    "no lr": diagnose.adam_steps.LR_MISSING,
    "RMSprop": diagnose.adam_steps.G_FOR_M,
}


def step_with(*mistakes):
    """One step of Adam with these mistakes, compiled from its text."""
    places = dict(RIGHT)
    for mistake in mistakes:
        places.update(MISTAKES[mistake])
    scope = {"np": np}
    exec(STEP.format(**places), scope)
    return scope["step"]


def named(mistake):
    return next(found for name, found in NAMES.items() if mistake.startswith(name))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake):
    found = diagnose.adam(step_with(mistake))
    assert found.exit_status == 1
    assert found.mistakes == (named(mistake),), found


def where_it_goes(*mistakes):
    """Where one element goes in a few steps: what a person could see of these mistakes."""
    step, param, m, v = step_with(*mistakes), np.ones((2, 3)), np.zeros((2, 3)), np.zeros((2, 3))
    gradients = np.random.default_rng(1).uniform(-1, 1, (4, 2, 3))
    gradients[:, 0, 0] = 0
    went = []
    with np.errstate(all="ignore"):
        for t, grad in enumerate(gradients, 1):
            step(param, grad, m, v, t, 0.125, 0.5, 0.75, 1e-3)
            went.append(param.copy())
    return np.array(went)


def can_be_told(pair):
    """Whether both mistakes of a pair change what is computed, each beside the other."""
    together = where_it_goes(*pair)
    return not any(np.array_equal(together, where_it_goes(alone), equal_nan=True) for alone in pair)


def test_pairs_of_mistakes_are_named():
    pairs = [
        pair
        for pair in combinations(MISTAKES, 2)
        if MISTAKES[pair[0]].keys().isdisjoint(MISTAKES[pair[1]])
        and named(pair[0]) != named(pair[1])
        and can_be_told(pair)
    ]
    missed = []
    for pair in pairs:
        found = diagnose.adam(step_with(*pair))
        assert not found.right, pair
        if set(found.mistakes) != {named(pair[0]), named(pair[1])}:
            missed.append((pair, [mistake.name for mistake in found.mistakes]))
    assert len(pairs) > 200
    assert len(missed) <= len(pairs) // 20, missed
    print(len(pairs), *missed, sep="\n")


def test_rot180_s_own_is_right():
    assert diagnose.adam(rot180.optim.Adam).right
