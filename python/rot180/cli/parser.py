"""The argument parser of the command line: one-line errors, checked numbers."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeAlias

# What add_subparsers() returns; argparse gives it no public name.
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


class UsageError(Exception):
    """A wrong argument, told to the user in one line."""


class Parser(argparse.ArgumentParser):
    """A parser that raises `UsageError` and takes no abbreviated options."""

    def __init__(self, **options: Any) -> None:
        super().__init__(
            allow_abbrev=False, formatter_class=argparse.ArgumentDefaultsHelpFormatter, **options
        )

    def error(self, message: str) -> NoReturn:
        """Raise what would otherwise be printed on several lines."""
        raise UsageError(f"{message} (try: {self.prog} --help)")


def positive_int(text: str) -> int:
    """Read a whole number of at least 1."""
    return _whole_number(text, 1)


def non_negative_int(text: str) -> int:
    """Read a whole number of at least 0."""
    return _whole_number(text, 0)


def positive_float(text: str) -> float:
    """Read a finite number above 0."""
    value = _number(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def non_negative_float(text: str) -> float:
    """Read a finite number of at least 0."""
    value = _number(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of at least 0, got {text!r}")
    return value


def image_size(text: str) -> tuple[int, int]:
    """Read a height and a width, 32x48, or one number for both."""
    match = re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text, re.ASCII)
    height, width = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not height or not width:
        raise argparse.ArgumentTypeError(f"expected a size as 32 or 32x48, got {text!r}")
    return height, width


def names_of(choices: Iterable[str]) -> Callable[[str], tuple[str, ...]]:
    """Return a function that reads some of the names, with commas between them, or none."""
    allowed = tuple(choices)

    def read(text: str) -> tuple[str, ...]:
        names = () if text == "none" else tuple(text.split(","))
        if not set(names) <= set(allowed):
            raise argparse.ArgumentTypeError(
                f"expected none, or {', '.join(allowed)} with commas between them, got {text!r}"
            )
        return names

    return read


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _whole_number(text: str, smallest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = smallest - 1
    if value < smallest:
        raise argparse.ArgumentTypeError(
            f"expected a whole number of at least {smallest}, got {text!r}"
        )
    return value


def one_line(error: BaseException) -> str:
    """Return the message of an error on one line; an OSError's with its path."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror}"
    else:
        message = str(error) or type(error).__name__
    return " ".join(message.split())
