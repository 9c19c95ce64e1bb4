"""The safetensors format: arrays by name, and strings beside them.

Eight bytes with the header's length, the header in JSON, and the arrays one after another:
https://github.com/huggingface/safetensors describes it. Nothing in a file can be run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180 import _core
from rot180.io.atomic import PathLike, atomic_write

Array: TypeAlias = npt.NDArray[Any]

# Ten thousand arrays fit. To parse 100 MB would take several times as much memory.
LARGEST_HEADER = 2**20

# Of one axis; NumPy refuses larger arrays even where another axis is 0.
LARGEST_SIZE = 2**31 - 1

# Names of the types of elements.
TYPES: dict[str, np.dtype[Any]] = {
    name: np.dtype(dtype)
    for name, dtype in {
        "BOOL": np.bool_,
        "U8": np.uint8,
        "U16": np.uint16,
        "U32": np.uint32,
        "U64": np.uint64,
        "I8": np.int8,
        "I16": np.int16,
        "I32": np.int32,
        "I64": np.int64,
        "F16": np.float16,
        "F32": np.float32,
        "F64": np.float64,
    }.items()
}


def write_tensors(
    path: PathLike, tensors: Mapping[str, Array], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, whole or not at all, without a second copy of the arrays.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    tensors
        Arrays of numbers by name.
    metadata
        Strings to keep beside them. ``"rot180_version"`` is added.

    Raises
    ------
    TypeError
        If a key or a value of `metadata` is not a string, or an array holds no numbers.
    ValueError
        If names and metadata together are longer than `open_tensors` would read.
    OSError
        If the file cannot be written; a file that was there before is untouched.
    """
    strings = {"rot180_version": _core.version(), **metadata}
    for key, value in strings.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, got {key!r}: {value!r}")
    header: dict[str, Any] = {"__metadata__": dict(sorted(strings.items()))}
    # The largest elements first, so that all are aligned.
    order = sorted(tensors.items(), key=lambda entry: (-entry[1].itemsize, entry[0]))
    end = 0
    for name, array in order:
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": type_name(name, array.dtype),
            "shape": array.shape,
            "data_offsets": (begin, end),
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    if len(text) > LARGEST_HEADER:
        raise ValueError(
            f"{path} would have a header of {len(text)} bytes, more than the {LARGEST_HEADER} "
            "that are read: keep less beside the arrays"
        )
    with atomic_write(path) as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for _, array in order:
            file.write(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data)


class TensorFile:
    """A safetensors file that is open for reading; its header has been checked.

    Attributes
    ----------
    metadata : dict of str to str
    entries : dict of str to Entry
        Type, shape and place of each array, by name.
    """

    def __init__(self, path: PathLike, file: BufferedReader) -> None:
        self._path = path
        self._file = file
        header, self._start, size = _read_header(path, file)
        self.metadata = _strings(path, header.pop("__metadata__", {}))
        self.entries = {name: _entry(path, name, value) for name, value in header.items()}
        end = 0
        for entry in sorted(self.entries.values(), key=lambda entry: (entry.begin, entry.end)):
            if entry.begin != end:
                raise _damaged(path, "its arrays overlap or leave a hole")
            end = entry.end
        if end != size:
            raise _damaged(path, f"its arrays take {end} bytes, it has {size}")

    def read(self, name: str) -> Array:
        """Read one array.

        Raises
        ------
        KeyError
            If the file has none of that name.
        ValueError
            If the file has become shorter since it was opened.
        """
        entry = self.entries[name]
        array: Array = np.empty(entry.shape, entry.dtype.newbyteorder("<"))
        self._file.seek(self._start + entry.begin)
        if self._file.readinto(array.reshape(-1).view(np.uint8).data) != array.nbytes:
            raise _damaged(self._path, "it has become shorter while it was read")
        return array.astype(entry.dtype, copy=False)


class Entry(NamedTuple):
    """One array of a file: its bytes are those from `begin` to `end` after the header."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


@contextlib.contextmanager
def open_tensors(path: PathLike) -> Iterator[TensorFile]:
    """Open a safetensors file and check its header, whoever made it.

    Nothing in the file is run, and no more memory is taken than it is long.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a whole safetensors file: names the path and what is wrong.
    """
    status = Path(path).stat()  # a missing file: FileNotFoundError, which names it
    if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ValueError(f"{path} is {what}: expected a safetensors file")
    with Path(path).open("rb") as file:
        yield TensorFile(path, file)


def type_name(name: str, dtype: np.dtype[Any]) -> str:
    """Return what safetensors calls a dtype, or raise TypeError if it has no such numbers."""
    for found, known in TYPES.items():
        if dtype == known or dtype == known.newbyteorder():
            return found
    raise TypeError(f"{name} has dtype {dtype}, expected numbers")


def _read_header(path: PathLike, file: BufferedReader) -> tuple[dict[str, Any], int, int]:
    """Return the header, where the arrays begin, and how many bytes they have."""
    size = os.fstat(file.fileno()).st_size
    start = file.read(8)
    if len(start) < 8:
        raise ValueError(f"{path} has {len(start)} bytes: not a safetensors file, or cut off")
    length = int.from_bytes(start, "little")
    if length > size - 8:
        raise ValueError(
            f"{path} announces a header of {length} bytes but has only {size}: "
            "not a safetensors file, or cut off"
        )
    if length > LARGEST_HEADER:
        raise ValueError(
            f"{path} has a header of {length} bytes, more than the {LARGEST_HEADER} allowed"
        )
    try:
        header = json.loads(file.read(length).decode(), object_pairs_hook=_different_keys)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, error) from None
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    return header, 8 + length, size - 8 - length


def _different_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands there twice")
    return found


def _strings(path: PathLike, metadata: Any) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged(path, "its metadata are not strings")
    return metadata


def _entry(path: PathLike, name: str, value: Any) -> Entry:
    what = repr(name[:80])
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"{what} has not just a dtype, a shape and data_offsets")
    if not isinstance(value["dtype"], str) or value["dtype"] not in TYPES:
        raise _damaged(path, f"{what} has the unknown dtype {str(value['dtype'])[:80]!r}")
    dtype = TYPES[value["dtype"]]
    shape, offsets = value["shape"], value["data_offsets"]
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2 or len(shape) > 32:
        raise _damaged(path, f"{what} has a wrong shape or wrong data_offsets")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize or max(shape, default=0) > LARGEST_SIZE:
        raise _damaged(path, f"{what} has not as many bytes as its shape asks for")
    return Entry(dtype, tuple(shape), begin, end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _damaged(path: PathLike, why: object) -> ValueError:
    text = " ".join(str(why).split())[:200]
    return ValueError(f"{path} is damaged or not a safetensors file: {text}")
