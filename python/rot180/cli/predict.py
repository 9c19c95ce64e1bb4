"""``rot180 predict``: classify images with saved weights."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rot180 import functional, io, models
from rot180.cli import exit_status
from rot180.cli.images import Images, read_images
from rot180.cli.parser import Commands, one_line
from rot180.layers import Sequential

BATCH = 256


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "predict",
        help="classify PNG or NPY files with saved weights",
        description="Print for each image its path, the digit it shows, and how probable that is.",
        epilog="A picture may have any size and mode; dark strokes on a light ground are inverted, "
        "a wide margin is cropped. An NPY file holds (8, 8), (N, 8, 8) or (N, 8, 8, 1) with bright "
        "strokes; values 0..1, 0..16 and 0..255 are told apart by the largest. "
        "Exit status 2 if a file could not be read; the others are classified all the same.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", type=Path, help="a file from rot180 train")
    parser.add_argument(
        "images", metavar="IMAGE", type=Path, nargs="+", help="PNG, JPEG or NPY files"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Classify every image; complain of those that cannot be read."""
    network = _load_network(arguments.weights)
    names = max(len(str(path)) for path in arguments.images)
    status = exit_status.SUCCESS
    for path in arguments.images:
        try:
            images = read_images(path, *network.image_size)
        except (OSError, ValueError) as error:
            sys.stdout.flush()
            print(f"rot180: error: {one_line(error)}", file=sys.stderr)
            status = exit_status.USER_ERROR
            continue
        for index, (class_name, probability) in enumerate(_classify(network, images)):
            name = f"{path}[{index}]" if len(images.x) > 1 else str(path)
            notes = "".join(f"  ({note})" for note in images.notes)
            print(f"{name:<{names}}  {class_name}  {100 * probability:6.2f} %{notes}")
    return status


class _Network(NamedTuple):
    model: Sequential
    image_size: tuple[int, int]
    class_names: list[str]


def _load_network(path: Path) -> _Network:
    """Build the model that the file names and load its weights; nothing in the file is run."""
    metadata = io.read_metadata(path)
    if "model" not in metadata:
        raise ValueError(
            f"{path} does not say which model it belongs to: expected a file from rot180 train"
        )
    try:
        model = models.build(metadata["model"], rng=0)
        height, width, channels = _sizes(metadata.get("input_shape", ""))
        class_names = metadata.get("classes", "").split()
        if channels != 1 or model.output_shape((height, width, 1)) != (len(class_names),):
            raise ValueError("its input_shape and classes do not fit its model")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    io.load_weights(path, model)
    return _Network(model, (height, width), class_names)


def _sizes(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d{1,4}) (\d{1,4}) (\d{1,4})", text, re.ASCII)
    if match is None:
        raise ValueError(f"input_shape is {text[:80]!r}, expected three sizes as in '8 8 1'")
    height, width, channels = map(int, match.groups())
    return height, width, channels


def _classify(network: _Network, images: Images) -> Iterator[tuple[str, float]]:
    for start in range(0, len(images.x), BATCH):
        logits = network.model.forward(images.x[start : start + BATCH])
        for row in functional.softmax(logits):
            yield network.class_names[int(row.argmax())], float(row.max())
