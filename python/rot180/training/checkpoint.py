"""Checkpoints: all that a training needs to go on to the same bits, in one file.

A checkpoint is a safetensors file. Its arrays are named by their path in the state that
`rot180.Trainer` writes, ``"model/0.weight"`` or ``"optimizer/m/0.weight"``; what is not an array
(the steps taken, the position in the epoch, the states of random generators) stands beside them in
JSON. `rot180.callbacks.Checkpoints` writes them during a training.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from rot180.io import CHECKPOINT_FORMAT, PathLike, open_tensors, write_tensors

# Nested dicts of arrays and of what JSON can hold.
State: TypeAlias = dict[str, Any]

# What a process that was killed while it wrote has left behind is removed after so many seconds.
ABANDONED_AFTER = 3600.0


def write_checkpoint(path: PathLike, state: Mapping[str, Any]) -> None:
    """Write a state to a file, whole or not at all.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    state
        A dict; its values are arrays, dicts of the same kind, or what JSON can hold: None, bool,
        int, float, str, and lists of them. Keys are strings without a slash.

    Raises
    ------
    TypeError, ValueError
        If the state holds something else: says where.
    OSError
        If the file cannot be written; a file that was there before is untouched.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from rot180.training.checkpoint import read_checkpoint, write_checkpoint
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "checkpoint.safetensors"
    ...     write_checkpoint(path, {"step": 3, "model": {"0.weight": np.ones(2)}})
    ...     read_checkpoint(path)
    {'step': 3, 'model': {'0.weight': array([1., 1.])}}
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_without_arrays("", state, arrays), separators=(",", ":"))
    write_tensors(path, arrays, {"format": CHECKPOINT_FORMAT, "state": text})


def read_checkpoint(path: PathLike) -> State:
    """Read the state that a file holds. Nothing in the file is run.

    Parameters
    ----------
    path
        A file that `write_checkpoint` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, or something else than a checkpoint: names the path and what is wrong.
    """
    with open_tensors(path) as file:
        found = file.metadata.get("format")
        if found != CHECKPOINT_FORMAT:
            raise ValueError(f"{path} has the format {found!r}, expected {CHECKPOINT_FORMAT!r}")
        try:
            state = json.loads(file.metadata.get("state", ""))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if not isinstance(state, dict):
            raise ValueError(f"{path} is damaged: its state is not a dict")
        for name in file.entries:
            *parents, last = name.split("/")
            place = _place(state, parents)
            if place is None or last in place:
                raise ValueError(f"{path} is damaged: there is no place for {name[:80]!r}")
            place[last] = file.read(name)
        return state


def checkpoint_path(folder: PathLike, step: int) -> Path:
    """Name of the checkpoint that is written after that many optimizer steps."""
    return Path(folder) / f"checkpoint-{step:09d}.safetensors"


def checkpoints_in(folder: PathLike) -> dict[int, Path]:
    """Return the checkpoints in a folder by the steps that were taken, in ascending order.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    """
    found = {}
    for path in Path(folder).iterdir():
        match = re.fullmatch(r"checkpoint-(\d{9,18})\.safetensors", path.name, re.ASCII)
        if match:
            found[int(match[1])] = path
    return dict(sorted(found.items()))


def remove_abandoned(folder: PathLike) -> None:
    """Remove what processes that were killed while they wrote have left behind.

    Only files that are too old for another process to be writing them now.
    """
    for path in Path(folder).glob(".rot180-*.tmp"):
        try:
            if time.time() - path.stat().st_mtime > ABANDONED_AFTER:
                path.unlink()
        except FileNotFoundError:  # another process was faster
            pass


def _without_arrays(path: str, value: Any, arrays: dict[str, Any]) -> Any:
    """Return a state as JSON can hold it, and collect its arrays by their paths."""
    if isinstance(value, Mapping):
        kept = {}
        for key, entry in value.items():
            if not isinstance(key, str) or "/" in key:
                raise ValueError(f"the state has the key {key!r}, expected a str without a slash")
            place = f"{path}/{key}" if path else key
            if isinstance(entry, np.ndarray):
                arrays[place] = entry
            else:
                kept[key] = _without_arrays(place, entry, arrays)
        return kept
    if isinstance(value, list | tuple):
        in_lists: dict[str, Any] = {}
        found = [_without_arrays(path, entry, in_lists) for entry in value]
        if in_lists:
            raise TypeError(f"the state has an array in a list at {path!r}: put it into a dict")
        return found
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(
        f"the state has {type(value).__name__} at {path!r}, expected arrays, numbers, strings, "
        "and dicts of them"
    )


def _place(state: State, parents: list[str]) -> State | None:
    """Return the dict inside the state that the path leads to, if there is one."""
    for parent in parents:
        child = state.get(parent)
        if not isinstance(child, dict):
            return None
        state = child
    return state
