"""Backward passes with mistakes of the catalogue, made by its recipes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rot180.diagnose.catalogue import Variant
from rot180.diagnose.convolution import GRADIENTS, Convolution
from rot180.diagnose.layouts import Layout
from rot180.diagnose.recipes import make, with_changes
from rot180.geometry import conv2d_geometry


def backward_with(variants: Sequence[Variant], activation=None, flipped=False, layout=None):
    """A function that makes these mistakes, and is right in the gradients that have none."""
    layout = layout or Layout()

    def backward(x, w, dy, y, bias, stride=1, padding=0, dilation=1, groups=1):
        x, w, dy, y = (
            np.ascontiguousarray(layout.to_ours(form, array))
            for form, array in (("x", x), ("w", w), ("dy", dy), ("dy", y))
        )
        geometry = conv2d_geometry(x.shape, w.shape, stride, padding, dilation, groups)
        kernel = w[::-1, ::-1] if flipped else w
        convolution = Convolution(x, kernel, dy, geometry, bias, activation, y, flipped)
        made = {}
        for gradient in GRADIENTS:
            changes = [v.changes for v in variants if v.gradient == gradient]
            result = make(gradient, with_changes(*changes), convolution)
            if result is None:
                raise NotImplementedError("these sizes leave no pixel")
            values, form = result
            if form == "w" and flipped:
                values = values[::-1, ::-1]
            made[gradient] = values if form == "raw" else layout.to_theirs(form, values)
        return made

    return backward


def activation_for(*variants: Variant) -> str | None:
    """Sigmoid where one of the mistakes is about an activation: it shows all of them."""
    return "sigmoid" if any(v.seen_with == "an activation" for v in variants) else None
