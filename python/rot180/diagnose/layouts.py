"""The order of axes in a user's arrays, and ours: NHWC and HWIO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rot180.diagnose.convolution import Array

IMAGE, WEIGHT = "NHWC", "HWIO"


@dataclass(frozen=True)
class Layout:
    """How a user's arrays are laid out; axes of one entry may be missing.

    Attributes
    ----------
    x, dy : letters of "NHWC" in some order: "NCHW", "HWC" for one image, "HW" for one channel
    w : letters of "HWIO" in some order; I counts the channels of one group
    """

    x: str = IMAGE
    w: str = WEIGHT
    dy: str = IMAGE

    def to_ours(self, form: str, array: Array) -> Array | None:
        """Return an array of the user's with all four axes in our order.

        `form` is "x", "dy" or "w". None where the array has other axes.
        """
        theirs, ours = self._axes(form)
        while array.ndim > len(theirs) and array.shape[0] == 1:
            array = array[0]  # a batch of one where one image was meant
        if array.ndim != len(theirs):
            return None
        there = [axis for axis in ours if axis in theirs]
        array = array.transpose([theirs.index(axis) for axis in there])
        return np.expand_dims(array, [ours.index(axis) for axis in ours if axis not in theirs])

    def to_theirs(self, form: str, array: Array) -> Array:
        """Return an array of ours as the user lays it out."""
        theirs, ours = self._axes(form)
        array = array.squeeze(tuple(ours.index(axis) for axis in ours if axis not in theirs))
        there = [axis for axis in ours if axis in theirs]
        return np.ascontiguousarray(array.transpose([there.index(axis) for axis in theirs]))

    def shape(self, form: str, shape: Sequence[int]) -> tuple[int, ...]:
        """Return the shape that an array of ours has for the user."""
        return self.index(form, shape)

    def index(self, form: str, index: Sequence[int]) -> tuple[int, ...]:
        """Return the index that a number in an array of ours has for the user."""
        theirs, ours = self._axes(form)
        return tuple(index[ours.index(axis)] for axis in theirs)

    def _axes(self, form: str) -> tuple[str, str]:
        return {"x": (self.x, IMAGE), "dy": (self.dy, IMAGE), "w": (self.w, WEIGHT)}[form]


def checked(layout: object, weight_layout: object) -> tuple[str, str]:
    """Return both as they are, or raise ValueError: permutations of NHWC and of HWIO."""
    for name, value, letters in (
        ("layout", layout, IMAGE),
        ("weight_layout", weight_layout, WEIGHT),
    ):
        if not isinstance(value, str) or sorted(value) != sorted(letters):
            raise ValueError(f"{name} is {value!r}: expected the letters {letters} in some order")
    return str(layout), str(weight_layout)


def without(axes: str, missing: str) -> str:
    """Return the axes but for those that are missing."""
    return "".join(axis for axis in axes if axis not in missing)
