"""Which pixel of x meets which output under which tap, rightly or wrongly.

All three passes sum over the same meetings: along one axis of the image, tap r of output i meets
pixel ``i*stride + r*dilation - before``. Most mistakes of a backward pass are wrong meetings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from rot180.diagnose.convolution import Array
from rot180.geometry import Conv2dGeometry


@dataclass(frozen=True)
class Axis:
    """Sizes along the rows or the columns of the image."""

    size: int
    out: int
    kernel: int
    stride: int
    dilation: int
    before: int
    after: int

    @property
    def remainder(self) -> int:
        """Pixels at the end of the padded axis that no window reaches."""
        reached = (self.out - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
        return self.size + self.before + self.after - reached


@dataclass(frozen=True)
class Meetings:
    """How a gradient, right or wrong, pairs pixels with outputs; each field says what is done.

    Attributes
    ----------
    step : outputs are "stride" pixels apart; or 1, "one more", "one more above 1", or the "other
        axis"'s stride
    dilation : taps are "known" pixels apart, or 1, or the "stride"
    start : the first window begins at -before; or the offset is "none", "after" or the "other
        axis"'s, or one "more" or "less" than right; or has the "other sign", or counts "strides";
        or the remainder comes "first"; or it is that of a correlation with dy in "valid" or
        "same" mode, or with the "forward's padding"
    extent : pixels that the result has: those of the "input", what windows "reached" less the
        padding, what they "reached in the input", what they "reached with padding", or all of the
        input "with padding"; or those of a correlation with dy in "valid" or "same" mode, or with
        the "forward's padding"
    border : a pixel outside the image is left out; "input" or "output" indices are clamped; a
        negative one "wraps"; or the first window over a pixel is rounded "down", and the tap that
        it then lacks is clamped; or a pixel between windows takes the output "before" it
    kept : "all" meetings, or of those that write to one place the "last window" or "last tap"; only
        those of the "last output", all "but the first" or "but the last" one's, or those of "whole
        windows" inside the image
    outputs : dy is indexed by output; or "like the input", or moved "by the tap"
    """

    step: str = "stride"
    dilation: str = "known"
    start: str = "before"
    extent: str = "input"
    border: str = "left out"
    kept: str = "all"
    outputs: str = "by output"

    def matrix(self, axis: Axis, other: Axis, turned: bool) -> Array | None:
        """See `matrix`."""
        step = {
            "stride": axis.stride,
            "one": 1,
            "one more": axis.stride + 1,
            "one more above 1": axis.stride + (axis.stride > 1),
            "other axis": other.stride,
        }[self.step]
        dilation = {
            "known": axis.dilation,
            "one": 1,
            "stride": axis.stride * axis.dilation,
        }[self.dilation]
        span = (axis.kernel - 1) * dilation
        start = {
            "before": axis.before,
            "none": 0,
            "after": axis.after,
            "other axis": other.before,
            "first": axis.before - axis.remainder,
            "more": axis.before + 1,
            "less": axis.before - 1,
            "other sign": -axis.before,
            "strides": axis.before * axis.stride,
            "valid": span,
            "same": span // 2,
            "forward's padding": span - axis.before,
        }[self.start]
        reached = (axis.out - 1) * step + span + 1
        pixels = {
            "input": axis.size,
            "reached": reached - axis.before - axis.after,
            "reached in the input": min(axis.size, reached - axis.before),
            "reached with padding": reached,
            "with padding": axis.size + axis.before + axis.after,
            "valid": reached - 2 * span,
            "same": (axis.out - 1) * step + 1,
            "forward's padding": reached - 2 * span + axis.before + axis.after,
        }[self.extent]
        if pixels < 1:
            return None
        met = np.zeros((axis.kernel, pixels, axis.out))
        for r, p, i in self._meetings(axis, step, dilation, start, pixels):
            tap = r if turned else axis.kernel - 1 - r
            met[tap, p, i] += 1
        if self.kept == "last window":
            met *= _last(met.max(axis=0) > 0, axis=1)
        elif self.kept == "last tap":
            met *= _last(met.max(axis=2) > 0, axis=0)[:, :, np.newaxis]
        elif self.kept == "last output":
            met[:, :, :-1] = 0
        elif self.kept == "but the last":
            met[:, :, -1] = 0
        elif self.kept == "but the first":
            met[:, :, 0] = 0
        elif self.kept == "whole windows":
            met[:, :, max(0, (axis.size - span - 1) // step + 1) :] = 0
        return met

    def _meetings(
        self, axis: Axis, step: int, dilation: int, start: int, pixels: int
    ) -> Iterable[tuple[int, int, int]]:
        if self.border == "output":
            # Each pixel gathers; where no output is, the nearest one is taken.
            for r in range(axis.kernel):
                for p in range(pixels):
                    place = min(max(p + start - r * dilation, 0), (axis.out - 1) * step)
                    if place % step == 0:
                        yield r, p, place // step
            return
        if self.border == "before":
            for r in range(axis.kernel):
                for p in range(pixels):
                    place = p + start - r * dilation
                    if 0 <= place // step < axis.out:
                        yield r, p, place // step
            return
        if self.border == "down":
            for p in range(pixels):
                place = p + start
                first = max(0, (place - (axis.kernel - 1) * dilation) // step)
                for i in range(first, min(axis.out - 1, place // step) + 1):
                    yield min((place - i * step) // dilation, axis.kernel - 1), p, i
            return
        for r in range(axis.kernel):
            for i in range(axis.out):
                p = i * step + r * dilation - start
                if self.border == "input":
                    p = min(max(p, 0), pixels - 1)
                elif self.border == "wraps" and -pixels <= p < 0:
                    p += pixels
                output = {"by output": i, "like the input": p, "by the tap": i + r}[self.outputs]
                if 0 <= p < pixels and 0 <= output < axis.out:
                    yield r, p, output


@lru_cache(maxsize=1024)
def matrix(meetings: Meetings, axis: Axis, other: Axis, turned: bool = True) -> Array | None:
    """Return how often tap r brings pixel p and output i together: (kernel, pixels, out).

    None where the result would have no pixels. `turned` is false where the backward pass counts
    taps from the wrong end.
    """
    return meetings.matrix(axis, other, turned)


def axes(geometry: Conv2dGeometry) -> tuple[Axis, Axis]:
    """Return rows and columns of a convolution."""
    rows, columns = (
        Axis(
            geometry.input_shape[1 + i],
            geometry.output_shape[1 + i],
            geometry.weight_shape[i],
            geometry.stride[i],
            geometry.dilation[i],
            *geometry.padding[i],
        )
        for i in (0, 1)
    )
    return rows, columns


def _last(present: Array, axis: int) -> Array:
    """Keep of the entries that are set along an axis the last one."""
    after = np.flip(np.cumsum(np.flip(present, axis), axis), axis)
    last: Array = present & (after == 1)
    return last
