"""A convolution's weights and bias under Adam, as a layer updates them from its delta."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rot180 import reference
from rot180.arguments import FloatArray
from rot180.diagnose.adam_steps import Adam
from rot180.diagnose.candidates import Names, Way, Ways
from rot180.diagnose.diagnosis import Mistake

ON_DELTA = Mistake(
    "M26",
    "Adam is applied to delta, and the result is convolved",
    "Adam's averages belong to the parameter: first back-propagation sums delta into dw and db, "
    "then Adam turns these into a step. Applied to delta, m and v are shaped like the output, and "
    "mix pixels of different images.",
    "dw = conv2d_grad_weight(x, dy); w, m, v = adam(w, dw, m, v, t)",
    "adam-and-backprop",
)
MEAN_GRADIENT = Mistake(
    "M8",
    "the gradient is divided by the batch",
    "delta comes from a loss that is a mean, so it is divided by the batch already. The layer only "
    "sums.",
    "db = dy.sum(axis=(0, 1, 2))  # and dw likewise, without / N",
    "bias-gradient",
)

_WAYS = {
    "on delta": Way("target", ON_DELTA),
    "on delta, summed over the batch": Way("target", ON_DELTA),
    "on delta, averaged over the batch": Way("target", ON_DELTA),
    "divided by the batch": Way("batch", MEAN_GRADIENT),
}


@dataclass(frozen=True)
class AdamLayer:
    """Adam on the gradients of a convolution; x and dy of each step are (N, H, W, C), float64."""

    adam: Adam
    xs: Sequence[FloatArray]
    dys: Sequence[FloatArray]
    options: dict[str, Any]

    def ways(self) -> Ways:
        """Return Adam's mistakes, and those of a layer."""
        return {**self.adam.ways(), **_WAYS}

    def variants(self) -> list[Names]:
        """Return what is right in more than one form."""
        return self.adam.variants()

    def with_other_options(self) -> Iterator[tuple[str, AdamLayer]]:
        """Yield it with other options of Adam, and what these are."""
        for what, adam in self.adam.with_other_options():
            yield what, replace(self, adam=adam)

    def gradients(self, kernel: tuple[int, int]) -> list[list[FloatArray]]:
        """Return dw and db of each step."""
        return [
            [
                reference.conv2d_grad_weight(x, dy, kernel, **self.options),
                reference.conv2d_grad_bias(dy),
            ]
            for x, dy in zip(self.xs, self.dys, strict=True)
        ]

    def path(
        self,
        params: Sequence[FloatArray],
        gradients: Sequence[Sequence[FloatArray]],
        names: Names,
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield w and b after each step, with what rounding may do to them."""
        if "divided by the batch" in names:
            batch = self.xs[0].shape[0]
            gradients = [[g / batch for g in grads] for grads in gradients]
        if names.isdisjoint(name for name, way in _WAYS.items() if way.mistake is ON_DELTA):
            yield from self.adam.path(params, gradients, names)
            return
        dys = list(self.dys)
        if "on delta, summed over the batch" in names:
            dys = [dy.sum(axis=0, keepdims=True) for dy in dys]
        elif "on delta, averaged over the batch" in names:
            dys = [dy.mean(axis=0, keepdims=True) for dy in dys]
        yield from self._on_delta(params, dys, names)

    def _on_delta(
        self, params: Sequence[FloatArray], dys: Sequence[FloatArray], names: Names
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Let Adam take steps of zeros by delta; what they move by is convolved with x."""
        w, b = (p.astype(np.float64) for p in params)
        before = error = np.zeros_like(dys[0])
        rounding_w, rounding_b = np.zeros_like(w), np.zeros_like(b)
        adam = replace(self.adam, weight_decay=0.0)
        path = adam.path([before], [[dy] for dy in dys], names)
        for x, (moved, rounding) in zip(self.xs, path, strict=True):
            step = np.broadcast_to(before - moved, self.dys[0].shape)
            # The sums over pixels are rounded as often as they have terms.
            size = np.broadcast_to(np.abs(step) * step.size + rounding + error, step.shape)
            w = w - self._grad_weight(x, step, w)
            b = b - reference.conv2d_grad_bias(step)
            rounding_w = rounding_w + np.abs(w) + self._grad_weight(np.abs(x), size, w)
            rounding_b = rounding_b + np.abs(b) + reference.conv2d_grad_bias(size)
            yield w, rounding_w
            yield b, rounding_b
            before, error = moved, rounding

    def _grad_weight(self, x: FloatArray, dy: FloatArray, w: FloatArray) -> FloatArray:
        return reference.conv2d_grad_weight(x, dy, w.shape[:2], **self.options)
