"""How a gradient is made, rightly or with some of its steps wrong.

A recipe names what is done at each step; the default of each field is right. A mistake changes a
field or two, so mistakes that change different fields can be made together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from rot180.diagnose.convolution import Array, Convolution
from rot180.diagnose.meetings import Meetings, axes, matrix

RIGHT_MEETINGS = Meetings()


class Made(NamedTuple):
    """A gradient that a recipe made.

    `form` says which axes it has: those of "x", of "w", or whatever there are ("raw").
    """

    values: Array
    form: str


@dataclass(frozen=True)
class Recipe:
    """The steps of any of the three gradients; each has those fields that apply to it.

    Attributes
    ----------
    derivative : of the activation, taken "once", "never", "twice"; or at a wrong argument, see
        `Convolution.derivative`
    dy_read : dy is read "as is"; or NCHW is read as if it lay in memory like NHWC ("nchw"), or the
        other way round ("nhwc")
    meetings, turned_rows, turned_columns : see `Meetings`; turned counts taps from the other end
    channels : filters read "all" channels, or filter k channel "k mod C"
    group_channels, group_filters : a group has a "block" of channels, those of the "next" group, of
        the "first", or every groups-th: "interleaved"
    reversed : axes of the kernel that are reversed besides space: "", "i", "o" or "io"
    kernel_read : the kernel is read "as is"; or with two axes exchanged, rows and columns
        ("hw"), channels and filters as HWIO or OIHW lies in memory ("io", "oi")
    filters : dx is the "sum" over filters, their "mean"; of the "first" or "last" one alone; or
        they are kept "apart"; or dy and the kernel are "each summed" over them
    images : "all", or the "last" or "first" of the batch
    positions, batch, taps, inputs : powers of OH*OW, N, KH*KW and C / groups by which the gradient
        is multiplied
    sign : 1 or -1
    written : the result is written "as is", or with two axes exchanged: "hw" as a whole, "hw read"
        and "hw written" in memory that has the right shape, and likewise "io", "io read", "oi read"
    form : what is computed at all: "right", or what `_other_form` and `_db` know
    """

    derivative: str = "once"
    dy_read: str = "as is"
    meetings: Meetings = RIGHT_MEETINGS
    turned_rows: bool = True
    turned_columns: bool = True
    channels: str = "all"
    group_channels: str = "block"
    group_filters: str = "block"
    reversed: str = ""
    kernel_read: str = "as is"
    filters: str = "sum"
    images: str = "all"
    positions: int = 0
    batch: int = 0
    taps: int = 0
    inputs: int = 0
    sign: int = 1
    written: str = "as is"
    form: str = "right"


RIGHT = Recipe()

# What is still done where something else is computed.
WITH_ANY_FORM = {"form", "derivative", "positions", "batch", "sign"}


def with_changes(*changes: dict[str, Any]) -> Recipe | None:
    """Return a recipe with all these changes; None where they do not go together.

    A change to a field of `Meetings` is named "meetings.step" and so on.
    """
    values: dict[str, Any] = {}
    for change in changes:
        for name, value in change.items():
            if name in values:
                return None
            values[name] = value
    if "form" in values and not set(values) <= WITH_ANY_FORM:
        return None
    inner = {name[9:]: value for name, value in values.items() if name.startswith("meetings.")}
    outer = {name: value for name, value in values.items() if not name.startswith("meetings.")}
    return Recipe(meetings=Meetings(**inner), **outer)


def make(gradient: str, recipe: Recipe, convolution: Convolution) -> Made | None:
    """Compute dx, dw or db as the recipe says; None where it makes no sense for these sizes."""
    made = {"dx": _dx, "dw": _dw, "db": _db}[gradient](recipe, convolution)
    if made is None:
        return None
    return Made(made.values * factor(recipe, convolution), made.form)


def factor(recipe: Recipe, convolution: Convolution) -> float:
    """Return what the recipe multiplies the gradient by."""
    _, out_height, out_width, _ = convolution.geometry.output_shape
    kernel_h, kernel_w, channels, _ = convolution.geometry.weight_shape
    return float(
        recipe.sign
        * float(max(1, out_height * out_width)) ** recipe.positions
        * float(max(1, convolution.images)) ** recipe.batch
        * float(kernel_h * kernel_w) ** recipe.taps
        * float(channels) ** recipe.inputs
    )


def _delta(recipe: Recipe, convolution: Convolution) -> Array:
    if recipe.derivative == "once":
        delta = convolution.delta
    elif recipe.derivative == "never":
        delta = convolution.dy
    elif recipe.derivative == "twice":
        delta = convolution.delta * convolution.derivative()
    else:
        delta = convolution.dy * convolution.derivative(recipe.derivative)
    if recipe.dy_read == "nchw":
        delta = delta.transpose(0, 3, 1, 2).reshape(delta.shape)
    elif recipe.dy_read == "nhwc":
        batch, rows, columns, filters = delta.shape
        delta = delta.reshape(batch, filters, rows, columns).transpose(0, 2, 3, 1)
    if recipe.images == "last" and len(delta) > 1:
        delta = np.concatenate([np.zeros_like(delta[:-1]), delta[-1:]])
    elif recipe.images == "first" and len(delta) > 1:
        delta = np.concatenate([delta[:1], np.zeros_like(delta[1:])])
    return delta


def _met(recipe: Recipe, convolution: Convolution) -> tuple[Array, Array] | None:
    rows, columns = axes(convolution.geometry)
    across = matrix(recipe.meetings, rows, columns, recipe.turned_rows)
    along = matrix(recipe.meetings, columns, rows, recipe.turned_columns)
    return None if across is None or along is None else (across, along)


def _dx(recipe: Recipe, convolution: Convolution) -> Made | None:
    delta = _delta(recipe, convolution)
    if recipe.form != "right":
        return _other_form(recipe, convolution, delta)
    met = _met(recipe, convolution)
    w = _kernel(recipe, convolution)
    if met is None or w is None:
        return None
    if recipe.filters == "apart":
        values = np.einsum("rpi,sqj,nijk,rsck->npqck", *met, delta, w, optimize=True)
        return Made(values, "raw")
    if recipe.filters in ("first", "last"):
        chosen = 0 if recipe.filters == "first" else -1
        delta, w = delta[..., chosen, np.newaxis], w[..., chosen, np.newaxis]
    elif recipe.filters == "each summed":
        delta, w = delta.sum(axis=3, keepdims=True), w.sum(axis=3, keepdims=True)
    # Windows of each output first, then the sum of windows: along columns, then across rows.
    windows = np.tensordot(delta, w, (3, 3))  # n i j r s c
    summed = np.tensordot(windows, met[1], ((2, 4), (2, 0)))  # n i r c q
    values = np.tensordot(summed, met[0], ((1, 2), (2, 0))).transpose(0, 3, 2, 1)  # n c q p
    if recipe.filters == "mean":
        values = values / convolution.geometry.output_shape[3]
    return Made(_exchanged_pixels(recipe.written, values), "x")


def _dw(recipe: Recipe, convolution: Convolution) -> Made | None:
    key = (recipe.meetings, recipe.derivative, recipe.dy_read, recipe.images)
    if key not in convolution.sums_over_pixels:
        sums = _sums_over_pixels(recipe, convolution)
        if sums is None:
            return None
        convolution.sums_over_pixels[key] = sums
    dense = convolution.sums_over_pixels[key]
    # A tap that is counted from the wrong end writes at the other end.
    dense = dense[:: 1 if recipe.turned_rows else -1, :: 1 if recipe.turned_columns else -1]
    geometry = convolution.geometry
    channels = _group_channels(recipe, convolution)
    if recipe.channels == "k mod C":
        own = np.arange(dense.shape[3]) % dense.shape[2]
        dense = dense * (np.arange(dense.shape[2])[:, np.newaxis] == own)
    dw = np.take_along_axis(dense, channels[np.newaxis, np.newaxis], axis=2)
    dw = dw[:, :, :: -1 if "i" in recipe.reversed else 1, :: -1 if "o" in recipe.reversed else 1]
    return _exchanged_weight(recipe.written, dw, geometry.weight_shape)


def _sums_over_pixels(recipe: Recipe, convolution: Convolution) -> Array | None:
    """What each tap, channel and filter met: (KH, KW, C, K), for all channels of x."""
    rows, columns = axes(convolution.geometry)
    across, along = matrix(recipe.meetings, rows, columns), matrix(recipe.meetings, columns, rows)
    x = convolution.x
    if across is None or along is None or (across.shape[1], along.shape[1]) != x.shape[1:3]:
        return None
    seen = np.tensordot(x, across, (1, 1))  # n q c r i
    seen = np.tensordot(seen, along, (1, 1))  # n c r i s j
    delta = _delta(recipe, convolution)
    sums = np.tensordot(seen, delta, ((0, 3, 5), (0, 1, 2)))  # c r s k
    return sums.transpose(1, 2, 0, 3)


def _db(recipe: Recipe, convolution: Convolution) -> Made | None:
    delta = _delta(recipe, convolution)
    kept = {
        "right": (0, 1, 2),
        "one for each image": (1, 2),
        "one for each pixel": (0,),
        "one for each row": (0, 2, 3),
        "one for each column": (0, 1, 3),
        "one for each whole image": (1, 2, 3),
        "not summed at all": (),
    }
    if recipe.form in kept:
        values = delta.sum(axis=kept[recipe.form])
    elif recipe.form == "one scalar":
        return Made(delta.sum(keepdims=True)[0, 0, 0], "raw")
    elif recipe.form == "one scalar for all":
        values = np.full(delta.shape[3], delta.sum())
    elif recipe.form == "zeros":
        values = np.zeros(delta.shape[3])
    elif recipe.form == "last output":
        values = delta[-1, -1, -1] if delta.size else np.zeros(delta.shape[3])
    else:
        return None
    if "o" in recipe.reversed:
        values = values[..., ::-1]
    return Made(values, "x" if values.ndim == 4 else "raw")


def _other_form(recipe: Recipe, convolution: Convolution, delta: Array) -> Made | None:
    """What is computed where dx should be: `form` says it."""
    if recipe.form == "gradient of w":
        return Made(convolution.right("dw"), "w")
    sums = delta.sum(axis=(1, 2))
    if recipe.form == "kernel times the sum of dy":
        return Made(convolution.w * sums.sum(axis=0), "w")
    if recipe.form == "kernels times the sum of dy":  # of all filters
        return Made(np.einsum("rsck,nk->nrsc", convolution.w, sums), "x")
    if recipe.form == "every kernel times the sum of all dy":
        return Made(convolution.w * delta.sum(), "w")
    shape = convolution.geometry.input_shape
    if recipe.form == "sum of dy everywhere":
        total = delta.sum(axis=(1, 2, 3), keepdims=True)
        return Made(np.broadcast_to(total * delta.shape[3], shape), "x")
    if recipe.form == "sum of kernels times the sum of dy everywhere":
        total = np.einsum("rsck,nk->nc", _dense(convolution.w, convolution), sums)
        return Made(np.broadcast_to(total[:, np.newaxis, np.newaxis], shape), "x")
    return None


def _kernel(recipe: Recipe, convolution: Convolution) -> Array | None:
    """The kernel (KH, KW, C, K), with zeros outside the groups, as the recipe reads it."""
    w = convolution.w
    height, width, channels, filters = w.shape
    if recipe.kernel_read == "hw":
        w = w.reshape(width, height, channels, filters).swapaxes(0, 1)
    elif recipe.kernel_read == "io":
        w = w.reshape(height, width, filters, channels).swapaxes(2, 3)
    elif recipe.kernel_read == "oi":
        w = w.swapaxes(2, 3).reshape(height, width, channels, filters)
    w = w[:, :, :: -1 if "i" in recipe.reversed else 1, :: -1 if "o" in recipe.reversed else 1]
    return _dense(w, convolution, recipe)


def _dense(w: Array, convolution: Convolution, recipe: Recipe = RIGHT) -> Array:
    total = convolution.geometry.input_shape[3]
    channels = _group_channels(recipe, convolution)
    if convolution.geometry.groups == 1:
        dense = w
    else:
        dense = np.zeros((*w.shape[:2], total, w.shape[3]))
        for c in range(w.shape[2]):
            for k in range(w.shape[3]):
                dense[:, :, channels[c, k], k] += w[:, :, c, k]
    if recipe.channels == "k mod C":
        own = np.arange(w.shape[3]) % total
        dense = dense * (np.arange(total)[:, np.newaxis] == own)
    return dense


def _group_channels(recipe: Recipe, convolution: Convolution) -> Array:
    """The channel of x that channel c of filter k reads: (C / groups, K)."""
    geometry = convolution.geometry
    groups, (_, _, channels, filters) = geometry.groups, geometry.weight_shape
    k = np.arange(filters)
    group = k % groups if recipe.group_filters == "interleaved" else k // (filters // groups)
    c = np.arange(channels)[:, np.newaxis]
    if recipe.group_channels == "interleaved":
        return c * groups + group
    if recipe.group_channels == "next":
        group = (group + 1) % groups
    elif recipe.group_channels == "first":
        group = np.zeros_like(group)
    return group * channels + c


def _exchanged_pixels(written: str, dx: Array) -> Array:
    batch, height, width, channels = dx.shape
    if written == "hw":
        return dx.swapaxes(1, 2)
    if written == "hw written":
        return dx.swapaxes(1, 2).reshape(dx.shape)
    if written == "hw read":
        return dx.reshape(batch, width, height, channels).swapaxes(1, 2)
    return dx


def _exchanged_weight(written: str, dw: Array, shape: tuple[int, ...]) -> Made:
    height, width, channels, filters = shape
    if written == "hw":
        dw = dw.swapaxes(0, 1)
    elif written == "hw written":
        dw = dw.swapaxes(0, 1).reshape(shape)
    elif written == "hw read":
        dw = dw.reshape(width, height, channels, filters).swapaxes(0, 1)
    elif written == "io":
        dw = dw.swapaxes(2, 3)
    elif written == "io read":
        dw = dw.reshape(height, width, filters, channels).swapaxes(2, 3)
    elif written == "oi read":
        dw = dw.swapaxes(2, 3).reshape(shape)
    return Made(dw, "w")
