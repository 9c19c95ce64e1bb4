"""Judges a backward pass against the gradients that a formula gives, right or with mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.callables import (
    Function,
    RaisedError,
    UnusableError,
    gradients,
    number_array,
    understand,
)
from rot180.diagnose.candidates import (
    RIGHT,
    Names,
    Ways,
    different,
    explanations,
    mistakes,
)
from rot180.diagnose.diagnosis import Diagnosis, Finding


@dataclass(frozen=True)
class Probe:
    """Arguments for one call; `shows` says what the others do not have.

    A function is called with them if it takes all arguments in `needs`; "x|input_shape" is either.
    """

    shows: str
    arguments: dict[str, Any]
    needs: tuple[str, ...] = ()
    may_be_refused: bool = False  # raising on it is told, but no mistake

    def fits(self, function: Function) -> bool:
        """Whether the function takes all that the probe needs."""
        return all(any(map(function.takes, name.split("|"))) for name in self.needs)

    def in_dtype(self, dtype: type) -> Probe:
        """Return the probe with its floating arrays in this dtype."""
        return Probe(
            self.shows,
            {
                name: value.astype(dtype)
                if isinstance(value, np.ndarray) and value.dtype.kind == "f"
                else value
                for name, value in self.arguments.items()
            },
            self.needs,
            self.may_be_refused,
        )


@dataclass(frozen=True)
class Gradient:
    """One gradient that a backward returns.

    Attributes
    ----------
    name : "dx"
    ways : the mistakes that are known in it
    make : what code that goes these ways returns for the arguments of a probe, and the error that
        rounding may cause, in epsilons
    term : the terms of one entry, written out, for the arguments of a probe
    variants : what is right besides
    notes : what is said of a variant that was found
    read : brings an array into the form that `make` has, where several forms are right
    """

    name: str
    ways: Ways
    make: Callable[[Mapping[str, Any], Names], tuple[FloatArray, FloatArray]]
    term: Callable[[Mapping[str, Any], tuple[int, ...]], str]
    variants: Sequence[Names] = (RIGHT,)
    notes: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[Mapping[str, Any], FloatArray], FloatArray] = lambda given, array: array


@dataclass
class _Seen:
    """What the user's code returned for one gradient, on each probe."""

    probes: list[Probe] = field(default_factory=list)
    arrays: list[FloatArray] = field(default_factory=list)


def judge(
    fn: Callable[..., Any],
    arguments: Mapping[str, Sequence[str]],
    needed: Sequence[str],
    probes: Sequence[Probe],
    made: Sequence[Gradient],
    named: Callable[[Any, Sequence[str]], Mapping[str, Any]] = gradients,
) -> Diagnosis:
    """Call a backward on all probes, in both dtypes, and find what reproduces its gradients.

    Parameters
    ----------
    fn
        The user's.
    arguments
        The names by which each argument is known, in small letters without underscores.
    needed
        Those that a backward has in any case.
    probes
        From simple to awkward.
    made
        The gradients, in the order in which fn returns them.
    named
        Gives what fn returned the names of the gradients.
    """
    findings: list[Finding] = []
    notes: dict[str, None] = {}  # each once, in order
    try:
        function = understand(fn, "backward", needed, arguments)
    except UnusableError as problem:
        return Diagnosis((), str(problem))
    try:
        for dtype in (np.float64, np.float32):
            seen: dict[str, _Seen] = {}
            raised: list[str] = []
            refused: list[str] = []
            for probe in (one.in_dtype(dtype) for one in probes if one.fits(function)):
                try:
                    with np.errstate(all="ignore"):
                        result, touched = function(probe.arguments)
                except RaisedError as error:
                    (refused if probe.may_be_refused else raised).append(
                        f"{error}, on {probe.shows}"
                    )
                    continue
                for name in touched:
                    notes[f"changes its argument {name} in place: work on a copy"] = None
                _note(seen, probe, named(result, [one.name for one in made]), made)
            if not seen:
                raise UnusableError((raised + refused)[0])
            notes.update(dict.fromkeys(f"it {what}" for what in refused))
            findings = []
            for one in made:
                if one.name in seen:
                    finding, said = _finding(one, seen[one.name])
                    findings.append(finding)
                    notes.update(dict.fromkeys(said))
            if raised and any(finding.mistakes for finding in findings):
                notes[f"on {len(raised)} of the probes it {raised[0]}"] = None
            elif raised:
                findings = [_refused(finding, raised) for finding in findings]
            if raised or not all(finding.right for finding in findings):
                break
    except UnusableError as problem:
        name = getattr(fn, "__qualname__", type(fn).__name__)
        return Diagnosis((), f"{name} {problem}")
    return Diagnosis(tuple(findings), notes=tuple(notes))


def _note(
    seen: dict[str, _Seen], probe: Probe, returned: Mapping[str, Any], made: Sequence[Gradient]
) -> None:
    for gradient in made:
        if gradient.name not in returned:
            continue
        array, dtype = number_array(gradient.name, returned[gradient.name])
        if dtype is not None and dtype.startswith("float"):
            array = array.astype(dtype)
        here = seen.setdefault(gradient.name, _Seen())
        here.probes.append(probe)
        here.arrays.append(gradient.read(probe.arguments, array))


def _refused(finding: Finding, raised: Sequence[str]) -> Finding:
    """A gradient is not right where the function raises on some probes."""
    facts = (*finding.facts, f"on {len(raised)} of the probes it {raised[0]}")
    return Finding(finding.array, False, finding.mistakes, facts, finding.alternatives)


def _finding(gradient: Gradient, seen: _Seen) -> tuple[Finding, list[str]]:
    """Return what is found of one gradient, and notes."""
    notes: list[str] = []
    found = _explained(gradient, seen.probes, seen.arrays)
    if not found and any(array.dtype == np.float64 for array in seen.arrays):
        coarse = [array.astype(np.float32) for array in seen.arrays]
        found = _explained(gradient, seen.probes, coarse)
        if found:
            seen.arrays = coarse
            notes.append(f"{gradient.name} is right to single precision only, which is no mistake")
    if not found:
        return Finding(gradient.name, False, (), tuple(_facts(gradient, seen))), notes
    notes += [note for name, note in gradient.notes.items() if name in found[0]]
    first, *others = (mistakes(gradient.ways, names) for names in found)
    if not first:
        return Finding(gradient.name, True), notes
    cell = tuple(_first_wrong_cell(gradient, seen))
    return Finding(gradient.name, False, first, cell, tuple(others)), notes


def _explained(
    gradient: Gradient, probes: Sequence[Probe], arrays: Sequence[FloatArray]
) -> list[Names]:
    def model(names: Names) -> Iterator[tuple[FloatArray, FloatArray]]:
        return (gradient.make(probe.arguments, names) for probe in reversed(probes))

    return explanations(model, gradient.ways, arrays[::-1], variants=gradient.variants)


def _facts(gradient: Gradient, seen: _Seen) -> Iterator[str]:
    """Say what is known of a gradient that no mistake makes."""
    right: list[str] = []
    wrong: list[str] = []
    for probe, array in zip(seen.probes, seen.arrays, strict=True):
        expected, rounding = gradient.make(probe.arguments, RIGHT)
        fits = array.shape == expected.shape and not different(array, expected, rounding).any()
        (right if fits else wrong).append(probe.shows)
    if right and wrong:
        yield f"right on {'; '.join(right)}; wrong on {'; '.join(wrong)}"
    yield from _first_wrong_cell(gradient, seen)


def _first_wrong_cell(gradient: Gradient, seen: _Seen) -> Iterator[str]:
    for probe, array in zip(seen.probes, seen.arrays, strict=True):
        expected, rounding = gradient.make(probe.arguments, RIGHT)
        if array.shape != expected.shape:
            yield (
                f"on {probe.shows}, {gradient.name} has shape {array.shape}, "
                f"expected {expected.shape}"
            )
            return
        off = different(array, expected, rounding)
        if not off.any():
            continue
        with np.errstate(all="ignore"):
            ratios = array[off] / expected[off]
            one_factor = off.sum() > 1 and np.ptp(ratios) <= 1e-3 * abs(ratios[0]) < np.inf
        if one_factor:
            yield f"{ratios[0]:.4g} times what it should be, wherever it is wrong"
        at = tuple(int(i) for i in np.argwhere(off)[0])
        yield (
            f"on {probe.shows}, {gradient.name}{list(at)} should be {expected[at]:.6g} and is "
            f"{array[at]:.6g}; {off.sum()} of {off.size} entries are wrong\n"
            f"{gradient.name}{list(at)} = {gradient.term(probe.arguments, at)}"
        )
        return


def written_sum(terms: Sequence[tuple[str, str]], most: int = 8) -> str:
    """Write products out in index notation and in numbers: ``a*b + ... = 1*2 + ...``."""
    if not terms:
        return "0, a sum of no terms"
    rest = " + ..." if len(terms) > most else ""
    names = " + ".join(name for name, _ in terms[:most]) + rest
    numbers = " + ".join(number for _, number in terms[:most]) + rest
    return f"{names} = {numbers}"
