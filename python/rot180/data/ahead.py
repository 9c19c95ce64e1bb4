"""Batches that are made while the network is busy with the one before."""

from __future__ import annotations

import itertools
import math
import time
from collections import deque
from collections.abc import Generator, Iterable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.data.dataset import Dataset

Array: TypeAlias = npt.NDArray[Any]
Batch: TypeAlias = tuple[Array, Array]

# Batches that wait at most. The second covers the time in which the first one is asked for.
AHEAD = 2

# Seconds that a batch must take for a thread to be started. Handing one over takes a tenth of it.
WORTH_A_THREAD = 3e-4

# Batches that are made, and timed, by the caller's thread first. The fastest of them counts.
TIMED = 2


def batches_ahead(
    dataset: Dataset,
    chosen: Iterable[npt.ArrayLike],
    rngs: Iterable[np.random.Generator | None],
) -> Generator[Batch, None, None]:
    """Yield ``dataset.batch(indices, rng)`` for each pair, in order, made in a background thread.

    NumPy and the kernels leave the interpreter to others while they compute, so a batch is made
    while the network trains on the one before. The thread ends with the generator, at its last
    batch or when it is closed. The first batches are made by the caller's thread, and so are the
    others if that took no longer than to hand them over.

    Parameters
    ----------
    dataset
        Where the batches come from.
    chosen
        Indices of each batch.
    rngs
        A generator, or None, for each batch: see `Dataset.batch`.

    Yields
    ------
    tuple
        x and y of each batch.

    Raises
    ------
    ValueError
        If there are not as many of `chosen` as of `rngs`.
    Exception
        Whatever `Dataset.batch` raises, in the turn of its batch.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> dataset = rot180.data.Dataset(np.eye(4), np.arange(4))
    >>> orders = [np.array([3, 0]), np.array([1, 2])]
    >>> for x, y in rot180.data.batches_ahead(dataset, orders, [None, None]):
    ...     print(y.tolist())
    [3, 0]
    [1, 2]
    """
    pairs = zip(chosen, rngs, strict=True)
    fastest = math.inf
    for indices, rng in itertools.islice(pairs, TIMED):
        start = time.perf_counter()
        batch = dataset.batch(indices, rng)
        fastest = min(fastest, time.perf_counter() - start)
        yield batch
    if fastest > WORTH_A_THREAD:
        yield from _in_a_thread(dataset, pairs)
    else:
        for indices, rng in pairs:
            yield dataset.batch(indices, rng)


def _in_a_thread(dataset: Dataset, pairs: Iterable[Any]) -> Generator[Batch, None, None]:
    from concurrent.futures import Future, ThreadPoolExecutor  # takes 5 ms: not with the package

    waiting: deque[Future[Batch]] = deque()
    executor = ThreadPoolExecutor(1, "rot180 batches")
    try:
        for indices, rng in pairs:
            waiting.append(executor.submit(dataset.batch, indices, rng))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        executor.shutdown(cancel_futures=True)
