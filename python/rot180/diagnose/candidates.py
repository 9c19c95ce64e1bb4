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


def explanations(
    model: Model,
    ways: Ways,
    found: Sequence[FloatArray],
    *,
    variants: Sequence[Names] = (RIGHT,),
    most: int = 2,
) -> list[Names]:
    """Return the sets of the fewest ways that reproduce what was found; [] if no `most` ways do.

    Each number of mistakes is tried on every right variant before one mistake more is. Of sets
    that make the same mistakes, the first stands for all; of pairs, the first for all pairs.
    """
    for size in range(most + 1):
        matches: dict[tuple[Mistake, ...], Names] = {}
        for variant in variants:
            for names in combined(ways, size):
                made = mistakes(ways, names)
                if made not in matches and reproduces(model, variant | names, found):
                    matches[made] = variant | names
                    if size > 1:
                        return [variant | names]
        if matches:
            return list(matches.values())
    return []


def combined(ways: Ways, size: int) -> Iterator[Names]:
    """Yield every set of so many ways that can be gone together."""
    for names in combinations(ways, size):
        if len({ways[name].choice for name in names}) == size:
            yield frozenset(names)


def mistakes(ways: Ways, names: Names) -> tuple[Mistake, ...]:
    """Return the mistakes that these ways make, each once."""
    return tuple(dict.fromkeys(ways[name].mistake for name in ways if name in names))


def reproduces(model: Model, names: Names, found: Sequence[FloatArray]) -> bool:
    """Whether the model computes what was found, up to rounding in the dtype of each array.

    Stops at the first array that differs, so that a model that yields is asked for no more.
    """
    with np.errstate(all="ignore"):  # a wrong gradient may well be infinite
        return all(
            agrees(array, expected, rounding)
            for array, (expected, rounding) in zip(found, model(names), strict=False)
        )


def agrees(found: FloatArray, expected: FloatArray, rounding: FloatArray) -> bool:
    """Whether an array is as expected: its shape, and each entry to `rounding` epsilons."""
    if found.shape != expected.shape:
        return False
    return not different(found, expected, rounding).any()


def different(found: FloatArray, expected: FloatArray, rounding: FloatArray) -> NDArray[np.bool_]:
    """Where an array of the right shape is not as expected, for the rounding of its dtype."""
    epsilon = float(np.finfo(found.dtype).eps)
    with np.errstate(all="ignore"):
        near = np.abs(found - expected) <= epsilon * rounding
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    return np.asarray(~(near | same))
