"""From what was observed of one gradient to what is said of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from rot180.diagnose import probes
from rot180.diagnose.catalogue import VARIANTS
from rot180.diagnose.diagnosis import Finding, Mistake
from rot180.diagnose.facts import (
    facts_of_factor,
    facts_of_one,
    facts_of_probes,
    first_wrong_cell,
    is_right,
)
from rot180.diagnose.matching import (
    EPS32,
    ROOM,
    Match,
    Observation,
    search,
    slips,
)
from rot180.diagnose.recipes import Made, make, with_changes

MOST_ALTERNATIVES = 4
FEW = 3


@np.errstate(all="ignore")  # what the user's numbers make of ours is no matter for a warning
def judge(observations: list[Observation]) -> Finding:
    """Return what is found of a gradient on these probes, which go from simple to awkward."""
    gradient = observations[0].gradient
    found = search(observations)
    if not found.matches:
        tried = (
            "no mistake of the catalogue, and no two of them, make it"
            if found.complete
            else "no mistake of the catalogue makes it; of pairs of them, not all were tried: the "
            "arrays are large"
        )
        facts = (tried, *slips(observations), *facts_of(observations))
        return Finding(gradient, False, (), facts)
    if not found.matches[0].variants:
        return Finding(gradient, True)
    flipped = observations[0].convolution.flipped
    told: dict[tuple[Mistake, ...], Match] = {}
    for match in found.matches:
        told.setdefault(tuple(variant.told(flipped) for variant in match.variants), match)
    first, *others = told
    return Finding(
        gradient,
        False,
        first,
        (*_by_chance(observations), *_cannot_tell(list(told.values()))),
        tuple(others[:MOST_ALTERNATIVES]),
    )


def precision_notes(observations: list[Observation]) -> list[str]:
    """Return a note where an array that is right was computed in coarse numbers."""
    name = observations[0].gradient
    if not all(map(is_right, observations)):
        return [
            f"{name} is right, but its long sums lost digits in single precision: "
            "add up in double precision, or in blocks"
        ]
    fine = [o for o in observations if o.levels[0] < EPS32 and not o.received.written]
    if any(o.misfit(o.right) > ROOM * o.levels[0] for o in fine):
        return [f"{name} was computed in single precision, which is no mistake"]
    return []


def facts_of(observations: list[Observation]) -> Iterator[str]:
    """Yield what is known of an array that is wrong on some of these probes."""
    yield from facts_of_probes(observations)
    wrong = [observation for observation in observations if not is_right(observation)]
    factor = list(facts_of_factor(wrong))
    yield from factor or facts_of_one(max(wrong, key=_plain_and_rich))


def smallest_facts(smallest: Observation) -> Iterator[str]:
    """Yield the smallest probe that fails, if there are several, and its first wrong cell."""
    terms = first_wrong_cell(smallest)
    if smallest.told:
        yield f"the smallest probe that shows it: {smallest.told}"
    if terms:
        yield f"the first wrong cell:\n{terms}"
    elif smallest.told:
        yield from itertools.islice(facts_of_one(smallest), 1)


def forward_facts(observations: list[Observation]) -> tuple[str, ...]:
    """Return what is known of a forward that is neither a correlation nor a true convolution."""
    flipped = observations[0].convolution.flipped
    wrong = next(observation for observation in observations if not is_right(observation))
    return (
        "neither a cross-correlation nor a true convolution; the gradients are judged as those of "
        + ("a true convolution" if flipped else "a cross-correlation"),
        *facts_of(observations),
        *smallest_facts(wrong),
    )


def true_convolution_note(findings: list[Finding], forward_is_known: bool) -> list[str]:
    """Say it where dx and dw are both those of a true convolution."""
    found = {finding.array: finding.mistakes for finding in findings}
    if forward_is_known or any(found.get(v.gradient) != (v.mistake,) for v in OF_A_CORRELATION):
        return []
    return [
        "both dx and dw are those of a true convolution, whose forward turns the kernel: if yours "
        "does, nothing is wrong. Give the forward as well, and they are judged by it"
    ]


# Both are right where the forward is a true convolution.
OF_A_CORRELATION = [variant for variant in VARIANTS if variant.true_convolution is not None]


def _plain_and_rich(observation: Observation) -> tuple[bool, int]:
    """Rank probes by how much can be told of an array: no options first, then many terms."""
    geometry = observation.convolution.geometry
    plain = geometry.stride == geometry.dilation == (1, 1) and not np.any(geometry.padding)
    return plain and geometry.groups == 1, int(np.count_nonzero(observation.right.values))


def _by_chance(observations: list[Observation]) -> list[str]:
    """Warn where so few numbers were given that a mistake may make them by chance."""
    count = sum(observation.received.raw.size for observation in observations)
    if count > FEW:
        return []
    return [f"{count} number{'s' * (count > 1)} may agree by chance: give more to be sure"]


def _cannot_tell(matches: list[Match]) -> list[str]:
    """Say which probe would tell several matches apart."""
    if len(matches) < 2:
        return []
    more = len(matches) - 1 - MOST_ALTERNATIVES
    hidden = f" (and {more} more are possible)" if more > 0 else ""
    for probe in probes.ALL:
        if _differ(matches[: MOST_ALTERNATIVES + 1], probe):
            return [f"these numbers cannot tell them apart{hidden}; these would: {probe}"]
    return [f"these numbers cannot tell them apart{hidden}"]


def _differ(matches: list[Match], probe: probes.Probe) -> bool:
    """Whether all of the matches would make different arrays on a probe."""
    activation = any(v.seen_with == "an activation" for m in matches for v in m.variants)
    convolution = probe.convolution("sigmoid" if activation else None)
    made: list[Made] = []
    for match in matches:
        recipe = with_changes(*(variant.changes for variant in match.variants))
        result = recipe and make(match.variants[0].gradient, recipe, convolution)
        if not result or any(_same(result, other) for other in made):
            return False
        made.append(result)
    return True


def _same(a: Made, b: Made) -> bool:
    return a.values.shape == b.values.shape and np.allclose(a.values, b.values)
