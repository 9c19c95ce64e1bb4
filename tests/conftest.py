"""What every test may ask for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest

# Of several processes that share the cores, threads that wait must sleep. OpenMP reads it once.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import rot180
from rot180 import _core

# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="session")
def _poisoned_scratch() -> None:
    """Every kernel's scratch memory is full of NaN, so that no test passes on a stale zero."""
    _core.poison_scratch(True)


@pytest.fixture
def instruction_set() -> Iterator[Callable[[str], None]]:
    """Set the instruction set, and set it back afterwards."""
    before = rot180.instruction_set()
    yield rot180.set_instruction_set
    rot180.set_instruction_set(before)


@pytest.fixture
def algorithm() -> Iterator[Callable[[str], None]]:
    """Set the algorithm of convolutions, and set it back afterwards."""
    before = rot180.algorithm()
    yield rot180.set_algorithm
    rot180.set_algorithm(before)


@pytest.fixture
def num_threads() -> Iterator[Callable[[int], None]]:
    """Set the number of threads, and set it back afterwards."""
    before = rot180.get_num_threads()
    yield rot180.set_num_threads
    rot180.set_num_threads(before)
