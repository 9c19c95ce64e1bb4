"""Judging the backward pass of a convolution: a function, or arrays that a program wrote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

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
from rot180.diagnose.diagnosis import Diagnosis, Finding
from rot180.diagnose.layouts import Layout
from rot180.diagnose.matching import EPS32, Observation, Received, Search, search
from rot180.geometry import IntOrPair, Padding, conv2d_geometry

Callback = Callable[..., Any]
OPTIONS = ("stride", "padding", "dilation", "groups")


def conv2d_backward(
    fn: Callback,
    layout: str = "NHWC",
    weight_layout: str = "HWIO",
    forward: Callback | None = None,
    *,
    activation: str | None = None,
    ndim: int = 4,
    returns: Sequence[str] = GRADIENTS,
) -> Diagnosis:
    """Judge a backward pass by calling it."""
    form = Layout(layout, weight_layout, ndim)
    try:
        function = understand(fn, ("x", "w", "dy", "stride", "padding"), "the backward")
        return _Judgement(function, form, activation, tuple(returns)).diagnosis()
    except UnusableError as problem:
        return Diagnosis((), f"{_name(fn)} {problem}")


class _Judgement:
    def __init__(
        self, function: Function, layout: Layout, activation: str | None, returns: tuple[str, ...]
    ) -> None:
        self.function, self.layout = function, layout
        self.activation, self.returns = activation, returns
        self.observations: dict[str, list[Observation]] = {}
        self.notes: list[str] = []

    def diagnosis(self) -> Diagnosis:
        accepted = frozenset(name for name in OPTIONS if self.function.takes(name))
        limits = self._limits()
        for probe in probes.within(
            (*probes.SIMPLE, *probes.AWKWARD, *probes.UNEVEN, *probes.SIDED), limits, accepted
        ):
            self._observe(probe)
        findings = tuple(
            _finding(name, self.observations[name])
            for name in GRADIENTS
            if name in self.observations
        )
        return Diagnosis(findings, notes=tuple(self.notes))

    def _limits(self) -> probes.Limits:
        return probes.Limits()

    def _observe(self, probe: probes.Probe) -> None:
        convolution = probe.convolution(self.activation)
        layout = self.layout
        arguments = {
            "x": layout.image_to_theirs(convolution.x),
            "w": layout.weight_to_theirs(convolution.w),
            "dy": layout.image_to_theirs(convolution.dy),
            **probe.options,
        }
        result = gradients(self.function(arguments), self.returns)
        for name, value in result.items():
            array, dtype = number_array(name, value)
            eps = EPS32 if dtype == "float32" else float(np.finfo(float).eps)
            self.observations.setdefault(name, []).append(
                Observation(name, convolution, Received(array, layout, eps))
            )


def conv2d_arrays(
    *,
    x: npt.ArrayLike | None = None,
    w: npt.ArrayLike | None = None,
    dy: npt.ArrayLike | None = None,
    dx: npt.ArrayLike | None = None,
    dw: npt.ArrayLike | None = None,
    db: npt.ArrayLike | None = None,
    y: npt.ArrayLike | None = None,
    bias: npt.ArrayLike | None = None,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    layout: str = "NHWC",
    weight_layout: str = "HWIO",
) -> Diagnosis:
    """Judge gradients that a program wrote."""
    form = Layout(layout, weight_layout, np.ndim(x))
    ours = [
        form.image_to_ours(np.asarray(x, float)),
        form.weight_to_ours(np.asarray(w, float)),
        form.image_to_ours(np.asarray(dy, float)),
    ]
    geometry = conv2d_geometry(ours[0].shape, ours[1].shape, stride, padding, dilation, groups)
    convolution = Convolution(*ours, geometry)
    findings = []
    for name, value in (("dx", dx), ("dw", dw), ("db", db)):
        if value is not None:
            array, dtype = number_array(name, value)
            eps = EPS32 if dtype == "float32" else float(np.finfo(float).eps)
            observation = Observation(name, convolution, Received(array, form, eps))
            findings.append(_finding(name, [observation]))
    return Diagnosis(tuple(findings))


def _finding(name: str, observations: list[Observation]) -> Finding:
    found = search(observations)
    if not found.matches:
        return Finding(name, False)
    best = found.matches[0]
    if not best.variants:
        return Finding(name, True)
    flipped = observations[0].convolution.flipped
    return Finding(name, False, tuple(variant.told(flipped) for variant in best.variants))


def _name(fn: Any) -> str:
    return getattr(fn, "__qualname__", type(fn).__name__)
