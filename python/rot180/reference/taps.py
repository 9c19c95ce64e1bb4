"""The taps of a sliding window, each with the pixels that it reads, and the groups of channels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from rot180.arguments import FloatArray
from rot180.geometry import Conv2dGeometry, Pool2dGeometry

Pixels: TypeAlias = tuple[slice, slice, slice]


def taps(geometry: Conv2dGeometry | Pool2dGeometry) -> Iterator[tuple[int, int, Pixels, Pixels]]:
    """Yield (r, s, inputs, outputs) for every tap of the kernel, in row-major order.

    Tap (r, s) of output pixel (i, j) reads pixel (i*sh + r*dh - top, j*sw + s*dw - left) of x.
    `outputs` selects the output pixels for which that one lies inside x, `inputs` the pixels that
    they read: ``x[inputs]`` and ``y[outputs]`` correspond one to one. Padding is thereby left out
    of every sum, not multiplied as zeros.
    """
    if isinstance(geometry, Conv2dGeometry):
        (kernel_h, kernel_w), (dh, dw) = geometry.weight_shape[:2], geometry.dilation
    else:
        (kernel_h, kernel_w), (dh, dw) = geometry.kernel_size, (1, 1)
    _, height, width, _ = geometry.input_shape
    _, out_height, out_width, _ = geometry.output_shape
    (top, _), (left, _) = geometry.padding
    sh, sw = geometry.stride
    everything = slice(None)
    for r in range(kernel_h):
        rows, out_rows = _inside(r * dh - top, sh, height, out_height)
        for s in range(kernel_w):
            columns, out_columns = _inside(s * dw - left, sw, width, out_width)
            yield r, s, (everything, rows, columns), (everything, out_rows, out_columns)


def split_groups(array: FloatArray, groups: int) -> FloatArray:
    """Split the last axis, the channels, into (groups, channels of a group)."""
    return array.reshape(*array.shape[:-1], groups, array.shape[-1] // groups)


def _inside(offset: int, stride: int, size: int, out: int) -> tuple[slice, slice]:
    """Pixels i*stride + offset that lie in 0 .. size-1 for some i in 0 .. out-1, and those i."""
    first = max(0, -(offset // stride))  # -offset / stride, rounded up
    last = min(out - 1, (size - 1 - offset) // stride)
    if last < first:
        return slice(0, 0), slice(0, 0)
    return (
        slice(first * stride + offset, last * stride + offset + 1, stride),
        slice(first, last + 1),
    )
