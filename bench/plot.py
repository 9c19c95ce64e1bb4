"""The ratios of a comparison as a picture: a panel for each pass, a line for each convolution, by
the algorithm that "auto" comes to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.rows import parse
from bench.shapes import Shape

FASTER, SLOWER = "#1b7f5c", "#c2452d"
MARKERS = {"direct": "o", "winograd": "D"}
LINE_INCHES = 0.19


def draw(run: dict[str, Any], path: Path) -> None:
    """Write a PNG: how many times as long as rot180 PyTorch takes, with the middle half of the
    turns as a line. Rows are grouped by net.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, NullFormatter

    rows = [row for row in run["rows"] if row["auto"] and isinstance(parse(row["row"]), Shape)]
    if not rows:
        raise ValueError("there is no convolution to draw")
    passes = [which for which in Shape.passes if any(row["pass"] == which for row in rows)]
    lines = _lines(rows)
    height = max(lines.values()) + 1

    figure = Figure(
        figsize=(4.2 + 2.9 * len(passes), 1.3 + LINE_INCHES * height), layout="constrained"
    )
    panels = figure.subplots(1, len(passes), sharex=True, sharey=True, squeeze=False)
    for panel, which in zip(panels[0], passes, strict=True):
        for row in (row for row in rows if row["pass"] == which):
            y = lines[row["net"], row["row"]]
            colour = FASTER if row["ratio"] >= 1 else SLOWER
            panel.plot(row["ratio_quartiles"], [y, y], color=colour, linewidth=1.6, alpha=0.5)
            panel.plot(row["ratio"], y, MARKERS[row["algorithm"]], color=colour, markersize=4.5)
        panel.axvline(1, color="black", linewidth=0.9)
        panel.set_xscale("log", base=2)
        panel.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(which, fontsize=11)
        panel.grid(color="#e8e8e8", linewidth=0.7)
        panel.set_axisbelow(True)
        panel.tick_params(axis="y", length=0)
        panel.spines[["top", "right", "left"]].set_visible(False)
        for (_, name), y in lines.items():
            if not name:
                panel.axhspan(y - 0.5, y + 0.5, color="#f1f1ee", zorder=0)

    first = panels[0][0]
    first.set_ylim(height - 0.5, -0.5)
    first.set_yticks(list(lines.values()), [name or net for net, name in lines], fontsize=7.5)
    for label, (_, name) in zip(first.get_yticklabels(), lines, strict=True):
        label.set_family("sans-serif" if not name else "monospace")
        label.set_fontweight("bold" if not name else "normal")
    figure.legend(
        [Line2D([], [], color="black", linestyle="", marker=marker) for marker in MARKERS.values()],
        [name.capitalize() for name in MARKERS],
        fontsize=8,
        loc="outside lower right",
        ncols=2,
        frameon=False,
    )
    figure.supxlabel("time of PyTorch / time of rot180: right of 1, rot180 is faster", fontsize=10)
    figure.suptitle(
        f"rot180 and PyTorch {run['versions']['torch'].partition('+')[0]}, {run['dtype']}, "
        f"{run['threads']} threads, {run['cpu']} ({run['instruction_set']})",
        fontsize=11,
    )
    figure.savefig(path, dpi=150)


def _lines(rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """The line of each net's heading, which has no name, and of each row, from the top."""
    lines: dict[tuple[str, str], int] = {}
    for row in rows:
        for key in ((row["net"], ""), (row["net"], row["row"])):
            lines.setdefault(key, len(lines))
    return lines
