"""Judging the gradients of a convolution that a program wrote down, in whatever language."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from rot180.arguments import ACTIVATIONS
from rot180.diagnose.callables import UnusableError, number_array
from rot180.diagnose.catalogue import Variant
from rot180.diagnose.convolution import GRADIENTS, Array, Convolution
from rot180.diagnose.diagnosis import Diagnosis, Finding
from rot180.diagnose.facts import is_right
from rot180.diagnose.findings import (
    forward_facts,
    judge,
    precision_notes,
    smallest_facts,
    true_convolution_note,
)
from rot180.diagnose.layouts import Layout, checked, without
from rot180.diagnose.matching import EPS32, EPS64, LARGE, ROOM, Observation, Received, variants_of
from rot180.diagnose.recipes import Made, make, with_changes
from rot180.geometry import Conv2dGeometry, IntOrPair, Padding, conv2d_geometry
from rot180.reference.activation import activate

# What a user who forgot an option may have meant.
LIKELY: list[dict[str, Any]] = [
    {"dilation": dilation, "padding": padding, "stride": stride}
    for dilation in (1, 2)
    for padding in (0, 1, 2, 3, "same", "full")
    for stride in (1, 2, 3, 4)
]


def conv2d_arrays(
    *,
    x: ArrayLike | None = None,
    w: ArrayLike | None = None,
    dy: ArrayLike | None = None,
    dx: ArrayLike | None = None,
    dw: ArrayLike | None = None,
    db: ArrayLike | None = None,
    y: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    layout: str = "NHWC",
    weight_layout: str = "HWIO",
    activation: str | None = None,
    digits: int | None = None,
) -> Diagnosis:
    """Name the mistake in gradients that are given as arrays, with what they were computed from.

    Any of dx, dw and db is judged. dx needs w and dy, and x or its own shape; dw needs x and dy; db
    needs dy. With y the convention is known: whether the forward is a correlation or a true
    convolution.

    One convolution cannot show everything: numbers of one image, of squares, or of as many filters
    as channels hide mistakes. What these numbers cannot tell apart, or cannot show, is said.

    Parameters
    ----------
    x : (N, H, W, C), (H, W, C) or (H, W)
    w : (KH, KW, C / groups, K); (KH, KW) for one channel and filter, three axes for one of either
    dy : (N, OH, OW, K), (OH, OW, K) or (OH, OW), dL/dy
    dx, dw, db : the gradients to judge; db is (K,)
    y : like dy, what the forward returned, with or without the bias
    bias : (K,)
    stride, padding, dilation, groups : as in `rot180.functional.conv2d`
    layout, weight_layout
        Letters of NHWC and HWIO in some order; axes that the arrays do not have are left out of it.
    activation
        "relu", "relu6", "leaky_relu", "sigmoid" or "tanh", where dy is the gradient with respect to
        the activation's output. Needs y, or x and w.
    digits
        Significant digits of numbers that were written as text, else their dtype says it.

    Returns
    -------
    Diagnosis
        `problem` is set where the arrays cannot be judged: one is missing, or the shapes do not fit
        each other.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> x = np.arange(1.0, 10).reshape(3, 3)
    >>> w = np.array([[1.0, 2], [3, 4]])
    >>> dy = np.array([[1.0, -1], [2, 0.5]])
    >>> dx = np.array([[4.0, -1, -3], [10, 7, 0.5], [4, 3, 0.5]])
    >>> print(diagnose.conv2d_arrays(x=x, w=w, dy=dy, dx=dx).mistakes[0].name)
    the kernel is not rotated in dx
    """
    given = {"x": x, "w": w, "dy": dy, "dx": dx, "dw": dw, "db": db, "y": y, "bias": bias}
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    try:
        arrays = {name: _numbers(name, a) for name, a in given.items() if a is not None}
        layouts = checked(layout, weight_layout)
        dump = _Dump(arrays, options, layouts, activation, _written(digits))
        return dump.diagnosis()
    except (UnusableError, ValueError, TypeError) as problem:
        return Diagnosis((), str(problem))


class _Dump:
    """Arrays of one convolution, in our layout, and the gradients as they are."""

    def __init__(
        self,
        arrays: dict[str, tuple[Array, float]],
        options: dict[str, Any],
        layouts: tuple[str, str],
        activation: str | None,
        written: float,
    ) -> None:
        if activation is not None and activation not in ACTIVATIONS:
            raise ValueError(
                f"activation is {activation!r}: expected None, {', '.join(ACTIVATIONS)}"
            )
        self.raw = {name: array for name, (array, _) in arrays.items()}
        self.eps = {name: eps for name, (_, eps) in arrays.items()}
        self.options, self.activation = options, activation
        self.layouts, self.written = layouts, written
        self.notes: list[str] = []
        self._expect_what_is_needed()
        self.layout = _layout(self.raw, *layouts)
        self.convolution = self._read()

    def diagnosis(self) -> Diagnosis:
        """Judge each gradient that is there."""
        for name in GRADIENTS:
            if name in self.raw and not self.convolution.right(name).any():
                raise UnusableError(
                    f"the right {name} is zero everywhere, or empty, so no mistake would show: "
                    "give numbers that are not zero"
                )
        judged = self._judge_output()
        for name in GRADIENTS:
            if name not in self.raw:
                continue
            observation = self._observation(name)
            finding = judge([observation])
            if not finding.right and not finding.mistakes:
                finding = replace(finding, facts=(*finding.facts, *smallest_facts(observation)))
            judged.append(finding)
            if finding.right:
                self.notes += precision_notes([observation])
        self.notes += true_convolution_note(judged, "y" in self.raw)
        self._note_what_would_make_it_right([f.array for f in judged if not f.right])
        self._note_what_cannot_be_seen([f.array for f in judged if f.right and f.array != "y"])
        return Diagnosis(tuple(judged), notes=tuple(self.notes))

    def _expect_what_is_needed(self) -> None:
        here = set(self.raw)
        if not here & {*GRADIENTS}:
            raise UnusableError("no gradient was given: give some of dx, dw and db")
        for gradient, needed in (("dx", {"w", "dy"}), ("dw", {"x", "dy"}), ("db", {"dy"})):
            missing = sorted(needed - here)
            if gradient in here and missing:
                raise UnusableError(f"{gradient} cannot be judged without {' and '.join(missing)}")
        if self.activation is not None and "y" not in here and not {"x", "w"} <= here:
            raise UnusableError(f"{self.activation} has a derivative that needs y, or x and w")
        for name in ("x", "w", "dy", "y", "bias"):
            if name in here and not np.isfinite(self.raw[name]).all():
                raise UnusableError(
                    f"{name} holds NaN or infinity: nothing can be said of what is made from it. "
                    "Write the arrays of a smaller, finite case"
                )

    def _read(self) -> Convolution:
        ours = {
            name: self._to_ours(form, name)
            for name, form in (("x", "x"), ("w", "w"), ("dy", "dy"), ("y", "dy"))
            if name in self.raw
        }
        dy = ours["dy"]
        for name, gradient, form in (("x", "dx", "x"), ("w", "dw", "w")):
            if name not in ours and gradient in self.raw:
                # Its values do not matter to what is judged, only its shape.
                ours[name] = np.zeros_like(self._to_ours(form, gradient))
                self.notes.append(f"{name} was not given: its shape was taken from {gradient}")
        if "x" not in ours or "w" not in ours:
            # Only db is judged: any convolution that makes such an output will do.
            batch, height, width, filters = dy.shape
            ours["x"], ours["w"] = np.zeros((batch, height, width, 1)), np.zeros((1, 1, 1, filters))
            self.options = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
        geometry = self._geometry(ours["x"].shape, ours["w"].shape, dy.shape)
        bias = None
        if "bias" in self.raw:
            bias = self.raw["bias"].reshape(-1)
            if bias.shape != (dy.shape[3],):
                raise UnusableError(
                    f"bias has shape {self.raw['bias'].shape}, expected {(dy.shape[3],)}: "
                    "one number for each filter"
                )
        return Convolution(ours["x"], ours["w"], dy, geometry, bias, self.activation, ours.get("y"))

    def _to_ours(self, form: str, name: str) -> Array:
        array = self.layout.to_ours(form, self.raw[name])
        if array is None:
            axes = {"x": self.layout.x, "dy": self.layout.dy, "w": self.layout.w}[form]
            raise UnusableError(
                f"{name} has shape {self.raw[name].shape}, expected {len(axes)} axes, {axes}"
            )
        return np.ascontiguousarray(array)

    def _geometry(
        self, x: tuple[int, ...], w: tuple[int, ...], dy: tuple[int, ...]
    ) -> Conv2dGeometry:
        problem = None
        try:
            geometry = conv2d_geometry(x, w, **self.options)
            if geometry.output_shape == dy:
                return geometry
            expected = self.layout.shape("dy", geometry.output_shape)
            told = ", ".join(f"{name} {value}" for name, value in self.options.items())
            problem = (
                f"dy has shape {self.raw['dy'].shape}, and the output of this convolution "
                f"{expected} ({told})"
            )
        except ValueError as error:
            problem = str(error)
        raise UnusableError(problem + self._what_would_fit())

    def _what_would_fit(self) -> str:
        """Say with which layouts, or which stride and padding, the shapes would fit."""
        if not {"x", "w"} <= set(self.raw):
            return ""
        layouts = [self.layouts, *itertools.product(("NHWC", "NCHW"), ("HWIO", "OIHW", "OHWI"))]
        fits = []
        for layout, weight_layout in dict.fromkeys(layouts):
            for other in ({}, *LIKELY):
                options = {**self.options, **other}
                if self._fits(layout, weight_layout, options):
                    told = [
                        f"{name}={value!r}"
                        for name, value in options.items()
                        if value != self.options[name]
                    ]
                    if (layout, weight_layout) != self.layouts:
                        told += [f"layout={layout!r}", f"weight_layout={weight_layout!r}"]
                    fits.append(", ".join(told))
            fits = list(dict.fromkeys(fits))
            if fits:
                break
        return f". It would fit with {'; or '.join(fits[:3])}" if fits else ""

    def _fits(self, layout: str, weight_layout: str, options: dict[str, Any]) -> bool:
        try:
            reading = _layout(self.raw, layout, weight_layout)
            x, w, dy = (reading.to_ours(form, self.raw[form]) for form in ("x", "w", "dy"))
            if x is None or w is None or dy is None:
                return False
            return conv2d_geometry(x.shape, w.shape, **options).output_shape == dy.shape
        except (UnusableError, ValueError):
            return False

    def _judge_output(self) -> list[Finding]:
        """Find the convention that y shows; y may or may not have the bias in it."""
        if "y" not in self.raw or not {"x", "w"} <= set(self.raw):
            return []
        given = self.convolution
        for convolution in (given, given.turned()):
            what = self._makes(convolution)
            if what is None:
                continue
            if convolution is not given:
                self.notes.append(
                    "the forward is a true convolution (the kernel turned), so dx needs the kernel "
                    "as it is and dw is turned: judged by that"
                )
            if what == "argument":
                self.notes.append(f"y was taken for what goes into the {self.activation}")
            self.convolution = replace(convolution, y=given.y if what == "output" else None)
            return [Finding("y", True)]
        observation = Observation("y", replace(given, y=None), self._received("y"))
        return [Finding("y", False, (), forward_facts([observation]))]

    def _makes(self, convolution: Convolution) -> str | None:
        """Say what y is of this convolution: the "output", or the activation's "argument"."""
        y = self.layout.to_ours("dy", self.raw["y"])
        z = convolution.correlation
        if y is None or y.shape != z.shape:
            return None
        observation = Observation("y", convolution, self._received("y"))
        candidates = {"output": activate(z, self.activation), "argument": z}
        if self.activation is None and convolution.bias is None:
            # It may have a bias in it that was not given.
            candidates = {"output": z + np.median(y - z, axis=(0, 1, 2))}
        room = ROOM * observation.levels[-1]
        fits = (n for n, c in candidates.items() if observation.misfit(Made(c, "dy")) <= room)
        return next(fits, None)

    def _observation(self, name: str) -> Observation:
        return Observation(name, self.convolution, self._received(name))

    def _received(self, name: str) -> Received:
        flipped = name == "dw" and self.convolution.flipped
        return Received(self.raw[name], self.layout, self.eps[name], flipped, self.written)

    def _note_what_would_make_it_right(self, wrong: list[str]) -> None:
        """Say with which other stride or padding of the same output dx and dw would be right."""
        judged = [name for name in ("dx", "dw") if name in self.raw]
        given, large = self.convolution, self.convolution.x.size * self.convolution.w.size > LARGE
        if not judged or not set(judged) <= set(wrong) or self.activation or large:
            return
        for other in LIKELY:
            try:
                geometry = conv2d_geometry(given.x.shape, given.w.shape, **self.options | other)
            except ValueError:
                continue
            if geometry == given.geometry or geometry.output_shape != given.dy.shape:
                continue
            convolution = replace(given, geometry=geometry, y=None)
            if all(is_right(Observation(n, convolution, self._received(n))) for n in judged):
                told = [f"{n} {v}" for n, v in other.items() if v != self.options[n]]
                self.notes.append(
                    f"{' and '.join(judged)} {'are' if len(judged) > 1 else 'is'} right with "
                    f"{', '.join(told)}: was that the forward's?"
                )
                return

    def _note_what_cannot_be_seen(self, right: list[str]) -> None:
        """Say what these sizes hide, where all is right."""
        if self.convolution.x.size * self.convolution.w.size > LARGE:
            return  # large arrays show what there is
        needs: dict[str, None] = {}
        for name in right:
            observation = self._observation(name)
            for variant in variants_of(name):
                if _hidden(variant, observation):
                    needs[variant.seen_with] = None
        if needs:
            self.notes.append(
                "these sizes cannot show every mistake: try numbers with " + "; ".join(needs)
            )


def _hidden(variant: Variant, observation: Observation) -> bool:
    """Whether a mistake that this convolution might have would not show in it."""
    geometry = observation.convolution.geometry
    unused = {
        "an activation": observation.convolution.activation is None,
        "a stride above 1": geometry.stride == (1, 1),
        "a remainder: (H + top + bottom - KH) % s > 0": geometry.stride == (1, 1),
        "a dilation above 1": geometry.dilation == (1, 1),
        "several groups": geometry.groups == 1,
        "sh != sw": geometry.stride == (1, 1),
    }
    if (
        unused.get(variant.seen_with)
        or "padding" in variant.seen_with
        or "top" in variant.seen_with
    ):
        return False
    recipe = with_changes(variant.changes)
    if recipe is None:
        return False
    made = make(variant.gradient, recipe, observation.convolution)
    return observation.misfit(made) <= ROOM * observation.levels[-1]


def _numbers(name: str, value: ArrayLike) -> tuple[Array, float]:
    try:
        array, dtype = number_array(name, value)
    except UnusableError:
        raise UnusableError(f"{name} does not hold real numbers") from None
    eps = EPS32 if dtype in ("float32", "float16") else EPS64
    return array, eps


def _written(digits: int | None) -> float:
    """Return the relative rounding of that many digits; fewer than five tell too little."""
    return 0.0 if digits is None else 10.0 ** (1 - max(digits, 5))


def _layout(raw: dict[str, Array], image: str, weight: str) -> Layout:
    """Leave the axes out of the layouts that the arrays do not have."""
    missing = {4: "", 3: "N", 2: "NC"}
    axes: dict[str, str] = {}
    for form, names in (("x", ("x", "dx")), ("dy", ("dy", "y"))):
        array = next((raw[name] for name in names if name in raw), raw["dy"])
        if array.ndim not in missing:
            raise UnusableError(
                f"{names[0]} has shape {array.shape}, expected 4 axes (a batch), 3 (one image) "
                "or 2 (one channel of one image)"
            )
        axes[form] = without(image, missing[array.ndim])
    w = raw.get("w", raw.get("dw"))
    letters = weight
    if w is not None and w.ndim < 4:
        source = raw.get("x", raw.get("dx", raw["dy"]))
        if w.ndim == 2:
            letters = without(weight, "IO")
        elif w.ndim == 3 and _one_channel(source, axes["x"]):
            letters = without(weight, "I")
        elif w.ndim == 3 and _one_channel(raw["dy"], axes["dy"]):
            letters = without(weight, "O")
        else:
            raise UnusableError(
                f"w has shape {w.shape}, expected four axes, {weight} (I is C / groups)"
            )
    return Layout(axes["x"], letters, axes["dy"])


def _one_channel(array: Array, axes: str) -> bool:
    return "C" not in axes or array.shape[axes.index("C")] == 1
