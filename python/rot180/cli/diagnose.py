"""``rot180 diagnose``: which mistake a backward pass has."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from rot180.cli.parser import Commands, UsageError, positive_float, positive_int
from rot180.diagnose import Diagnosis, conv2d_arrays
from rot180.diagnose.files import read_numbers
from rot180.diagnose.isolation import SECONDS, diagnose_file
from rot180.diagnose.kinds import KINDS, options_of

ARRAYS = {
    "x": "the input",
    "w": "the kernels",
    "dy": "dL/dy, from the layer that follows",
    "dx": "a gradient to judge",
    "dw": "a gradient to judge",
    "db": "a gradient to judge",
    "y": "what the forward returned: shows whether it is a correlation or a true convolution",
    "bias": "the bias",
}


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "diagnose",
        help="say which mistake a backward pass has",
        description="Name the mistake in a backward pass: of a Python function, which is called "
        "on small probes in a process of its own, or in arrays that a program in any language "
        "wrote, with what they were computed from.",
        epilog="FILE is .npy, .npz:KEY, or text with numbers between white space or commas; "
        "FILE:2x6x7x3 gives numbers in a row that shape. "
        "Exit status 0 if all is right, 1 for a mistake, 2 for what cannot be judged.",
    )
    unset: Any = argparse.SUPPRESS
    parser.add_argument(
        "function",
        metavar="FILE.py:FUNCTION",
        nargs="?",
        default=unset,
        help="the backward pass, a function such as backward(x, w, dy, stride, padding) that "
        "returns some of dx, dw, db",
    )
    both = parser.add_argument_group("about a function or arrays").add_argument
    both("--layout", default=unset, metavar="NHWC", help="order of the axes of x, dy, dx, y")
    both("--weight-layout", default=unset, metavar="HWIO", help="order of the axes of w, dw")
    both("--activation", default=unset, metavar="NAME", help="that dy is still to go through")
    both("--json", action="store_true", default=unset, help="print the report as JSON")
    of_function = parser.add_argument_group("about a function").add_argument
    of_function(
        "--kind",
        choices=list(KINDS),
        metavar="KIND",
        default=unset,
        help=f"what it computes: conv2d if not given, {', '.join(list(KINDS)[1:])}",
    )
    of_function(
        "--option",
        type=_option,
        action="append",
        default=unset,
        metavar="NAME=VALUE",
        help="of the function of rot180.diagnose that judges the kind: lr=0.01, name=relu",
    )
    of_function(
        "--forward", default=unset, metavar="[FILE.py:]FUNCTION", help="the forward pass beside it"
    )
    of_function(
        "--ndim", type=int, default=unset, metavar="N", help="axes of an image: 4, or 3 or 2"
    )
    of_function(
        "--returns",
        type=lambda text: text.split(","),
        default=unset,
        metavar="dx,dw,db",
        help="what it returns, in order",
    )
    of_function("--dtype", default=unset, metavar="float64", help="of the arrays it is given")
    of_function(
        "--time-limit",
        type=positive_float,
        default=unset,
        metavar="S",
        help=f"seconds after which to give up: {SECONDS:g}",
    )
    of_arrays = parser.add_argument_group("arrays").add_argument
    for name, meaning in ARRAYS.items():
        of_arrays(f"--{name}", default=unset, metavar="FILE", help=meaning)
    of_arrays("--stride", type=_pair, default=unset, metavar="S", help="2, or 2,3 for H and W")
    of_arrays(
        "--padding",
        type=_padding,
        default=unset,
        metavar="P",
        help="1; 1,2 for H and W; top,bottom,left,right; valid, same or full",
    )
    of_arrays("--dilation", type=_pair, default=unset, metavar="D", help="2, or 2,3")
    of_arrays("--groups", type=positive_int, default=unset, metavar="G", help="groups of channels")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Judge, print the report, and return its exit status."""
    given = dict(vars(arguments))
    del given["run"]
    function, as_json = given.pop("function", None), given.pop("json", False)
    diagnosis = _of_arrays(given) if function is None else _of_function(function, given)
    if as_json:
        print(diagnosis.to_json())
    else:
        # https://no-color.org: any value but an empty one.
        print(diagnosis.text(colour=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return diagnosis.exit_status


def _of_function(function: str, given: dict[str, Any]) -> Diagnosis:
    path, _, name = function.rpartition(":")
    if not path or not name:
        raise UsageError(f"{function}: expected FILE.py:FUNCTION")
    kind, seconds = given.pop("kind", "conv2d"), given.pop("time_limit", SECONDS)
    given.update(given.pop("option", []))
    known = options_of(kind)
    for option in given:
        if option not in known:
            spelled = option.replace("_", "-")
            raise UsageError(
                f"--{spelled} has no meaning for a function of kind {kind}, which is called with "
                "values of its own"
                if option in ARRAYS or option in ("stride", "padding", "dilation", "groups")
                else f"--{spelled} is not for kind {kind}"
            )
    return diagnose_file(function, kind, given, seconds)


def _of_arrays(given: dict[str, Any]) -> Diagnosis:
    for option in ("kind", "option", "forward", "ndim", "returns", "dtype", "time_limit"):
        if option in given:
            raise UsageError(
                f"--{option.replace('_', '-')} is for a function: rot180 diagnose FILE.py:FUNCTION"
            )
    read = {name: read_numbers(given.pop(name)) for name in ARRAYS if name in given}
    if not read:
        raise UsageError(
            "expected FILE.py:FUNCTION, or arrays: --x x.npy --w w.npy --dy dy.npy --dx dx.npy"
        )
    digits = [numbers.digits for numbers in read.values() if numbers.digits is not None]
    arrays: dict[str, Any] = {name: numbers.values for name, numbers in read.items()}
    return conv2d_arrays(**arrays, **given, digits=min(digits, default=None))


def _option(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is JSON, or else a text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _pair(text: str) -> int | tuple[int, ...]:
    """Read one whole number or two."""
    try:
        numbers = tuple(int(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 2):
        raise argparse.ArgumentTypeError(f"expected 2, or 2,3, got {text!r}")
    return numbers[0] if len(numbers) == 1 else numbers


def _padding(text: str) -> Any:
    """Read a padding: a name, one number, two, or four."""
    if text in ("valid", "same", "full"):
        return text
    parts = text.split(",")
    if len(parts) == 4 and all(part.isdigit() for part in parts):
        top, bottom, left, right = map(int, parts)
        return ((top, bottom), (left, right))
    try:
        return _pair(text)
    except argparse.ArgumentTypeError:
        raise argparse.ArgumentTypeError(
            f"expected 1, 1,2, top,bottom,left,right, valid, same or full, got {text!r}"
        ) from None
