"""The ratios of training steps as a picture: a line for each network, a mark for each batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

BATCH_COLOURS = ("#7fb3a0", "#1b7f5c", "#0b3d2c", "#c08a2d", "#c2452d")
BAR, LINE_INCHES = 0.24, 0.27


def draw(run: dict[str, Any], path: Path) -> None:
    """Write a PNG: bars as long as the ratio, with the middle half of the turns as a line, and
    the milliseconds of both at their ends.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = run["rows"]
    nets = list(dict.fromkeys(_line(row) for row in rows))
    batches = sorted({row["batch"] for row in rows})
    colours = {
        batch: BATCH_COLOURS[index % len(BATCH_COLOURS)] for index, batch in enumerate(batches)
    }

    figure = Figure(
        figsize=(8.6, 1.5 + LINE_INCHES * (len(rows) + len(nets))), layout="constrained"
    )
    panel = figure.subplots()
    y, middles = 0.0, []
    for net in nets:
        top = y
        for row in (row for row in rows if _line(row) == net):
            ratio, best = row["ratio"], row["torch_milliseconds"][row["torch_best"]]
            panel.barh(y, ratio - 1, BAR * 3.4, left=1, color=colours[row["batch"]])
            panel.plot(row["ratio_quartiles"], [y, y], color="black", linewidth=1)
            panel.annotate(
                f"{ratio:.2f}   {_three_digits(row['milliseconds'])} ms / {_three_digits(best)} ms",
                (max(ratio, row["ratio_quartiles"][1], 1), y),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                color="#444444",
            )
            y += 1
        middles.append((top + y - 1) / 2)
        y += 0.8

    panel.axvline(1, color="black", linewidth=0.9)
    panel.set_xscale("log", base=2)
    low = min(0.95, *(row["ratio_quartiles"][0] for row in rows))
    high = max(2.0, *(row["ratio_quartiles"][1] for row in rows))
    panel.set_xlim(low * 0.97, high * (high / low) ** 0.35)  # room for the figures
    panel.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    panel.xaxis.set_minor_formatter(NullFormatter())
    panel.set_ylim(y - 0.9, -0.8)
    panel.set_yticks(middles, nets, fontsize=9)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="#e8e8e8", linewidth=0.7)
    panel.set_axisbelow(True)
    panel.spines[["top", "right", "left"]].set_visible(False)
    panel.set_xlabel("time of PyTorch / time of rot180: right of 1, rot180 is faster", fontsize=9)
    figure.legend(
        [Patch(color=colour) for colour in colours.values()],
        [f"batch {batch}" for batch in colours],
        fontsize=8,
        loc="outside lower right",
        ncols=len(colours),
        frameon=False,
    )
    memory = ", freed memory kept" if run["retain_memory"] else ""
    figure.suptitle(
        f"Training steps: rot180 and PyTorch {run['versions']['torch'].partition('+')[0]}, "
        f"{run['dtype']}, {run['threads']} threads{memory}\n"
        f"{run['cpu']} ({run['instruction_set']})",
        fontsize=10,
    )
    figure.savefig(path, dpi=150)


def _three_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 100 else f"{number:.3g}"


def _line(row: dict[str, Any]) -> str:
    return str(row["net"]) + (", SGD" if row["optimizer"] == "sgd" else "")
