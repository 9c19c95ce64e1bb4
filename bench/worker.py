"""One library in a process of its own: it computes and times what `bench.compare` and
`bench.steps` ask for.

Says on stdout what it is, then reads requests on stdin and answers them, one JSON object a line.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench import conv2d, machine, optim, training_step
from bench.optim import AdamStep
from bench.rows import parse
from bench.shapes import Shape
from bench.training_step import TrainingStep
from bench.variant import Variant

TOPICS: dict[type, Any] = {Shape: conv2d, AdamStep: optim, TrainingStep: training_step}

# What is shorter than this is timed in a series of calls, as one follows another in training: a
# single short call measures how fast an idle core wakes.
TURN_SECONDS = 5e-3

STEPS_TO_PEAK = 5
SMALL = TrainingStep("lenet5", 1)


def start_rot180(threads: int | None) -> dict[str, Any]:
    """Set the threads, all that there are for None, and say what runs."""
    import rot180

    if threads is not None:
        rot180.set_num_threads(threads)
    return {
        "threads": rot180.get_num_threads(),
        "instruction_set": rot180.instruction_set(),
        "versions": {
            "rot180": rot180.__version__,
            "compiler": rot180.build_info()["compiler"],
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def start_torch(threads: int | None) -> dict[str, Any]:
    """Set the threads and say what runs."""
    import torch

    torch.set_grad_enabled(False)
    if threads is not None:
        torch.set_num_threads(threads)
    return {
        "threads": torch.get_num_threads(),
        "instruction_set": torch.backends.cpu.get_cpu_capability(),
        "versions": {"torch": torch.__version__},
    }


def variants_of(library: str, request: dict[str, Any]) -> dict[str, Variant]:
    """The ways in which the library can run what is asked for."""
    name = request["row"]
    row = TrainingStep.parse(name) if name.startswith("step ") else parse(name)
    topic = TOPICS[type(row)]
    make = topic.rot180_variants if library == "rot180" else topic.torch_variants
    variants: dict[str, Variant] = make(row, request["pass"], request["dtype"])
    return variants


def peak_bytes(library: str, request: dict[str, Any]) -> int:
    """How much memory some training steps take at their peak, with all that they need. Asked of a
    fresh process: what was freed before would be used again, and not be counted. But the library's
    code is in memory, a small network has taken a step.
    """
    make = training_step.VARIANTS[library][request["peak_of"]]
    make(SMALL, request["dtype"]).run()
    machine.forget_peak_memory()
    before = machine.peak_memory()
    variant = make(TrainingStep.parse(request["row"]), request["dtype"])
    for _ in range(STEPS_TO_PEAK):
        variant.run()
    return machine.peak_memory() - before


def seconds_per_call(run: Callable[[], Any]) -> float:
    """Time one call, or as many as fill a turn."""
    run()  # wakes the threads

    def timed(calls: int) -> float:
        start = time.perf_counter()
        for _ in range(calls):
            run()
        return (time.perf_counter() - start) / calls

    once = timed(1)
    return once if once >= TURN_SECONDS else timed(math.ceil(TURN_SECONDS / once))


def serve(library: str) -> None:
    """Answer requests until stdin ends."""
    variants: dict[str, Variant] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "peak_of" in request:
            answer["bytes"] = peak_bytes(library, request)
        elif "row" in request:
            variants = {}  # lets go of the memory before the next row takes its own
            variants = variants_of(library, request)
            for index, variant in enumerate(variants.values()):
                np.savez(f"{request['results']}-{index}.npz", *variant.arrays(variant.run()))
            answer["auto"] = {name: variant.auto for name, variant in variants.items()}
        else:
            answer["seconds"] = seconds_per_call(variants[request["variant"]].run)
        print(json.dumps(answer), flush=True)


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["rot180", "torch"])
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    start = start_rot180 if arguments.library == "rot180" else start_torch
    print(json.dumps(start(arguments.threads)), flush=True)
    serve(arguments.library)


if __name__ == "__main__":
    main()
