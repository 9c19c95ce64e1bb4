"""Batches made ahead are those that would have been made in turn, and leave no thread behind."""

from __future__ import annotations

import itertools
import math
import threading
import time

import numpy as np
import pytest

from rot180.data import Dataset, ahead, batches_ahead
from rot180.data.ahead import AHEAD, TIMED

LABELS = np.arange(30)
SMALL = np.arange(30.0).reshape(30, 1)


def noise(x, rng):
    return x if rng is None else x + rng.normal(size=x.shape)


DATA_SETS = [Dataset(SMALL, LABELS), Dataset(SMALL, LABELS, [noise])]


def orders(count, size=4):
    rng = np.random.default_rng(1)
    return [rng.integers(0, 30, size) for _ in range(count)]


def generators(count):
    return [np.random.default_rng(seed) for seed in range(count)]


def threads():
    return [thread for thread in threading.enumerate() if "rot180 batches" in thread.name]


@pytest.fixture(autouse=True)
def _no_thread_is_left():
    yield
    assert threads() == []


@pytest.fixture(params=["in turn", "ahead"])
def threaded(request, monkeypatch):
    """Whether a thread is worth its while."""
    monkeypatch.setattr(ahead, "WORTH_A_THREAD", 0.0 if request.param == "ahead" else math.inf)
    return request.param == "ahead"


@pytest.mark.parametrize("dataset", DATA_SETS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 9])
def test_the_same_batches_in_order(dataset, count, threaded):
    pairs = list(zip(orders(count), generators(count), strict=True))
    found = list(batches_ahead(dataset, orders(count), generators(count)))
    assert len(found) == count
    for (x, y), (indices, rng) in zip(found, pairs, strict=True):
        expected_x, expected_y = dataset.batch(indices, rng)
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


def test_who_makes_them(threaded):
    batches = batches_ahead(DATA_SETS[1], orders(9), generators(9))
    assert threads() == []
    seen = [len(threads()) for _ in batches]
    assert seen[:TIMED] == [0] * TIMED
    assert max(seen) == int(threaded)


def test_a_thread_is_started_for_batches_that_take_their_time():
    def slow(x, rng):
        time.sleep(0.002)
        return x

    for augmentation, expected in ((slow, 1), (noise, 0)):
        dataset = Dataset(SMALL, LABELS, [augmentation])
        seen = []
        for _ in range(3):  # a busy machine may interrupt the quick ones
            seen.append(max(len(threads()) for _ in batches_ahead(dataset, orders(9), [None] * 9)))
        assert min(seen) == expected


def test_they_are_made_ahead_but_not_further(monkeypatch):
    monkeypatch.setattr(ahead, "WORTH_A_THREAD", 0.0)
    made = []
    done = threading.Semaphore(0)

    def note(x, rng):
        made.append(int(x[0, 0]))
        done.release()
        return x

    dataset = Dataset(SMALL, LABELS, [note])
    batches = batches_ahead(dataset, [[i] for i in range(20)], itertools.repeat(None, 20))
    for number in range(10):
        x, _ = next(batches)
        assert x[0, 0] == number
        for _ in range(1 + AHEAD * (number == TIMED)):
            assert done.acquire(timeout=30)
        assert made[: number + 1] == list(range(number + 1))
        assert len(made) <= number + 1 + AHEAD
    batches.close()
    assert len(made) <= 10 + AHEAD


@pytest.mark.parametrize("taken", [0, 1, 2, 3, 5])
def test_closing_ends_the_thread(taken, threaded):
    batches = batches_ahead(DATA_SETS[1], orders(9), generators(9))
    for _ in range(taken):
        next(batches)
    assert len(threads()) == int(threaded and taken > TIMED)
    batches.close()
    assert threads() == []


@pytest.mark.parametrize("bad", [0, 1, 4, 8])
def test_an_error_comes_in_the_turn_of_its_batch(bad, threaded):
    chosen = orders(9)
    chosen[bad] = [99]
    batches = batches_ahead(DATA_SETS[1], chosen, generators(9))
    for _ in range(bad):
        next(batches)
    with pytest.raises(ValueError, match=r"indices\[0\] is 99"):
        next(batches)


@pytest.mark.parametrize("count", [1, 5])
def test_as_many_orders_as_generators(count, threaded):
    with pytest.raises(ValueError, match="zip"):
        list(batches_ahead(DATA_SETS[0], orders(count), [None] * (count - 1)))
