"""One way to run a row: what is timed, and how to look at its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Variant(NamedTuple):
    """A call, and what turns its result into arrays in the layout of rot180.

    auto says whether rot180 runs it for users who do not choose. PyTorch is taken at its best, so
    there it says nothing.
    """

    run: Callable[[], Any]
    arrays: Callable[[Any], list[Any]]
    auto: bool = True
