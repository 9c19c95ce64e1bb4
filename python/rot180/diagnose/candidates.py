"""Which mistakes of a catalogue, alone or together, reproduce what somebody's code computed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import FloatArray
from rot180.diagnose.diagnosis import Mistake


@dataclass(frozen=True)
class Way:
    """One way of making a mistake; of ways that share a choice, code can go one only."""

    choice: str
    mistake: Mistake


Ways: TypeAlias = Mapping[str, Way]

# The names of the ways that code goes; and of variants, which are right.
Names: TypeAlias = frozenset[str]

# The arrays that code which goes these ways computes, one after the other, each with the error
# that rounding may cause, entry by entry and in units of epsilon.
Model: TypeAlias = Callable[[Names], Iterable[tuple[FloatArray, FloatArray]]]

RIGHT: Names = frozenset()


def explanation(
    model: Model,
    ways: Ways,
    found: Sequence[FloatArray],
    *,
    variants: Sequence[Names] = (RIGHT,),
    most: int = 2,
    epsilon: float | None = None,
) -> Names | None:
    """Return the fewest ways that reproduce what was found; None if no `most` of them do.

    Each number of mistakes is tried on every right variant before one mistake more is.
    """
    for size in range(most + 1):
        for variant in variants:
            for names in combined(ways, size):
                if reproduces(model, variant | names, found, epsilon):
                    return variant | names
    return None


def combined(ways: Ways, size: int) -> Iterator[Names]:
    """Yield every set of so many ways that can be gone together."""
    for names in combinations(ways, size):
        if len({ways[name].choice for name in names}) == size:
            yield frozenset(names)


def mistakes(ways: Ways, names: Names) -> tuple[Mistake, ...]:
    """Return the mistakes that these ways make, each once."""
    return tuple(dict.fromkeys(ways[name].mistake for name in ways if name in names))


def reproduces(
    model: Model, names: Names, found: Sequence[FloatArray], epsilon: float | None = None
) -> bool:
    """Whether the model computes what was found, up to rounding in the dtype of each array.

    Stops at the first array that differs, so that a model that yields is asked for no more.
    """
    with np.errstate(all="ignore"):  # a wrong gradient may well be infinite
        return all(
            agrees(array, expected, rounding, epsilon)
            for array, (expected, rounding) in zip(found, model(names), strict=False)
        )


def agrees(
    found: FloatArray, expected: FloatArray, rounding: FloatArray, epsilon: float | None = None
) -> bool:
    """Whether an array is as expected: its shape, and each entry to `rounding` epsilons."""
    if found.shape != expected.shape:
        return False
    return not different(found, expected, rounding, epsilon).any()


def different(
    found: FloatArray, expected: FloatArray, rounding: FloatArray, epsilon: float | None = None
) -> NDArray[np.bool_]:
    """Where an array of the right shape is not as expected."""
    if epsilon is None:
        epsilon = float(np.finfo(found.dtype).eps)
    with np.errstate(all="ignore"):
        near = np.abs(found - expected) <= epsilon * rounding
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return np.asarray(~(near | same))
