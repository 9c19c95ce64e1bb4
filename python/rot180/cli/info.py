"""``rot180 info``: what this build is and how it runs here."""

from __future__ import annotations

import argparse
import platform

import numpy as np

import rot180
from rot180.cli import exit_status
from rot180.cli.parser import Commands


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "info",
        help="print version, compiler, OpenMP, instruction set and threads",
        description="Print what this build is and how it runs on this machine; "
        "useful in a bug report.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each fact."""
    build = rot180.build_info()
    available = ", ".join(build["instruction_sets"])
    facts = {
        "rot180": rot180.__version__,
        "compiler": build["compiler"],
        "OpenMP": build["openmp"],
        "instruction set": f"{rot180.instruction_set()} (available: {available})",
        "threads": rot180.get_num_threads(),
        "Python": platform.python_version(),
        "NumPy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}  {value}")
    return exit_status.SUCCESS
