"""Schedules of the learning rate against PyTorch's values; their state, and errors."""

from __future__ import annotations

import json

import numpy as np
import pytest

import rot180
from rot180 import optim
from rot180.optim import schedules

# What PyTorch 2.13 sets for two groups, of lr 0.8 and 0.08, before each of the first steps.
STEP = [(0.8, 0.08)] * 3 + [(0.4, 0.04)] * 3 + [(0.2, 0.02)] * 2
MULTI_STEP = [(0.8, 0.08)] * 2 + [(0.08, 0.008)] * 3 + [(0.0008, 0.00008)] * 3
EXPONENTIAL = [(0.8, 0.08), (0.72, 0.072), (0.648, 0.0648), (0.5832, 0.05832)]
COSINE = [
    (0.8, 0.08),
    (0.6843071785686863, 0.06974873734152917),
    (0.405, 0.045),
    (0.12569282143131377, 0.02025126265847084),
    (0.01, 0.01),
    (0.12569282143131372, 0.020251262658470836),
    (0.405, 0.045),
    (0.6843071785686866, 0.0697487373415292),
    (0.8, 0.08),
    (0.6843071785686866, 0.0697487373415292),
]
LINEAR = [(0.2, 0.02), (0.35, 0.035), (0.5, 0.05), (0.65, 0.065), (0.8, 0.08), (0.8, 0.08)]
LINEAR_DECAY = [(0.8, 0.08), (0.7, 0.07), (0.6, 0.06), (0.5, 0.05), (0.4, 0.04), (0.4, 0.04)]
WARMUP = [
    *LINEAR[:5],
    (0.7470800344948534, 0.07531088913245536),
    (0.6025, 0.0625),
    (0.405, 0.045),
    (0.2075, 0.0275),
    (0.06291996550514671, 0.014689110867544644),
    (0.01, 0.01),
]

# Those of OneCycleLR, and the momentum.
ONE_CYCLE = [
    (0.04, 0.04, 0.95),
    (0.52, 0.52, 0.9),
    (1.0, 1.0, 0.85),
    (0.9504846320134737, 0.9504846320134737, 0.854951556604879),
    (0.8117456539497631, 0.8117456539497631, 0.8688255099070633),
    (0.6112620219362893, 0.6112620219362893, 0.8888739533021842),
    (0.38874197806371075, 0.38874197806371075, 0.9111260466978157),
    (0.18825834605023697, 0.18825834605023697, 0.9311744900929366),
    (0.049519367986526286, 0.049519367986526286, 0.945048443395121),
    (4e-06, 4e-06, 0.95),
]
ONE_CYCLE_LINEAR = [
    (0.1, 0.01, 0.95),
    (0.4, 0.04, 0.9166666666666666),
    (0.7, 0.07, 0.8833333333333333),
    (1.0, 0.1, 0.85),
    (0.75025, 0.075025, 0.875),
    (0.5005, 0.05005, 0.9),
    (0.25075, 0.025075, 0.925),
    (0.001, 0.0001, 0.95),
]
ONE_CYCLE_THREE_PHASES = [
    (0.04, 0.04, 0.75),
    (0.52, 0.52, 0.625),
    (1.0, 1.0, 0.5),
    (0.52, 0.52, 0.625),
    (0.04, 0.04, 0.75),
    (0.038019575420312576, 0.038019575420312576, 0.75),
    (0.032470549057570956, 0.032470549057570956, 0.75),
    (0.024451973637258376, 0.024451973637258376, 0.75),
    (0.015552026362741628, 0.015552026362741628, 0.75),
    (0.0075334509424290486, 0.0075334509424290486, 0.75),
    (0.0019844245796874246, 0.0019844245796874246, 0.75),
    (4e-06, 4e-06, 0.75),
]

COUNTED = {
    "StepLR": (lambda o: schedules.StepLR(o, 3, 0.5), STEP),
    "MultiStepLR": (lambda o: schedules.MultiStepLR(o, [2, 5, 5]), MULTI_STEP),
    "ExponentialLR": (lambda o: schedules.ExponentialLR(o, 0.9), EXPONENTIAL),
    "CosineAnnealingLR": (lambda o: schedules.CosineAnnealingLR(o, 4, 0.01), COSINE),
    "LinearLR": (lambda o: schedules.LinearLR(o, 0.25, total_iters=4), LINEAR),
    "LinearLR down": (lambda o: schedules.LinearLR(o, 1.0, 0.5, 4), LINEAR_DECAY),
    "LinearWarmup": (
        lambda o: schedules.LinearWarmup(schedules.CosineAnnealingLR(o, 6, 0.01), 4, 0.25),
        WARMUP,
    ),
    "OneCycleLR": (
        lambda o: schedules.OneCycleLR(o, 1.0, total_steps=10),
        [row[:2] for row in ONE_CYCLE],
    ),
    "OneCycleLR of the groups": (
        lambda o: schedules.OneCycleLR(
            scaled(o, 1.25),
            total_steps=8,
            pct_start=0.5,
            anneal_strategy="linear",
            div_factor=10,
            final_div_factor=100,
        ),
        [row[:2] for row in ONE_CYCLE_LINEAR],
    ),
}


def parameter():
    return rot180.Parameter(np.zeros(1), "weight")


def two_groups(kind=optim.SGD, **options):
    groups = [{"parameters": parameter(), "lr": lr} for lr in (0.8, 0.08)]
    return kind(groups, lr=0.1, **({"momentum": 0.9} if kind is optim.SGD else {}), **options)


def scaled(optimizer, factor):
    for group in optimizer.groups:
        group["lr"] *= factor
    return optimizer


def rates(optimizer):
    return tuple(group["lr"] for group in optimizer.groups)


def assert_close(found, expected):
    for i, (row, right) in enumerate(zip(found, expected, strict=True)):
        assert row == pytest.approx(right, rel=1e-12, abs=1e-15), f"count {i}"


@pytest.mark.parametrize("name", COUNTED)
def test_as_pytorch(name):
    make, expected = COUNTED[name]
    optimizer = two_groups()
    schedule = make(optimizer)
    found = []
    for _ in expected:
        found.append(rates(optimizer))
        schedule.step()
    assert_close(found, expected)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        (optim.SGD, {"max_lr": 1.0}, ONE_CYCLE),
        (optim.RMSprop, {"max_lr": 1.0}, ONE_CYCLE),
        (
            optim.Adam,
            {
                "max_lr": [1.0, 0.1],
                "pct_start": 0.5,
                "anneal_strategy": "linear",
                "div_factor": 10,
                "final_div_factor": 100,
            },
            ONE_CYCLE_LINEAR,
        ),
        (
            optim.AdamW,
            {
                "max_lr": 1.0,
                "pct_start": 0.25,
                "three_phase": True,
                "base_momentum": 0.5,
                "max_momentum": 0.75,
            },
            ONE_CYCLE_THREE_PHASES,
        ),
    ],
)
def test_one_cycle_and_its_momentum_as_pytorch(kind, options, expected):
    optimizer = two_groups(kind, **({"momentum": 0.5} if kind is optim.RMSprop else {}))
    schedule = schedules.OneCycleLR(optimizer, total_steps=len(expected), **options)
    assert schedule.per == "step"
    found = []
    for _ in expected:
        momentums = [
            group["betas"][0] if "betas" in group else group["momentum"]
            for group in optimizer.groups
        ]
        assert momentums[0] == momentums[1]
        found.append((*rates(optimizer), momentums[0]))
        schedule.step()
    assert_close(found, expected)
    if kind in (optim.Adam, optim.AdamW):
        assert optimizer.groups[0]["betas"][1] == 0.999
    # After the last step nothing more is to be done, but one call is not an error yet.
    assert rates(optimizer) == pytest.approx(expected[-1][:2], rel=1e-12)
    with pytest.raises(ValueError, match=r"expected at most total_steps=\d+"):
        schedule.step()


def test_one_cycle_leaves_the_momentum_alone():
    optimizer = two_groups()
    schedule = schedules.OneCycleLR(optimizer, 1.0, total_steps=10, cycle_momentum=False)
    schedule.step()
    assert [group["momentum"] for group in optimizer.groups] == [0.9, 0.9]
    plain = optim.SGD([parameter()], lr=0.5)
    with pytest.raises(ValueError, match="cycle_momentum=True needs an optimizer with momentum"):
        schedules.OneCycleLR(plain, 1.0, total_steps=10)
    assert plain.lr == 0.5
    schedules.OneCycleLR(plain, 1.0, total_steps=10, cycle_momentum=False)
    assert plain.lr == pytest.approx(0.04, rel=1e-12)


@pytest.mark.parametrize("total_steps", [1, 2, 3])
@pytest.mark.parametrize("pct_start", [0.0, 0.3, 0.5, 1.0])
def test_one_cycle_of_hardly_any_steps(total_steps, pct_start):
    optimizer = two_groups()
    schedule = schedules.OneCycleLR(optimizer, 1.0, total_steps=total_steps, pct_start=pct_start)
    for _ in range(total_steps):
        assert 0 < optimizer.lr <= 1
        schedule.step()


LOSSES = [1.0, 0.9, 0.9, 0.9, 0.91, 0.8, 0.81, 0.82, 0.83, 0.84, 0.85, 0.86]
GAINS = [1, 1.05, 1.2, 1.25, 1.3, 1.35, 1.4]
PLATEAU = {
    "min": (
        {"patience": 1, "factor": 0.5},
        LOSSES,
        [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625],
    ),
    "max, cooldown": (
        {"patience": 1, "factor": 0.5, "mode": "max", "cooldown": 2},
        [-loss for loss in LOSSES],
        [1, 1, 1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25],
    ),
    "abs, min_lr": (
        {
            "patience": 0,
            "threshold": 0.05,
            "threshold_mode": "abs",
            "min_lr": [0.01, 0.001],
        },
        LOSSES,
        [1, 1, 0.1, *[0.0125] * 9],
    ),
    "max, rel": (
        {"patience": 0, "factor": 0.5, "mode": "max", "threshold": 0.1},
        GAINS,
        [1, 0.5, 0.5, 0.25, 0.125, 0.125, 0.0625],
    ),
}


@pytest.mark.parametrize("name", PLATEAU)
def test_plateau_as_pytorch(name):
    """The factors are those of torch.optim.lr_scheduler.ReduceLROnPlateau."""
    options, metrics, factors = PLATEAU[name]
    optimizer = two_groups()
    schedule = schedules.ReduceLROnPlateau(optimizer, **options)
    found = []
    for metric in metrics:
        schedule.step(metric)
        found.append(rates(optimizer))
    assert_close(found, [(0.8 * factor, 0.08 * factor) for factor in factors])


def test_what_is_not_finite_is_never_better():
    sgd = optim.SGD([parameter()], lr=1.0)
    schedule = schedules.ReduceLROnPlateau(sgd, factor=0.5, patience=0, mode="max")
    for metric, lr in ((np.inf, 0.5), (np.nan, 0.25), (np.float32(1), 0.25), (np.nan, 0.125)):
        schedule.step(metric)
        assert sgd.lr == lr
    assert schedule.best == 1.0


def test_a_change_of_no_more_than_eps_is_not_made():
    sgd = optim.SGD([parameter()], lr=1e-3)
    schedule = schedules.ReduceLROnPlateau(sgd, patience=0, factor=0.5, eps=5e-4)
    for _ in range(3):
        schedule.step(1.0)
    assert sgd.lr == 1e-3


@pytest.mark.parametrize("name", COUNTED)
def test_the_rates_follow_from_the_count_alone(name):
    make, expected = COUNTED[name]
    schedule = make(two_groups())
    for count in (3, 0, 2, 3):
        found = [schedule.lr_at(base_lr, count) for base_lr in schedule.base_lrs]
        assert found == pytest.approx(expected[count], rel=1e-12)


@pytest.mark.parametrize("name", COUNTED)
def test_resume_gives_the_same_bits(name):
    make, _ = COUNTED[name]
    through = two_groups()
    schedule = make(through)
    for _ in range(2):
        schedule.step()
    state = json.loads(json.dumps(schedule.state_dict()))
    optimizer_state = through.state_dict()
    schedule.step()

    resumed = two_groups()
    own = make(resumed)
    resumed.load_state_dict(optimizer_state)
    own.load_state_dict(state)
    own.step()
    assert [dict(g, parameters=0) for g in resumed.groups] == [
        dict(g, parameters=0) for g in through.groups
    ]
    assert own.state_dict() == schedule.state_dict()

    # Made only after the optimizer has its state: the rates it finds are not where it began.
    late = two_groups()
    late.load_state_dict(optimizer_state)
    if name != "OneCycleLR of the groups":
        own = make(late)
        own.load_state_dict(state)
        own.step()
        assert rates(late) == rates(through)


@pytest.mark.parametrize("name", PLATEAU)
@pytest.mark.parametrize("after", [0, 3, 8])
def test_plateau_resumes_to_the_same_bits(name, after):
    options, metrics, _ = PLATEAU[name]
    through, resumed = two_groups(), two_groups()
    schedule = schedules.ReduceLROnPlateau(through, **options)
    for metric in metrics[:after]:
        schedule.step(metric)
    state = json.loads(json.dumps(schedule.state_dict()))
    own = schedules.ReduceLROnPlateau(resumed, **options)
    own.load_state_dict(state)
    assert own.best == schedule.best
    for metric in metrics[after:]:
        schedule.step(metric)
        own.step(metric)
        assert rates(resumed) == rates(through)


def test_the_first_rates_are_set_at_once():
    sgd = optim.SGD([parameter()], lr=1.0)
    schedules.LinearLR(sgd, 0.25)
    assert sgd.lr == 0.25


def test_a_schedule_of_ones_own_is_warmed_up():
    class Halves(schedules.CountedSchedule):
        def lr_at(self, base_lr, count):
            return base_lr / 2**count

    sgd = optim.SGD([parameter()], lr=8.0)
    schedule = schedules.LinearWarmup(Halves(sgd, per="step"), 2, start_factor=0.0)
    assert schedule.per == "step"
    found = []
    for _ in range(6):
        found.append(sgd.lr)
        schedule.step(metric=3.0)
    assert found == [0, 4, 8, 4, 2, 1]


def test_it_trains():
    """The step uses the rate that the schedule has set."""
    p = parameter()
    sgd = optim.SGD([p], lr=1.0)
    schedule = schedules.StepLR(sgd, 1, 0.5)
    for _ in range(3):
        p.zero_grad()
        p.accumulate(np.ones(1))
        sgd.step()
        schedule.step()
    assert p.value.item() == -1.75


def sgd():
    return optim.SGD([parameter()], lr=0.1, momentum=0.9)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: schedules.StepLR(None, 3), TypeError, "optimizer is NoneType, expected one of"),
        (lambda: schedules.StepLR(sgd(), 0), ValueError, "step_size must be from 1"),
        (lambda: schedules.StepLR(sgd(), 2.5), TypeError, "step_size must be an int"),
        (lambda: schedules.StepLR(sgd(), 3, 0.0), ValueError, "gamma must be greater than 0"),
        (lambda: schedules.StepLR(sgd(), 3, per="batch"), ValueError, "per='batch' is unknown"),
        (lambda: schedules.MultiStepLR(sgd(), 3), TypeError, "milestones must be a list of int"),
        (lambda: schedules.MultiStepLR(sgd(), [3, 0]), ValueError, r"milestones\[1\] must be fr"),
        (lambda: schedules.ExponentialLR(sgd(), -1), ValueError, "gamma must be greater than 0"),
        (lambda: schedules.CosineAnnealingLR(sgd(), 0), ValueError, "T_max must be from 1"),
        (lambda: schedules.CosineAnnealingLR(sgd(), 2, -1), ValueError, "eta_min must be at le"),
        (lambda: schedules.LinearLR(sgd(), -1), ValueError, "start_factor must be at least 0"),
        (lambda: schedules.LinearLR(sgd(), 1, np.nan), ValueError, "end_factor must be at least"),
        (lambda: schedules.LinearLR(sgd(), total_iters=0), ValueError, "total_iters must be from"),
        (
            lambda: schedules.LinearWarmup(schedules.ReduceLROnPlateau(sgd()), 3),
            TypeError,
            "schedule is ReduceLROnPlateau, expected one that follows from its count alone",
        ),
        (
            lambda: schedules.LinearWarmup(schedules.OneCycleLR(sgd(), 1.0, total_steps=3), 3),
            TypeError,
            "schedule is OneCycleLR",
        ),
        (
            lambda: schedules.LinearWarmup(schedules.StepLR(sgd(), 3), 0),
            ValueError,
            "warmup must be from 1",
        ),
        (lambda: schedules.OneCycleLR(sgd(), total_steps=0), ValueError, "total_steps must be fr"),
        (
            lambda: schedules.OneCycleLR(sgd(), total_steps=9, pct_start=1.5),
            ValueError,
            "pct_start must be at most 1",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), total_steps=9, pct_start=0.6, three_phase=True),
            ValueError,
            "three_phase=True needs pct_start of at most 0.5",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), total_steps=9, anneal_strategy="square"),
            ValueError,
            "anneal_strategy='square' is unknown",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), [1.0, 2.0], total_steps=9),
            ValueError,
            "max_lr has 2 numbers, expected 1, one for each group",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), -1.0, total_steps=9),
            ValueError,
            "max_lr must be at least 0",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), total_steps=9, base_momentum=0),
            ValueError,
            "base_momentum must be greater than 0",
        ),
        (
            lambda: schedules.OneCycleLR(sgd(), total_steps=9, max_momentum=1.0),
            ValueError,
            "max_momentum must be at least 0 and less than 1",
        ),
        (lambda: schedules.ReduceLROnPlateau(sgd(), "lowest"), ValueError, "mode='lowest' is unkn"),
        (
            lambda: schedules.ReduceLROnPlateau(sgd(), threshold_mode="much"),
            ValueError,
            "threshold_mode='much' is unknown: expected rel or abs",
        ),
        (lambda: schedules.ReduceLROnPlateau(sgd(), factor=1), ValueError, "factor must be less"),
        (lambda: schedules.ReduceLROnPlateau(sgd(), factor=0), ValueError, "factor must be great"),
        (lambda: schedules.ReduceLROnPlateau(sgd(), patience=-1), ValueError, "patience must be"),
        (lambda: schedules.ReduceLROnPlateau(sgd(), cooldown=-1), ValueError, "cooldown must be"),
        (lambda: schedules.ReduceLROnPlateau(sgd(), min_lr=[0, 0]), ValueError, "min_lr has 2 n"),
        (lambda: schedules.ReduceLROnPlateau(sgd()).step(), TypeError, "needs the epoch's metric"),
    ],
)
def test_wrong_options(make, error, message):
    with pytest.raises(error, match=message):
        make()


COUNTED_STATE = {"schedule": "StepLR", "count": 1, "base_lrs": [0.5]}
PLATEAU_STATE = {
    "schedule": "ReduceLROnPlateau",
    "best": 0.5,
    "bad_epochs": 1,
    "cooling": 0,
    "lrs": [0.5],
}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schedule": "LinearLR"}, ValueError, "is of schedule 'LinearLR', expected 'StepLR'"),
        ({"count": -1}, ValueError, "'count' is -1"),
        ({"count": None}, ValueError, "'count' is None"),
        ({"base_lrs": [0.1, 0.2]}, ValueError, "'base_lrs' has 2 numbers, expected 1"),
        ({"base_lrs": None}, ValueError, "'base_lrs' is None, expected a list of numbers"),
        ({"base_lrs": ["fast"]}, TypeError, r"'base_lrs'\[0\] must be a number"),
    ],
)
def test_a_wrong_state_of_a_counted_schedule(change, error, message):
    optimizer = sgd()
    schedule = schedules.StepLR(optimizer, 1)
    with pytest.raises(error, match=message):
        schedule.load_state_dict({**COUNTED_STATE, **change})
    assert optimizer.lr == 0.1
    assert schedule.state_dict() == {"schedule": "StepLR", "count": 0, "base_lrs": [0.1]}
    schedule.load_state_dict(COUNTED_STATE)
    assert optimizer.lr == 0.05


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"schedule": "StepLR"}, ValueError, "is of schedule 'StepLR'"),
        ({"best": "low"}, TypeError, "'best' must be a number"),
        ({"bad_epochs": None}, ValueError, "'bad_epochs' is None"),
        ({"cooling": -1}, ValueError, "'cooling' is -1"),
        ({"lrs": []}, ValueError, "'lrs' has 0 numbers, expected 1"),
    ],
)
def test_a_wrong_state_of_a_plateau(change, error, message):
    optimizer = sgd()
    schedule = schedules.ReduceLROnPlateau(optimizer)
    before = schedule.state_dict()
    with pytest.raises(error, match=message):
        schedule.load_state_dict({**PLATEAU_STATE, **change})
    assert schedule.state_dict() == before
    schedule.load_state_dict(PLATEAU_STATE)
    assert (optimizer.lr, schedule.best) == (0.5, 0.5)
