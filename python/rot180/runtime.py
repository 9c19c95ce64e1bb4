"""What the kernels run on, and how: threads, instruction set, algorithm. None changes what is
computed, except that another instruction set or algorithm rounds the last bits otherwise.
"""

from __future__ import annotations

import operator
from typing import TypedDict

from rot180 import _core

_ALGORITHMS = {
    "auto": _core.Algorithm.auto,
    "direct": _core.Algorithm.direct,
    "winograd": _core.Algorithm.winograd,
}


class BuildInfo(TypedDict):
    """How the extension was built, and for which instruction sets this CPU can use it."""

    compiler: str
    openmp: str
    instruction_sets: list[str]


def get_num_threads() -> int:
    """Threads that a kernel may use.

    At the start this is ROT180_NUM_THREADS, else OMP_NUM_THREADS, else the CPUs that the process's
    affinity and its cgroup's quota leave, rounded down.
    """
    return _core.num_threads()


def set_num_threads(n: int) -> None:
    """Let every kernel use up to `n` threads. The results' bits do not depend on it.

    Raises
    ------
    ValueError
        If n is less than 1 or more than 4096.

    Examples
    --------
    >>> import rot180
    >>> before = rot180.get_num_threads()
    >>> rot180.set_num_threads(1)
    >>> rot180.get_num_threads()
    1
    >>> rot180.set_num_threads(before)
    """
    threads = operator.index(n)
    if not 1 <= threads <= 4096:
        raise ValueError(f"n is {threads}, expected 1 to 4096 threads")
    _core.set_num_threads(threads)


def instruction_set() -> str:
    """Name of the instruction set whose kernels are in use: "avx512", "avx2" or "baseline"."""
    return _core.instruction_set()


def set_instruction_set(name: str) -> None:
    """Use the kernels of another instruction set; the environment's ROT180_INSTRUCTION_SET does so
    from the start.

    Raises
    ------
    ValueError
        If the name is unknown or this CPU does not support it; the message lists what it does.
    """
    _core.set_instruction_set(name)


def algorithm() -> str:
    """Name of the algorithm of every convolution that asks for "auto": "auto", "direct" or
    "winograd".
    """
    return _core.algorithm().name


def set_algorithm(name: str) -> None:
    """Compute every convolution that asks for "auto" by one algorithm, where the shape admits it;
    the environment's ROT180_ALGORITHM does so from the start.

    "direct" is the sum as it stands. "winograd" takes a quarter of a 3x3 kernel's multiplications
    and rounds a little more; what it cannot compute stays direct (`rot180.functional.conv2d` says
    what it can). "auto" takes the faster one for each shape: `rot180.functional.conv2d_algorithm`
    tells which.

    Raises
    ------
    ValueError
        If the name is none of these.

    Examples
    --------
    >>> import rot180
    >>> before = rot180.algorithm()
    >>> rot180.set_algorithm("direct")
    >>> rot180.functional.conv2d_algorithm("conv2d", (8, 56, 56, 64), (3, 3, 64, 64))
    'direct'
    >>> rot180.set_algorithm(before)
    """
    _core.set_algorithm(core_algorithm(name))


def core_algorithm(name: str) -> _core.Algorithm:
    """Return the algorithm of that name; refuse others."""
    if name not in _ALGORITHMS:
        raise ValueError(f"algorithm is {name!r}, expected one of {list(_ALGORITHMS)}")
    return _ALGORITHMS[name]


def build_info() -> BuildInfo:
    """Compiler, OpenMP version ("none" without) and usable instruction sets, the best first."""
    return {
        "compiler": _core.compiler(),
        "openmp": _core.openmp(),
        "instruction_sets": _core.instruction_sets(),
    }
