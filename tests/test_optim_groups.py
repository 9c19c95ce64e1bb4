"""Groups of parameters: each as an optimizer of its own would train it, and all in one call."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from rot180 import optim
from steps import LR, gradients, parameters, start_values, take_steps

DTYPES = [np.float32, np.float64]


# For each optimizer options of two groups: apart in lr and weight_decay alone, or in others too.
PAIRS = {
    "sgd": (optim.SGD, {}, {"lr": 0.5, "weight_decay": 0.1}),
    "sgd, momentum in one": (optim.SGD, {}, {"momentum": 0.9, "nesterov": True}),
    "adam": (optim.Adam, {"weight_decay": 0.2}, {"lr": 1e-3}),
    "adam, betas": (optim.Adam, {}, {"betas": (0.5, 0.75), "eps": 1e-3, "eps_hat": True}),
    "adam, decay": (optim.Adam, {"weight_decay": 0.1}, {"weight_decay": 0.1, "decoupled": True}),
    "adamw": (optim.AdamW, {}, {"weight_decay": 0.0}),
    "rmsprop": (optim.RMSprop, {}, {"lr": 1e-3, "weight_decay": 0.5}),
    "rmsprop, kinds": (optim.RMSprop, {"centered": True, "eps": 0.01}, {"momentum": 0.5}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PAIRS)
def test_groups_are_as_an_optimizer_for_each(name, dtype):
    kind, *options = PAIRS[name]
    together, apart = parameters(dtype), parameters(dtype)
    # Not in the order of the model.
    members = [(0, 3), (2, 1)]
    grouped = kind(
        [
            {"parameters": [together[i] for i in own], **group}
            for own, group in zip(members, options, strict=True)
        ],
        lr=LR,
    )
    single = [
        kind([apart[i] for i in own], **{"lr": LR, **group})
        for own, group in zip(members, options, strict=True)
    ]
    for step in range(1, 11):
        for set_of_all in (together, apart):
            for parameter, gradient in zip(set_of_all, gradients(step, dtype), strict=True):
                parameter.zero_grad()
                parameter.accumulate(gradient)
        grouped.step()
        for optimizer in single:
            optimizer.step()
    for one, other, start in zip(together, apart, start_values(dtype), strict=True):
        np.testing.assert_array_equal(one.value, other.value)
        assert (one.value != start).all()
    assert grouped.step_count == 10


@pytest.mark.parametrize(
    ("groups", "calls"),
    [
        ([{"lr": 0.1}, {"lr": 0.2, "weight_decay": 0.5}, {}, {}], 1),
        ([{}, {"betas": (0.5, 0.9)}, {"lr": 1.0}, {"betas": (0.5, 0.9), "lr": 2.0}], 2),
    ],
)
def test_groups_that_differ_in_lr_and_weight_decay_make_one_call(monkeypatch, groups, calls):
    counted = []
    right = rot180.functional.adam_step
    monkeypatch.setattr(
        rot180.functional,
        "adam_step",
        lambda param, *a, **k: (counted.append(len(param)), right(param, *a, **k)),
    )
    grouped = [{"parameters": p, **g} for p, g in zip(parameters(), groups, strict=True)]
    take_steps(optim.Adam(grouped), 1, 1)
    assert len(counted) == calls
    assert sum(counted) == 4


def test_what_a_group_leaves_out_is_the_optimizers():
    first, second, third, fourth = parameters()
    adam = optim.Adam(
        [{"parameters": first}, {"parameters": iter([fourth, second]), "lr": 5.0, "eps": 1e-3}],
        lr=0.5,
        betas=(0.25, 0.5),
    )
    assert adam.parameters == [first, fourth, second]
    assert [group["lr"] for group in adam.groups] == [0.5, 5.0]
    assert [group["eps"] for group in adam.groups] == [1e-8, 1e-3]
    assert [group["betas"] for group in adam.groups] == [(0.25, 0.5)] * 2
    assert list(adam.groups[0]) == [
        "parameters",
        "lr",
        "betas",
        "eps",
        "weight_decay",
        "decoupled",
        "eps_hat",
    ]
    alone = optim.SGD([third], lr=2.0)
    assert alone.groups == [
        {
            "parameters": [third],
            "lr": 2.0,
            "momentum": 0.0,
            "nesterov": False,
            "weight_decay": 0.0,
            "decoupled": False,
        }
    ]


def test_a_group_given_is_not_changed():
    given = [{"parameters": parameters(), "lr": 0.5}]
    optim.SGD(given, lr=1.0).lr = 3.0
    assert list(given[0]) == ["parameters", "lr"]
    assert given[0]["lr"] == 0.5


def two_groups(kind=optim.SGD, **options):
    first, second, third, fourth = parameters()
    groups = [
        {"parameters": [first, third]},
        {"parameters": [second, fourth], "lr": 0.25, **options},
    ]
    return kind(groups, lr=0.5)


def test_changed_options_are_used():
    sgd = two_groups()
    for group in sgd.groups:
        group["lr"] *= 2
    for parameter in sgd.parameters:
        parameter.accumulate(np.ones_like(parameter.value))
    sgd.step()
    first, second, third, fourth = start_values()
    expected = [first - 1.0, third - 1.0, second - 0.5, fourth - 0.5]
    for parameter, value in zip(sgd.parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.value, value, rtol=1e-15)


def test_lr_is_the_first_groups_and_set_for_all_if_they_share_it():
    sgd = two_groups()
    assert sgd.lr == 0.5
    with pytest.raises(ValueError, match=r"different learning rates, 0\.5, 0\.25: set groups\[i\]"):
        sgd.lr = 0.1
    assert [group["lr"] for group in sgd.groups] == [0.5, 0.25]
    sgd.groups[1]["lr"] = 0.5
    sgd.lr = 0.125
    assert [group["lr"] for group in sgd.groups] == [0.125, 0.125]
    with pytest.raises(ValueError, match="lr must be at least 0"):
        sgd.lr = -1.0
    assert sgd.lr == 0.125


def test_the_norm_is_that_of_all_groups():
    parts = [rot180.Parameter(np.zeros(1), name) for name in "ab"]
    sgd = optim.SGD([{"parameters": p} for p in parts], lr=1.0, clip_norm=1.0)
    parts[0].accumulate(np.array([3.0]))
    parts[1].accumulate(np.array([-4.0]))
    sgd.step()
    np.testing.assert_allclose([p.value.item() for p in parts], [-0.6, 0.8], rtol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (optim.SGD, {"momentum": 0.9}),
        (optim.Adam, {"betas": (0.5, 0.9)}),
        (optim.RMSprop, {"centered": True, "eps": 1e-2}),
    ],
)
def test_resume_gives_the_same_bits(kind, options):
    through = two_groups(kind, **options)
    take_steps(through, 1, 5)
    through.groups[1]["lr"] /= 3  # remembered though the resumed optimizer is not built with it
    state = through.state_dict()
    resumed = two_groups(kind, **options)
    for parameter, other in zip(resumed.parameters, through.parameters, strict=True):
        parameter.value = other.value
    resumed.load_state_dict(state)
    take_steps(through, 6, 10)
    take_steps(resumed, 6, 10)
    for one, other in zip(resumed.parameters, through.parameters, strict=True):
        np.testing.assert_array_equal(one.value, other.value)


def test_the_state_of_groups():
    state = two_groups(momentum=0.5).state_dict()
    assert [group["parameters"] for group in state["groups"]] == [
        ["0.weight", "2.weight"],
        ["1.weight", "3.weight"],
    ]
    assert [group["momentum"] for group in state["groups"]] == [0.0, 0.5]
    assert list(state["velocity"]) == ["1.weight", "3.weight"]
    with pytest.raises(ValueError, match="'groups' is 2 groups, expected 1 groups"):
        optim.SGD(two_groups().parameters, lr=1.0).load_state_dict(two_groups().state_dict())
    with pytest.raises(ValueError, match=r"has 'velocity', which this SGD does not keep"):
        two_groups().load_state_dict(state)
    other = two_groups(momentum=0.5)
    regrouped = optim.SGD(
        [
            {"parameters": other.parameters[:1]},
            {"parameters": other.parameters[1:], "momentum": 0.5},
        ],
        lr=1.0,
    )
    with pytest.raises(ValueError, match=r"misses 'velocity' of '2\.weight'"):
        regrouped.load_state_dict(state)


ONE, OTHER = parameters()[:2]


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ([{"parameters": []}], ValueError, r"parameters\[0\]\['parameters'\] is empty"),
        ([{"lr": 1.0}], ValueError, r"parameters\[0\] has no 'parameters'"),
        (
            [{"parameters": ONE}, {"parameters": OTHER, "beta": 0.5}],
            ValueError,
            r"parameters\[1\] has 'beta': expected parameters, and any of lr, betas, eps",
        ),
        (
            [{"parameters": ONE}, {"parameters": [OTHER, ONE]}],
            ValueError,
            r"parameters\[1\]\['parameters'\]\[1\], Parameter\('0.weight'.*, is there twice",
        ),
        ([{"parameters": ONE}, OTHER], TypeError, r"parameters\[1\] is Parameter beside groups"),
        ([{"parameters": 3}], TypeError, r"parameters\[0\]\['parameters'\] is int, expected a li"),
        (
            [{"parameters": [ONE, np.zeros(3)]}],
            TypeError,
            r"parameters\[0\]\['parameters'\]\[1\] is ndarray, expected Parameter",
        ),
        (
            [{"parameters": ONE, "lr": -1.0}],
            ValueError,
            r"parameters\[0\]: lr must be at least 0",
        ),
        (
            [{"parameters": ONE}, {"parameters": OTHER, "betas": 0.9}],
            TypeError,
            r"parameters\[1\]: betas must be two numbers",
        ),
    ],
)
def test_wrong_groups(groups, error, message):
    with pytest.raises(error, match=message):
        optim.Adam(groups)


def test_wrong_options_in_groups_of_others():
    with pytest.raises(ValueError, match=r"parameters\[0\]: nesterov=True needs momentum"):
        optim.SGD([{"parameters": ONE, "nesterov": True}], lr=1.0)
    with pytest.raises(ValueError, match=r"has 'betas': expected parameters, and any of lr, alph"):
        optim.RMSprop([{"parameters": ONE, "betas": (0.5, 0.5)}])


def test_an_option_changed_to_a_wrong_one_is_refused_by_the_step():
    adam = optim.Adam([ONE])
    adam.groups[0]["lr"] = float("nan")
    before = ONE.value.copy()
    with pytest.raises(ValueError, match="lr must be at least 0"):
        adam.step()
    np.testing.assert_array_equal(ONE.value, before)
    assert adam.step_count == 0
