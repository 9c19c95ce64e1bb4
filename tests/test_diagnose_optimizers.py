"""rot180.diagnose of optimizers: right ones pass, wrong ones are named, alone and in pairs."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import rot180
from rot180 import diagnose, reference
from rot180.diagnose import adam_layer_steps, adam_steps, sgd_steps

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
    "M10": adam_steps.ADDED,
    "M24": adam_steps.RECREATED,
    "M25": adam_steps.SHARED,
    "M28": adam_steps.T_PER_TENSOR,
    "M29": adam_steps.EPS_INSIDE,
    "M27 multiplied": adam_steps.MULTIPLIED,
    "M27": adam_steps.UNCORRECTED,
    "stored": adam_steps.STORED,
    "t constant": adam_steps.T_CONSTANT,
    "t from 0": adam_steps.T_EARLY,
    "t from 2": adam_steps.T_LATE,
    "no eps": adam_steps.EPS_MISSING,
    "no root": adam_steps.NO_ROOT,
    "m unscaled": adam_steps.M_UNSCALED,
    "v unscaled": adam_steps.M_UNSCALED,
    "not squared": adam_steps.NOT_SQUARED,
    "square of m": adam_steps.V_OF_M,
    "no lr": adam_steps.LR_MISSING,
    "RMSprop": adam_steps.G_FOR_M,
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
    assert len(pairs) > 200
    pairs = pairs[::3]  # each takes a twentieth of a second; of all of them, 5 are missed
    missed = []
    for pair in pairs:
        found = diagnose.adam(step_with(*pair))
        assert not found.right, pair
        if set(found.mistakes) != {named(pair[0]), named(pair[1])}:
            missed.append((pair, [mistake.name for mistake in found.mistakes]))
    assert len(missed) <= len(pairs) // 20, missed


def returning(param, grad, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad**2
    return param - lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps), m, v


def epsilon_hat(w, dw, m, v, t, lr, b1, b2, epsilon):
    m += (1 - b1) * (dw - m)
    v += (1 - b2) * (dw * dw - v)
    w -= lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + epsilon)


def fixed(theta, g, m, v, t):
    return returning(theta, g, m, v, t, 1e-3, 0.9, 0.999, 1e-8)


def in_loops(param, grad, m, v, t, betas):
    for i in np.ndindex(param.shape):
        m[i] = betas[0] * m[i] + (1 - betas[0]) * grad[i]
        v[i] = betas[1] * v[i] + (1 - betas[1]) * grad[i] ** 2
        m_hat, v_hat = m[i] / (1 - betas[0] ** t), v[i] / (1 - betas[1] ** t)
        param[i] -= 1e-3 * m_hat / (v_hat**0.5 + 1e-8)


def single_precision(param, grad, m, v, t, lr, beta1, beta2, eps):
    one = np.float32(1)
    given = [a.astype(np.float32) for a in (param, grad, m, v)]
    lr, beta1, beta2, eps = (np.float32(a) for a in (lr, beta1, beta2, eps))
    param, grad, m, v = given
    m = beta1 * m + (one - beta1) * grad
    v = beta2 * v + (one - beta2) * grad * grad
    step = lr * (m / (one - beta1**t)) / (np.sqrt(v / (one - beta2**t)) + eps)
    return param - step, m, v


class OfLists:
    """One object for all tensors, which it changes in place."""

    t_per_tensor = False

    def __init__(self, params, lr=1e-3):
        self.params, self.lr, self.t = params, lr, 0
        self.m = [np.zeros_like(p) for p in params]
        self.v = [np.zeros_like(p) for p in params]

    def step(self, grads):
        self.t += not self.t_per_tensor
        for i, g in enumerate(grads):
            self.t += self.t_per_tensor
            rest = returning(self.params[i], g, self.m[i], self.v[i], self.t, *self.options())
            self.params[i][...], self.m[i], self.v[i] = rest

    def options(self):
        return self.lr, 0.9, 0.999, 1e-8


class CountingTensors(OfLists):
    t_per_tensor = True


class OfDicts:
    """Made without the tensors, given them as dicts at each update."""

    def __init__(self, learning_rate=0.5):
        self.learning_rate, self.t, self.state = learning_rate, 0, {}

    def update(self, params, grads):
        self.t += 1
        for key in params.keys():  # noqa: SIM118
            m, v = self.state.setdefault(key, [np.zeros_like(params[key]) for _ in range(2)])
            params[key], *self.state[key] = returning(
                params[key], grads[key], m, v, self.t, self.learning_rate, 0.9, 0.999, 1e-8
            )


class OfOneTensor:
    def __init__(self, beta1=0.5):
        self.t, self.m, self.v, self.beta1 = 0, 0, 0, beta1

    def update(self, w, dw):
        self.t += 1
        w, self.m, self.v = returning(w, dw, self.m, self.v, self.t, 1e-3, self.beta1, 0.999, 1e-8)
        return w


def closure(params):
    kept = OfLists(params)
    return lambda grads: kept.step(grads)


FORMS = {
    "in place": step_with(),
    "returning": returning,
    "constants inside": fixed,
    "in loops": in_loops,
    "single precision": single_precision,
    "lists": OfLists,
    "dicts": OfDicts,
    "one tensor": OfOneTensor,
    "closure": closure,
    "rot180's": rot180.optim.Adam,
}


@pytest.mark.parametrize("form", FORMS)
def test_right_implementations_pass(form):
    found = diagnose.adam(FORMS[form])
    assert found.right, found
    assert not found.notes


class WithSingleMoments(OfLists):
    def __init__(self, params, lr=1e-3):
        super().__init__(params, lr)
        self.m = [m.astype(np.float32) for m in self.m]
        self.v = [v.astype(np.float32) for v in self.v]

    def step(self, grads):
        super().step(grads)
        self.m = [m.astype(np.float32) for m in self.m]
        self.v = [v.astype(np.float32) for v in self.v]


def test_moments_in_single_precision_are_no_mistake():
    found = diagnose.adam(WithSingleMoments)
    assert found.right, found
    assert found.notes == ("param is right to single precision only, which is no mistake",)


@pytest.mark.parametrize("form", ["in place", "returning", "rot180's"])
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.5, "betas": (0.5, 0.75), "eps": 1e-3},
        {"lr": 1e-5, "betas": (0.99, 0.9999), "eps": 1e-12},
        {"betas": (0.0, 0.5)},
    ],
)
def test_right_implementations_pass_with_other_options(form, options):
    assert diagnose.adam(FORMS[form], **options).right


def test_epsilon_hat_is_a_variant():
    found = diagnose.adam(epsilon_hat)
    assert found.right
    assert "epsilon hat" in found.notes[0]
    assert diagnose.adam(epsilon_hat, epsilon_hat=True).right
    assert not diagnose.adam(epsilon_hat, epsilon_hat=True).notes
    found = diagnose.adam(returning, epsilon_hat=True)
    assert found.mistakes == (adam_steps.EPS_NOT_HAT,)


def test_a_mistake_beside_epsilon_hat():
    def wrong(w, dw, m, v, t, lr, b1, b2, epsilon):
        before = w.copy()
        epsilon_hat(w, dw, m, v, t, lr, b1, b2, epsilon)
        w[...] = before - (w - before)

    found = diagnose.adam(wrong)
    assert found.mistakes == (adam_steps.ADDED,)
    assert "epsilon hat" in found.notes[0]


def test_t_advanced_by_an_object_for_every_tensor():
    assert diagnose.adam(CountingTensors).mistakes == (adam_steps.T_PER_TENSOR,)


class Forgetful(OfLists):
    def step(self, grads):
        super().__init__(self.params)
        super().step(grads)


def test_an_object_that_is_made_anew():
    assert diagnose.adam(Forgetful).mistakes == (adam_steps.RECREATED,)


def test_moments_of_another_shape_are_named_by_their_shape():
    def per_channel(param, grad, m, v, t):
        m = 0.9 * m[..., :1] + 0.1 * np.median(grad)
        v = 0.999 * v[..., :1] + 0.001 * np.median(grad) ** 2
        return param - 1e-3 * m / (np.sqrt(v) + 1e-8), m, v

    found = diagnose.adam(per_channel)
    assert found.mistakes == (adam_steps.SHARED,)
    assert found.findings[0].facts[0].startswith("m has shape (3, 2, 5, 1), the parameter (3, 2, 5")


@pytest.mark.parametrize("decoupled", [True, False])
def test_weight_decay(decoupled):
    def made(**options):
        return lambda params: rot180.optim.Adam(params, **options)

    right = {"weight_decay": 0.05, "decoupled": decoupled}
    other = {"weight_decay": 0.05, "decoupled": not decoupled}
    assert diagnose.adam(made(**right), **right).right
    expected = adam_steps.COUPLED if decoupled else adam_steps.DECOUPLED
    assert diagnose.adam(made(**other), **right).mistakes == (expected,)
    assert diagnose.adam(made(), **right).mistakes == (adam_steps.NO_DECAY,)


@pytest.mark.parametrize("decoupled", [True, False])
def test_the_other_weight_decay_beside_another_mistake(decoupled):
    before, after = "g = grad + weight_decay * param", ""
    if not decoupled:
        before, after = "g = grad", "param[...] = param - lr * weight_decay * param"
    text = STEP.replace("eps):", "eps, weight_decay):").replace("g = grad", before)
    text = text.replace("    t = {t}\n", f"    {after}\n    t = {{t}}\n")
    decay = adam_steps.COUPLED if decoupled else adam_steps.DECOUPLED
    hidden = {"t from 0"} | ({"M25 sum"} if decoupled else set())  # NaN, and without the decay
    for name in MISTAKES.keys() - hidden:
        scope = {"np": np}
        exec(text.format(**{**RIGHT, **MISTAKES[name]}), scope)
        found = diagnose.adam(scope["step"], weight_decay=0.01, decoupled=decoupled)
        assert set(found.mistakes) == {named(name), decay}, name


def test_decoupled_decay_may_come_first_or_last():
    def first(param, grad, m, v, t, lr, beta1, beta2, eps, weight_decay):
        param = param * (1 - lr * weight_decay)
        return returning(param, grad, m, v, t, lr, beta1, beta2, eps)

    def last(param, grad, m, v, t, lr, beta1, beta2, eps, weight_decay):
        param, m, v = returning(param, grad, m, v, t, lr, beta1, beta2, eps)
        return param * (1 - lr * weight_decay), m, v

    def without_lr(param, grad, m, v, t, lr, beta1, beta2, eps, weight_decay):
        param = param * (1 - weight_decay)
        return returning(param, grad, m, v, t, lr, beta1, beta2, eps)

    def growing(param, grad, m, v, t, lr, beta1, beta2, eps, weight_decay):
        return first(param, grad, m, v, t, lr, beta1, beta2, eps, -weight_decay)

    options = {"weight_decay": 0.1, "decoupled": True}
    assert diagnose.adam(first, **options).right
    assert diagnose.adam(last, **options).right
    found = diagnose.adam(without_lr, **options)
    assert found.mistakes == (adam_steps.DECAY_WITHOUT_LR,)
    assert diagnose.adam(growing, **options).mistakes == (adam_steps.DECAY_GROWS,)


def test_betas_exchanged():
    def step(param, grad, m, v, t, lr, beta1, beta2, eps):
        return returning(param, grad, m, v, t, lr, beta2, beta1, eps)

    assert diagnose.adam(step).mistakes == (adam_steps.BETAS_EXCHANGED,)


@pytest.mark.parametrize(
    ("options", "fact"),
    [
        ((1e-3, 0.9, 0.999, 1e-7), "right with eps=1e-07"),
        ((1e-3, 0.9, 0.99, 1e-8), "right with betas=(0.9, 0.99)"),
        ((1e-2, 0.9, 0.999, 1e-8), "right with lr=0.01, as well"),  # or m has no factor 0.1
    ],
)
def test_another_option_that_would_be_right_is_told(options, fact):
    for step in (returning, epsilon_hat):
        found = diagnose.adam(
            lambda param, grad, m, v, t: step(param, grad, m, v, t, *options)  # noqa: B023
        )
        assert not found.right
        assert found.findings[0].facts[0] == fact


TWICE = 2e-3, 0.9, 0.999, 1e-8


def test_facts_where_no_mistake_fits():
    def longer(param, grad, m, v, t):
        after, m, v = returning(param, grad, m, v, t, 1e-3 * 1.5, 0.9, 0.999, 1e-8)
        return after, m, v

    found = diagnose.adam(longer)
    assert found.exit_status == 1
    assert not found.mistakes
    facts = found.findings[0].facts
    assert facts[0] == "the step is 1.5 times as long as it should be"
    assert "after step 1, tensor 0 of shape (3, 2, 5, 4) has at " in facts[1]
    hat = diagnose.adam(lambda param, grad, m, v, t: epsilon_hat(param, grad, m, v, t, *TWICE))
    assert hat.findings[0].facts[0] == "the step is 2 times as long as it should be"
    nothing = diagnose.adam(lambda params: lambda grads: None)
    assert nothing.findings[0].facts[0].startswith("the parameters never change")


def test_right_in_double_precision_alone():
    def step(param, grad, m, v, t):
        lr = 1e-3 if param.dtype == np.float64 else 2e-3
        return returning(param, grad, m, v, t, lr, 0.9, 0.999, 1e-8)

    assert diagnose.adam(step).findings[0].facts[0] == "right in float64, wrong in float32"


def raising(param, grad, m, v, t):
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("fn", "problem"),
    [
        (raising, "raising raised RuntimeError: no luck in line"),
        (lambda param, grad, m, v, t: exit(1), "raised SystemExit: 1"),
        (lambda params: lambda grads: grads["w"], "raised TypeError: list indices must be"),
        (lambda param, grad, m, v, t: [param.tolist(), m, v], "returns a list where an array"),
        (lambda param, grad, m, v, t: (param > 0, m, v), "array of dtype bool, expected floats"),
        (lambda params: 3, "returns a int, which can neither step nor update"),
    ],
)
def test_what_cannot_be_judged(fn, problem):
    found = diagnose.adam(fn)
    assert problem in found.problem
    assert found.exit_status == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [({"lr": 0}, ValueError), ({"betas": (0.9, 1.0)}, ValueError), ({"eps": "small"}, TypeError)],
)
def test_wrong_options(options, error):
    with pytest.raises(error, match=next(iter(options))):
        diagnose.adam(returning, **options)


def recorded(step, steps=5, dtype=np.float64, scale=1.0):
    """Where a step goes, as a program might write it down."""
    rng = np.random.default_rng(7)
    param, m, v = rng.normal(size=(2, 3)).astype(dtype), 0, 0
    places, gradients = [param], []
    for t in range(1, steps + 1):
        grad = (rng.normal(size=(2, 3)) * scale).astype(dtype)
        param, m, v = step(param, grad, m, v, t, 1e-3, 0.9, 0.999, 1e-8)
        places.append(param)
        gradients.append(grad)
    return places, gradients


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_recorded_steps(dtype):
    assert diagnose.adam_trajectory(*recorded(returning, dtype=dtype)).right

    def forgetful(param, grad, m, v, t, *options):
        return returning(param, grad, 0, 0, t, *options)

    found = diagnose.adam_trajectory(*recorded(forgetful, dtype=dtype))
    assert found.mistakes == (adam_steps.RECREATED,)


def test_recorded_steps_of_several_tensors():
    places, gradients = recorded(returning)
    assert diagnose.adam_trajectory([[p, p] for p in places], [[g, g] for g in gradients]).right


@pytest.mark.parametrize(
    ("params", "gradients", "error", "message"),
    [
        ([np.zeros(2)] * 3, [np.zeros(2)] * 3, ValueError, "params holds 3 places and gradients 3"),
        ([np.zeros(2)] * 2, [np.zeros(3)], ValueError, r"gradients\[0\] has shapes \[\(3,\)\]"),
        ([np.zeros(2, int)] * 2, [np.zeros(2)], TypeError, "params must hold arrays of floats"),
        ([], [], ValueError, "params is empty"),
    ],
)
def test_recorded_steps_that_are_none(params, gradients, error, message):
    with pytest.raises(error, match=message):
        diagnose.adam_trajectory(params, gradients)


# A layer that forms its gradients and updates itself, with places for mistakes.
LAYER = """
def layer(x, w, b, dy, state, t):
    dy = dy {scale}
    {delta}
    dw, db = conv2d_grad_weight(x, dy, w.shape[:2]), dy.sum(axis=(0, 1, 2))
    for name, p, g in (("w", w, dw), ("b", b, db)):
        {update}
"""
UPDATE = "p -= adam(name, g, state, {t})"
ON_DELTA = "dy = np.broadcast_to(adam('dy', {of}, state, t), dy.shape).copy()"


def adam_of(correct=True):
    def adam(name, g, state, t):
        m, v = state.get(name, (np.zeros_like(g), np.zeros_like(g)))
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        state[name] = m, v
        if not correct:
            return 1e-3 * m / (np.sqrt(v) + 1e-8)
        return 1e-3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return adam


def layer_with(correct=True, scale="", delta="", update="p -= adam(name, g, state, t)"):
    scope = {
        "np": np,
        "adam": adam_of(correct),
        "conv2d_grad_weight": reference.conv2d_grad_weight,
    }
    exec(LAYER.format(scale=scale, delta=delta, update=update), scope)
    return scope["layer"]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        ({}, set()),
        ({"correct": False}, {adam_steps.UNCORRECTED}),
        ({"scale": "/ len(x)"}, {adam_layer_steps.MEAN_GRADIENT}),
        ({"update": UPDATE.format(t="2 * t - (name == 'w')")}, {adam_steps.T_PER_TENSOR}),
        ({"update": "p += adam(name, g, state, t)"}, {adam_steps.ADDED}),
        ({"update": "state.clear(); p -= adam(name, g, state, t)"}, {adam_steps.RECREATED}),
        ({"delta": ON_DELTA.format(of="dy"), "update": "p -= g"}, {adam_layer_steps.ON_DELTA}),
        (
            {"delta": ON_DELTA.format(of="dy.sum(0)"), "update": "p -= g"},
            {adam_layer_steps.ON_DELTA},
        ),
        (
            {"delta": ON_DELTA.format(of="dy.mean(0)"), "update": "p += g"},
            {adam_layer_steps.ON_DELTA, adam_steps.ADDED},
        ),
        (
            {"delta": ON_DELTA.format(of="dy"), "update": "p -= g", "correct": False},
            {adam_layer_steps.ON_DELTA, adam_steps.UNCORRECTED},
        ),
    ],
)
def test_a_layer_that_updates_itself(made, expected):
    found = diagnose.adam_layer(layer_with(**made))
    assert set(found.mistakes) == expected, found
    assert found.right == (not expected)


def test_a_layer_of_another_layout_stride_and_padding():
    def layer(x, w, b, dy, state, t):
        x, dy = (a.transpose(0, 2, 3, 1).copy() for a in (x, dy))
        ours = w.transpose(2, 3, 1, 0).copy()
        dw = reference.conv2d_grad_weight(x, dy, ours.shape[:2], stride=2, padding=1)
        ours -= adam_of()("w", dw, state, t)
        b -= adam_of()("b", dy.sum((0, 1, 2)), state, t)
        return ours.transpose(3, 2, 0, 1), b

    options = {"stride": 2, "padding": 1, "layout": "NCHW", "weight_layout": "OIHW"}
    assert diagnose.adam_layer(layer, **options).right
    with pytest.raises(ValueError, match="layout is 'CHWN'"):
        diagnose.adam_layer(layer, layout="CHWN")
    assert "raised" in diagnose.adam_layer(layer, stride=2, padding=1).problem


def test_state_shaped_like_the_output_is_named_by_its_shape():
    def layer(x, w, b, dy, state, t):
        state["m"] = dy[0] * 0.1
        w -= 1.0

    found = diagnose.adam_layer(layer)
    assert found.mistakes == (adam_steps.SHARED,)
    assert "m has shape (4, 4, 4), the parameter (2, 3, 3, 4)" in found.findings[0].facts


def pytorchs(param, grad, velocity, lr, momentum):
    velocity[...] = momentum * velocity + grad
    param -= lr * velocity


def kerass(param, grad, velocity, lr, momentum):
    velocity = momentum * velocity - lr * grad
    return param + velocity, velocity


def nesterov(param, grad, velocity, lr, momentum):
    velocity = momentum * velocity + grad
    return param - lr * (grad + momentum * velocity), velocity


def keras_nesterov(param, grad, velocity, lr, momentum):
    velocity = momentum * velocity - lr * grad
    return param + momentum * velocity - lr * grad, velocity


@pytest.mark.parametrize(
    ("step", "options", "note"),
    [
        (pytorchs, {"momentum": 0.9}, "PyTorch's form"),
        (kerass, {"momentum": 0.9}, "Keras's form"),
        (nesterov, {"momentum": 0.9, "nesterov": True}, "PyTorch's form"),
        (keras_nesterov, {"momentum": 0.9, "nesterov": True}, "Keras's form"),
        (lambda param, grad, lr: param - lr * grad, {}, None),
        (lambda param, grad: param - 0.25 * grad, {"lr": 0.25}, None),
        (lambda params: rot180.optim.SGD(params, lr=0.01, momentum=0.5), {"momentum": 0.5}, None),
        (
            lambda params: rot180.optim.SGD(params, lr=0.01, weight_decay=0.1),
            {"weight_decay": 0.1},
            None,
        ),
    ],
)
def test_right_gradient_descent_passes(step, options, note):
    found = diagnose.sgd(step, **options)
    assert found.right, found
    assert (note in found.notes[0]) if note else not found.notes


@pytest.mark.parametrize(
    ("step", "mistakes"),
    [
        (lambda param, grad, lr: param + lr * grad, {adam_steps.ADDED, sgd_steps.RECREATED}),
        (lambda param, grad, lr: param - lr * grad, {sgd_steps.RECREATED}),
        (nesterov, {sgd_steps.NESTEROV}),
        (
            lambda param, grad, velocity, lr, momentum: kerass(
                param, (1 - momentum) * grad, velocity, lr, momentum
            ),
            {sgd_steps.DAMPENED},
        ),
        (
            lambda param, grad, velocity, lr, momentum: kerass(
                param, grad, velocity, lr, -momentum
            ),
            {sgd_steps.NEGATIVE_MOMENTUM},
        ),
        (
            lambda param, grad, velocity, lr, momentum: kerass(
                param, grad.sum(), velocity, lr, momentum
            ),
            {sgd_steps.SHARED},
        ),
        (
            lambda param, grad, velocity, lr, momentum: (
                param - lr * velocity,
                momentum * velocity + grad,
            ),
            {sgd_steps.UPDATED_LATE},
        ),
        (
            lambda param, grad, velocity, momentum: kerass(param, grad, velocity, 1.0, momentum),
            {sgd_steps.LR_MISSING},
        ),
        (
            lambda param, grad, velocity, lr, momentum: (
                param - lr * (momentum * velocity + lr * grad),
                momentum * velocity + lr * grad,
            ),
            {sgd_steps.LR_TWICE},
        ),
    ],
)
def test_mistakes_of_gradient_descent_are_named(step, mistakes):
    found = diagnose.sgd(step, momentum=0.9)
    assert set(found.mistakes) == mistakes, found


def test_nesterov_that_was_meant():
    assert diagnose.sgd(pytorchs, momentum=0.9, nesterov=True).mistakes == (sgd_steps.NOT_NESTEROV,)
    with pytest.raises(ValueError, match="nesterov=True needs a momentum"):
        diagnose.sgd(pytorchs, nesterov=True)
