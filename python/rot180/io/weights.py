"""The weights of a model in a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy.typing as npt

from rot180.io.atomic import PathLike
from rot180.io.header import Entry
from rot180.io.tensors import open_tensors, write_tensors

if TYPE_CHECKING:
    from rot180.arguments import FloatArray
    from rot180.layers import Layer

Array: TypeAlias = npt.NDArray[Any]

WEIGHTS_FORMAT = "rot180 weights, version 1"
CHECKPOINT_FORMAT = "rot180 checkpoint, version 1"

# What a checkpoint puts before the names of the model's arrays.
CHECKPOINT_PREFIX = "model/"


def save_weights(path: PathLike, model: Layer, metadata: Mapping[str, str] | None = None) -> None:
    """Write a model's parameters and buffers to a safetensors file, whole or not at all.

    The same arrays and metadata give the same bytes: the file holds no date and no path.

    Parameters
    ----------
    path
        The file, replaced if it exists.
    model
        A `Sequential`, or any layer: tensors are named as in ``model.named_parameters()`` and
        ``model.named_buffers()``.
    metadata
        Strings to keep beside the tensors. ``"format"`` and ``"rot180_version"`` are added.

    Raises
    ------
    TypeError
        If a key or a value of `metadata` is not a string.
    OSError
        If the file cannot be written; a file that was there before is untouched.

    Examples
    --------
    >>> import pathlib, tempfile, rot180
    >>> model = rot180.Sequential([rot180.Linear(3, 2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "weights.safetensors"
    ...     rot180.io.save_weights(path, model, {"model": "tiny"})
    ...     rot180.io.load_weights(path, model)
    ...     rot180.io.read_metadata(path)["model"]
    'tiny'
    """
    write_tensors(path, model_tensors(model), {"format": WEIGHTS_FORMAT, **(metadata or {})})


def load_weights(path: PathLike, model: Layer) -> None:
    """Read the parameters and buffers of `model` from a safetensors file, in place.

    Everything is checked before the first array changes: the file must hold exactly the model's
    tensors, by name, shape and dtype.

    Parameters
    ----------
    path
        A file that `save_weights` wrote, or any safetensors file with the same tensors; or a
        checkpoint of a training, of which only the model's arrays are read.
    model
        A `Sequential` or another layer, built as the saved one was.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is damaged or belongs to another model: names the path and what is wrong.
    """
    own = model_tensors(model)
    with open_tensors(path) as file:
        prefix = CHECKPOINT_PREFIX if file.metadata.get("format") == CHECKPOINT_FORMAT else ""
        found = {
            name[len(prefix) :]: entry
            for name, entry in file.entries.items()
            if name.startswith(prefix)
        }
        check_tensors(path, found, own)
        values = {name: file.read(prefix + name) for name in own}
    for name, array in own.items():
        array[...] = values[name]


def read_metadata(path: PathLike) -> dict[str, str]:
    """Read the strings that `save_weights` kept beside the tensors; {} where there are none.

    Parameters
    ----------
    path
        A safetensors file. Its tensors are not read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a whole safetensors file.
    """
    with open_tensors(path) as file:
        return file.metadata


def model_tensors(model: Layer) -> dict[str, FloatArray]:
    """Return the arrays that make a model what it is, by name: its parameters and its buffers."""
    values = {name: parameter.value for name, parameter in model.named_parameters().items()}
    return values | model.named_buffers()


def check_tensors(
    path: PathLike, found: Mapping[str, Entry | Array], own: Mapping[str, Array]
) -> None:
    """Refuse a file unless it has the model's own arrays, by name, shape and dtype."""
    missing, unknown = sorted(own.keys() - found.keys()), sorted(found.keys() - own.keys())
    if missing or unknown:
        parts = [f"misses {_some(missing)}"] * bool(missing)
        parts += [f"has {_some(unknown)}, which the model has not"] * bool(unknown)
        raise ValueError(f"{path} {' and '.join(parts)}: the file was saved from another model")
    for name, array in own.items():
        entry = found[name]
        if entry.shape != array.shape:
            raise ValueError(
                f"{path}: {name} has shape {entry.shape}, the model's has {array.shape}: "
                "the file was saved from another model"
            )
        if entry.dtype != array.dtype:
            raise ValueError(
                f"{path}: {name} has dtype {entry.dtype}, the model's is {array.dtype}: "
                "build the model with the dtype that was saved"
            )


def _some(names: list[str], limit: int = 4) -> str:
    shown = ", ".join(repr(name[:80]) for name in names[:limit])
    return shown + (f" and {len(names) - limit} more" if len(names) > limit else "")
