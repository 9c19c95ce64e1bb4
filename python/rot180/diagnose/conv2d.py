"""Judging the backward pass of a convolution by calling it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from rot180.arguments import ACTIVATIONS, float_dtype
from rot180.diagnose import probes
from rot180.diagnose.callables import (
    Function,
    RaisedError,
    UnusableError,
    gradients,
    number_array,
    understand,
)
from rot180.diagnose.convolution import GRADIENTS, Array, Convolution
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.facts import is_right
from rot180.diagnose.findings import (
    forward_facts,
    judge,
    precision_notes,
    smallest_facts,
    true_convolution_note,
)
from rot180.diagnose.layouts import Layout, checked, without
from rot180.diagnose.matching import EPS32, EPS64, ROOM, Observation, Received
from rot180.diagnose.probes import Limits, Probe
from rot180.diagnose.recipes import Made

OPTIONS = ("stride", "padding", "dilation", "groups")
USUAL = {
    "stride": "stride 1",
    "padding": "no padding",
    "dilation": "dilation 1",
    "groups": "1 group",
}

# Calls that may be spent on finding a smaller probe that fails.
MOST_CALLS_TO_SHRINK = 300

NOT_ZEROED = Mistake(
    "M21",
    "the gradients are not zeroed between calls",
    "A second call with the same arguments returned twice what the first did. "
    "Each step needs the gradient of its own batch alone.",
    "dw = np.zeros_like(w)  # at the beginning of every backward",
    "adam-and-backprop",
)


def conv2d_backward(
    fn: Callable[..., Any],
    layout: str = "NHWC",
    weight_layout: str = "HWIO",
    forward: Callable[..., Any] | None = None,
    *,
    activation: str | None = None,
    ndim: int = 4,
    returns: Sequence[str] = GRADIENTS,
    dtype: DTypeLike = np.float64,
) -> Diagnosis:
    """Call a convolution's backward pass on small probes, and name the mistake it has.

    The function's parameters are found by their names, in any order; capitals and underscores do
    not matter, and each has more names than these:

    ==================================  =========================================================
    x, input, image                     the input
    w, weight, kernel, filters          the kernels
    dy, dout, grad, grad_output, delta  dL/dy, from the layer that follows
    stride, padding, dilation           ints; pairs for rows and columns where it takes them
    groups                              an int
    b, bias                             (K,)
    y, out / z                          the forward's output, after / before the activation
    activation                          its name
    input_shape, kernel_size            of x, and (KH, KW)
    ==================================  =========================================================

    Those that it does not have are not asked for: without ``stride`` it is judged at stride 1
    alone. It returns some of dx, dw, db: as a dict with these keys, as a tuple in the order of
    `returns`, as an object with these attributes, or one array; None for what it does not compute.

    The probes are small and go from simple to awkward (H != W, KH != KW, remainder rows, C != K,
    N > 1, uneven strides and padding). What the function refuses by raising is left out and said.

    Parameters
    ----------
    fn
        The backward pass. It is called in this process; its inputs are copies.
    layout
        Of x, dy and dx: the letters NHWC in some order.
    weight_layout
        Of w and dw: the letters HWIO in some order; I counts the channels of one group.
    forward
        The forward pass, ``forward(x, w, ...)``. It tells a correlation from a true convolution,
        and the backward is judged as the gradient of the one it is. Without it the forward is
        taken for a cross-correlation.
    activation
        "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or "tanh", where dy is the gradient
        with respect to the activation's output.
    ndim
        Axes of an image: 4 for a batch, 3 for one image, 2 for one image of one channel (with a
        kernel of two axes).
    returns
        What a tuple's entries are, in order; or the name of a single array.
    dtype
        Of the arrays that the function is given, float64 or float32.

    Returns
    -------
    Diagnosis
        `problem` is set where the function cannot be judged: it raises on every probe, or on one
        without saying so by a ``raise`` of its own; returns what is no gradient; or has parameters
        that are not understood.

    Raises
    ------
    ValueError, TypeError
        When layout, weight_layout, activation, ndim, returns or dtype is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> def backward(x, w, dy):
    ...     dx = np.zeros_like(x)
    ...     dw = np.zeros_like(w)
    ...     KH, KW = w.shape[:2]
    ...     for i, j in np.ndindex(dy.shape[1:3]):
    ...         window = np.s_[:, i : i + KH, j : j + KW]
    ...         dx[window] += np.einsum("nk,rsck->nrsc", dy[:, i, j], w[::-1, ::-1])
    ...         dw += np.einsum("nrsc,nk->rsck", x[window], dy[:, i, j])
    ...     return dx, dw
    >>> diagnosis = diagnose.conv2d_backward(backward)
    >>> print(diagnosis.mistakes[0].code, diagnosis.mistakes[0].name)
    M1 the kernel is not rotated in dx
    """
    layout, weight_layout = checked(layout, weight_layout)
    if activation is not None and activation not in ACTIVATIONS:
        raise ValueError(f"activation is {activation!r}: expected None, {', '.join(ACTIVATIONS)}")
    if ndim not in (2, 3, 4):
        raise ValueError(
            f"ndim is {ndim!r}: expected 4 (a batch), 3 (one image) or 2 (one channel)"
        )
    names = (returns,) if isinstance(returns, str) else tuple(returns)
    if not names or not set(names) <= set(GRADIENTS) or len(set(names)) < len(names):
        raise ValueError(f"returns is {returns!r}: expected some of {GRADIENTS}, each once")
    missing = {4: "", 3: "N", 2: "NC"}[ndim]
    image = without(layout, missing)
    form = Layout(image, without(weight_layout, "IO" if ndim == 2 else ""), image)
    limits = Limits(one_image=ndim < 4, one_channel=ndim == 2)
    try:
        judgement = _Judgement(fn, forward, form, limits, activation, names, float_dtype(dtype))
        return judgement.diagnosis()
    except UnusableError as problem:
        return Diagnosis((), str(problem))


class _Judgement:
    """One function on all probes."""

    def __init__(
        self,
        fn: Callable[..., Any],
        forward: Callable[..., Any] | None,
        layout: Layout,
        limits: Limits,
        activation: str | None,
        returns: tuple[str, ...],
        dtype: np.dtype[Any],
    ) -> None:
        self.name = _name(fn)
        self.backward = understand(fn, "backward", ("x", "w", "dy"))
        self.forward = None if forward is None else understand(forward, "forward", ("w", "x"))
        self.layout, self.limits, self.activation = layout, limits, activation
        self.returns, self.dtype = returns, dtype
        self.flipped = False
        self.pairs = False  # whether stride, padding and dilation are given as pairs
        self.observations: dict[str, list[tuple[Probe, Observation]]] = {}
        self.changed: list[str] = []
        self.no_arrays: dict[str, str] = {}  # types of gradients that are none
        self.whole: dict[str, str] = {}  # integer dtypes of gradients
        self.notes: list[str] = []

    def diagnosis(self) -> Diagnosis:
        """Call the function on every probe that it takes, and judge each gradient."""
        kept = self._kept_from_call_to_call(self._find_limits())
        if kept:
            findings = tuple(Finding(name, False, (NOT_ZEROED,)) for name in kept)
            return Diagnosis(findings, notes=("nothing else was judged: mend this first",))
        judged = self._judge_forward()
        problem = self._observe_all()
        self._expect_the_order_that_was_said()
        for name in GRADIENTS:
            if name in self.observations:
                judged.append(self._judge_gradient(name))
        for parameter in dict.fromkeys(self.changed):
            judged.append(_changed(parameter))
        self._note_what_was_not_judged()
        self.notes += true_convolution_note(judged, self.forward is not None)
        return Diagnosis(tuple(judged), problem, tuple(self.notes))

    def _find_limits(self) -> dict[str, Received]:
        """Find the widest kind of probe that the function takes; return what it made of that."""
        refused: RaisedError | None = None
        for limits in probes.LIMITS:
            tried = self.limits.also(limits)
            probe = tried.within(probes.WIDEST)
            try:
                first = self._call(self._convolution(probe), probe)
            except RaisedError as error:
                if refused is None and self._takes_pairs_only(probe):
                    return self._find_limits()
                if refused is None and not error.refused:
                    self._expect_no_other_layout(probe, error)
                refused = refused or error
                last, simplest = error, probe
                continue
            if refused is not None:
                self.notes.append(f"judged with {limits} only; with others it {refused}")
            self.limits = tried
            return first
        raise UnusableError(
            f"{self.name} {last}. That was on the simplest probe: {simplest}. Call it with such "
            "arrays yourself, and mend that first"
        )

    def _takes_pairs_only(self, probe: Probe) -> bool:
        """Find out whether the function unpacks its stride and padding, and give it pairs then."""
        if self.pairs or not any(map(self.backward.takes, ("stride", "padding", "dilation"))):
            return False
        self.pairs = True
        try:
            self._call(self._convolution(probe), probe)
        except UnusableError:
            self.pairs = False
        return self.pairs

    def _expect_no_other_layout(self, probe: Probe, error: RaisedError) -> None:
        """Refuse a function that raised, and does not in another layout that is in use."""
        said, convolution = self.layout, self._convolution(probe)
        missing = "".join(axis for axis in "NC" if axis not in said.x)
        layouts = (("NCHW", "OIHW"), ("NHWC", "HWIO"), ("NCHW", "HWIO"))
        for (image, weight), self.pairs in itertools.product(layouts, (False, True)):
            axes = without(image, missing)
            self.layout = Layout(axes, weight if "I" in said.w else said.w, axes)
            try:
                made = self._call(convolution, probe)
            except UnusableError:
                continue
            if all(Observation(n, convolution, r).has_the_right_shape for n, r in made.items()):
                raise UnusableError(
                    f"{self.name} {error}. It does not with layout {image} and weight layout "
                    f"{weight}: pass these"
                )
        self.layout, self.pairs = said, False

    @np.errstate(all="ignore")
    def _kept_from_call_to_call(self, first: dict[str, Received]) -> list[str]:
        """Return the gradients that grow by the same amount with each equal call."""
        probe = self.limits.within(probes.WIDEST)
        second, third = (self._call(self._convolution(probe), probe) for _ in range(2))
        kept = []
        for name in first:
            a, b, c = (
                made[name].raw if name in made else np.empty(0) for made in (first, second, third)
            )
            if a.shape == b.shape == c.shape and np.allclose(a, b, equal_nan=True):
                continue
            if a.shape == b.shape == c.shape and np.allclose(b - a, c - b):
                kept.append(name)
                continue
            raise UnusableError(
                f"{self.name} returns another {name} for the same arguments when it is called "
                "again: it keeps something from call to call, draws random numbers, or reads "
                "memory that was not set (np.empty)"
            )
        return kept

    def _judge_forward(self) -> list[Finding]:
        """Find out whether the forward is a correlation, and whether it is right."""
        if self.forward is None:
            return []
        observations: dict[bool, list[Observation]] = {False: [], True: []}
        for probe in self._probes(self.forward):
            try:
                y = self._output(probe)
            except RaisedError as error:
                if self._what_few_take(probe) or error.refused:
                    continue
                raise UnusableError(
                    f"the forward, {_name(self.forward.call)}, {error}. That was with {probe}"
                ) from None
            for flipped, seen in observations.items():
                # The same kernel, as the user stores it, is another one to a true convolution.
                convolution = self._convolution(probe)
                if flipped:
                    convolution = convolution.turned()
                seen.append(Observation("y", convolution, y, str(probe)))
        right = {flipped: sum(map(_right_output, o)) for flipped, o in observations.items()}
        self.flipped = right[True] > right[False]
        judged = observations[self.flipped]
        if self.flipped:
            self.notes.append(
                "the forward is a true convolution (the kernel turned), so dx needs the kernel as "
                "it is and dw is turned: judged by that"
            )
        if all(map(_right_output, judged)):
            return [Finding("y", True)]
        return [Finding("y", False, (), forward_facts(judged))]

    def _observe_all(self) -> str | None:
        """Call the function on all probes; return what it cannot do and does not refuse."""
        problem = None
        refused: dict[str, RaisedError] = {}
        uneven: dict[str, None] = {}
        for probe in self._probes(self.backward):
            try:
                self._observe(probe)
            except RaisedError as error:
                if few := self._what_few_take(probe):
                    uneven[few] = None
                elif error.refused:
                    refused.setdefault(probe.told_options, error)
                elif problem is None:
                    problem = f"{self.name} {error}. That was with {probe}"
        for few in uneven:
            self.notes.append(f"not judged with {few}, which raised an error")
        if refused:
            first, *others = refused
            also = f" (nor with {len(others)} others)" if others else ""
            self.notes.append(f"not judged with {first}{also}: it {refused[first]}")
        return problem

    def _expect_the_order_that_was_said(self) -> None:
        """Refuse results that are right, but in another order than `returns` says."""
        order = []
        for name in self.returns:
            seen = self.observations.get(name, [])
            fits = [
                other
                for other in GRADIENTS
                if seen and all(is_right(replace(o, gradient=other)) for _, o in seen)
            ]
            order.append(fits[0] if len(fits) == 1 else name)
        if len(order) > 1 and tuple(order) != self.returns and len(set(order)) == len(order):
            raise UnusableError(
                f"{self.name} returns {_list(order, 'and')} in this order, and "
                f"{_list(self.returns, 'and')} was said: pass returns={tuple(order)}, or "
                f"--returns {','.join(order)}"
            )

    def _judge_gradient(self, name: str) -> Finding:
        observed = self.observations[name]
        observations = [observation for _, observation in observed]
        finding = judge(observations)
        if name in self.whole:
            # The probes hold whole numbers, so their gradients do not show it.
            fact = (
                f"{name} is an array of {self.whole[name]}, which cuts the fractions off: make it "
                f"an array of floats, {name} = np.zeros(shape)"
            )
            return replace(finding, right=False, facts=(*finding.facts, fact))
        if finding.right:
            self.notes += precision_notes(observations)
        if finding.right or finding.mistakes:
            return finding
        probe, wrong = next((p, o) for p, o in observed if not is_right(o))
        smallest = self._shrunk(name, probe, wrong)
        return replace(finding, facts=(*finding.facts, *smallest_facts(smallest)))

    def _shrunk(self, name: str, probe: Probe, wrong: Observation) -> Observation:
        """Return what was made of a smaller probe that fails as well."""
        calls = 0
        smaller = iter(probes.smaller(probe))
        while calls < MOST_CALLS_TO_SHRINK:
            candidate = next(smaller, None)
            if candidate is None:
                break
            candidate = self.limits.within(candidate)
            calls += 1
            try:
                convolution = self._convolution(candidate)
                received = self._call(convolution, candidate).get(name)
            except (UnusableError, ValueError):
                continue
            if received is None:
                continue
            observation = Observation(name, convolution, received, str(candidate))
            if not is_right(observation) and candidate != probe:
                probe, wrong, smaller = candidate, observation, iter(probes.smaller(candidate))
        return wrong

    def _probes(self, function: Function) -> Iterator[Probe]:
        accepted = frozenset(name for name in OPTIONS if function.takes(name))
        if function is not self.backward:
            accepted &= frozenset(name for name in OPTIONS if self.backward.takes(name))
        return probes.within(probes.ALL, self.limits, accepted)

    def _what_few_take(self, probe: Probe) -> str | None:
        """Say what it is about a probe that a function may well refuse; None of most probes."""
        for some, what in (
            (
                probes.ROWS_AND_COLUMNS,
                "another stride, padding or dilation for columns than for rows",
            ),
            (probes.SIDES, "another padding before than after"),
        ):
            if probe in map(self.limits.within, some):
                return what
        return None

    def _observe(self, probe: Probe) -> None:
        convolution = self._convolution(probe)
        for name, received in self._call(convolution, probe).items():
            observation = Observation(name, convolution, received, str(probe))
            self.observations.setdefault(name, []).append((probe, observation))

    def _convolution(self, probe: Probe) -> Convolution:
        functions = (self.backward,) if self.forward is None else (self.backward, self.forward)
        bias = any(function.takes("bias") for function in functions)
        return probe.convolution(self.activation, self.flipped, bias)

    def _call(self, convolution: Convolution, probe: Probe) -> dict[str, Received]:
        """Call the backward; return its gradients."""
        result, changed = self.backward(self._arguments(convolution, probe))
        self.changed += changed
        try:
            returned = gradients(result, self.returns)
            arrays = {name: number_array(name, value) for name, value in returned.items()}
        except UnusableError as problem:
            raise UnusableError(f"{self.name} {problem}") from None
        self.no_arrays |= {
            name: type(returned[name]).__name__
            for name, (_, dtype) in arrays.items()
            if dtype is None
        }
        self.whole |= {n: dtype for n, (_, dtype) in arrays.items() if dtype and "int" in dtype}
        return {name: self._received(*made) for name, made in arrays.items()}

    def _output(self, probe: Probe) -> Received:
        assert self.forward is not None
        result, changed = self.forward(self._arguments(self._convolution(probe), probe))
        self.changed += changed
        if isinstance(result, tuple) and result:  # a cache is often returned beside it
            result = result[0]
        return self._received(*number_array("y", result))

    def _received(self, array: Array, dtype: str | None) -> Received:
        eps = EPS32 if "float32" in (dtype, self.dtype.name) else EPS64
        return Received(array, self.layout, eps, self.flipped)

    def _arguments(self, convolution: Convolution, probe: Probe) -> dict[str, Any]:
        layout, geometry = self.layout, convolution.geometry
        kernel = convolution.w[::-1, ::-1] if convolution.flipped else convolution.w
        arrays = {
            "x": layout.to_theirs("x", convolution.x),
            "w": layout.to_theirs("w", kernel),
            "dy": layout.to_theirs("dy", convolution.dy),
            "y": layout.to_theirs("dy", convolution.output),
            "z": layout.to_theirs("dy", convolution.correlation),
            "bias": convolution.bias,
        }
        return {
            **{n: a if a is None else a.astype(self.dtype) for n, a in arrays.items()},
            **(_in_pairs(probe.options) if self.pairs else probe.options),
            "activation": self.activation,
            "input_shape": layout.shape("x", geometry.input_shape),
            "kernel_size": geometry.weight_shape[:2],
        }

    def _note_what_was_not_judged(self) -> None:
        unknown = [name for name in OPTIONS if not self.backward.takes(name)]
        if unknown:
            usual = _list([USUAL[name] for name in unknown], "and")
            self.notes.append(f"{self.name} takes no {_list(unknown)}: judged with {usual} only")
        for name, kind in self.no_arrays.items():
            self.notes.append(f"{name} is returned as a {kind}: return a NumPy array")


def _right_output(observation: Observation) -> bool:
    """Whether a forward returned y, or z where there is an activation."""
    before = Made(observation.convolution.correlation, "dy")
    room = ROOM * observation.levels[-1]
    return is_right(observation) or observation.misfit(before) <= room


def _in_pairs(options: dict[str, Any]) -> dict[str, Any]:
    return {
        name: (value, value) if isinstance(value, int) and name != "groups" else value
        for name, value in options.items()
    }


def _changed(parameter: str) -> Finding:
    return Finding(
        parameter,
        False,
        facts=(
            f"{parameter} is changed in place: the caller's array is overwritten. "
            f"Work on a copy: {parameter} = {parameter}.copy()",
        ),
    )


def _list(names: Sequence[str], last: str = "or") -> str:
    *most, end = names
    return f"{', '.join(most)} {last} {end}" if most else end


def _name(fn: Any) -> str:
    return str(getattr(fn, "__qualname__", type(fn).__name__))
