"""rot180 and PyTorch side by side: ``python -m bench.compare``.

Each library runs in a process of its own with the same number of threads. Results are compared
before anything is timed; then the two take turns, each with one call to wake its threads and one
that is timed, and the median of each and of the ratio pair by pair is reported. PyTorch is taken at
its best of contiguous NCHW and channels_last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

import numpy as np

from bench.shapes import NETS, Shape
from bench.worker import PASSES

# After a parallel region, threads spin for a while before they sleep: the other library waits.
SETTLE_SECONDS = 0.01


class Worker:
    """A library in a process of its own."""

    def __init__(self, library: str, threads: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", library, "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended at {request}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def time(self, variant: str) -> float:
        """Time one call."""
        time.sleep(SETTLE_SECONDS)
        seconds: float = self.ask(variant=variant)["seconds"]
        return seconds

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(
    workers: tuple[Worker, Worker], shape: Shape, which: str, dtype: str, pairs: int, folder: Path
) -> dict[str, Any]:
    """One row: verify, warm up, then time in pairs."""
    ours, theirs = workers
    results = []
    variants = []
    for index, worker in enumerate(workers):
        path = folder / f"{index}.npy"
        request = {"shape": str(shape), "pass": which, "dtype": dtype, "result": str(path)}
        variants.append(worker.ask(**request)["variants"])
        results.append(np.load(path))
    error = float(np.abs(results[0] - results[1]).max() / np.abs(results[1]).max())
    terms = shape.flops / 2 / max(results[1].size, 1)
    if not error <= np.finfo(dtype).eps * max(terms, 8):
        raise RuntimeError(f"{shape} {which} {dtype}: the results differ by {error:.1e}")

    times: dict[str, list[float]] = {"rot180": [], **{name: [] for name in variants[1]}}
    for turn in range(pairs + 2):
        measured = {"rot180": ours.time("")} | {name: theirs.time(name) for name in variants[1]}
        if turn >= 2:
            for name, seconds in measured.items():
                times[name].append(seconds)
    best = min(variants[1], key=lambda name: median(times[name]))
    seconds = median(times["rot180"])
    return {
        "shape": str(shape),
        "pass": which,
        "dtype": dtype,
        "milliseconds": 1e3 * seconds,
        "gflops": shape.flops / seconds / 1e9,
        "torch_milliseconds": 1e3 * median(times[best]),
        "torch_layout": best,
        "ratio": median(b / a for a, b in zip(times["rot180"], times[best], strict=True)),
        "difference": error,
    }


def main() -> None:
    """Run the table, print it and write it as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--nets", nargs="+", choices=list(NETS), default=list(NETS))
    parser.add_argument("--shape", help="one shape instead, such as 'n8 h56 w56 c64 k64 r3 s3 p1'")
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=list(PASSES))
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--out", type=Path, help="a JSON file for the rows")
    arguments = parser.parse_args()
    nets = {"": [arguments.shape]} if arguments.shape else {n: NETS[n] for n in arguments.nets}

    print(
        f"{platform.processor() or platform.machine()}, {arguments.threads} threads, "
        f"{arguments.dtype}, load {os.getloadavg()[0]:.2f}"
    )
    workers = Worker("rot180", arguments.threads), Worker("torch", arguments.threads)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for net, names in nets.items():
            print(f"\n{net:<44}{'pass':<12}{'ms':>9}{'GFLOP/s':>9}{'PyTorch ms':>12}{'ratio':>7}")
            for name in names:
                for which in arguments.passes:
                    shape = Shape.parse(name)
                    row = compare(
                        workers, shape, which, arguments.dtype, arguments.pairs, Path(folder)
                    )
                    rows.append({"net": net} | row)
                    print(
                        f"{name:<44}{which:<12}{row['milliseconds']:9.3f}{row['gflops']:9.0f}"
                        f"{row['torch_milliseconds']:12.3f}{row['ratio']:7.2f}",
                        flush=True,
                    )
    for worker in workers:
        worker.close()
    for which in arguments.passes:
        ratio = geometric_mean(row["ratio"] for row in rows if row["pass"] == which)
        print(f"\n{which}: {ratio:.2f} times PyTorch in the geometric mean", end="")
    print(f"\nload {os.getloadavg()[0]:.2f}")
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
