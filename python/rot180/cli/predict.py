"""``rot180 predict``: classify images with saved weights."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy.typing as npt

from rot180 import functional
from rot180.cli import exit_status
from rot180.cli.images import read_images
from rot180.cli.network import Network, load_network
from rot180.cli.parser import Commands, one_line

BATCH = 256


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "predict",
        help="classify PNG or NPY files with saved weights",
        description="Print for each image its path, what it shows, and how probable that is.",
        epilog="A picture may have any size and mode. For a network trained on digits, dark "
        "strokes on a light ground are inverted and a wide margin is cropped; for others the "
        "middle is cut out and resized. An NPY file holds images as the network takes them, one "
        "or many; integers count from 0 to 255. "
        "Exit status 2 if a file could not be read; the others are classified all the same.",
    )
    parser.add_argument("weights", metavar="WEIGHTS", type=Path, help="a file from rot180 train")
    parser.add_argument(
        "images", metavar="IMAGE", type=Path, nargs="+", help="PNG, JPEG or NPY files"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Classify every image; complain of those that cannot be read."""
    network = load_network(arguments.weights)
    names = max(len(str(path)) for path in arguments.images)
    classes = max(map(len, network.class_names))
    status = exit_status.SUCCESS
    for path in arguments.images:
        try:
            images = read_images(path, network.inputs)
        except (OSError, ValueError) as error:
            sys.stdout.flush()
            print(f"rot180: error: {one_line(error)}", file=sys.stderr)
            status = exit_status.USER_ERROR
            continue
        for index, (class_name, probability) in enumerate(_classify(network, images.x)):
            name = f"{path}[{index}]" if len(images.x) > 1 else str(path)
            notes = "".join(f"  ({note})" for note in images.notes)
            print(f"{name:<{names}}  {class_name:<{classes}}  {100 * probability:6.2f} %{notes}")
    return status


def _classify(network: Network, x: npt.NDArray[Any]) -> Iterator[tuple[str, float]]:
    for start in range(0, len(x), BATCH):
        logits = network.model.forward(x[start : start + BATCH])
        for row in functional.softmax(logits):
            yield network.class_names[int(row.argmax())], float(row.max())
