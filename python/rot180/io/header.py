"""The header of a safetensors file: what it says of its arrays is checked, then believed."""

from __future__ import annotations

import json
import math
from typing import Any, NamedTuple

import numpy as np

# Ten thousand arrays fit. JSON of 100 MB would be parsed into several times as much memory.
LARGEST_HEADER = 2**20

# What the format calls the types of elements.
TYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"U{8 * size}": np.dtype(f"u{size}") for size in (1, 2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"i{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"f{size}") for size in (2, 4, 8)},
}

MOST_AXES = 32
FIELDS = {"dtype", "shape", "data_offsets"}


class Entry(NamedTuple):
    """What a file says of one of its arrays; `begin` counts bytes from the end of the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int

    @property
    def nbytes(self) -> int:
        """Bytes of the array's data."""
        return math.prod(self.shape) * self.dtype.itemsize


def parse_header(text: bytes, data_bytes: int) -> tuple[dict[str, str], dict[str, Entry]]:
    """Return the metadata and what there is of each array, by name.

    Parameters
    ----------
    text
        The header, at most `LARGEST_HEADER` bytes.
    data_bytes
        How many bytes follow it, which the arrays must fill without gaps and without overlaps.

    Raises
    ------
    ValueError
        If that is not the header of a whole file.
    """
    try:
        header = json.loads(text, object_pairs_hook=_without_repetition)
    except RecursionError:
        raise ValueError("its header is nested too deeply") from None
    _expect(isinstance(header, dict), "its header is no object")
    metadata = header.pop("__metadata__", {})
    _expect(
        isinstance(metadata, dict) and all(isinstance(value, str) for value in metadata.values()),
        "its metadata does not map strings to strings",
    )
    entries = {name: _entry(name, fields) for name, fields in header.items()}
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: (item[1].begin, item[1].nbytes)):
        _expect(entry.begin == end, f"the data of {name[:80]!r} does not begin where others end")
        end += entry.nbytes
    _expect(end == data_bytes, f"its arrays have {end} bytes, and {data_bytes} follow the header")
    return metadata, entries


def _entry(name: str, fields: Any) -> Entry:
    what = repr(name[:80])
    _expect(isinstance(fields, dict) and fields.keys() == FIELDS, f"{what} is described wrongly")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    known = isinstance(dtype, str) and dtype in TYPES
    _expect(known, f"{what} has the unknown dtype {str(dtype)[:80]!r}")
    _expect(_are_sizes(shape) and len(shape) <= MOST_AXES, f"{what} has no shape")
    _expect(_are_sizes(offsets) and len(offsets) == 2, f"{what} has no offsets")
    entry = Entry(TYPES[dtype], tuple(shape), offsets[0])
    _expect(entry.nbytes == offsets[1] - offsets[0], f"{what} has other bytes than its shape")
    return entry


def _are_sizes(value: Any) -> bool:
    """Whether that is a list of whole numbers that NumPy can count to."""
    return isinstance(value, list) and all(
        type(size) is int and 0 <= size <= np.iinfo(np.int64).max for size in value
    )


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    _expect(len(found) == len(pairs), "a name stands twice in its header")
    return found


def _expect(condition: bool, otherwise: str) -> None:
    if not condition:
        raise ValueError(otherwise)
