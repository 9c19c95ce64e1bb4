"""The argument parser of the command line: one-line errors, checked numbers."""

from __future__ import annotations

import argparse
import math
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
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


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
