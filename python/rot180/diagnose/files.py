"""Arrays from the files that a program in any language can write."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from rot180.diagnose.convolution import Array

# "x.txt:2x6x7x3": numbers in a row, and the shape that they have.
SHAPE = re.compile(r"(.+):(\d+(?:x\d+)*)")


class Numbers(NamedTuple):
    """An array, and how many significant digits it was written with (None: exactly)."""

    values: Array
    digits: int | None = None


def read_numbers(name: str) -> Numbers:
    """Read an array from a file.

    Parameters
    ----------
    name
        ``file.npy``, ``file.npz:key`` (or without key where there is one array), or text: numbers
        with white space, commas or semicolons between them, a row in a line; ``#`` begins a
        comment. ``file.txt:2x6x7x3`` gives the numbers, in C order, that shape.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it holds something else: names the file and what is wrong.
    """
    if not Path(name).exists() and (match := SHAPE.fullmatch(name)):
        path, shape = match[1], tuple(map(int, match[2].split("x")))
        values, digits = _read(path, as_a_row=True)
        if values.size != np.prod(shape, dtype=float):
            raise ValueError(f"{path} holds {values.size} numbers, which do not make {match[2]}")
        return Numbers(values.reshape(shape), digits)
    return _read(name)


def _read(name: str, as_a_row: bool = False) -> Numbers:
    """Read an array; of text whose lines are of any length the numbers in a row."""
    path, key = name, ""
    if not Path(name).exists() and ".npz:" in name:
        path, key = name.rsplit(":", 1)
    with Path(path).open("rb") as file:
        start = file.read(6)
        file.seek(0)
        try:
            if start.startswith(b"PK"):
                return Numbers(_from_npz(path, file, key))
            if start == b"\x93NUMPY":
                return Numbers(np.asarray(np.load(file, allow_pickle=False)))
            return _from_text(file.read().decode("utf-8-sig"), as_a_row)
        except Exception as error:
            # A damaged header or archive raises whatever tokenize, zipfile and zlib raise.
            raise ValueError(f"{path} cannot be read as an array: {error}") from None


def _from_npz(path: str, file: IO[bytes], key: str) -> Array:
    with np.load(file, allow_pickle=False) as arrays:
        names = list(arrays.files)
        if not key and len(names) == 1:
            key = names[0]
        if key not in names:
            raise ValueError(f"it holds {', '.join(names)}: say which, {path}:{names[0]}")
        return np.asarray(arrays[key])


def _from_text(text: str, as_a_row: bool) -> Numbers:
    lines = (line.split("#")[0] for line in text.splitlines())
    rows = [words for line in lines if (words := re.split(r"[\s,;]+", line.strip(" \t,;"))) != [""]]
    if not rows:
        raise ValueError("it is empty")
    if as_a_row:
        rows = [list(itertools.chain(*rows))]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(
            f"its lines hold from {min(map(len, rows))} to {max(map(len, rows))} numbers: "
            "give them their shape, FILE:2x6x7x3"
        )
    values = np.array([[float(word) for word in row] for row in rows])
    words = [word for row in rows for word in row]
    return Numbers(values if len(rows) > 1 else values[0], _digits(words))


def _digits(words: list[str]) -> int | None:
    """How many significant digits the longest number has; None where all are whole numbers."""
    if all(re.fullmatch(r"[+-]?\d+", word) for word in words):
        return None
    digits = (re.sub(r"[eE].*|[^\d]", "", word).lstrip("0") for word in words)
    return max(map(len, digits), default=None)
