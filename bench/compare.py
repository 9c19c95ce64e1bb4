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
import tempfile
from pathlib import Path
from statistics import geometric_mean, median, quantiles
from typing import Any

import numpy as np

from bench import machine
from bench.choice import shares_of_the_better
from bench.library import TORCH_INSTRUCTION_SETS, Library, environment
from bench.rows import NETS, PASSES, Row, parse

WARM_UP_TURNS = 2

Result = dict[str, Any]


def largest_difference(ours: Path, theirs: Path, terms: int, dtype: str) -> float:
    """The largest difference of two results, relative to the largest value; refuses to go on where
    it is more than another order of the sums' terms can explain. Winograd's algorithm, whose error
    is larger, stays below a fifth of that.
    """
    tolerance = 16 * float(np.finfo(dtype).eps) * max(terms, 1) ** 0.5
    largest = 0.0
    with np.load(ours) as mine, np.load(theirs) as other:
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
    with tempfile.TemporaryDirectory() as folder:
        algorithms = ours.ask(**request, results=f"{folder}/ours")["auto"]
        variants = theirs.ask(**request, results=f"{folder}/theirs")["auto"]
        with np.load(f"{folder}/ours-0.npz") as arrays:
            terms = row.flops // 2 // arrays["arr_0"].size
        differences = {
            algorithm: max(
                largest_difference(
                    Path(folder, f"ours-{mine}.npz"),
                    Path(folder, f"theirs-{other}.npz"),
                    terms,
                    dtype,
                )
                for other in range(len(variants))
            )
            for mine, algorithm in enumerate(algorithms)
        }

    our_times: dict[str, list[float]] = {algorithm: [] for algorithm in algorithms}
    their_times: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in range(WARM_UP_TURNS + pairs):
        for library, times in ((ours, our_times), (theirs, their_times)):
            for variant in times:
                times[variant].append(library.time(variant))
    for turns in (*our_times.values(), *their_times.values()):
        del turns[:WARM_UP_TURNS]

    medians = {variant: median(turns) for variant, turns in their_times.items()}
    best = min(medians, key=lambda variant: medians[variant])
    results = []
    for algorithm, turns in our_times.items():
        ratios = [b / a for a, b in zip(turns, their_times[best], strict=True)]
        seconds = median(turns)
        results.append(
            {
                "row": str(row),
                "pass": which,
                "algorithm": algorithm,
                "auto": algorithms[algorithm],
                "milliseconds": 1e3 * seconds,
                "gflops": row.flops / seconds / 1e9,
                "gb_per_s": row.elements * np.dtype(dtype).itemsize / seconds / 1e9,
                "torch_milliseconds": {variant: 1e3 * time for variant, time in medians.items()},
                "torch_best": best,
                "ratio": median(ratios),
                "ratio_quartiles": quantiles(ratios, n=4)[::2] if pairs > 1 else 2 * ratios,
                "difference": differences[algorithm],
            }
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
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, help="for both; else as many as rot180 takes")
    parser.add_argument(
        "--instruction-set", choices=list(TORCH_INSTRUCTION_SETS), help="the best for both, if less"
    )
    parser.add_argument("--retain-memory", action="store_true", help="glibc keeps what is freed")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--machine", type=Path, help="the program rot180_machine, for the limits")
    parser.add_argument("--out", type=Path, help="a JSON file to write")
    parser.add_argument("--plot", type=Path, help="a PNG file to draw the ratios in")
    return parser.parse_args()


def main() -> None:
    """Run the table, print it, write it as JSON and draw it."""
    arguments = parsed_arguments()
    nets = {"": [arguments.row]} if arguments.row else {net: NETS[net] for net in arguments.nets}
    threads = arguments.threads
    libraries = []
    for name in ("rot180", "torch"):
        variables = environment(name, arguments.instruction_set, arguments.retain_memory)
        libraries.append(Library(name, threads, variables))
        threads = libraries[0].about["threads"]
    ours, theirs = libraries
    run: dict[str, Any] = {
        "cpu": machine.cpu_name(),
        "threads": threads,
        "instruction_set": ours.about["instruction_set"],
        "torch_instruction_set": theirs.about["instruction_set"],
        "dtype": arguments.dtype,
        "retain_memory": arguments.retain_memory,
        "pairs": arguments.pairs,
        "versions": ours.about["versions"] | theirs.about["versions"],
        "load_before": machine.load(),
    }
    print(
        f"{run['cpu']}, {threads} threads, {run['instruction_set']}, {run['dtype']}, "
        f"load {run['load_before'][0]:.2f}"
    )
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
    for library in libraries:
        library.close()
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
