"""The ``rot180`` command: train, predict, profile, diagnose, explain, info."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import rot180
from rot180.cli import diagnose, exit_status, explain, info, predict, profile, train
from rot180.cli.parser import Parser, UsageError, one_line


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    Parameters
    ----------
    argv
        Arguments without the program's name; None takes them from `sys.argv`.

    Returns
    -------
    int
        0 for success, 1 when training failed or a gradient is wrong, 2 for a wrong argument or
        file (told in a line on stderr), 130 after Ctrl-C.
    """
    try:
        arguments = _parser().parse_args(argv)
        status: int = arguments.run(arguments)
        sys.stdout.flush()
        return status
    except SystemExit as end:  # --help and --version have printed what was asked for
        return int(end.code or 0)
    except (UsageError, OSError, ValueError, ImportError, MemoryError) as error:
        if isinstance(error, BrokenPipeError):  # the reader, head for one, has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return exit_status.SUCCESS
        print(f"rot180: error: {one_line(error)}", file=sys.stderr)
        return exit_status.USER_ERROR
    except KeyboardInterrupt:
        print("rot180: stopped", file=sys.stderr)
        return exit_status.INTERRUPTED


def _parser() -> Parser:
    parser = Parser(
        prog="rot180",
        description="Train convolutional networks on images and use them.",
        epilog="Start with: rot180 train",
    )
    parser.add_argument("--version", action="version", version=f"rot180 {rot180.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (train, predict, profile, diagnose, explain, info):
        command.add_parser(commands)
    return parser
