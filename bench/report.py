"""Tables in Markdown from the JSON of `bench.compare` and `bench.steps`.

``python -m bench.report float32.json steps.json > tables.md`` prints them, and with ``--into
bench/RESULTS.md`` they replace what stands there: the tables of `bench.compare` between the two
comments ``begin generated`` and ``end generated``, those of `bench.steps` between ``begin training
steps`` and ``end training steps``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import geometric_mean, median
from typing import Any

from bench.choice import shares_of_the_better
from bench.machine import VECTOR_BITS
from bench.markdown import table, write_part
from bench.rows import PASSES, Row, parse
from bench.shapes import Shape
from bench.training_step import PUBLISHED

# Nets that are no part of the list that the kernels are tuned to.
APART = ("heldout", "call", "adam")

# Of PUBLISHED, as published: by the NumPy code that it comes from, and by PyTorch beside it.
NUMPY_MILLISECONDS, PYTORCH_MILLISECONDS = 272, 22

Result = dict[str, Any]
Belongs = Callable[[Result, Row], bool]


def _convolution(belongs: Callable[[Shape], bool]) -> Belongs:
    """Rows of the list that are convolutions of some kind, transposed ones left out."""
    return lambda result, row: (
        isinstance(row, Shape)
        and result["net"] not in APART
        and not row.transposed
        and belongs(row)
    )


DIRECT_GROUPS: dict[str, Belongs] = {
    "C and K of 64 or more": _convolution(lambda s: s.g == 1 and min(s.c, s.k) >= 64),
    "first layers, C of 1 or 3": _convolution(lambda s: s.c in (1, 3)),
    "strided": _convolution(lambda s: s.x != (1, 1) and not s.depthwise),
    "depthwise": _convolution(lambda s: s.depthwise),
    "transposed": lambda result, row: (
        isinstance(row, Shape) and row.transposed and result["net"] not in APART
    ),
    "LeNet-5 and awkward": lambda result, _: result["net"] in ("lenet5", "awkward"),
    "batch of one": _convolution(lambda s: s.n == 1),
    "held out": lambda result, _: result["net"] == "heldout",
    "a call with nothing to do": lambda result, _: result["net"] == "call",
}

WINOGRAD_GROUPS: dict[str, Belongs] = {
    "C and K of 64 or more": _convolution(lambda s: min(s.c, s.k) >= 64),
    "C or K of 16 to 63": _convolution(lambda s: 16 <= min(s.c, s.k) < 64),
    "C or K below 16": _convolution(lambda s: min(s.c, s.k) < 16),
    "one image, 56x56x64": _convolution(lambda s: (s.n, s.h, s.w, s.c) == (1, 56, 56, 64)),
    "held out": lambda result, _: result["net"] == "heldout",
}

AUTO_GROUPS: dict[str, Belongs] = {
    "**all convolutions**": lambda result, _: result["net"] not in APART,
    "held out": lambda result, _: result["net"] == "heldout",
    "Adam": lambda result, _: result["net"] == "adam",
}


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


def summaries(run: dict[str, Any]) -> Iterator[str]:
    """Tables of groups of rows, the algorithms apart, and how well "auto" chooses."""
    direct = [result for result in run["rows"] if result["algorithm"] == "direct"]
    winograd = [result for result in run["rows"] if result["algorithm"] == "winograd"]
    auto = [result for result in run["rows"] if result["auto"]]
    yield 'What "auto" comes to:'
    yield groups_table(auto, AUTO_GROUPS)
    yield nets_table(auto)
    if direct:
        yield 'The direct algorithm, whether "auto" comes to it or not:'
        yield groups_table(direct, DIRECT_GROUPS)
    if winograd:
        yield (
            'Winograd\'s algorithm, whether "auto" comes to it or not. A share may be above 100 %: '
            "GFLOP/s count the operations of the direct algorithm, four times those that are done."
        )
        yield groups_table(winograd, WINOGRAD_GROUPS)
        yield '"auto" against the better of the two, as a share of its speed:'
        yield auto_table(run["rows"])


def auto_table(results: list[Result]) -> str:
    """How often "auto" comes to Winograd's algorithm, and what it loses, pass by pass."""
    lines = []
    for which in PASSES:
        chosen = [result for result in results if result["pass"] == which]
        shares = shares_of_the_better(chosen)
        if not shares:
            continue
        taken = [r for r in chosen if r["algorithm"] == "winograd" and r["auto"]]
        worst = min(shares, key=lambda key: shares[key])
        lines.append(
            [
                which,
                str(len(shares)),
                str(len(taken)),
                f"{geometric_mean(shares.values()):.2f}",
                f"{shares[worst]:.2f}",
                f"`{worst[0]}`" if shares[worst] < 1 else "",
            ]
        )
    columns = ["pass", "rows with a choice", "auto is Winograd's", "geometric mean", "lowest", "of"]
    return table(columns, lines)


def groups_table(results: list[Result], groups: dict[str, Belongs]) -> str:
    """Ratios and shares of each group of rows, pass by pass."""
    columns = ["rows", "pass", "count", "ratio", "lowest", "highest", "median share", "best share"]
    lines = []
    for title, belongs in groups.items():
        for which in PASSES:
            chosen = [
                (result, row)
                for result in results
                if result["pass"] == which and belongs(result, row := parse(result["row"]))
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


def nets_table(results: list[Result]) -> str:
    """The geometric mean of each net's ratios, pass by pass."""
    nets = dict.fromkeys(result["net"] for result in results)
    passes = [p for p in PASSES if any(result["pass"] == p for result in results)]
    lines = []
    for net in nets:
        cells = [net]
        for which in passes:
            ratios = [r["ratio"] for r in results if (r["net"], r["pass"]) == (net, which)]
            cells.append(f"{geometric_mean(ratios):.2f}" if ratios else "")
        lines.append(cells)
    return table(["net", *passes], lines)


def rows_tables(run: dict[str, Any]) -> Iterator[str]:
    """Every row, a table for each net; a star marks auto's choice where there is one."""
    columns = ["row", "pass", "algorithm", "ms", "GFLOP/s", "GB/s", "share"]
    columns += ["PyTorch ms", "at best", "ratio", "middle half"]
    choices = shares_of_the_better(run["rows"])
    for net in dict.fromkeys(result["net"] for result in run["rows"]):
        lines = []
        for result in run["rows"]:
            if result["net"] != net:
                continue
            low, high = result["ratio_quartiles"]
            chosen = result["auto"] and (result["row"], result["pass"]) in choices
            lines.append(
                [
                    f"`{result['row']}`",
                    result["pass"],
                    result["algorithm"] + "\\*" * chosen,
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
        parts += [f"## {heading(run)}", circumstances(run), *summaries(run)]
    parts.append("## All rows")
    for run in runs:
        parts += [f"### {heading(run)}", *rows_tables(run)]
    return "\n\n".join(parts) + "\n"


def steps_report(runs: list[dict[str, Any]]) -> str:
    """Markdown for some runs of training steps: a table of each."""
    parts = []
    for run in runs:
        parts += [f"### Training steps, {heading(run)}", circumstances(run), steps_table(run)]
        published = [row for row in run["rows"] if row["row"] == PUBLISHED]
        parts += [
            f"blog_cnn with SGD at batch 512 takes {NUMPY_MILLISECONDS / row['milliseconds']:.0f} "
            f"times as long in the NumPy code that it comes from: {NUMPY_MILLISECONDS} ms, as "
            f"published for a machine where PyTorch took {PYTORCH_MILLISECONDS}. With PyTorch's "
            "time for the measure, "
            f"{NUMPY_MILLISECONDS / PYTORCH_MILLISECONDS * row['ratio']:.0f} times."
            for row in published
        ]
    return "\n\n".join(parts) + "\n"


def steps_table(run: dict[str, Any]) -> str:
    """Every step, with the memory that it takes."""
    columns = ["network", "batch", "optimizer", "ms", "PyTorch ms", "at best", "ratio"]
    columns += ["middle half", "MB", "PyTorch MB"]
    lines = []
    for result in run["rows"]:
        low, high = result["ratio_quartiles"]
        lines.append(
            [
                result["net"],
                str(result["batch"]),
                {"adam": "Adam", "sgd": "SGD"}[result["optimizer"]],
                f"{result['milliseconds']:.4g}",
                f"{result['torch_milliseconds'][result['torch_best']]:.4g}",
                result["torch_best"],
                f"{result['ratio']:.2f}",
                f"{low:.2f} to {high:.2f}",
                *(
                    "" if result[key] is None else f"{result[key] / 1e6:.1f}"
                    for key in ("memory", "torch_memory")
                ),
            ]
        )
    return table(columns, lines)


def main() -> None:
    """Print the reports or put them into a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "results", nargs="+", type=Path, help="JSON files of bench.compare and bench.steps"
    )
    parser.add_argument("--into", type=Path, help="a Markdown file with the comments")
    arguments = parser.parse_args()
    runs = [json.loads(path.read_text()) for path in arguments.results]
    steps = [run for run in runs if run.get("kind") == "steps"]
    passes = [run for run in runs if run.get("kind") != "steps"]
    for part, chosen, write in (
        ("generated", passes, report),
        ("training steps", steps, steps_report),
    ):
        if chosen and arguments.into:
            write_part(arguments.into, part, write(chosen))
        elif chosen:
            print(write(chosen), end="")


if __name__ == "__main__":
    main()
