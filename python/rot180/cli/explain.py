"""``rot180 explain``: a page that shows a convolution and its gradients, term by term."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rot180.cli import exit_status
from rot180.cli.parser import Commands, non_negative_int, positive_int
from rot180.explainer import MISTAKES, VIEWS, explain
from rot180.explainer.example import example_arrays
from rot180.geometry import IntOrPair, Padding


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "explain",
        help="write a page that shows a convolution's gradients term by term",
        description="Write one HTML file, which needs no network, with x, w, y and their gradients "
        "as grids of small whole numbers. Pointing at a cell lights the cells that it is made of "
        "and lists its terms; sizes, stride, padding, dilation and groups can be changed there. "
        "For your own arrays: rot180.explain(x, w, dy) in Python.",
    )
    add = parser.add_argument
    add("--input", type=_image, default="5x5x2", metavar="HxWxC", help="size of x, HxW or HxWxC")
    add("--kernel", type=_pair, default="3x3", metavar="HxW", help="size of the kernel")
    add("--filters", type=positive_int, default=2, metavar="K", help="output channels")
    add("--stride", type=_pair, default="1", metavar="S", help="a number, or 2x1: down, across")
    add(
        "--padding",
        type=_padding,
        default="0",
        metavar="P",
        help="a number, 1x2, top,bottom,left,right, or valid, same, full",
    )
    add("--dilation", type=_pair, default="1", metavar="D", help="a number, or 2x1")
    add("--groups", type=positive_int, default=1, metavar="G", help="groups of channels")
    add("--seed", type=non_negative_int, default=0, metavar="N", help="for the numbers drawn")
    add("--view", choices=VIEWS, default="arrays", help="what the page shows first")
    add(
        "--mistake",
        choices=MISTAKES,
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="mistake that the page shows first, M1 for example",
    )
    add("--out", type=Path, default="explain.html", metavar="FILE", help="the page")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Draw the arrays, compute the passes, write the page."""
    options = {
        name: getattr(arguments, name) for name in ("stride", "padding", "dilation", "groups")
    }
    x, w, dy, b = example_arrays(
        arguments.input, arguments.kernel, arguments.filters, seed=arguments.seed, **options
    )
    mistake = getattr(arguments, "mistake", None)
    explain(x, w, dy, b, view=arguments.view, mistake=mistake, **options).save(arguments.out)
    print(f"written: {arguments.out}")
    return exit_status.SUCCESS


def _numbers(text: str, separator: str, counts: tuple[int, ...], expected: str) -> tuple[int, ...]:
    parts = text.split(separator)
    if len(parts) not in counts or not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return tuple(map(int, parts))


def _image(text: str) -> tuple[int, int, int]:
    height, width, *channels = _numbers(text, "x", (2, 3), "sizes as 5x5 or 5x5x2")
    return height, width, channels[0] if channels else 1


def _pair(text: str) -> IntOrPair:
    numbers = _numbers(text, "x", (1, 2), "a number, or two as 2x1")
    return numbers * 2 if len(numbers) == 1 else numbers


def _padding(text: str) -> Padding:
    if text in ("valid", "same", "full"):
        return text
    if "," in text:
        top, bottom, left, right = _numbers(text, ",", (4,), "top,bottom,left,right as 1,2,0,1")
        return ((top, bottom), (left, right))
    return _pair(text)
