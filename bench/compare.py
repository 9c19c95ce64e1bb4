"""rot180 and PyTorch side by side: ``python -m bench.compare``.

Each library runs in a process of its own with the same number of threads. Results are compared
before anything is timed; then the two take turns, each with one call to wake its threads and one
that is timed, or a series of about 5 ms where one call takes less, and the median of each and of
the ratio pair by pair is reported. rot180 takes a turn with each algorithm that can compute the
row, and a star marks what "auto" comes to. PyTorch is taken at its best of contiguous NCHW and
channels_last, and of its ways to run Adam. GFLOP/s count the operations of the direct algorithm.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path
from statistics import geometric_mean
from typing import Any

import numpy as np

from bench import machine, side_by_side
from bench.choice import shares_of_the_better
from bench.library import Library
from bench.rows import NETS, PASSES, Row, parse

Result = dict[str, Any]


def largest_difference(row: Row, dtype: str, ours: Path, theirs: Path) -> float:
    """The largest difference of two results, relative to the largest value; refuses to go on where
    it is more than another order of the sums' terms can explain. Winograd's algorithm, whose error
    is larger, stays below a fifth of that.
    """
    largest = 0.0
    with np.load(ours) as mine, np.load(theirs) as other:
        terms = row.flops // 2 // mine["arr_0"].size
        tolerance = 16 * float(np.finfo(dtype).eps) * max(terms, 1) ** 0.5
        for name in other.files:
            difference = np.abs(mine[name] - other[name]).max() / np.abs(other[name]).max()
            largest = max(largest, float(difference))
            if not difference <= tolerance:
                raise RuntimeError(
                    f"{name} differs by {difference:.1e}, {tolerance:.1e} is allowed"
                )
    return largest


def compare(
    ours: Library, theirs: Library, row: Row, which: str, dtype: str, pairs: int
) -> list[Result]:
    """One pass of one row by each algorithm: verify, warm up, then time in turns."""
    request = {"row": str(row), "pass": which, "dtype": dtype}
    algorithms, variants, differences = side_by_side.verify(
        ours, theirs, request, partial(largest_difference, row, dtype)
    )
    our_turns, their_turns = side_by_side.take_turns(ours, theirs, algorithms, variants, pairs)
    results = []
    for algorithm, seconds in our_turns.items():
        result = side_by_side.against_the_best(seconds, their_turns)
        per_nanosecond = 1e-6 / result["milliseconds"]
        results.append(
            {
                "row": str(row),
                "pass": which,
                "algorithm": algorithm,
                "auto": algorithms[algorithm],
                "gflops": row.flops * per_nanosecond,
                "gb_per_s": row.elements * np.dtype(dtype).itemsize * per_nanosecond,
                "difference": differences[algorithm],
            }
            | result
        )
    return results


HEADER = (
    f"{'pass':<12}{'algorithm':<10}{'ms':>9}{'GFLOP/s':>9}{'GB/s':>7}{'limit':>12}"
    f"{'PyTorch ms':>12}  {'at best':<14}{'ratio':>6}"
)


def printed(name: str, result: Result, memory_bound: bool, share: float | None) -> str:
    """A row of the table that is printed; a star marks auto's choice."""
    limit = "" if share is None else f"{share:.0%} " + ("triad" if memory_bound else "peak")
    best = result["torch_best"]
    algorithm = result["algorithm"] + "*" * (result["algorithm"] != "" and result["auto"])
    return (
        f"{name:<46}{result['pass']:<12}{algorithm:<10}"
        f"{result['milliseconds']:9.4g}{result['gflops']:9.1f}"
        f"{result['gb_per_s']:7.1f}{limit:>12}{result['torch_milliseconds'][best]:12.4g}  "
        f"{best:<14}{result['ratio']:6.2f}"
    )


def parsed_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--row", help="one row instead, such as 'n8 h56 w56 c64 k64 r3 s3 p1'")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES))
    parser.add_argument("--machine", type=Path, help="the program rot180_machine, for the limits")
    side_by_side.add_arguments(parser)
    return parser.parse_args()


def main() -> None:
    """Run the table, print it, write it as JSON and draw it."""
    arguments = parsed_arguments()
    nets = {"": [arguments.row]} if arguments.row else {net: NETS[net] for net in arguments.nets}
    ours, theirs, run = side_by_side.start(arguments)
    threads = run["threads"]
    if arguments.machine:
        run["limits"] = machine.limits(arguments.machine, threads)

    results: list[Result] = []
    for net, names in nets.items():
        print(f"\n{net:<46}{HEADER}")
        for name in names:
            row = parse(name)
            for which in row.passes:
                if which not in arguments.passes:
                    continue
                for result in compare(ours, theirs, row, which, run["dtype"], arguments.pairs):
                    results.append({"net": net} | result)
                    share = machine.share(result, row.memory_bound, run)
                    print(printed(name, result, row.memory_bound, share), flush=True)
    ours.close()
    theirs.close()
    run["load_after"] = machine.load()
    if arguments.machine:
        again = machine.limits(arguments.machine, threads)
        run["limits"] = machine.larger(run["limits"], again)

    print()
    for which in arguments.passes:
        chosen = [result for result in results if result["pass"] == which]
        ratios = [result["ratio"] for result in chosen if result["auto"]]
        if ratios:
            mean = geometric_mean(ratios)
            print(f"{which}: PyTorch takes {mean:.2f} times as long, in the geometric mean")
        shares = shares_of_the_better(chosen).values()
        if shares:
            print(
                f"{which}: auto reaches {geometric_mean(shares):.2f} of the better algorithm's "
                f"speed in the geometric mean of {len(shares)} rows, {min(shares):.2f} at least"
            )
    print(f"load {run['load_after'][0]:.2f}")
    run["rows"] = [
        result | {"share": machine.share(result, parse(result["row"]).memory_bound, run)}
        for result in results
    ]
    if arguments.out:
        arguments.out.write_text(json.dumps(run, indent=1) + "\n")
    if arguments.plot:
        from bench.plot import draw

        draw(run, arguments.plot)


if __name__ == "__main__":
    main()
