"""Which recipe reproduces an array to rounding."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from rot180.diagnose.catalogue import VARIANTS, Variant
from rot180.diagnose.convolution import Array, Convolution
from rot180.diagnose.layouts import Layout
from rot180.diagnose.recipes import RIGHT, Made, Recipe, factor, make, with_changes

EPS32 = float(np.finfo(np.float32).eps)
EPS64 = float(np.finfo(np.float64).eps)

# How many standard deviations of its rounding a sum may be off. n roundings of products of zero
# mean add up to about eps * (sum of absolute products), of one sign to sqrt(n) times that.
ROOM = 4.0

# Which axes each array has, as `Layout` and `Made` call them.
FORMS = {"y": "dy", "dx": "x", "dw": "w", "db": "raw"}

# Pairs are tried for that long: small probes need a tenth of it.
SECONDS_FOR_PAIRS = 30.0


@dataclass(frozen=True, eq=False)
class Received:
    """An array of the user's, in any reading of its axes."""

    raw: Array
    layout: Layout
    eps: float  # of its dtype
    flipped: bool = False
    written: float = 0.0  # the same of numbers that were written as text

    def read_as(self, form: str) -> Array | None:
        """Return the array as an image ("x" or "dy"), as a kernel ("w"), or as it is ("raw")."""
        if form == "raw":
            return self.raw
        array = self.layout.to_ours(form, self.raw)
        return array[::-1, ::-1] if form == "w" and self.flipped and array is not None else array


@dataclass(frozen=True, eq=False)
class Observation:
    """What the user's code made of one convolution: one gradient, or y.

    `told` says which convolution it was.
    """

    gradient: str
    convolution: Convolution
    received: Received
    told: str = ""

    @property
    def right(self) -> Made:
        """The right gradient."""
        return Made(self.convolution.right(self.gradient), FORMS[self.gradient])

    def misfit(self, made: Made | None, scale: float = 1.0) -> float:
        """How far the array is from `made`, in units of what a sum is uncertain by for eps = 1.

        Infinite where shapes differ.
        """
        if made is None:
            return math.inf
        actual = self.received.read_as(made.form)
        if actual is None:
            return math.inf
        if made.form == "raw":
            return min(
                (
                    self._distance(reading, made.values, scale)
                    for reading in _readings(actual, made)
                ),
                default=math.inf,
            )
        if actual.shape != made.values.shape:
            return math.inf
        return self._distance(actual, made.values, scale)

    def _distance(self, actual: Array, expected: Array, scale: float) -> float:
        if not actual.size:
            return 0.0
        distance = float(np.max(np.abs(actual - expected)))
        if distance == 0:
            return 0.0
        if not math.isfinite(distance):
            return math.inf
        convolution = self.convolution
        size = max(abs(scale) * convolution.largest(self.gradient), float(np.abs(expected).max()))
        unit = size * math.sqrt(convolution.terms(self.gradient))
        return distance / unit if unit else math.inf

    @property
    def levels(self) -> tuple[float, ...]:
        """Precisions at which the array may have been computed, the finest first."""
        own, written = self.received.eps, self.received.written
        return tuple(sorted({own, max(own, EPS32), max(own, EPS32, written)}))

    @property
    def is_a_long_sum(self) -> bool:
        """Whether the array is right but for what a long sum in single precision may lose.

        Where all terms have one sign, each of n roundings may be as large as eps / 2 of the sum.
        """
        actual, expected = self.received.read_as(self.right.form), self.right.values
        if actual is None or actual.shape != expected.shape or not expected.size:
            return False
        lost = self.convolution.terms(self.gradient) * EPS32 / 2 * np.abs(expected).max()
        return bool((np.abs(actual - expected) <= lost).all())


@dataclass(frozen=True)
class Match:
    """Variants that together reproduce an array; none where it is right."""

    variants: tuple[Variant, ...]
    eps: float


@dataclass(frozen=True)
class Search:
    """All matches of the smallest number of mistakes.

    `complete` is false where not all pairs were tried, `long_sums` true where the array is right
    but for what long sums lose in single precision.
    """

    matches: tuple[Match, ...]
    complete: bool = True
    long_sums: bool = False


def search(observations: Sequence[Observation]) -> Search:
    """Find what reproduces one gradient on every probe: nothing wrong, one mistake, or two."""
    levels = range(max(len(observation.levels) for observation in observations))
    for level in levels:
        if _all_fit(observations, RIGHT, level):
            return Search((Match((), _eps(observations, level)),))
        singles = [
            Match((variant,), _eps(observations, level))
            for variant, recipe in _singles(observations[0].gradient)
            if _all_fit(observations, recipe, level)
        ]
        if singles:
            return Search(tuple(singles))
    if all(observation.is_a_long_sum for observation in observations):
        return Search((Match((), EPS32),), long_sums=True)
    return _search_pairs(observations, levels)


def variants_of(gradient: str) -> list[Variant]:
    """Return the catalogue's variants in one gradient."""
    return [variant for variant in VARIANTS if variant.gradient == gradient]


def pairs_of(gradient: str) -> Iterator[tuple[tuple[Variant, Variant], Recipe]]:
    """Yield each two variants in one gradient that can be made together."""
    for pair in itertools.combinations(variants_of(gradient), 2):
        recipe = with_changes(*(variant.changes for variant in pair))
        if recipe is not None:
            yield pair, recipe


def _singles(gradient: str) -> Iterator[tuple[Variant, Recipe]]:
    for variant in variants_of(gradient):
        recipe = with_changes(variant.changes)
        if recipe is not None:
            yield variant, recipe


def _search_pairs(observations: Sequence[Observation], levels: range) -> Search:
    end = time.monotonic() + SECONDS_FOR_PAIRS
    # Where most can be told apart: the last probes are the most awkward ones.
    ordered = sorted(
        observations,
        key=lambda observation: not _fits(observation, RIGHT, len(levels) - 1),
        reverse=True,
    )
    found: dict[int, list[Match]] = {level: [] for level in levels}
    for pair, recipe in pairs_of(observations[0].gradient):
        if time.monotonic() > end:
            return Search(tuple(_finest(found)), complete=False)
        misfits = []
        for observation in ordered:
            misfit = _misfit(observation, recipe)
            if misfit > ROOM * observation.levels[-1]:
                break
            misfits.append((observation, misfit))
        else:
            for level in levels:
                if all(misfit <= ROOM * _level(o, level) for o, misfit in misfits):
                    found[level].append(Match(pair, _eps(observations, level)))
                    break
    return Search(tuple(_finest(found)))


def _finest(found: dict[int, list[Match]]) -> list[Match]:
    return next((matches for matches in found.values() if matches), [])


def _all_fit(observations: Sequence[Observation], recipe: Recipe, level: int) -> bool:
    return all(_fits(observation, recipe, level) for observation in reversed(observations))


def _fits(observation: Observation, recipe: Recipe, level: int) -> bool:
    return _misfit(observation, recipe) <= ROOM * _level(observation, level)


def _misfit(observation: Observation, recipe: Recipe) -> float:
    convolution = observation.convolution
    if recipe == RIGHT:
        return observation.misfit(observation.right)
    made = make(observation.gradient, recipe, convolution)
    return observation.misfit(made, factor(recipe, convolution))


def _level(observation: Observation, level: int) -> float:
    return observation.levels[min(level, len(observation.levels) - 1)]


def _eps(observations: Sequence[Observation], level: int) -> float:
    return max(_level(observation, level) for observation in observations)


def _readings(actual: Array, made: Made) -> Iterator[Array]:
    """Yield the array with its axes in every order that gives the shape of what was made."""
    wanted = made.values.shape
    if actual.size != made.values.size:
        return
    if made.values.ndim <= 1 or actual.ndim != made.values.ndim:
        if [n for n in actual.shape if n != 1] == [n for n in wanted if n != 1]:
            yield actual.reshape(wanted)
        return
    for order in itertools.permutations(range(actual.ndim)):
        if tuple(actual.shape[axis] for axis in order) == wanted:
            yield actual.transpose(order)
