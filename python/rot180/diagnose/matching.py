"""Which recipe reproduces an array to rounding."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rot180.diagnose.catalogue import SLIPS, VARIANTS, Variant
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

# Pixels times weights from which on a first look at one image saves time.
LARGE = 1 << 22

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
        own = self.received.eps
        # Each factor was rounded by itself, which adds up to less than rounding each sum does.
        written = self.received.written / math.sqrt(self.convolution.terms(self.gradient))
        return tuple(sorted({own, max(own, EPS32), max(own, EPS32, written)}))

    @property
    def has_the_right_shape(self) -> bool:
        """Whether the array has the shape of the right one."""
        actual = self.received.read_as(self.right.form)
        return actual is not None and actual.shape == self.right.values.shape

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


@dataclass(frozen=True)
class Search:
    """All matches of the smallest number of mistakes, and whether all pairs were tried."""

    matches: tuple[Match, ...]
    complete: bool = True


def search(observations: Sequence[Observation]) -> Search:
    """Find what reproduces one gradient on every probe: nothing wrong, one mistake, or two."""
    gradient = observations[0].gradient
    # Where most can be told apart: the last probes are the most awkward ones, and where the array
    # is wrong most recipes fail at once.
    awkward_first = [part for o in reversed(observations) for part in _small_parts_first(o)]
    ordered = sorted(awkward_first, key=lambda o: o.misfit(o.right) <= ROOM * o.levels[-1])
    right = _level(observations, RIGHT)
    singles = [
        (level, Match(variants))
        for variants, recipe in recipes_of(gradient, 1)
        if _possible(variants, observations)
        and right != 0
        and (level := _level(ordered, recipe)) is not None
    ]
    finest = min((level for level, _ in singles), default=None)
    if right is not None and (finest is None or right <= finest):
        return Search((Match(()),))
    if finest is not None:
        return Search(tuple(match for level, match in singles if level == finest))
    if all(observation.is_a_long_sum for observation in observations):
        return Search((Match(()),))
    return _search_pairs(ordered)


def variants_of(gradient: str) -> list[Variant]:
    """Return the catalogue's variants in one gradient."""
    return [variant for variant in VARIANTS if variant.gradient == gradient]


@lru_cache
def recipes_of(gradient: str, mistakes: int) -> tuple[tuple[tuple[Variant, ...], Recipe], ...]:
    """Return all that can be made of so many variants together in one gradient."""
    return tuple(
        (variants, recipe)
        for variants in itertools.combinations(variants_of(gradient), mistakes)
        if (recipe := with_changes(*(variant.changes for variant in variants))) is not None
    )


def _possible(variants: Sequence[Variant], observations: Sequence[Observation]) -> bool:
    """Whether a convolution here has what these mistakes are about: an activation, groups."""
    needed = {variant.seen_with for variant in variants}
    return (
        "an activation" not in needed
        or any(o.convolution.activation is not None for o in observations)
    ) and (
        "several groups" not in needed
        or any(o.convolution.geometry.groups > 1 for o in observations)
    )


def _small_parts_first(observation: Observation) -> Iterator[Observation]:
    """Yield the first image of a large dx, on which most recipes fail at little cost, then all."""
    convolution, received = observation.convolution, observation.received
    if observation.gradient == "dx" and convolution.x.size * convolution.w.size > LARGE:
        dx = received.read_as("x")
        if dx is not None and dx.shape == convolution.x.shape and len(dx) > 1:
            first = Received(dx[:1], Layout(), received.eps, written=received.written)
            yield Observation("dx", convolution.first_image(), first)
    yield observation


def slips(observations: Sequence[Observation]) -> Iterator[str]:
    """Yield what reproduces the array and is no mistake of the catalogue."""
    for told, gradients, changes in SLIPS:
        recipe = with_changes(changes)
        if observations[0].gradient not in gradients.split() or recipe is None:
            continue
        if _level(observations, recipe) is not None:
            yield told


def _search_pairs(ordered: Sequence[Observation]) -> Search:
    end = time.monotonic() + SECONDS_FOR_PAIRS
    found: list[tuple[int, Match]] = []
    complete = True
    for pair, recipe in recipes_of(ordered[0].gradient, 2):
        if not _possible(pair, ordered):
            continue
        if time.monotonic() > end:
            complete = False
            break
        level = _level(ordered, recipe)
        if level is not None:
            found.append((level, Match(pair)))
    finest = min((level for level, _ in found), default=None)
    return Search(tuple(match for level, match in found if level == finest), complete)


def _level(observations: Sequence[Observation], recipe: Recipe) -> int | None:
    """Return the finest precision, as a place in `levels`, in which all arrays are the recipe's."""
    coarsest = 0
    for observation in observations:
        misfit, levels = _misfit(observation, recipe), observation.levels
        level = next((i for i, eps in enumerate(levels) if misfit <= ROOM * eps), None)
        if level is None:
            return None
        coarsest = max(coarsest, level)
    return coarsest


def _misfit(observation: Observation, recipe: Recipe) -> float:
    convolution = observation.convolution
    if recipe == RIGHT:
        return observation.misfit(observation.right)
    made = make(observation.gradient, recipe, convolution)
    return observation.misfit(made, factor(recipe, convolution))


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
