"""The moving average of weights: its values, where it is applied, its state, and errors."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from rot180 import optim
from rot180.optim import ExponentialMovingAverage
from steps import parameters, start_values, take_steps

DTYPES = [np.float32, np.float64]


def network(dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return rot180.Sequential(
        [
            rot180.Conv2d(1, 4, 3, rng=rng, dtype=dtype),
            rot180.BatchNorm2d(4, dtype=dtype),
            rot180.Flatten(),
            rot180.Linear(16, 2, rng=rng, dtype=dtype),
        ]
    )


def train(model, optimizer, average, steps, seed=1):
    rng = np.random.default_rng(seed)
    loss = rot180.losses.CrossEntropy()
    dtype = model.parameters()[0].value.dtype
    for _ in range(steps):
        x = rng.normal(size=(8, 4, 4, 1)).astype(dtype)
        loss.forward(model.forward(x, training=True), rng.integers(0, 2, 8))
        optimizer.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        optimizer.step()
        average.update()


def arrays_of(model):
    values = {name: p.value for name, p in model.named_parameters().items()}
    return {name: a.copy() for name, a in {**values, **model.named_buffers()}.items()}


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_average_of_every_step(dtype):
    own = parameters(dtype)
    average = ExponentialMovingAverage(own, decay=0.75)
    adam = optim.Adam(own, lr=0.1)
    expected = start_values()
    for step in range(1, 21):
        take_steps(adam, step, step, dtype)
        average.update()
        expected = [
            0.75 * mean + 0.25 * p.value.astype(np.float64)
            for mean, p in zip(expected, own, strict=True)
        ]
    assert average.update_count == 20
    assert list(average.averages) == [f"{i}.weight" for i in range(4)]
    for found, exact in zip(average.averages.values(), expected, strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, exact, rtol=0, atol=40 * np.finfo(dtype).eps)


def test_it_begins_with_the_weights_and_copies_the_buffers():
    model = network()
    average = ExponentialMovingAverage(model, decay=0.9)
    for name, array in arrays_of(model).items():
        np.testing.assert_array_equal({**average.averages, **average.buffers}[name], array)
    train(model, optim.SGD(model.parameters(), lr=0.1), average, 3)
    assert sorted(average.buffers) == sorted(model.named_buffers())
    for name, buffer in model.named_buffers().items():
        np.testing.assert_array_equal(average.buffers[name], buffer)
        assert buffer is not average.buffers[name]


def test_applied_swaps_and_restores():
    model = network()
    average = ExponentialMovingAverage(model, decay=0.9)
    train(model, optim.SGD(model.parameters(), lr=0.1), average, 3)
    own, identities = arrays_of(model), [id(p.value) for p in model.parameters()]
    for buffer in model.named_buffers().values():
        buffer += 1  # as if by a step that the average has not seen
    changed = arrays_of(model)
    with average.applied():
        inside = arrays_of(model)
        for name, array in {**average.averages, **average.buffers}.items():
            np.testing.assert_array_equal(inside[name], array)
            assert (array != changed[name]).any(), name
        state = average.state_dict()  # the averages, not what the model has just now
        np.testing.assert_array_equal(state["averages"]["0.weight"], inside["0.weight"])
    after = arrays_of(model)
    for name in own:
        np.testing.assert_array_equal(after[name], changed[name])
    assert [id(p.value) for p in model.parameters()] == identities


def test_applied_restores_after_an_error():
    (p,) = own = [rot180.Parameter(np.ones(1), "weight")]
    average = ExponentialMovingAverage(own, decay=0.5)
    p.value[...] = 3
    average.update()
    seen = []

    def stopped():
        with average.applied():
            seen.append(p.value.item())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert seen == [2]
    assert p.value.item() == 3
    with average.applied():
        assert p.value.item() == 2
        for call in (average.update, average.applied().__enter__):
            with pytest.raises(RuntimeError, match=r"inside applied\(\)"):
                call()
    assert p.value.item() == 3
    assert average.update_count == 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_resume_gives_the_same_bits(dtype):
    through = network(dtype)
    average = ExponentialMovingAverage(through, decay=0.9)
    sgd = optim.SGD(through.parameters(), lr=0.1)
    train(through, sgd, average, 3)
    state = average.state_dict()
    weights = arrays_of(through)
    train(through, sgd, average, 2, seed=2)

    resumed = network(dtype, seed=5)
    for name, p in resumed.named_parameters().items():
        p.value = weights[name]
    for name, buffer in resumed.named_buffers().items():
        buffer[...] = weights[name]
    own = ExponentialMovingAverage(resumed, decay=0.9)
    own.load_state_dict(state)
    train(resumed, optim.SGD(resumed.parameters(), lr=0.1), own, 2, seed=2)
    assert own.update_count == 5
    expected, found = average.state_dict(), own.state_dict()
    for kind in ("averages", "buffers"):
        assert list(found[kind]) == list(expected[kind])
        for name, array in expected[kind].items():
            np.testing.assert_array_equal(found[kind][name], array)


def test_loading_copies():
    own = parameters()
    average = ExponentialMovingAverage(own)
    state = average.state_dict()
    average.load_state_dict(state)
    state["averages"]["0.weight"][...] = 7
    assert not (average.averages["0.weight"] == 7).any()


def test_parameters_that_share_a_name():
    layers = [rot180.Linear(2, 3), rot180.Linear(3, 4)]
    average = ExponentialMovingAverage([p for layer in layers for p in layer.parameters()])
    assert list(average.averages) == ["weight", "bias", "weight#2", "bias#2"]
    assert average.buffers == {}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda s: s.update(average="Mean"), ValueError, "is of average 'Mean', expected 'Expon"),
        (lambda s: s.update(step=-1), ValueError, "'step' is -1"),
        (lambda s: s.pop("averages"), ValueError, "misses 'averages', a dict from name to array"),
        (lambda s: s.pop("buffers"), ValueError, "misses 'buffers'"),
        (lambda s: s.update(m={}), ValueError, "has 'm', which this ExponentialMovingAverage does"),
        (lambda s: s["averages"].pop("3.bias"), ValueError, "misses 'averages' of '3.bias'"),
        (
            lambda s: s["averages"].update({"9.bias": np.zeros(2, np.float32)}),
            ValueError,
            "has 'averages' of '9.bias', which is unknown here",
        ),
        (
            lambda s: s["averages"].update({"3.bias": np.zeros(3, np.float32)}),
            ValueError,
            r"'averages' of '3.bias' has shape \(3,\), expected \(2,\)",
        ),
        (
            lambda s: s["buffers"].update({"1.running_mean": np.zeros(4)}),
            TypeError,
            "'buffers' of '1.running_mean' is float64, expected float32",
        ),
    ],
)
def test_a_wrong_state_is_refused_and_changes_nothing(change, error, message):
    model = network()
    average = ExponentialMovingAverage(model, decay=0.5)
    model.parameters()[0].value[...] += 1
    average.update()
    before, state = average.state_dict(), ExponentialMovingAverage(network()).state_dict()
    change(state)
    with pytest.raises(error, match=message):
        average.load_state_dict(state)
    after = average.state_dict()
    assert after["step"] == before["step"] == 1
    for kind in ("averages", "buffers"):
        for name, array in before[kind].items():
            np.testing.assert_array_equal(after[kind][name], array)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (([], 0.5), ValueError, "parameters is empty"),
        ((rot180.Flatten(), 0.5), ValueError, "parameters is empty"),
        (([np.zeros(3)], 0.5), TypeError, r"parameters\[0\] is ndarray, expected Parameter"),
        ((3, 0.5), TypeError, "parameters is int, expected a list of Parameter"),
        ((parameters()[:1] * 2, 0.5), ValueError, r"parameters\[1\], Parameter.* is there twice"),
        ((parameters(), 1.0), ValueError, "decay must be at least 0 and less than 1"),
        ((parameters(), -0.5), ValueError, "decay must be at least 0"),
    ],
)
def test_wrong_arguments(arguments, error, message):
    with pytest.raises(error, match=message):
        ExponentialMovingAverage(*arguments)
