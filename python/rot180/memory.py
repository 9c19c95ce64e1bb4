"""The memory behind the arrays that rot180 returns.

Large results come from a pool: when the last reference to an array is gone, its block is kept for
the next array of about its size, whose pages then need not be mapped and cleared anew. An array
that is still held, by whatever view, is never handed out again.
"""

from __future__ import annotations

import operator
from typing import TypedDict

from rot180 import _core


class MemoryStats(TypedDict):
    """Bytes in use and kept, the limit of what is kept, and how blocks were served."""

    in_use: int
    cached: int
    limit: int
    hits: int
    misses: int


def stats() -> MemoryStats:
    """Return the pool's figures, in bytes; hits and misses count blocks.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import functional, memory
    >>> x = np.zeros((512, 512), np.float32)
    >>> y = functional.relu(x)
    >>> memory.stats()["in_use"] >= y.nbytes
    True
    """
    return _core.memory_stats()  # type: ignore[return-value]


def empty_cache() -> None:
    """Give the kept blocks back to the system. Arrays that are held stay as they are."""
    _core.empty_cache()


def set_limit(size: int) -> None:
    """Keep at most `size` bytes; 0 keeps nothing.

    At the start the limit is a quarter of the machine's memory, at most 4 GiB.

    Raises
    ------
    ValueError
        If size is negative.
    """
    number = operator.index(size)
    if number < 0:
        raise ValueError(f"size is {number}, expected bytes, at least 0")
    _core.set_cache_limit(number)
