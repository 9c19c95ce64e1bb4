"""The arrays that results are written into."""

from __future__ import annotations

import math
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from rot180 import _core
from rot180.arguments import FloatArray, expect_shape, writable_in_place

Scalar = TypeVar("Scalar", bound=np.generic)

# Smaller arrays come from NumPy: their memory is never unmapped, and asking the pool takes longer.
SMALLEST_POOLED = 1 << 16


def result_array(
    out: FloatArray | None,
    shape: tuple[int, ...],
    dtype: np.dtype[np.floating[Any]],
    others: tuple[FloatArray | None, ...],
    name: str = "out",
) -> FloatArray:
    """A new array for a result, or `out` if it will do; `others` are what it may not overlap."""
    if out is None:
        return new_array(shape, dtype)
    writable_in_place(name, out)
    if out.dtype != dtype:
        raise TypeError(f"{name} has dtype {out.dtype}, expected {dtype}: the dtype of the inputs")
    expect_shape(name, out, shape, "the shape of the result")
    for array in others:
        if array is not None and np.may_share_memory(out, array):
            raise ValueError(f"{name} overlaps an input or a result: pass an array of its own")
    return out


def new_array(shape: tuple[int, ...], dtype: np.dtype[Scalar]) -> NDArray[Scalar]:
    """Like `numpy.empty`, with the memory of large arrays from the pool."""
    if math.prod(shape) * dtype.itemsize < SMALLEST_POOLED:
        return np.empty(shape, dtype)
    return _core.empty(shape, dtype)
