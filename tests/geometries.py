"""Convolutions that tell mistakes apart, plain and transposed: lists and strategies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rot180.geometry import Conv2dGeometry, conv2d_geometry, conv_transpose2d_geometry


@dataclass(frozen=True)
class Case:
    """Shapes and options of one convolution."""

    x_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
        }

    @property
    def geometry(self) -> Conv2dGeometry:
        return conv2d_geometry(self.x_shape, self.weight_shape, **self.options)

    @property
    def y_shape(self) -> tuple[int, ...]:
        return self.geometry.output_shape

    @property
    def kernel_size(self) -> tuple[int, int]:
        return self.weight_shape[:2]

    def integers(self, dtype: Any = np.float32, seed: int = 0) -> tuple[np.ndarray, ...]:
        """x, weight and dy of small whole numbers, on which every pass is exact."""
        rng = np.random.default_rng(seed)
        shapes = (self.x_shape, self.weight_shape, self.y_shape)
        x, weight, dy = (rng.integers(-4, 5, shape).astype(dtype) for shape in shapes)
        return x, weight, dy

    def reals(self, seed: int = 0) -> tuple[np.ndarray, ...]:
        """x, weight and dy drawn from a normal distribution, in float64."""
        rng = np.random.default_rng(seed)
        shapes = (self.x_shape, self.weight_shape, self.y_shape)
        x, weight, dy = (rng.normal(size=shape) for shape in shapes)
        return x, weight, dy


AWKWARD = {
    "plain": Case((2, 5, 6, 3), (3, 2, 3, 4)),
    "kernel 1x1": Case((2, 3, 4, 3), (1, 1, 3, 2)),
    "few pixels": Case((3, 1, 1, 37), (1, 1, 37, 21)),
    "few pixels, more than a tile": Case((7, 1, 1, 203), (1, 1, 203, 85)),
    "few pixels, most in sums": Case((12, 1, 1, 97), (1, 1, 97, 130)),
    "few pixels, most": Case((16, 1, 1, 300), (1, 1, 300, 70)),
    "few pixels, lines a page apart": Case((5, 1, 1, 20), (1, 1, 20, 1024)),
    "kernel as large as x": Case((2, 3, 4, 2), (3, 4, 2, 3)),
    "1x1 stride 2, few channels": Case((2, 5, 6, 1), (1, 1, 1, 5), stride=2),
    "remainder rows and columns": Case((1, 9, 8, 2), (3, 2, 2, 3), stride=(4, 3)),
    "k5 s3 p1": Case((1, 11, 11, 2), (5, 5, 2, 2), stride=3, padding=1),
    "k2 s4 p1": Case((2, 9, 7, 2), (2, 2, 2, 3), stride=4, padding=1),
    "stride beyond the kernel": Case((2, 8, 9, 1), (2, 1, 1, 2), stride=(3, 5)),
    "padding on one side": Case((2, 4, 5, 2), (3, 3, 2, 2), padding=((2, 0), (0, 1))),
    "3x3": Case((2, 9, 6, 17), (3, 3, 17, 20), padding=1),
    "padding beyond the kernel": Case((1, 3, 3, 2), (2, 2, 2, 2), padding=((4, 1), (3, 5))),
    "padding beyond the kernel, strided": Case(
        (1, 3, 4, 1), (2, 3, 1, 2), stride=(3, 2), padding=((5, 2), (4, 6))
    ),
    "kernel larger than x": Case((1, 2, 3, 2), (5, 4, 2, 2), padding=((2, 3), (1, 2))),
    "dilation": Case((2, 8, 9, 2), (3, 2, 2, 3), dilation=(2, 3)),
    "dilation, stride, padding": Case(
        (1, 9, 10, 2), (3, 3, 2, 2), stride=(2, 3), padding=((2, 1), (0, 3)), dilation=(3, 2)
    ),
    "same, even kernel": Case((1, 5, 6, 2), (4, 2, 2, 2), padding="same"),
    "same, strided": Case((1, 7, 10, 2), (3, 4, 2, 2), stride=(2, 3), padding="same"),
    "same, dilated": Case((1, 6, 5, 1), (3, 3, 1, 2), padding="same", dilation=2),
    "full": Case((2, 3, 4, 2), (3, 2, 2, 2), padding="full"),
    "full, dilated, strided": Case((1, 4, 3, 1), (2, 3, 1, 2), 2, "full", (3, 2)),
    "groups": Case((2, 5, 4, 6), (2, 3, 2, 9), padding=1, groups=3),
    "depthwise": Case((2, 6, 5, 4), (3, 3, 1, 4), stride=2, padding=1, groups=4),
    "depthwise, two filters a channel": Case((2, 5, 4, 3), (3, 2, 1, 6), groups=3),
    "everything": Case(
        (2, 11, 9, 4), (3, 2, 2, 6), (2, 3), ((1, 0), (2, 1)), dilation=(1, 2), groups=2
    ),
}


# Few channels on both sides: vectors along a row, over pixels and channels alike. "strided" and
# "dilated" ones, whose rows of taps lie apart, are computed as others are.
FLAT_ROWS = {
    "a channel to six": Case((5, 28, 27, 1), (5, 5, 1, 6), padding=2),
    "blocks of rows": Case((2, 90, 70, 1), (3, 4, 1, 3), padding=((2, 0), (0, 3))),
    "four channels to seven, strided": Case(
        (2, 33, 40, 4), (4, 3, 4, 7), stride=(2, 3), padding=((3, 0), (1, 2))
    ),
    "dilated, a remainder": Case((3, 26, 31, 3), (3, 3, 3, 3), (3, 2), 1, dilation=(2, 3)),
    "padding beyond the kernel": Case((2, 17, 18, 2), (3, 5, 2, 5), padding=((7, 4), (9, 6))),
    "two channels of float64": Case((9, 20, 19, 2), (3, 3, 2, 2), padding=1),
    "ten filters": Case((3, 26, 26, 1), (3, 3, 1, 10)),
    "three channels to twelve": Case((2, 33, 31, 3), (3, 3, 3, 12), padding=1),
    "seven rows of taps": Case((2, 40, 37, 1), (7, 5, 1, 6), padding=3),
    "strides and dilation along rows": Case(
        (2, 20, 61, 1), (2, 3, 1, 5), stride=(1, 3), padding=1, dilation=(1, 2)
    ),
    "whole vectors": Case((2, 20, 32, 2), (3, 3, 2, 6), padding=1),
    "rows too long for that": Case((2, 4, 1200, 1), (3, 3, 1, 15)),
    "one row of taps": Case((4, 9, 30, 1), (1, 4, 1, 7), padding=((0, 0), (2, 1))),
}

# Input gradients that are summed up from windows: few channels. But for the last two, whose stride
# does not divide the rows of taps.
WINDOWS = {
    "full mode": Case((8, 14, 13, 6), (5, 5, 6, 16)),
    "an image in parts": Case((1, 23, 14, 6), (5, 5, 6, 16)),
    "parts beside padding": Case((3, 21, 12, 3), (6, 5, 3, 20), stride=2, padding=((5, 3), (4, 0))),
    "parts of many values": Case((9, 60, 20, 6), (5, 5, 6, 96)),
    "windows of several panels and a tail": Case((9, 9, 11, 10), (5, 5, 10, 17)),
    "strides, a remainder": Case(
        (8, 18, 20, 3), (6, 3, 3, 20), stride=(3, 2), padding=((2, 0), (0, 1))
    ),
    "dilated rows": Case((8, 21, 13, 6), (5, 5, 6, 24), dilation=(2, 1)),
    "one pixel each": Case((12, 5, 5, 4), (5, 5, 4, 9)),
    "gaps": Case((8, 13, 14, 7), (2, 3, 7, 16), stride=4),
    "a row of taps missing": Case((8, 16, 15, 3), (3, 4, 3, 32), stride=2, padding=1),
}

# What Winograd's algorithm computes, in each way that cpp/src/winograd*.cpp cuts it into tasks.
# "Filters first" and "inputs first" say what is transformed at once, before the products; a weight
# gradient sums its tiles in slots, each over ranges of input and output channels.
WINOGRAD = {
    "one tile, one slot": Case((1, 3, 3, 1), (3, 3, 1, 1)),
    "filters first, inputs first": Case((3, 9, 7, 17), (3, 3, 17, 20), padding=((1, 0), (2, 1))),
    "filters first, inputs first; groups of panels; slots and ranges": Case(
        (2, 20, 36, 70), (3, 3, 70, 150), padding=1
    ),
    "filters first, inputs of one task; many slots, one range": Case(
        (6, 48, 44, 20), (3, 3, 20, 24), padding=1
    ),
    "filters first, inputs of one task; groups of panels": Case((6, 48, 44, 5), (3, 3, 5, 130)),
    "filters first, chunks of channels": Case((3, 16, 18, 260), (3, 3, 260, 33), padding=1),
    "filters of one task; one slot, many ranges": Case((1, 6, 7, 192), (3, 3, 192, 200), padding=1),
    "many blocks of one slot, many ranges": Case((1, 22, 21, 200), (3, 3, 200, 210), padding=1),
    "padding beyond the tile": Case((2, 3, 2, 3), (3, 3, 3, 4), padding=((9, 4), (5, 13))),
    "phases, filters first, inputs of one task": Case(
        (6, 66, 62, 9), (4, 4, 9, 70), stride=2, padding=1
    ),
    "phases of many channels, filters of one task": Case(
        (1, 9, 8, 67), (4, 4, 67, 200), stride=2, padding=((1, 0), (2, 1))
    ),
    "phases beyond the image": Case(
        (2, 3, 2, 3), (6, 6, 3, 4), stride=3, padding=((9, 4), (5, 13))
    ),
}


@st.composite
def winograd_cases(draw: st.DrawFn) -> Case:
    """What Winograd's algorithm can compute: any size, padding and number of channels."""
    number = st.integers
    kernel, stride = draw(st.sampled_from([(3, 1), (3, 1), (2, 1), (5, 1), (4, 2), (6, 2), (6, 3)]))
    sides = tuple((draw(number(0, 4)), draw(number(0, 4))) for _ in "hw")
    height, width = (draw(number(max(1, kernel - sum(side)), 15)) for side in sides)
    inputs, outputs = draw(number(1, 40)), draw(number(1, 40))
    return Case(
        (draw(number(1, 3)), height, width, inputs),
        (kernel, kernel, inputs, outputs),
        stride=stride,
        padding=draw(st.sampled_from([sides, sides, "same", "full"])),
    )


@st.composite
def cases(draw: st.DrawFn, max_batch: int = 3, max_groups: int = 3) -> Case:
    """Any stride, padding, dilation and groups; x is as large as the kernel needs, or larger."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    kernel = number(1, 4), number(1, 4)
    dilation = number(1, 3), number(1, 3)
    stride = number(1, 4), number(1, 4)
    sides = (number(0, 4), number(0, 4)), (number(0, 4), number(0, 4))
    size = tuple(
        max(1, dilation[axis] * (kernel[axis] - 1) + 1 - sum(sides[axis])) + number(0, 4)
        for axis in (0, 1)
    )
    groups, inputs, outputs = number(1, max_groups), number(1, 3), number(1, 3)
    return Case(
        (number(1, max_batch), *size, groups * inputs),
        (*kernel, inputs, groups * outputs),
        stride,
        draw(st.sampled_from([sides, sides, sides, "same", "full"])),
        dilation,
        groups,
    )


@dataclass(frozen=True)
class TransposedCase:
    """Shapes and options of one transposed convolution: weight is (KH, KW, K // groups, C)."""

    x_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    stride: Any = 1
    padding: Any = 0
    output_padding: Any = 0
    dilation: Any = 1
    groups: int = 1

    @property
    def options(self) -> dict[str, Any]:
        names = ("stride", "padding", "output_padding", "dilation", "groups")
        return {name: getattr(self, name) for name in names}

    @property
    def geometry(self) -> Conv2dGeometry:
        """The geometry of the convolution that it transposes, from y to x."""
        return conv_transpose2d_geometry(self.x_shape, self.weight_shape, **self.options)

    @property
    def y_shape(self) -> tuple[int, ...]:
        return self.geometry.input_shape

    def arrays(self, draw: Any, dtype: Any) -> list[np.ndarray]:
        """x, weight, bias and dy, drawn by `draw(shape)`."""
        shapes = (self.x_shape, self.weight_shape, self.y_shape[3:], self.y_shape)
        return [draw(shape).astype(dtype) for shape in shapes]

    def integers(self, dtype: Any = np.float32) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return self.arrays(lambda shape: rng.integers(-4, 5, shape), dtype)

    def reals(self, dtype: Any = np.float64) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return self.arrays(lambda shape: np.clip(rng.normal(size=shape), -2, 2), dtype)


TRANSPOSED_WINDOWS = {
    "upsampling": TransposedCase((8, 7, 6, 20), (4, 4, 3, 20), 2, 1),
    "stride 3, output padding": TransposedCase((9, 5, 6, 17), (5, 3, 6, 17), 3, 1, 2),
    "full mode": TransposedCase((8, 6, 7, 16), (5, 5, 9, 16)),
}

TRANSPOSED = {
    "plain": TransposedCase((2, 4, 5, 3), (3, 2, 4, 3)),
    "kernel 1x1": TransposedCase((2, 3, 4, 3), (1, 1, 2, 3)),
    "one pixel": TransposedCase((1, 1, 1, 2), (3, 4, 5, 2), stride=3),
    "stride 2": TransposedCase((2, 4, 3, 3), (3, 3, 2, 3), stride=2, padding=1),
    "stride 2, output padding": TransposedCase((2, 4, 3, 3), (3, 3, 2, 3), 2, 1, output_padding=1),
    "stride 3": TransposedCase(
        (1, 3, 4, 2), (5, 4, 3, 2), stride=3, padding=(2, 1), output_padding=(2, 1)
    ),
    "kernel that the stride steps over": TransposedCase((2, 3, 4, 2), (2, 1, 3, 2), stride=(3, 5)),
    "gaps and output padding": TransposedCase(
        (1, 3, 2, 2), (1, 1, 3, 2), stride=3, output_padding=2
    ),
    "padding on one side": TransposedCase((1, 5, 4, 2), (3, 3, 2, 2), 2, ((2, 0), (0, 1))),
    "3x3": TransposedCase((2, 6, 9, 20), (3, 3, 17, 20), padding=((1, 0), (0, 2))),
    "padding that cuts deep": TransposedCase((1, 6, 5, 2), (2, 2, 3, 2), padding=((2, 1), (0, 3))),
    "dilation": TransposedCase((2, 4, 3, 2), (3, 2, 3, 2), padding=1, dilation=(2, 3)),
    "dilation, stride": TransposedCase(
        (1, 4, 3, 2), (3, 3, 2, 2), (2, 3), ((2, 1), (0, 3)), 1, (3, 2)
    ),
    "output padding beyond the stride": TransposedCase(
        (1, 4, 3, 2), (2, 2, 2, 2), 2, 1, 3, dilation=4
    ),
    "valid": TransposedCase((1, 4, 3, 2), (3, 2, 2, 2), stride=2, padding="valid"),
    "same": TransposedCase((1, 4, 3, 2), (3, 4, 2, 2), padding="same"),
    "same, strided": TransposedCase((1, 4, 3, 2), (3, 2, 2, 2), stride=(2, 3), padding="same"),
    "same, even kernel, dilated": TransposedCase((1, 4, 3, 2), (4, 2, 2, 2), 2, "same", 0, (1, 3)),
    "full": TransposedCase((2, 6, 7, 2), (3, 2, 2, 2), padding="full"),
    "full, strided": TransposedCase((1, 5, 4, 2), (3, 2, 2, 2), (2, 3), "full", (1, 0)),
    "groups": TransposedCase((2, 4, 3, 9), (2, 3, 2, 9), stride=2, padding=1, groups=3),
    "depthwise": TransposedCase((2, 4, 3, 5), (3, 3, 1, 5), stride=2, padding=1, groups=5),
    "depthwise, two filters a channel": TransposedCase((2, 4, 3, 6), (3, 2, 1, 6), groups=3),
    "everything": TransposedCase(
        (2, 4, 5, 6), (3, 2, 2, 6), (2, 3), ((1, 0), (2, 1)), (1, 2), (1, 2), groups=2
    ),
}


@st.composite
def transposed_cases(draw: st.DrawFn) -> TransposedCase:
    """Any options: x is as large as it must be for padding to leave something of y."""

    def number(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    kernel = number(1, 4), number(1, 4)
    dilation = number(1, 3), number(1, 3)
    stride = number(1, 4), number(1, 4)
    extra = tuple(number(0, max(stride[axis], dilation[axis]) - 1) for axis in (0, 1))
    sides = (number(0, 3), number(0, 3)), (number(0, 3), number(0, 3))
    padding = draw(st.sampled_from([sides, sides, "same", "full"]))
    size = []
    for axis in (0, 1):
        window = dilation[axis] * (kernel[axis] - 1) + 1
        cut = 2 * (window - 1) if padding == "full" else sum(sides[axis])
        size.append(max(1, -(-(cut + 1 - window) // stride[axis]) + 1) + number(0, 3))
    groups, inputs, outputs = number(1, 3), number(1, 3), number(1, 3)
    return TransposedCase(
        (number(1, 3), *size, groups * inputs),
        (*kernel, outputs, groups * inputs),
        stride,
        padding,
        0 if padding == "same" else extra,
        dilation,
        groups,
    )
