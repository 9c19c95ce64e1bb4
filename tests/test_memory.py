"""The pool behind large results."""

from __future__ import annotations

import resource
import threading

import numpy as np
import pytest

import rot180
from rot180 import functional, memory

LARGE = np.zeros((64, 1024), np.float32)  # 256 KiB: from the pool
SMALL = np.zeros((8, 8), np.float32)  # from NumPy


@pytest.fixture(autouse=True)
def _empty_pool():
    """Start with nothing kept, and put the limit back."""
    limit = memory.stats()["limit"]
    memory.empty_cache()
    yield
    memory.set_limit(limit)


def address(array):
    return array.ctypes.data


def test_a_block_is_used_again_when_its_array_is_gone():
    y = functional.relu(LARGE)
    before = memory.stats()
    first = address(y)
    del y
    assert memory.stats()["cached"] >= LARGE.nbytes
    y = functional.relu(LARGE)
    after = memory.stats()
    assert address(y) == first
    assert after["hits"] == before["hits"] + 1
    assert after["misses"] == before["misses"]
    assert after["in_use"] == before["in_use"]


def test_a_block_of_almost_the_size_serves_too():
    y = functional.relu(LARGE)
    first = address(y)
    del y
    assert address(functional.relu(LARGE[:-1])) == first


def test_no_view_ever_sees_its_memory_used_again():
    y = functional.relu(LARGE + 1)
    view = y[5:7, ::3].T
    del y
    others = [functional.relu(LARGE + value) for value in (2, 3, 4)]
    assert (view == 1).all()
    assert not any(np.may_share_memory(view, other) for other in others)


@pytest.mark.parametrize("algorithm", ["direct", "winograd"])
def test_results_are_ordinary_aligned_arrays(algorithm):
    x, weight = np.ones((4, 40, 40, 8), "f"), np.ones((3, 3, 8, 16), "f")
    y = functional.conv2d(x, weight, algorithm=algorithm)
    assert y.flags.writeable
    assert y.flags.c_contiguous
    assert address(y) % 64 == 0
    y += 1
    assert (np.rint(y) == 73).all()


def test_small_results_do_not_come_from_the_pool():
    before = memory.stats()
    y = functional.relu(SMALL)
    assert memory.stats() == before
    assert y.shape == SMALL.shape


def test_the_limit_bounds_what_is_kept():
    memory.set_limit(3 * LARGE.nbytes)
    arrays = [functional.relu(LARGE) for _ in range(10)]
    assert memory.stats()["in_use"] >= 10 * LARGE.nbytes
    del arrays
    assert 0 < memory.stats()["cached"] <= 3 * LARGE.nbytes
    memory.set_limit(0)
    assert memory.stats()["cached"] == 0
    functional.relu(LARGE)
    assert memory.stats()["cached"] == 0
    with pytest.raises(ValueError, match="size is -1"):
        memory.set_limit(-1)


def test_empty_cache_gives_everything_back():
    functional.relu(LARGE)
    assert memory.stats()["cached"] > 0
    memory.empty_cache()
    assert memory.stats()["cached"] == 0


def test_many_threads_take_and_give_at_once():
    wrong = []

    def work(value):
        x = np.full((64, 1024), value, np.float32)
        for _ in range(200):
            y = functional.leaky_relu(x, 1.0)
            if not (y == value).all():
                wrong.append(value)

    in_use = memory.stats()["in_use"]
    threads = [threading.Thread(target=work, args=(value,)) for value in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert memory.stats()["in_use"] == in_use


def test_a_training_step_takes_practically_no_page_faults():
    rng = np.random.default_rng(0)
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, 32, 3, activation="relu", rng=rng),
            rot180.Conv2d(32, 64, 3, activation="relu", rng=rng),
            rot180.MaxPool2d(2),
            rot180.Flatten(),
            rot180.Linear(9216, 128, activation="relu", rng=rng),
            rot180.Linear(128, 10, rng=rng),
        ]
    )
    x = rng.normal(size=(64, 28, 28, 1)).astype(np.float32)
    labels = rng.integers(0, 10, 64)
    loss, adam = rot180.losses.CrossEntropy(), rot180.optim.Adam(model.parameters())

    def step():
        loss.forward(model.forward(x, training=True), labels)
        adam.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        adam.step()

    for _ in range(3):
        step()
    before, stats = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, memory.stats()
    for _ in range(10):
        step()
    faults = (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 10
    now = memory.stats()
    assert now["misses"] == stats["misses"], "every large result is served by the pool"
    assert now["hits"] >= stats["hits"] + 10 * 9, "and there are nine in a step"
    assert faults < 2
