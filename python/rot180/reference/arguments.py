"""What `reference` asks of the arrays it is given, and what it says when they are wrong."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]


def float_arrays(**arrays: Any) -> list[FloatArray]:
    """Return the named arrays in native byte order: all float32, or all float64."""
    checked = [float_array(name, value) for name, value in arrays.items()]
    first_name = next(iter(arrays))
    for name, array in zip(arrays, checked, strict=True):
        expect_dtype(name, array, first_name, checked[0])
    return checked


def float_array(name: str, value: Any) -> FloatArray:
    """Return one float32 or float64 array in native byte order."""
    array = as_array(name, value)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected float32 or float64: "
            f"pass {name}.astype(numpy.float32)"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def as_array(name: str, value: Any) -> NDArray[Any]:
    """`numpy.asarray`, with an error that names the argument."""
    try:
        return np.asarray(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers: {error}") from None


def expect_dtype(name: str, array: FloatArray, other_name: str, other: FloatArray) -> None:
    """Refuse float32 beside float64."""
    if array.dtype != other.dtype:
        raise TypeError(
            f"{other_name} has dtype {other.dtype} and {name} has dtype {array.dtype}, "
            f"expected the same: pass {name}.astype(numpy.{other.dtype})"
        )


def expect_shape(name: str, array: NDArray[Any], shape: tuple[int, ...], why: str) -> None:
    """Refuse an array that has another shape; `why` says where the expected one comes from."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape}: {why}")


def as_batch(name: str, array: FloatArray) -> FloatArray:
    """Return (N, H, W, C) as it is, and one image (H, W, C) as a batch of one."""
    if array.ndim == 4:
        return array
    if array.ndim == 3:
        return array[np.newaxis]
    mend = f": pass {name}[..., numpy.newaxis] for one channel" if array.ndim == 2 else ""
    raise ValueError(
        f"{name} has shape {array.shape}, expected (N, H, W, C) or one image (H, W, C){mend}"
    )


def batch_shape(input_shape: Sequence[int], dy: FloatArray) -> tuple[int, ...]:
    """Return the shape of x with its batch axis, given with that axis if and only if dy has it."""
    shape = sizes("input_shape", input_shape)
    if len(shape) != dy.ndim:
        raise ValueError(
            f"input_shape={shape} has {len(shape)} sizes and dy has shape {dy.shape}: "
            "expected both with the batch axis or both without"
        )
    return shape if len(shape) == 4 else (1, *shape)


def sizes(name: str, shape: Any) -> tuple[int, ...]:
    """Return a shape, given as any sequence of integers, as a tuple."""
    try:
        return tuple(operator.index(size) for size in shape)
    except TypeError:
        raise TypeError(f"{name} must be a tuple of ints, got {shape!r}") from None


def real_number(name: str, value: Any, smallest: float = 0.0, below: float = math.inf) -> float:
    """Return a Python float from `smallest` up to, but not including, `below`."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, got {value!r}") from None
    if not smallest <= number < below:
        limit = "finite" if below == math.inf else f"less than {below}"
        raise ValueError(f"{name} must be at least {smallest} and {limit}, got {number}")
    return number
