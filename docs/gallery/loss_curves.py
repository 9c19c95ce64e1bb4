"""Draws the loss of a training with a mistake beside that of the right one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from rot180.io.atomic import atomic_write

WRONG, RIGHT, INK = "#d1495b", "#2a78b8", "#808890"  # seen on light and on dark ground
SMOOTHED = 9  # steps whose mean is drawn; what each batch adds is noise


def draw(path: Path, wrong: Sequence[float], right: Sequence[float]) -> None:
    """Write the picture as SVG, transparent, the same bytes at each build."""
    figure = Figure(figsize=(6.2, 2.7), layout="constrained")
    axes = figure.subplots()
    for losses, colour, name in ((right, RIGHT, "right"), (wrong, WRONG, "with the mistake")):
        axes.plot(_smoothed(losses), color=colour, linewidth=1.8, label=name)
    top = 1.15 * max(right)
    axes.set(xlim=(0, len(right)), ylim=(0, top), xlabel="step", ylabel="loss")
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.legend(frameon=False, labelcolor="linecolor")
    style = {"svg.hashsalt": "rot180", "svg.fonttype": "none"}
    with mpl.rc_context(style), atomic_write(path) as file:
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})


def _smoothed(losses: Sequence[float]) -> list[float]:
    finite = np.minimum(np.nan_to_num(losses, nan=1e9, posinf=1e9), 1e9)
    half = SMOOTHED // 2
    return [float(np.mean(finite[max(0, i - half) : i + half + 1])) for i in range(len(finite))]
