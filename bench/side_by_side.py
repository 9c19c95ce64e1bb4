"""What every comparison does: start the two libraries, verify, take turns, hold rot180 to the best
of PyTorch.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench import machine
from bench.library import TORCH_INSTRUCTION_SETS, Library, environment

WARM_UP_TURNS = 2

Turns = dict[str, list[float]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that every comparison has."""
    add = parser.add_argument
    add("--dtype", choices=["float32", "float64"], default="float32")
    add("--threads", type=int, help="for both; else as many as rot180 takes")
    add(
        "--instruction-set", choices=list(TORCH_INSTRUCTION_SETS), help="the best for both, if less"
    )
    add("--retain-memory", action="store_true", help="glibc keeps what is freed")
    add("--pairs", type=int, default=15)
    add("--out", type=Path, help="a JSON file to write")
    add("--plot", type=Path, help="a PNG file to draw the ratios in")


def start(arguments: argparse.Namespace) -> tuple[Library, Library, dict[str, Any]]:
    """Start rot180 and PyTorch with as many threads, and say on what and how they run."""

    def started(name: str, threads: int | None) -> Library:
        variables = environment(name, arguments.instruction_set, arguments.retain_memory)
        return Library(name, threads, variables)

    ours = started("rot180", arguments.threads)
    theirs = started("torch", ours.about["threads"])
    run = {
        "cpu": machine.cpu_name(),
        "threads": ours.about["threads"],
        "instruction_set": ours.about["instruction_set"],
        "torch_instruction_set": theirs.about["instruction_set"],
        "dtype": arguments.dtype,
        "retain_memory": arguments.retain_memory,
        "pairs": arguments.pairs,
        "versions": ours.about["versions"] | theirs.about["versions"],
        "load_before": machine.load(),
    }
    print(
        f"{run['cpu']}, {run['threads']} threads, {run['instruction_set']}, {run['dtype']}, "
        f"load {run['load_before'][0]:.2f}"
    )
    return ours, theirs, run


def verify(
    ours: Library,
    theirs: Library,
    request: dict[str, Any],
    difference: Callable[[Path, Path], float],
) -> tuple[dict[str, bool], list[str], dict[str, float]]:
    """Let each library compute what is asked for in every way that it has, and compare all.

    Returns our variants, of each whether "auto" comes to it, their variants, and the largest
    difference of each of ours to any of theirs.
    """
    with tempfile.TemporaryDirectory() as folder:
        our_variants = ours.ask(**request, results=f"{folder}/ours")["auto"]
        their_variants = list(theirs.ask(**request, results=f"{folder}/theirs")["auto"])
        differences = {
            variant: max(
                difference(Path(folder, f"ours-{mine}.npz"), Path(folder, f"theirs-{other}.npz"))
                for other in range(len(their_variants))
            )
            for mine, variant in enumerate(our_variants)
        }
    return our_variants, their_variants, differences


def take_turns(
    ours: Library,
    theirs: Library,
    our_variants: Iterable[str],
    their_variants: Iterable[str],
    pairs: int,
) -> tuple[Turns, Turns]:
    """Seconds of each turn of each variant, after a few to warm up."""
    our_turns: Turns = {variant: [] for variant in our_variants}
    their_turns: Turns = {variant: [] for variant in their_variants}
    for _ in range(WARM_UP_TURNS + pairs):
        for library, turns in ((ours, our_turns), (theirs, their_turns)):
            for variant in turns:
                turns[variant].append(library.time(variant))
    for seconds in (*our_turns.values(), *their_turns.values()):
        del seconds[:WARM_UP_TURNS]
    return our_turns, their_turns


def against_the_best(our_seconds: list[float], their_turns: Turns) -> dict[str, Any]:
    """The median of one variant of ours, and of its ratio turn by turn to the best of theirs."""
    medians = {variant: median(seconds) for variant, seconds in their_turns.items()}
    best = min(medians, key=lambda variant: medians[variant])
    ratios = [b / a for a, b in zip(our_seconds, their_turns[best], strict=True)]
    return {
        "milliseconds": 1e3 * median(our_seconds),
        "torch_milliseconds": {variant: 1e3 * time for variant, time in medians.items()},
        "torch_best": best,
        "ratio": median(ratios),
        "ratio_quartiles": quantiles(ratios, n=4)[::2] if len(ratios) > 1 else 2 * ratios,
    }
