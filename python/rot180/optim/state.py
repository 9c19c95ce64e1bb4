"""States as dicts: what `state_dict` writes and what `load_state_dict` refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from rot180.arguments import FloatArray
from rot180.layers import Parameter


def different_names(parameters: list[Parameter]) -> list[str]:
    """Parameters' names, with #2, #3 after those that came before: layers outside a Sequential."""
    count: Counter[str] = Counter()
    names = []
    for parameter in parameters:
        count[parameter.name] += 1
        number = count[parameter.name]
        names.append(parameter.name if number == 1 else f"{parameter.name}#{number}")
    return names


def check_writer(state: Mapping[str, Any], kind: str, own: str) -> None:
    """Refuse the state of another class; `kind` is the key under which a state names its own."""
    if state.get(kind) != own:
        raise ValueError(f"the state is of {kind} {state.get(kind)!r}, expected {own!r}")


def checked_count(state: Mapping[str, Any], name: str) -> int:
    """Return a state's count, an int of at least 0."""
    count = state.get(name)
    if not isinstance(count, int | np.integer) or isinstance(count, bool) or count < 0:
        raise ValueError(f"the state's {name!r} is {count!r}, expected an int of at least 0")
    return int(count)


def check_known(state: Mapping[str, Any], known: tuple[str, ...], owner: str) -> None:
    """Refuse a state that has more in it than its owner keeps."""
    unknown = [name for name in state if name not in known]
    if unknown:
        raise ValueError(
            f"the state has {unknown[0]!r}, which this {owner} does not keep: "
            "build it with the same options"
        )


def check_arrays(kind: str, found: Any, own: Mapping[str, FloatArray]) -> None:
    """Refuse arrays by name that do not have the names, shapes and dtypes of one's own."""
    if not isinstance(found, Mapping):
        raise ValueError(f"the state misses {kind!r}, a dict from name to array")
    for name, expected in own.items():
        if name not in found:
            raise ValueError(f"the state misses {kind!r} of {name!r}")
        array = found[name]
        if not isinstance(array, np.ndarray) or array.dtype != expected.dtype:
            what = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(
                f"the state's {kind!r} of {name!r} is {what}, expected {expected.dtype}"
            )
        if array.shape != expected.shape:
            raise ValueError(
                f"the state's {kind!r} of {name!r} has shape {array.shape}, "
                f"expected {expected.shape}"
            )
    unknown = [name for name in found if name not in own]
    if unknown:
        raise ValueError(
            f"the state has {kind!r} of {unknown[0]!r}, which is unknown here: "
            "expected the state of the same model"
        )


def copied(arrays: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Return a copy of each array."""
    return {name: array.copy() for name, array in arrays.items()}


def copy_into(own: Mapping[str, FloatArray], found: Mapping[str, FloatArray]) -> None:
    """Overwrite one's own arrays, in place, by those of the same name."""
    for name, array in own.items():
        np.copyto(array, found[name])
