"""Tables in Markdown from the JSON of `bench.compare`.

``python -m bench.report float32.json float64.json > tables.md`` prints them, and with ``--into
bench/RESULTS.md`` they replace what stands there between the two comments ``begin generated`` and
``end generated``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from bench.machine import VECTOR_BITS
from bench.rows import PASSES, Row, parse
from bench.shapes import Shape

BEGIN, END = "<!-- begin generated -->", "<!-- end generated -->"

# Nets that are no part of the list that the kernels are tuned to.
APART = ("heldout", "call", "adam")

Result = dict[str, Any]
Choice = Callable[[Result, Row], bool]


def _convolution(choice: Callable[[Shape], bool]) -> Choice:
    """Rows of the list that are convolutions of some kind, transposed ones left out."""
    return lambda result, row: (
        isinstance(row, Shape) and result["net"] not in APART and not row.transposed and choice(row)
    )


GROUPS: dict[str, Choice] = {
    "C and K of 64 or more": _convolution(lambda s: s.g == 1 and min(s.c, s.k) >= 64),
    "first layers, C of 1 or 3": _convolution(lambda s: s.c in (1, 3)),
    "strided": _convolution(lambda s: s.x != (1, 1) and not s.depthwise),
    "depthwise": _convolution(lambda s: s.depthwise),
    "transposed": lambda result, row: (
        isinstance(row, Shape) and row.transposed and result["net"] not in APART
    ),
    "LeNet-5 and awkward": lambda result, _: result["net"] in ("lenet5", "awkward"),
    "batch of one": _convolution(lambda s: s.n == 1),
    "**all convolutions**": lambda result, _: result["net"] not in APART,
    "held out": lambda result, _: result["net"] == "heldout",
    "a call with nothing to do": lambda result, _: result["net"] == "call",
    "Adam": lambda result, _: result["net"] == "adam",
}


def table(columns: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rule = ["---"] * len(columns)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *lines])


def heading(run: dict[str, Any]) -> str:
    """What distinguishes a run from the others of a report."""
    memory = ", freed memory kept" if run["retain_memory"] else ""
    return f"{run['dtype']}, {run['threads']} threads, {run['instruction_set']}{memory}"


def circumstances(run: dict[str, Any]) -> str:
    """On what, and how, a run was measured."""
    versions = run["versions"]
    text = (
        f"{run['cpu']}; rot180 {versions['rot180']} ({versions['compiler']}, "
        f"{run['instruction_set']}), PyTorch {versions['torch']} ({run['torch_instruction_set']}), "
        f"NumPy {versions['numpy']}, Python {versions['python']}. Medians of {run['pairs']} turns. "
        f"Load average {run['load_before'][0]:.2f} before and {run['load_after'][0]:.2f} after."
    )
    if "limits" in run:
        bits = VECTOR_BITS[run["instruction_set"]]
        text += (
            f" Limits: {run['limits']['peak_gflops'][run['dtype']][bits]:.0f} GFLOP/s of "
            f"multiply-adds in {bits}-bit vectors, {run['limits']['triad_gb_per_s']:.1f} GB/s of "
            "the STREAM triad."
        )
    return text


def share_text(share: float | None, memory_bound: bool) -> str:
    """What part of its limit a row reaches, and of which."""
    return "" if share is None else f"{share:.0%} {'triad' if memory_bound else 'peak'}"


def groups_table(run: dict[str, Any]) -> str:
    """Ratios and shares of each group of rows, pass by pass."""
    columns = ["rows", "pass", "count", "ratio", "lowest", "highest", "median share", "best share"]
    lines = []
    for title, choose in GROUPS.items():
        for which in PASSES:
            chosen = [
                (result, row)
                for result in run["rows"]
                if result["pass"] == which and choose(result, row := parse(result["row"]))
            ]
            if not chosen:
                continue
            ratios = [result["ratio"] for result, _ in chosen]
            # Shares of two limits have no common median: the few memory-bound rows stand back.
            memory_bound = all(row.memory_bound for _, row in chosen)
            shares = [
                result["share"]
                for result, row in chosen
                if result["share"] is not None and row.memory_bound == memory_bound
            ]
            lines.append(
                [
                    title,
                    which,
                    str(len(chosen)),
                    f"{geometric_mean(ratios):.2f}",
                    f"{min(ratios):.2f}",
                    f"{max(ratios):.2f}",
                    share_text(median(shares) if shares else None, memory_bound),
                    share_text(max(shares, default=None), memory_bound),
                ]
            )
    return table(columns, lines)


def nets_table(run: dict[str, Any]) -> str:
    """The geometric mean of each net's ratios, pass by pass."""
    nets = dict.fromkeys(result["net"] for result in run["rows"])
    passes = [p for p in PASSES if any(result["pass"] == p for result in run["rows"])]
    lines = []
    for net in nets:
        cells = [net]
        for which in passes:
            ratios = [r["ratio"] for r in run["rows"] if (r["net"], r["pass"]) == (net, which)]
            cells.append(f"{geometric_mean(ratios):.2f}" if ratios else "")
        lines.append(cells)
    return table(["net", *passes], lines)


def rows_tables(run: dict[str, Any]) -> Iterator[str]:
    """Every row, a table for each net."""
    columns = ["row", "pass", "ms", "GFLOP/s", "GB/s", "share", "PyTorch ms", "at best", "ratio"]
    columns.append("middle half")
    for net in dict.fromkeys(result["net"] for result in run["rows"]):
        lines = []
        for result in run["rows"]:
            if result["net"] != net:
                continue
            low, high = result["ratio_quartiles"]
            lines.append(
                [
                    f"`{result['row']}`",
                    result["pass"],
                    f"{result['milliseconds']:.4g}",
                    f"{result['gflops']:.1f}" if result["gflops"] else "",
                    f"{result['gb_per_s']:.1f}",
                    share_text(result["share"], parse(result["row"]).memory_bound),
                    f"{result['torch_milliseconds'][result['torch_best']]:.4g}",
                    result["torch_best"],
                    f"{result['ratio']:.2f}",
                    f"{low:.2f} to {high:.2f}",
                ]
            )
        yield f"#### {net}"
        yield table(columns, lines)


def report(runs: list[dict[str, Any]]) -> str:
    """Markdown for some runs: the summaries of all, then the rows of all."""
    parts = []
    for run in runs:
        parts += [f"## {heading(run)}", circumstances(run), groups_table(run), nets_table(run)]
    parts.append("## All rows")
    for run in runs:
        parts += [f"### {heading(run)}", *rows_tables(run)]
    return "\n\n".join(parts) + "\n"


def replace_generated(text: str, generated: str) -> str:
    """The text with what is between the two comments exchanged."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the file lacks {BEGIN} with {END} after it")
    return f"{before}{begin}\n\n{generated}\n{end}{after}"


def main() -> None:
    """Print the report or put it into a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("results", nargs="+", type=Path, help="JSON files of bench.compare")
    parser.add_argument("--into", type=Path, help="a Markdown file with the two comments")
    arguments = parser.parse_args()
    generated = report([json.loads(path.read_text()) for path in arguments.results])
    if arguments.into:
        arguments.into.write_text(replace_generated(arguments.into.read_text(), generated))
    else:
        print(generated, end="")


if __name__ == "__main__":
    main()
