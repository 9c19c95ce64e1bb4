"""Data files, read with suspicion: nothing is allocated that the file cannot fill."""

from __future__ import annotations

import gzip
import math
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rot180.io import PathLike

GZIP = b"\x1f\x8b"

# Deflate, of gzip and zip, writes no fewer bits for a byte.
LARGEST_EXPANSION = 1032


class Readable(Protocol):
    """What a file, a member of an archive and a decompressor have in common."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill the beginning of the memory; 0 at the end."""


class DataFile:
    """A file that is read from front to back, with errors that say what it is and what it lacks.

    Parameters
    ----------
    name
        What errors call it.
    file
        Open for reading bytes.
    size
        Bytes that it can hold at most.
    """

    def __init__(self, name: str, file: Readable, size: int) -> None:
        self.name = name
        self.size = size
        self._file = file
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return the next few bytes."""
        return self.array((size,), np.dtype(np.uint8)).tobytes()

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """Return the next bytes as an array.

        Raises
        ------
        ValueError
            If there are not as many.
        """
        size = math.prod(shape) * dtype.itemsize
        if self._position + size > self.size:
            raise self._cut_off(self._position + size, "at most ", self.size)
        try:
            array = np.empty(shape, dtype)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{self.name} is damaged, its shape is {shape}: {error}") from None
        left = array.reshape(-1).view(np.uint8).data
        while len(left):
            count = self._read_into(left)
            if not count:
                raise self._cut_off(self._position + len(left), "", self._position)
            self._position += count
            left = left[count:]
        return array

    def expect_end(self) -> None:
        """Refuse a file that goes on."""
        if self._read_into(memoryview(bytearray(1))):
            raise ValueError(
                f"{self.name} goes on after {self._position} bytes, where it says that it ends"
            )

    def _read_into(self, memory: memoryview) -> int:
        try:
            return self._file.readinto(memory) or 0
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(f"{self.name} is cut off or damaged: {error}") from None

    def _cut_off(self, expected: int, limit: str, found: int) -> ValueError:
        return ValueError(
            f"{self.name} is cut off or damaged: it says that it has {expected} bytes or more, and "
            f"has {limit}{found}"
        )


@contextmanager
def open_data(path: PathLike) -> Iterator[DataFile]:
    """Open a file, whether it is gzipped or not: its first bytes tell, not its name.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no regular file, or, while it is read, if it is damaged.
    """
    size = regular_file_size(path)
    with Path(path).open("rb") as file:
        zipped = file.read(len(GZIP)) == GZIP
        file.seek(0)
        if zipped:
            with gzip.GzipFile(fileobj=file) as content:
                yield DataFile(str(path), content, LARGEST_EXPANSION * size)
        else:
            yield DataFile(str(path), file, size)


def regular_file_size(path: PathLike) -> int:
    """Return the size of a file in bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is a folder, or a pipe, which one would wait for in vain.
    """
    status = Path(path).stat()
    if not stat.S_ISREG(status.st_mode):
        what = "a folder" if stat.S_ISDIR(status.st_mode) else "not a regular file"
        raise ValueError(f"{path} is {what}: expected a file")
    return status.st_size
