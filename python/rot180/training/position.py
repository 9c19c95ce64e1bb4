"""Where a training stands, and the randomness that follows from it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.metrics import Means

Array: TypeAlias = npt.NDArray[Any]


class Position:
    """Epoch, batch and the means so far; and what the order of the samples depends on.

    No generator is kept from one batch to the next: each is made from the seed, the epoch and the
    batch. So a training that goes on in the middle of an epoch draws what it would have drawn.

    Parameters
    ----------
    seed
        At least 0.
    batch_size
        Samples in a step.
    shuffle
        Whether each epoch has an order of its own.
    samples
        How many there are.
    names
        Of the figures that are averaged over an epoch.

    Attributes
    ----------
    epoch : int
        The one that is under way, from 1.
    batch : int
        Batches of it that have been trained on.
    means : Means
        Over these batches.

    Examples
    --------
    >>> from rot180.training.position import Position
    >>> position = Position(seed=0, batch_size=3, shuffle=False, samples=5, names=["loss"])
    >>> [indices.tolist() for indices in position.batches()]
    [[0, 1, 2], [3, 4]]
    """

    def __init__(
        self, seed: int, batch_size: int, shuffle: bool, samples: int, names: Sequence[str]
    ) -> None:
        self.seed = seed
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.samples = samples
        self.epoch = 1
        self.batch = 0
        self.means = Means(names)
        self._seconds_before = 0.0
        self.start_clock()

    def start_clock(self) -> None:
        """Count the seconds from now on, and those before that were saved."""
        self._started = time.perf_counter() - self._seconds_before

    @property
    def seconds(self) -> float:
        """Time that the epoch has taken so far."""
        return time.perf_counter() - self._started

    @property
    def batches_in_epoch(self) -> int:
        """Number of batches in an epoch."""
        return -(-self.samples // self.batch_size)

    @property
    def batches_left(self) -> int:
        """Number of batches of this epoch that have not been trained on."""
        return self.batches_in_epoch - self.batch

    def batches(self) -> Iterator[Array]:
        """Yield the samples of each of these batches."""
        order: Array = np.arange(self.samples)
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        for start in range(self.batch * self.batch_size, self.samples, self.batch_size):
            yield order[start : start + self.batch_size]

    def generators(self) -> Iterator[np.random.Generator]:
        """Make the generator that the augmentations of each of them draw from."""
        for batch in range(self.batch + 1, self.batches_in_epoch + 1):
            yield np.random.default_rng([self.seed, self.epoch, batch])

    def next_epoch(self) -> None:
        """Stand before the first batch of the next epoch."""
        self.epoch += 1
        self.batch = 0
        self.means = Means(self.means.names)
        self._seconds_before = 0.0
        self.start_clock()

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep."""
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "shuffle": self.shuffle,
            "samples": self.samples,
            "names": list(self.means.names),
            "epoch": self.epoch,
            "batch": self.batch,
            "sums": self.means.sums,
            "averaged": self.means.samples,
            "seconds": self.seconds,
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any]) -> Position:
        """Make the position that `state_dict` described.

        Raises
        ------
        ValueError
            If it is no such description: names what is missing or wrong.
        """
        for name, smallest in (
            ("seed", 0),
            ("batch_size", 1),
            ("samples", 1),
            ("epoch", 1),
            ("batch", 0),
            ("averaged", 0),
        ):
            number = state.get(name)
            if type(number) is not int or number < smallest:
                raise ValueError(f"{name} is {_shown(number)}, expected an int from {smallest}")
        names, sums, seconds = state.get("names"), state.get("sums"), state.get("seconds")
        if not isinstance(state.get("shuffle"), bool):
            raise ValueError(f"shuffle is {_shown(state.get('shuffle'))}, expected true or false")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError(f"names is {_shown(names)}, expected a list of strings")
        if (
            not isinstance(sums, list)
            or len(sums) != len(names)
            or not all(isinstance(total, float) for total in sums)
        ):
            raise ValueError(f"sums is {_shown(sums)}, expected a number for each of {names}")
        if not isinstance(seconds, float) or not 0 <= seconds < math.inf:
            raise ValueError(f"seconds is {_shown(seconds)}, expected a number from 0")
        position = cls(
            state["seed"], state["batch_size"], state["shuffle"], state["samples"], names
        )
        position.epoch, position.batch = state["epoch"], state["batch"]
        if position.batch > position.batches_in_epoch:
            raise ValueError(
                f"batch is {position.batch}, expected at most {position.batches_in_epoch}"
            )
        position.means.sums, position.means.samples = list(sums), state["averaged"]
        position._seconds_before = seconds
        return position

    def expect(self, other: Position) -> None:
        """Refuse to go on with other data or options than those before.

        Raises
        ------
        ValueError
            If the orders of the samples, or the figures, would not be the same: names what differs.
        """
        for name in ("seed", "batch_size", "shuffle", "samples"):
            before, now = getattr(self, name), getattr(other, name)
            if before != now:
                raise ValueError(
                    f"the training that is resumed had {name}={before}, this fit has {now}: "
                    "call fit as it was called then"
                )
        if self.means.names != other.means.names:
            raise ValueError(
                f"the training that is resumed had the figures {list(self.means.names)}, this one "
                f"has {list(other.means.names)}: build the trainer with the same metrics"
            )


def _shown(value: object) -> str:
    return repr(value)[:80]
