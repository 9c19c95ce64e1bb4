"""Convolutions that tell mistakes apart: a fixed list of awkward ones, and a strategy for more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from rot180.geometry import Conv2dGeometry, conv2d_geometry


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
    "kernel as large as x": Case((2, 3, 4, 2), (3, 4, 2, 3)),
    "1x1 stride 2, few channels": Case((2, 5, 6, 1), (1, 1, 1, 5), stride=2),
    "remainder rows and columns": Case((1, 9, 8, 2), (3, 2, 2, 3), stride=(4, 3)),
    "k5 s3 p1": Case((1, 11, 11, 2), (5, 5, 2, 2), stride=3, padding=1),
    "k2 s4 p1": Case((2, 9, 7, 2), (2, 2, 2, 3), stride=4, padding=1),
    "stride beyond the kernel": Case((2, 8, 9, 1), (2, 1, 1, 2), stride=(3, 5)),
    "padding on one side": Case((2, 4, 5, 2), (3, 3, 2, 2), padding=((2, 0), (0, 1))),
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
