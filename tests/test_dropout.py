"""Dropout: its random numbers, the function against `reference`, and the layer."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from comparison import assert_same
from rot180 import functional, reference
from rot180.reference.dropout import philox

DTYPES = [np.float32, np.float64]
KEY = 0x0123456789ABCDEF


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ("00000000 " * 4, "00000000 " * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ("ffffffff " * 4, "ffffffff " * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            "243f6a88 85a308d3 13198a2e 03707344",
            "a4093822 299f31d0",
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox(counter, key, words):
    """The known answers that come with Random123, the library of Philox's authors."""
    counter = [np.array([int(word, 16)], np.uint64) for word in counter.split()]
    low, high = (int(word, 16) for word in key.split())
    found = philox(low | high << 32, *counter)
    assert [f"{word:08x}" for word in found[0].tolist()] == words.split()


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("p", [0.0, 1e-9, 0.1, 0.5, 0.97, 1 - 2**-40])
@pytest.mark.parametrize("size", [0, 1, 15, 64, 65, 1000, 40_003])
def test_the_same_elements_as_reference(isa, dtype, p, size, instruction_set):
    instruction_set(isa)
    x = np.random.default_rng(size).normal(size=size).astype(dtype)
    y = functional.dropout(x, p, KEY)
    assert_same(y, reference.dropout(x, p, KEY), "y")


def test_the_same_elements_on_every_instruction_set(instruction_set):
    kept = []
    for isa in rot180.build_info()["instruction_sets"]:
        instruction_set(isa)
        kept.append(functional.dropout(np.ones(1000), 0.5, KEY).astype(bool).tolist())
    assert all(one == kept[0] for one in kept)


def test_how_many_are_dropped_and_that_they_are_independent():
    n = 1 << 20
    for p in (0.1, 0.5, 0.8):
        dropped = functional.dropout(np.ones(n, np.float32), p, KEY) == 0
        deviation = np.sqrt(p * (1 - p) / n)
        assert abs(dropped.mean() - p) < 4 * deviation
        # Neighbours, elements of one counter, of one group of counters, and of two keys.
        deviation_of_covariance = p * (1 - p) / np.sqrt(n)
        others = [dropped[lag:] for lag in (1, 2, 15, 16, 17, 32, 63, 64, 65, 16384)]
        for key in (KEY + 1, KEY ^ (1 << 32), KEY ^ (1 << 63)):
            others.append(functional.dropout(np.ones(n, np.float32), p, key) == 0)
        for other in others:
            one = dropped[: len(other)]
            covariance = (one & other).mean() - one.mean() * other.mean()
            assert abs(covariance) < 6 * deviation_of_covariance


def test_the_mean_stays():
    x = np.random.default_rng(0).uniform(1, 2, 100_000)
    for p in (0.1, 0.5, 0.9):
        assert functional.dropout(x, p, KEY).mean() == pytest.approx(x.mean(), rel=0.05)


def test_nothing_but_the_kept_elements_matters():
    x = np.ones(100)
    y = functional.dropout(x, 0.5, KEY)
    x[y == 0] = np.nan
    assert_same(functional.dropout(x, 0.5, KEY), y, "y")
    assert 20 < (y == 0).sum() < 80


def test_any_shape_and_stride():
    x = np.asfortranarray(np.random.default_rng(0).normal(size=(2, 3, 4)))[:, ::-1]
    assert_same(
        functional.dropout(x, 0.5, KEY), functional.dropout(np.ascontiguousarray(x), 0.5, KEY), "y"
    )


@pytest.mark.parametrize("passes", [functional, reference])
@pytest.mark.parametrize(
    ("x", "p", "key", "error", "message"),
    [
        (np.arange(3), 0.5, 0, TypeError, "x has dtype int64"),
        (np.zeros(3), 1.0, 0, ValueError, "p must be at least 0 and less than 1, got 1.0"),
        (np.zeros(3), -0.1, 0, ValueError, "p must be at least 0 and less than 1, got -0.1"),
        (np.zeros(3), float("nan"), 0, ValueError, "p must be .* got nan"),
        (np.zeros(3), 0.5, -1, ValueError, r"key must be from 0 to 2\*\*64 - 1, got -1"),
        (np.zeros(3), 0.5, 2**64, ValueError, r"key must be from 0 to 2\*\*64 - 1"),
        (np.zeros(3), 0.5, 1.5, TypeError, "key must be an int, got 1.5"),
    ],
)
def test_errors_name_the_argument(passes, x, p, key, error, message):
    with pytest.raises(error, match=message):
        passes.dropout(x, p, key)


def layer(seed=0, p=0.4):
    return rot180.Dropout(p, rng=np.random.default_rng(seed))


def test_without_training_it_is_the_identity():
    dropout, x = layer(), np.ones((3, 4))
    state = dropout.rng.bit_generator.state
    assert dropout.forward(x) is x
    assert dropout.rng.bit_generator.state == state


@pytest.mark.parametrize("dtype", DTYPES)
def test_backward_drops_what_forward_has_dropped(dtype):
    dropout, x = layer(), np.ones((40, 50), dtype)
    y = dropout.forward(x, training=True)
    assert y.dtype == dtype
    assert 0 < (y == 0).mean() < 1
    dy = np.random.default_rng(1).normal(size=x.shape).astype(dtype)
    assert_same(dropout.backward(dy), y * dy, "dx")


def test_the_same_seed_drops_the_same_elements(num_threads):
    x = np.ones((300, 400), np.float32)
    passes = []
    for threads in (1, 2, 3, 8):
        num_threads(threads)
        dropout = layer(seed=5)
        passes.append([dropout.forward(x, training=True) for _ in range(2)])
    for first, second in passes:
        assert_same(first, passes[0][0], "the first pass")
        assert_same(second, passes[0][1], "the second pass")
    assert (first != second).any(), "every pass draws anew"
    assert (layer(seed=6).forward(x, training=True) != first).any()


def test_its_generator_is_all_of_its_state():
    dropout, x = layer(), np.ones((30, 40))
    dropout.forward(x, training=True)
    assert dropout.named_generators() == {"rng": dropout.rng}
    state = dropout.rng.bit_generator.state
    y = dropout.forward(x, training=True)
    again = layer(seed=99)
    again.rng.bit_generator.state = state
    assert_same(again.forward(x, training=True), y, "y")


def test_the_protocol_of_layers():
    dropout, x = layer(), np.ones((3, 4))
    with pytest.raises(RuntimeError, match="call it first"):
        dropout.backward(x)
    dropout.forward(x, training=True)
    with pytest.raises(ValueError, match=r"dy has shape \(4, 3\), expected \(3, 4\)"):
        dropout.backward(x.T)
    dropout.forward(x, training=True)
    assert dropout.backward(x, input_grad=False) is None
    with pytest.raises(RuntimeError, match="call it first"):
        dropout.backward(x)
    dropout.forward(x, training=True)
    dropout.release()
    with pytest.raises(RuntimeError, match="call it first"):
        dropout.backward(x)
    assert dropout.output_shape((5, 6, 7)) == (5, 6, 7)
    assert dropout.parameters() == []
    empty = dropout.forward(x[:0], training=True)
    assert dropout.backward(empty).shape == (0, 4)


def test_a_network_with_dropout_learns_and_predicts_without_chance():
    rng = np.random.default_rng(0)
    model = rot180.Sequential(
        [
            rot180.Linear(2, 32, activation="relu", rng=rng),
            rot180.Dropout(0.3, rng=rng),
            rot180.Linear(32, 2, rng=rng),
        ]
    )
    assert list(model.named_generators()) == ["1.rng"]
    x = rng.normal(size=(400, 2)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    adam, loss = rot180.optim.Adam(model.parameters(), lr=0.02), rot180.losses.CrossEntropy()
    for _ in range(150):
        loss.forward(model.forward(x, training=True), labels)
        model.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        adam.step()
    predicted = model.forward(x)
    assert_same(model.forward(x), predicted, "y")
    assert (predicted.argmax(axis=1) == labels).mean() > 0.95
