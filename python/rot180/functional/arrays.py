"""What every function does to its array arguments before a kernel sees them."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]

FLOAT32 = np.dtype(np.float32)
FLOAT64 = np.dtype(np.float64)


def float_array(name: str, value: ArrayLike) -> FloatArray:
    """`value` as a C-contiguous, aligned array of native float32 or float64; copied only if it isn't.

    Integers are refused rather than converted: whether they mean float32 or float64 is the
    caller's to say.
    """
    if type(value) is np.ndarray:
        flags = value.flags
        dtype = value.dtype
        if (dtype == FLOAT32 or dtype == FLOAT64) and flags.c_contiguous and flags.aligned:
            return value
    array = np.asarray(value)
    if array.dtype.newbyteorder("=") not in (FLOAT32, FLOAT64):
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected float32 or float64: "
            f"pass {name}.astype(numpy.float32)"
        )
    return np.require(array, array.dtype.newbyteorder("="), ("C", "A"))


def same_dtype(name: str, array: FloatArray, other_name: str, other: FloatArray) -> None:
    """Refuse to mix float32 with float64."""
    if array.dtype != other.dtype:
        raise TypeError(
            f"{name} is {array.dtype} but {other_name} is {other.dtype}: "
            f"convert one, for example {other_name}.astype(numpy.{array.dtype})"
        )


def expect_shape(name: str, array: FloatArray, shape: tuple[int, ...], meaning: str) -> None:
    """Refuse an array whose shape is not the one that the other arguments imply."""
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {shape} {meaning}")


def as_batch(name: str, array: FloatArray) -> FloatArray:
    """An image (H, W, C) as a batch of one; a batch (N, H, W, C) as it is."""
    if array.ndim == 4:
        return array
    if array.ndim == 3:
        return array[None]
    mend = ""
    if array.ndim == 2:
        mend = f": for one single-channel image pass {name}[:, :, None]"
    raise ValueError(
        f"{name} has shape {array.shape}, expected (N, H, W, C), or (H, W, C) for one image{mend}"
    )


def weight_array(weight: ArrayLike) -> FloatArray:
    """A convolution's weight, (KH, KW, C // groups, K)."""
    array = float_array("weight", weight)
    if array.ndim != 4:
        raise ValueError(
            f"weight has shape {array.shape}, expected four axes (KH, KW, C // groups, K)"
        )
    return array


def result_array(
    out: FloatArray | None,
    shape: tuple[int, ...],
    dtype: np.dtype[np.floating[Any]],
    inputs: tuple[FloatArray | None, ...],
) -> FloatArray:
    """A new array for a result, or `out` if it will do."""
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy.ndarray, got {type(out).__name__}")
    if out.dtype != dtype:
        raise TypeError(f"out has dtype {out.dtype}, expected {dtype} as the inputs")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, expected {shape}")
    writable_in_place("out", out)
    for array in inputs:
        if array is not None and np.may_share_memory(out, array):
            raise ValueError("out overlaps an input: pass an array of its own")
    return out


def writable_in_place(name: str, array: Any) -> None:
    """Refuse an array that a kernel cannot write into as it lies."""
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{name} is updated in place and must be a numpy.ndarray, got {type(array).__name__}"
        )
    if array.dtype not in (FLOAT32, FLOAT64):
        raise TypeError(f"{name} has dtype {array.dtype}, expected float32 or float64")
    if not array.flags.writeable:
        raise ValueError(f"{name} is read-only: pass a writable array, for example {name}.copy()")
    if not (array.flags.c_contiguous and array.flags.aligned):
        raise ValueError(
            f"{name} is written in place and must be C-contiguous and aligned: "
            f"pass numpy.ascontiguousarray({name})"
        )
