"""Whole training steps beside PyTorch: ``python -m bench.steps``.

A step is forward, loss, backward and optimizer, of a network of the zoo and of its twin in PyTorch
(`bench.torch_models`) with the same weights on the same batch. Before it is timed, the loss, all
gradients and the running statistics are compared: in float64, where two networks that are the same
agree in nearly all digits, and in the dtype that is timed. Then the two libraries take turns, each
in a process of its own with the same number of threads, as in `bench.compare`; PyTorch is taken at
its best of contiguous NCHW and channels_last, with the fused optimizer and with the plain one. The
memory of a step is measured in fresh processes, as what it adds to the library's own at its peak.
"""

from __future__ import annotations

import argparse
import json
import platform
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

from bench import machine, side_by_side
from bench.library import Library, environment
from bench.training_step import PUBLISHED, TrainingStep
from rot180 import models

BATCHES = (1, 32, 128)
NETS = (
    "lenet5",
    "mnist_cnn",
    "blog_cnn",
    "vgg_small",
    "resnet20",
    "mobilenet_small",
    "autoencoder",
    "unet_small",
)
# Of a whole array, by the root of its mean square. In float64 every network agrees to 1e-12. In
# float32, rounding lets a unit of relu near zero, or a maximum of two that are nearly equal, go
# another way, and a gradient with it: by 2e-2 of an array where the batch is one image.
TOLERANCES = {"float64": 1e-10, "float32": 1e-1}

Result = dict[str, Any]


def difference(dtype: str, ours: Path, theirs: Path) -> float:
    """The largest difference of two arrays of the results; refuses to go on where it is too large
    for rounding.
    """
    largest = 0.0
    with np.load(ours) as mine, np.load(theirs) as other:
        if mine.files != other.files:
            raise RuntimeError(f"{len(mine.files)} arrays, but {len(other.files)} in PyTorch")
        for name in other.files:
            a, b = mine[name].astype(np.float64), other[name].astype(np.float64)
            if a.shape != b.shape:
                raise RuntimeError(f"{name} has shape {a.shape}, but {b.shape} in PyTorch")
            distance = float(np.linalg.norm(a - b) / np.linalg.norm(b))
            largest = max(largest, distance)
            if not distance <= TOLERANCES[dtype]:
                raise RuntimeError(
                    f"{name} differs by {distance:.1e} in {dtype}, "
                    f"{TOLERANCES[dtype]:.1e} is allowed"
                )
    return largest


def compare(ours: Library, theirs: Library, row: TrainingStep, dtype: str, pairs: int) -> Result:
    """One step: verify, warm up, then time in turns."""
    for exactness in ("float64", dtype):
        request = {"row": str(row), "pass": "step", "dtype": exactness}
        our_variants, their_variants, differences = side_by_side.verify(
            ours, theirs, request, partial(difference, exactness)
        )
    our_turns, their_turns = side_by_side.take_turns(
        ours, theirs, our_variants, their_variants, pairs
    )
    return {
        "row": str(row),
        "net": row.net,
        "batch": row.n,
        "optimizer": row.optimizer,
        "difference": differences[""],
    } | side_by_side.against_the_best(our_turns[""], their_turns)


def memory(
    name: str, variant: str, row: TrainingStep, run: dict[str, Any], variables: dict[str, str]
) -> int | None:
    """Bytes that a step takes at its peak, beyond the library itself; None where nothing tells."""
    if platform.system() != "Linux":
        return None
    library = Library(name, run["threads"], variables)
    answer = library.ask(row=str(row), peak_of=variant, dtype=run["dtype"])
    library.close()
    return int(answer["bytes"])


HEADER = (
    f"{'step':<28}{'ms':>9}{'PyTorch ms':>12}  {'at best':<22}{'ratio':>6}"
    f"{'MB':>8}{'PyTorch MB':>12}{'difference':>12}"
)


def printed(result: Result) -> str:
    """A row of the table that is printed."""
    megabytes = [
        "" if result[key] is None else f"{result[key] / 1e6:.1f}"
        for key in ("memory", "torch_memory")
    ]
    best = result["torch_best"]
    return (
        f"{result['row'].removeprefix('step '):<28}{result['milliseconds']:9.4g}"
        f"{result['torch_milliseconds'][best]:12.4g}  {best:<22}{result['ratio']:6.2f}"
        f"{megabytes[0]:>8}{megabytes[1]:>12}{result['difference']:12.1e}"
    )


def rows(arguments: argparse.Namespace) -> list[TrainingStep]:
    """The steps that are asked for."""
    if arguments.row:
        return [TrainingStep.parse(arguments.row)]
    chosen = [TrainingStep(net, batch) for net in arguments.nets for batch in arguments.batches]
    published = TrainingStep.parse(PUBLISHED)
    if published.net in arguments.nets and arguments.batches == list(BATCHES):
        chosen.append(published)
    return chosen


def parsed_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=list(models.MODELS), default=list(NETS))
    parser.add_argument("--batches", nargs="+", type=int, default=list(BATCHES))
    parser.add_argument("--row", help=f"one step instead, such as {PUBLISHED!r}")
    side_by_side.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Run the table, print it, write it as JSON and draw it."""
    arguments = parsed_arguments()
    ours, theirs, run = side_by_side.start(arguments)
    run["kind"] = "steps"
    print(HEADER)
    results = []
    for row in rows(arguments):
        result = compare(ours, theirs, row, arguments.dtype, arguments.pairs)
        for key, library, variant in (
            ("memory", ours, ""),
            ("torch_memory", theirs, result["torch_best"]),
        ):
            variables = environment(
                library.name, arguments.instruction_set, arguments.retain_memory
            )
            result[key] = memory(library.name, variant, row, run, variables)
        results.append(result)
        print(printed(result), flush=True)
    ours.close()
    theirs.close()
    run["load_after"] = machine.load()
    run["rows"] = results

    mean = geometric_mean([result["ratio"] for result in results])
    print(f"PyTorch takes {mean:.2f} times as long, in the geometric mean")
    print(f"load {run['load_after'][0]:.2f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(run, indent=1) + "\n")
    if arguments.plot:
        from bench.plot_steps import draw

        draw(run, arguments.plot)


if __name__ == "__main__":
    main()
