"""Safetensors files: arrays by name, and strings beside them. Nothing in a file can be run."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180 import _core
from rot180.io.atomic import PathLike, atomic_write
from rot180.io.header import LARGEST_HEADER, TYPES, parse_header

Array: TypeAlias = npt.NDArray[Any]


def write_tensors(
    path: PathLike, tensors: Mapping[str, Array], metadata: Mapping[str, str]
) -> None:
    """Write a safetensors file, whole or not at all.

    The same arrays and metadata give the same bytes: the file holds no date and no path.

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
    library = _safetensors_numpy()
    strings = {"rot180_version": _core.version(), **metadata}
    for key, value in strings.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"metadata must map str to str, got {key!r}: {value!r}")
    for name, array in tensors.items():
        if array.dtype.newbyteorder("=") not in TYPES.values():
            raise TypeError(f"{name} has dtype {array.dtype}, expected numbers")
    data: bytes = library.save(
        {name: np.asarray(array, order="C") for name, array in tensors.items()}, metadata=strings
    )
    header = _header_in_fixed_order(data)
    if len(header) > LARGEST_HEADER:
        raise ValueError(
            f"{path} would have a header of {len(header)} bytes, more than the {LARGEST_HEADER} "
            "that are read: keep less beside the arrays"
        )
    with atomic_write(path) as file:
        file.write(header)
        file.write(memoryview(data)[8 + _header_length(data[:8]) :])


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
        size = os.fstat(file.fileno()).st_size
        length = _checked_header_length(path, file.read(8), size)
        self._data_begins = 8 + length
        try:
            self.metadata, self.entries = parse_header(file.read(length), size - 8 - length)
        except ValueError as error:
            text = " ".join(str(error).split())[:200]
            raise ValueError(f"{path} is damaged or not a safetensors file: {text}") from None

    def read(self, name: str) -> Array:
        """Read one array.

        Raises
        ------
        ValueError
            If another program has cut the file off meanwhile.
        """
        entry = self.entries[name]
        array = np.empty(entry.shape, entry.dtype.newbyteorder("<"))
        self._file.seek(self._data_begins + entry.begin)
        data = array.reshape(-1).view(np.uint8).data
        if array.nbytes and self._file.readinto(data) < array.nbytes:
            raise ValueError(f"{self._path} was cut off while it was read")
        return array.astype(entry.dtype, copy=False)


@contextlib.contextmanager
def open_tensors(path: PathLike) -> Iterator[TensorFile]:
    """Open a safetensors file and check its header, whoever made it.

    Nothing in the file is run, and no more memory is taken than the arrays that are read. The file
    is not mapped: if another program cuts it off, that is an error, not the end of the process.

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


def _checked_header_length(path: PathLike, start: bytes, size: int) -> int:
    if len(start) < 8:
        raise ValueError(f"{path} has {len(start)} bytes: not a safetensors file, or cut off")
    length = _header_length(start)
    if length > size - 8:
        raise ValueError(
            f"{path} announces a header of {length} bytes but has only {size}: "
            "not a safetensors file, or cut off"
        )
    if length > LARGEST_HEADER:
        raise ValueError(
            f"{path} has a header of {length} bytes, more than the {LARGEST_HEADER} allowed"
        )
    return length


def _header_length(start: bytes) -> int:
    return int.from_bytes(start, "little")


def _header_in_fixed_order(data: bytes) -> bytes:
    """Take the header of a serialised file with its metadata sorted.

    The library writes the metadata in the order of a hash table, another one in each process.
    """
    length = _header_length(data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of 8
    return len(text).to_bytes(8, "little") + text


def _safetensors_numpy() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            'weights are kept with safetensors: pip install "rot180[train]"'
        ) from error
    return safetensors.numpy
