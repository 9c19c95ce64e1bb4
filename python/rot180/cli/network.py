"""A trained network and what must be known to use it, which stands beside its weights."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from rot180 import io, models
from rot180.cli.images import READERS, Inputs
from rot180.data import Normalise
from rot180.layers import Sequential
from rot180.models.options import ImageShape

# Elements of an image. A file that claims more would have a model of gigabytes built.
LARGEST_INPUT = 1 << 19


class Network(NamedTuple):
    """A model of the zoo, what it takes, and what its outputs mean."""

    model: Sequential
    inputs: Inputs
    class_names: tuple[str, ...]


def metadata(model: str, inputs: Inputs, class_names: tuple[str, ...]) -> dict[str, str]:
    """Write down as strings what `load_network` reads."""
    strings = {
        "model": model,
        "input_shape": _joined(inputs.shape),
        "input_range": _joined(inputs.range),
        "pictures": inputs.pictures,
        "classes": shlex.join(class_names),
    }
    if inputs.normalise is not None:
        strings["mean"] = _joined(inputs.normalise.mean)
        strings["std"] = _joined(inputs.normalise.std)
    return strings


def load_network(path: Path) -> Network:
    """Build the model that a weights file names and load its weights; nothing in the file is run.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is damaged, or was not written by ``rot180 train``: names the path.
    """
    strings = {"input_range": "0 1", "pictures": "digits"} | io.read_metadata(path)
    if "model" not in strings:
        raise ValueError(
            f"{path} does not say which model it belongs to: expected a file from rot180 train"
        )
    try:
        inputs = _inputs(strings)
        class_names = tuple(shlex.split(strings.get("classes", "")))
        model = _build(strings["model"], inputs.shape, len(class_names))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    io.load_weights(path, model)
    return Network(model, inputs, class_names)


def _inputs(strings: Mapping[str, str]) -> Inputs:
    shape = _sizes(strings.get("input_shape", ""))
    low, high = _numbers(strings, "input_range", 2)
    pictures = strings["pictures"]
    if pictures not in READERS:
        raise ValueError(f"pictures is {pictures[:80]!r}, expected one of {', '.join(READERS)}")
    normalise = None
    if "mean" in strings:
        mean, std = (_numbers(strings, name, shape[2]) for name in ("mean", "std"))
        normalise = Normalise(mean, std)
    return Inputs(shape, (low, high), pictures, normalise)


def _build(name: str, input_shape: ImageShape, classes: int) -> Sequential:
    if name not in models.CLASSIFIERS:
        names = ", ".join(models.CLASSIFIERS)
        raise ValueError(f"no model is called {name[:80]!r}: expected one of {names}")
    if math.prod(input_shape) > LARGEST_INPUT or not classes:
        raise ValueError("its input_shape and classes do not fit its model")
    return models.build(name, input_shape=input_shape, classes=classes, rng=0)


def _sizes(text: str) -> ImageShape:
    match = re.fullmatch(r"(\d{1,4}) (\d{1,4}) (\d{1,4})", text, re.ASCII)
    if match is None:
        raise ValueError(f"input_shape is {text[:80]!r}, expected three sizes as in '8 8 1'")
    height, width, channels = map(int, match.groups())
    return height, width, channels


def _numbers(strings: Mapping[str, str], name: str, count: int) -> list[float]:
    text = strings.get(name, "")
    try:
        numbers = [float(word) for word in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{name} is {text[:80]!r}, expected {count} numbers")
    return numbers


def _joined(numbers: Iterable[float]) -> str:
    """Write numbers so that they are read back to the last bit, whole ones without a point."""
    return " ".join(
        str(int(number)) if number == int(number) else repr(number) for number in numbers
    )
