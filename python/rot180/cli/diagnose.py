"""``rot180 diagnose``: which mistake a backward pass has."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

from rot180.cli.parser import Commands, UsageError, positive_int
from rot180.diagnose import conv2d_arrays, conv2d_backward
from rot180.diagnose.files import read_array

ARRAYS = ("x", "w", "dy", "dx", "dw", "db", "y", "bias")


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "diagnose",
        help="say which mistake a backward pass has",
        description="Judge a backward pass and name its mistake.",
    )
    add = parser.add_argument
    add("function", metavar="FILE.py:FUNCTION", nargs="?", help="a backward pass in Python")
    for name in ARRAYS:
        add(f"--{name}", metavar="FILE", help=f"{name}, as .npy, .npz:key, .csv or text")
    for name, default in (("stride", "1"), ("padding", "0"), ("dilation", "1")):
        add(f"--{name}", default=default, metavar="N", help="of the convolution: 2 or 2,3")
    add("--groups", type=positive_int, default=1, metavar="N", help="of the convolution")
    add("--layout", default="NHWC", help="order of the axes of x and dy")
    add("--weight-layout", default="HWIO", help="order of the axes of w")
    add("--json", action="store_true", help="print the report as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print the report, and return its exit status."""
    layouts = {"layout": arguments.layout, "weight_layout": arguments.weight_layout}
    if arguments.function:
        path, _, name = arguments.function.rpartition(":")
        spec = importlib.util.spec_from_file_location("diagnosed", Path(path))
        if spec is None or spec.loader is None:
            raise UsageError(f"{path} is no Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        diagnosis = conv2d_backward(getattr(module, name), **layouts)
    else:
        arrays: dict[str, Any] = {
            name: read_array(path)
            for name in ARRAYS
            if (path := getattr(arguments, name)) is not None
        }
        options = {name: _pair(getattr(arguments, name)) for name in ("stride", "padding")}
        options["dilation"] = _pair(arguments.dilation)
        diagnosis = conv2d_arrays(**arrays, **options, groups=arguments.groups, **layouts)
    if arguments.json:
        print(diagnosis.to_json())
    else:
        print(diagnosis.text(colour=sys.stdout.isatty() and "NO_COLOR" not in os.environ))
    return diagnosis.exit_status


def _pair(text: str) -> Any:
    numbers = [int(part) for part in text.split(",")]
    return numbers[0] if len(numbers) == 1 else tuple(numbers)
