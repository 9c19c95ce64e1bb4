"""What the teaching helpers ask of their arrays: whole numbers are welcome here."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rot180.arguments import as_array, float_arrays


def number_arrays(**arrays: Any) -> list[NDArray[Any]]:
    """Return the named arrays in one dtype: int64, float32 or float64.

    Integers become int64 (a product of two uint8 pixels would not fit uint8), or take the dtype of
    the floats beside them. float32 beside float64 is a TypeError.
    """
    given = {name: as_array(name, value) for name, value in arrays.items()}
    whole = {name for name, array in given.items() if np.can_cast(array.dtype, np.int64)}
    floats = {name: array for name, array in given.items() if name not in whole}
    if not floats:
        return [array.astype(np.int64, copy=False) for array in given.values()]
    dtype = float_arrays(**floats)[0].dtype
    return [array.astype(dtype, copy=False) for array in given.values()]


def expect_axes(name: str, array: NDArray[Any], meanings: tuple[str, ...], mend: str = "") -> None:
    """Refuse an array whose number of axes fits none of the meanings, such as "(H, W)"."""
    if array.ndim not in {meaning.count(",") + 1 for meaning in meanings}:
        raise ValueError(
            f"{name} has shape {array.shape}, expected {' or '.join(meanings)}"
            + (f": {mend}" if mend else "")
        )
