"""The order of axes in a user's arrays, and ours: NHWC and HWIO."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rot180.diagnose.convolution import Array

OURS = ("NHWC", "HWIO")


@dataclass(frozen=True)
class Layout:
    """How a user's arrays are laid out.

    Attributes
    ----------
    image : a permutation of "NHWC", for x, dy, y and dx
    weight : a permutation of "HWIO", for w and dw; I counts the channels of one group
    axes : of an image: 4 for a batch, 3 for one image, 2 for one channel of one image
    """

    image: str = "NHWC"
    weight: str = "HWIO"
    axes: int = 4

    def __post_init__(self) -> None:
        for name, value, letters in (
            ("layout", self.image, "NHWC"),
            ("weight_layout", self.weight, "HWIO"),
        ):
            if not isinstance(value, str) or sorted(value) != sorted(letters):
                raise ValueError(
                    f"{name} is {value!r}: expected the letters {letters} in some order"
                )
        if self.axes not in (2, 3, 4):
            raise ValueError(f"ndim is {self.axes!r}: expected 4 (a batch), 3 (one image) or 2")

    def image_to_ours(self, array: Array) -> Array | None:
        """Return an image of the user's as (N, H, W, C); None where it has other axes."""
        if array.ndim == self.axes + 1 and len(array) == 1:
            array = array[0]  # a batch of one where one image was meant
        if array.ndim != self.axes:
            return None
        if array.ndim == 2:
            return array[np.newaxis, :, :, np.newaxis]
        if array.ndim == 3:
            order = [axis for axis in self.image if axis != "N"]
            return array.transpose([order.index(axis) for axis in "HWC"])[np.newaxis]
        return array.transpose([self.image.index(axis) for axis in "NHWC"])

    def image_to_theirs(self, array: Array) -> Array:
        """Return (N, H, W, C) as an image of the user's."""
        if self.axes == 2:
            return np.ascontiguousarray(array[0, :, :, 0])
        if self.axes == 3:
            order = [axis for axis in self.image if axis != "N"]
            return np.ascontiguousarray(array[0].transpose(["HWC".index(a) for a in order]))
        return np.ascontiguousarray(array.transpose(["NHWC".index(a) for a in self.image]))

    def weight_to_ours(self, array: Array) -> Array | None:
        """Return a kernel of the user's as (KH, KW, C / groups, K)."""
        if array.ndim == 2 and self.axes == 2:
            return array[:, :, np.newaxis, np.newaxis]
        if array.ndim != 4:
            return None
        return array.transpose([self.weight.index(axis) for axis in "HWIO"])

    def weight_to_theirs(self, array: Array) -> Array:
        """Return (KH, KW, C / groups, K) as a kernel of the user's."""
        if self.axes == 2:
            return np.ascontiguousarray(array[:, :, 0, 0])
        return np.ascontiguousarray(array.transpose(["HWIO".index(a) for a in self.weight]))

    def shape_to_theirs(self, form: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that an array of ours of that form has for the user."""
        if form == "x":
            return self.image_to_theirs(np.empty(shape, np.int8)).shape
        if form == "w":
            return self.weight_to_theirs(np.empty(shape, np.int8)).shape
        return shape
