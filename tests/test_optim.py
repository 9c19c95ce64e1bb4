"""Optimizers against the reference over 200 steps, their state, clipping, and errors."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest

import rot180
from rot180 import optim, reference
from steps import LR, SHAPES, gradients, parameters, start_values, take_steps

STEPS = 200

ADAM = {
    "adam": {},
    "adam eps_hat": {"eps_hat": True, "eps": 1e-3},
    "adam coupled decay": {"weight_decay": 0.1},
    "adamw": {"weight_decay": 0.1, "decoupled": True},
    "adam betas": {"betas": (0.5, 0.9), "eps": 1e-2},
}
SGD = {
    "sgd": {},
    "sgd momentum": {"momentum": 0.9},
    "sgd nesterov": {"momentum": 0.9, "nesterov": True},
    "sgd coupled decay": {"momentum": 0.5, "weight_decay": 0.1},
    "sgd decoupled decay": {"momentum": 0.5, "weight_decay": 0.1, "decoupled": True},
}
RMSPROP = {
    "rmsprop": {},
    "rmsprop alpha": {"alpha": 0.75, "eps": 1e-2},
    "rmsprop momentum": {"momentum": 0.9},
    "rmsprop centered": {"centered": True, "eps": 1e-2},
    "rmsprop centered momentum": {"centered": True, "eps": 1e-2, "momentum": 0.5},
    "rmsprop coupled decay": {"weight_decay": 0.1},
    "rmsprop decoupled decay": {"weight_decay": 0.1, "decoupled": True, "momentum": 0.5},
}


def reference_values(kind, options):
    """What the reference makes of the same gradients, in float64."""
    values = start_values()
    zeros = [[np.zeros(shape) for shape in SHAPES] for _ in range(3)]
    for step in range(1, STEPS + 1):
        grads = [g.astype(np.float32).astype(np.float64) for g in gradients(step)]
        velocity = zeros[0] if options.get("momentum") else None
        if kind is optim.Adam:
            reference.adam_step(values, grads, *zeros[:2], step=step, lr=LR, **options)
        elif kind is optim.RMSprop:
            m = zeros[1] if options.get("centered") else None
            reference.rmsprop_step(values, grads, zeros[2], m, velocity, lr=LR, **options)
        else:
            reference.sgd_step(values, grads, velocity, lr=LR, **options)
    return values


def largest_difference(optimizer_class, reference_class, options, dtype=np.float64):
    own = parameters(dtype)
    optimizer = optimizer_class(own, lr=LR, **options)
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        for parameter, gradient in zip(own, gradients(step), strict=True):
            parameter.accumulate(gradient.astype(np.float32).astype(dtype))
        optimizer.step()
    expected = reference_values(reference_class, options)
    return max(
        float(abs(parameter.value - value).max())
        for parameter, value in zip(own, expected, strict=True)
    )


# One step of Adam moves a parameter by about LR = 1e-2.
TOLERANCE = {np.float64: 1e-11, np.float32: 1e-5}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ADAM)
def test_adam_against_reference(name, dtype):
    assert largest_difference(optim.Adam, optim.Adam, ADAM[name], dtype) < TOLERANCE[dtype]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SGD)
def test_sgd_against_reference(name, dtype):
    # The largest gradients are about 100, so values reach 1e3 and more: compare with them.
    scale = max(float(abs(value).max()) for value in reference_values(optim.SGD, SGD[name]))
    difference = largest_difference(optim.SGD, optim.SGD, SGD[name], dtype)
    assert difference < TOLERANCE[dtype] * max(scale, 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", RMSPROP)
def test_rmsprop_against_reference(name, dtype):
    # A first step is 10 LR, and with momentum one is up to 1 / (1 - momentum) times as long.
    scale = 100 if RMSPROP[name].get("momentum") else 10
    difference = largest_difference(optim.RMSprop, optim.RMSprop, RMSPROP[name], dtype)
    assert difference < TOLERANCE[dtype] * scale


def test_adamw_is_adam_with_decoupled_decay():
    own, same, without = parameters(), parameters(), parameters()
    take_steps(optim.AdamW(own, lr=LR), 1, 5)
    take_steps(optim.Adam(same, lr=LR, weight_decay=0.01, decoupled=True), 1, 5)
    take_steps(optim.Adam(without, lr=LR), 1, 5)
    for one, other, third in zip(own, same, without, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
        assert (one.value != third.value).all()


class StateMadeAnew(optim.Adam):
    """M24."""

    def _update(self, values, grads, state, step, options):
        anew = {kind: [np.zeros_like(a) for a in arrays] for kind, arrays in state.items()}
        super()._update(values, grads, anew, step, options)


class CountedPerTensor(optim.Adam):
    """M28: t goes up once for each tensor."""

    def _update(self, values, grads, state, step, options):
        count = len(values)
        for i in range(count):
            own = {kind: [arrays[i]] for kind, arrays in state.items()}
            number = (step - 1) * count + i + 1
            super()._update([values[i]], [grads[i]], own, number, options)


class StateShared(optim.Adam):
    """F19: tensors of one shape share their state; here the two smallest do."""

    def _update(self, values, grads, state, step, options):
        state["m"][1][:1] = state["m"][3]
        super()._update(values, grads, state, step, options)


class CountedFromZero(optim.Adam):
    def _update(self, values, grads, state, step, options):
        super()._update(values, grads, state, max(step - 1, 1), options)


@pytest.mark.parametrize("mistake", [StateMadeAnew, CountedPerTensor, StateShared, CountedFromZero])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_comparison_rejects_mistakes(mistake, dtype):
    assert largest_difference(mistake, optim.Adam, {}, dtype) > 10 * TOLERANCE[dtype]


def test_steps_are_counted_once_for_the_model():
    optimizer = optim.Adam(parameters(), lr=LR)
    take_steps(optimizer, 1, 3)
    assert optimizer.step_count == 3


def test_all_tensors_go_into_one_call(monkeypatch):
    calls = []
    right = rot180.functional.adam_step
    monkeypatch.setattr(
        rot180.functional,
        "adam_step",
        lambda param, *a, **k: (calls.append(len(param)), right(param, *a, **k)),
    )
    take_steps(optim.Adam(parameters(), lr=LR), 1, 1)
    assert calls == [len(SHAPES)]


@pytest.mark.parametrize("kind", [optim.Adam, optim.RMSprop, optim.SGD])
def test_mixed_dtypes(kind):
    mixed = [
        rot180.Parameter(np.ones(3, np.float32), "a"),
        rot180.Parameter(np.ones(2), "b"),
        rot180.Parameter(np.ones(4, np.float32), "c"),
    ]
    options = {"alpha": 0.0} if kind is optim.RMSprop else {}  # steps of lr, as Adam's
    optimizer = kind(mixed, lr=0.5, **options)
    for _ in range(2):
        optimizer.zero_grad()
        for parameter in mixed:
            parameter.accumulate(np.full_like(parameter.value, 2))
        optimizer.step()
    expected = -1.0 if kind is optim.SGD else 0.0
    for parameter in mixed:
        np.testing.assert_allclose(parameter.value, expected, atol=1e-6)
    assert optimizer.step_count == 2


def test_state_has_the_parameters_shapes_and_dtypes():
    for dtype in (np.float32, np.float64):
        adam = optim.Adam(parameters(dtype))
        for arrays in (adam.m, adam.v):
            assert [(a.shape, a.dtype) for a in arrays] == [(shape, dtype) for shape in SHAPES]
    assert optim.SGD(parameters(), lr=1).velocity == []
    assert [a.shape for a in optim.SGD(parameters(), lr=1, momentum=0.5).velocity] == SHAPES
    plain = optim.RMSprop(parameters())
    assert [a.shape for a in plain.v] == SHAPES
    assert (plain.m, plain.velocity) == ([], [])
    full = optim.RMSprop(parameters(), centered=True, momentum=0.5)
    assert [a.shape for a in full.m] == [a.shape for a in full.velocity] == SHAPES


def test_a_parameter_without_a_gradient_moves_by_its_momentum_only():
    still, moving = parameters()[:2]
    adam = optim.Adam([still, moving], lr=LR)
    before = still.value.copy()
    moving.accumulate(np.ones_like(moving.value))
    adam.step()
    np.testing.assert_array_equal(still.value, before)
    np.testing.assert_allclose(start_values()[1] - moving.value, LR, rtol=1e-6)


def test_zero_grad_forgets_all_gradients():
    optimizer = optim.SGD(parameters(), lr=1.0)
    for parameter in optimizer.parameters:
        parameter.accumulate(np.ones_like(parameter.value))
    optimizer.zero_grad()
    optimizer.step()
    for parameter, value in zip(optimizer.parameters, start_values(), strict=True):
        np.testing.assert_array_equal(parameter.value, value)


def test_a_changed_learning_rate_is_used():
    optimizer = optim.SGD([rot180.Parameter(np.zeros(1), "w")], lr=1.0)
    optimizer.lr = 0.25
    optimizer.parameters[0].accumulate(np.ones(1))
    optimizer.step()
    assert optimizer.parameters[0].value.tolist() == [-0.25]


MAKERS = {
    "adam": lambda p: optim.Adam(p, lr=LR, weight_decay=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=LR),
    "rmsprop": lambda p: optim.RMSprop(p, lr=LR),
    "rmsprop centered": lambda p: optim.RMSprop(p, lr=LR, momentum=0.9, centered=True, eps=1e-2),
    "momentum": lambda p: optim.SGD(p, lr=LR, momentum=0.9),
    "sgd": lambda p: optim.SGD(p, lr=LR),
}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_resume_gives_the_same_bits(name, dtype):
    make = MAKERS[name]
    through = make(parameters(dtype))
    take_steps(through, 1, 20, dtype)

    first = make(parameters(dtype))
    take_steps(first, 1, 10, dtype)
    state, values = first.state_dict(), [p.value.copy() for p in first.parameters]
    take_steps(first, 11, 15, dtype)  # must not reach the saved state

    resumed_parameters = parameters(dtype)
    for parameter, value in zip(resumed_parameters, values, strict=True):
        parameter.value = value
    resumed = make(resumed_parameters)
    resumed.load_state_dict(state)
    take_steps(resumed, 11, 20, dtype)
    assert resumed.step_count == 20
    for one, other in zip(resumed.parameters, through.parameters, strict=True):
        np.testing.assert_array_equal(one.value, other.value)
    if name == "adam":
        forgotten = make(resumed_parameters)
        assert any((a != b).any() for a, b in zip(forgotten.m, resumed.m, strict=True))


def test_loading_copies():
    adam = optim.Adam(parameters())
    take_steps(adam, 1, 1)
    state = adam.state_dict()
    other = optim.Adam(parameters())
    other.load_state_dict(state)
    state["m"]["0.weight"][:] = 7
    assert not (other.m[0] == 7).any()


def test_state_of_parameters_that_share_a_name():
    layers = [rot180.Linear(2, 3), rot180.Linear(3, 4)]
    adam = optim.Adam([p for layer in layers for p in layer.parameters()])
    state = adam.state_dict()
    assert list(state["m"]) == ["weight", "bias", "weight#2", "bias#2"]
    adam.load_state_dict(state)


def broken(change):
    state = optim.Adam(parameters()).state_dict()
    change(state)
    return state


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.update(optimizer="SGD"), ValueError, "is of optimizer 'SGD', expected 'Adam'"),
        (lambda s: s.pop("optimizer"), ValueError, "is of optimizer None"),
        (lambda s: s.pop("step"), ValueError, "'step' is None"),
        (lambda s: s.update(step=-1), ValueError, "'step' is -1"),
        (lambda s: s.update(step=1.5), ValueError, "'step' is 1.5"),
        (lambda s: s.pop("v"), ValueError, "misses 'v'"),
        (lambda s: s["v"].pop("2.weight"), ValueError, "misses 'v' of '2.weight'"),
        (
            lambda s: s["m"].update({"9.weight": np.zeros(1)}),
            ValueError,
            "has 'm' of '9.weight', which is unknown here",
        ),
        (
            lambda s: s["v"].update({"1.weight": np.zeros(6)}),
            ValueError,
            r"'v' of '1.weight' has shape \(6,\), expected \(5,\)",
        ),
        (
            lambda s: s["v"].update({"3.weight": np.zeros(1, np.float32)}),
            TypeError,
            "'v' of '3.weight' is float32, expected float64",
        ),
        (lambda s: s["v"].update({"3.weight": [0.0]}), TypeError, "'v' of '3.weight' is list"),
        (lambda s: s.update(velocity={}), ValueError, "has 'velocity', which this Adam does not"),
        (lambda s: s.pop("groups"), ValueError, "'groups' is None, expected 1 groups"),
        (lambda s: s["groups"].append({}), ValueError, "'groups' is 2 groups, expected 1 groups"),
        (lambda s: s["groups"][0].pop("eps"), ValueError, r"groups\[0\] must be a dict of param"),
        (lambda s: s["groups"][0].update(lr=-1), ValueError, r"groups\[0\]: lr must be at least 0"),
        (
            lambda s: s["groups"][0]["parameters"].pop(),
            ValueError,
            r"groups\[0\] has parameters .*, expected .*'3.weight'",
        ),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(change, error, message):
    adam = optim.Adam(parameters())
    take_steps(adam, 1, 2)
    before = copy.deepcopy(adam.state_dict())
    with pytest.raises(error, match=message):
        adam.load_state_dict(broken(change))
    after = adam.state_dict()
    assert after["step"] == before["step"] == 2
    for kind in ("m", "v"):
        for name, array in before[kind].items():
            np.testing.assert_array_equal(after[kind][name], array)


def test_state_with_momentum_into_sgd_without():
    state = optim.SGD(parameters(), lr=1, momentum=0.5).state_dict()
    with pytest.raises(ValueError, match="has 'velocity', which this SGD does not keep"):
        optim.SGD(parameters(), lr=1).load_state_dict(state)
    state = optim.SGD(parameters(), lr=1).state_dict()
    with pytest.raises(ValueError, match="misses 'velocity'"):
        optim.SGD(parameters(), lr=1, momentum=0.5).load_state_dict(state)


def test_state_of_an_optimizer_whose_options_keep_another_kind():
    state = optim.SGD(parameters(), lr=1, momentum=0.5).state_dict()
    state["groups"][0]["momentum"] = 0.0
    with pytest.raises(ValueError, match=r"groups\[0\] asks for other kinds of state"):
        optim.SGD(parameters(), lr=1, momentum=0.5).load_state_dict(state)


def test_the_state_but_for_its_arrays_is_json():
    for optimizer in (optim.Adam(parameters()), optim.RMSprop(parameters(), np.float32(0.5))):
        take_steps(optimizer, 1, 2)
        state = optimizer.state_dict()
        plain = {name: state[name] for name in ("optimizer", "step", "groups")}
        through = json.loads(json.dumps(plain))
        assert through == plain
        optimizer.load_state_dict({**state, **through})
        assert optimizer.state_dict()["groups"] == plain["groups"]


def test_options_changed_in_training_are_in_the_state():
    changed = optim.Adam(parameters(), lr=1.0)
    changed.lr /= 8
    changed.groups[0]["betas"] = (0.5, 0.75)
    resumed = optim.Adam(parameters(), lr=1.0)
    resumed.load_state_dict(changed.state_dict())
    assert resumed.lr == 0.125
    assert resumed.groups[0]["betas"] == (0.5, 0.75)


NAN = float("nan")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1e-3}, "lr must be at least 0"),
        ({"lr": NAN}, "lr must be at least 0"),
        ({"lr": float("inf")}, "lr must be at least 0 and finite"),
        ({"betas": (1.0, 0.999)}, r"betas\[0\] must be at least 0 and less than 1, got 1.0"),
        ({"betas": (0.9, -0.1)}, r"betas\[1\]"),
        ({"eps": 0}, "eps must be greater than 0"),
        ({"eps": NAN}, "eps must be greater than 0"),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0"),
        ({"clip_value": 0}, "clip_value must be greater than 0"),
        ({"clip_norm": -1}, "clip_norm must be greater than 0"),
    ],
)
def test_wrong_options_of_adam(options, message):
    with pytest.raises(ValueError, match=message):
        optim.Adam(parameters(), **options)


def test_options_of_the_wrong_type():
    with pytest.raises(TypeError, match="betas must be two numbers"):
        optim.Adam(parameters(), betas=(0.9,))
    with pytest.raises(TypeError, match="lr must be a number"):
        optim.SGD(parameters(), lr="0.1s")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1}, "lr must be at least 0"),
        ({"lr": 1, "momentum": 1.0}, "momentum must be at least 0 and less than 1"),
        ({"lr": 1, "momentum": -0.1}, "momentum"),
        ({"lr": 1, "nesterov": True}, "nesterov=True needs momentum greater than 0"),
        ({"lr": 1, "weight_decay": NAN}, "weight_decay"),
        ({"lr": 1, "clip_norm": NAN}, "clip_norm"),
    ],
)
def test_wrong_options_of_sgd(options, message):
    with pytest.raises(ValueError, match=message):
        optim.SGD(parameters(), **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": -1}, "lr must be at least 0"),
        ({"alpha": 1.0}, "alpha must be at least 0 and less than 1"),
        ({"eps": 0}, "eps must be greater than 0"),
        ({"momentum": 1.0}, "momentum must be at least 0 and less than 1"),
        ({"weight_decay": -1}, "weight_decay must be at least 0"),
    ],
)
def test_wrong_options_of_rmsprop(options, message):
    with pytest.raises(ValueError, match=message):
        optim.RMSprop(parameters(), **options)


def test_wrong_parameters():
    one = parameters()[0]
    with pytest.raises(ValueError, match="parameters is empty"):
        optim.Adam([])
    with pytest.raises(ValueError, match=r"parameters\[1\], Parameter\('0.weight'.* twice"):
        optim.Adam([one, one])
    with pytest.raises(TypeError, match=r"parameters\[0\] is ndarray, expected Parameter"):
        optim.SGD([np.zeros(3)], lr=1)


def with_gradients(*grads):
    made = []
    for i, grad in enumerate(grads):
        parameter = rot180.Parameter(np.zeros_like(grad), f"{i}.weight")
        parameter.accumulate(grad.copy())
        made.append(parameter)
    return made


def test_clip_by_value():
    clipped = with_gradients(np.array([-3.0, 0.5]), np.array([0.1, 9.0]))
    optim.clip_grad_value(clipped, 1.0)
    assert [p.grad.tolist() for p in clipped] == [[-1.0, 0.5], [0.1, 1.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_by_norm(dtype):
    grads = [np.array([3.0], dtype), np.array([[0.0, 4.0]], dtype)]
    clipped = with_gradients(*grads)
    assert optim.clip_grad_norm(clipped, 1.0) == 5.0
    np.testing.assert_allclose(clipped[0].grad, [0.6], rtol=1e-6)
    np.testing.assert_allclose(clipped[1].grad, [[0, 0.8]], rtol=1e-6)
    assert clipped[0].grad.dtype == dtype

    for max_norm in (5.0, 7.0):  # not greater: left alone to the bit
        small = with_gradients(*grads)
        assert optim.clip_grad_norm(small, max_norm) == 5.0
        assert [p.grad.tolist() for p in small] == [g.tolist() for g in grads]


def test_clip_by_norm_does_not_overflow_in_float32():
    huge = with_gradients(np.full(4, 1e38, np.float32))
    assert optim.clip_grad_norm(huge, 1.0) == pytest.approx(2e38, rel=1e-6)
    np.testing.assert_allclose(huge[0].grad, 0.5, rtol=1e-6)
    many = with_gradients(*[np.full(4, 1e150)] * 9)
    assert optim.clip_grad_norm(many, 6.0) == pytest.approx(6e150, rel=1e-12)
    np.testing.assert_allclose([p.grad for p in many], 1.0, rtol=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_clip_by_norm_names_the_first_bad_gradient(bad):
    grads = [np.ones(2), np.array([1.0, bad]), np.array([bad])]
    clipped = with_gradients(*grads)
    with pytest.raises(ValueError, match=r"the gradient of 1\.weight has norm (nan|inf)"):
        optim.clip_grad_norm(clipped, 1e-3)
    for parameter, grad in zip(clipped, grads, strict=True):
        np.testing.assert_array_equal(parameter.grad, grad)
    adam = optim.Adam(clipped, clip_norm=1.0)
    with pytest.raises(ValueError, match=r"1\.weight"):
        adam.step()
    assert adam.step_count == 0
    assert not any(parameter.value.any() for parameter in clipped)


@pytest.mark.parametrize("limit", [0, -1.0, NAN, float("inf")])
def test_limits_must_be_positive(limit):
    with pytest.raises(ValueError, match="limit must be greater than 0"):
        optim.clip_grad_value(with_gradients(np.ones(1)), limit)
    with pytest.raises(ValueError, match="max_norm must be greater than 0"):
        optim.clip_grad_norm(with_gradients(np.ones(1)), limit)


def test_optimizers_clip_by_value_and_then_by_norm():
    sgd = optim.SGD(with_gradients(np.array([3.0, -40.0])), lr=1.0, clip_value=4.0, clip_norm=1.0)
    sgd.step()
    np.testing.assert_allclose(sgd.parameters[0].value, [-0.6, 0.8], rtol=1e-12)
