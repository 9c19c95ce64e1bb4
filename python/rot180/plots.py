"""Pictures of a training: its curves, its confusion matrix, and where a step's time goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.io import PathLike, atomic_write
from rot180.profiling import PassTime, Profile, short

TRAIN_COLOUR = "#4c78a8"
HELD_OUT_COLOUR = "#e45756"

# More classes would make a picture too large for a screen if each cell held its count.
MOST_NUMBERED = 30

PASS_COLOURS = {
    "forward": "#7fa8d1",
    "grad_input": "#f2b26e",
    "grad_weight": "#e8817f",
    "backward": "#8fc7a8",
    "step": "#b3b3b7",
}
# Of more layers than this, those that take the least time share one bar.
MOST_BARS = 40


def plot_history(history: Mapping[str, Sequence[float]], path: PathLike | None = None) -> Any:
    """Draw loss and metrics by epoch, in training and held out, a panel each.

    Parameters
    ----------
    history
        Lists of equal length by name: ``"loss"``, ``"accuracy"`` and other metrics, and those that
        were held out after ``"val_"``. Accuracies are from 0 to 1.
    path
        The PNG file, replaced if it exists; None writes none.

    Returns
    -------
    matplotlib.figure.Figure
        The picture, which belongs to no window.

    Raises
    ------
    ValueError
        If `history` has no epoch to draw.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rot180.plots import plot_history
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "curves.png"
    ...     figure = plot_history({"loss": [2.0, 0.5], "accuracy": [0.4, 0.9]}, path)
    ...     path.exists()
    True
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['loss', 'accuracy (%)']
    """
    panels = [
        name
        for name, column in history.items()
        if len(column) and name != "seconds" and not name.startswith("val_")
    ]
    if not panels:
        raise ValueError("history has no epoch: train at least one")
    figure = _figure(4.8 * len(panels), 3.6)
    for axes, name in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        is_share = name.endswith("accuracy")
        scale = 100 if is_share else 1
        _plot_curve(axes, history[name], scale, "training", TRAIN_COLOUR)
        if len(history.get(f"val_{name}", ())):
            _plot_curve(axes, history[f"val_{name}"], scale, "held out", HELD_OUT_COLOUR)
        _set_limits(axes, name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name.replace("_", " ") + (" (%)" if is_share else ""))
        axes.set_xlim(0.5, len(history[name]) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(color="#e6e6e6")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    if path is not None:
        _save(figure, path)
    return figure


def plot_confusion(matrix: npt.ArrayLike, class_names: Sequence[str], path: PathLike) -> None:
    """Draw a confusion matrix to a PNG file: counts in the cells, mistakes in red.

    With more than thirty classes the cells are small and have their colours only.

    Parameters
    ----------
    matrix
        ``matrix[i, j]`` is the number of images of class i that were taken for class j.
    class_names
        A name for each class.
    path
        The PNG file, replaced if it exists.

    Raises
    ------
    ValueError
        If `matrix` is not square with a row for each class, or holds no image.
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rot180.plots import plot_confusion
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "confusion.png"
    ...     plot_confusion([[9, 1], [0, 10]], ["cat", "dog"], path)
    ...     path.exists()
    True
    """
    counts = np.asarray(matrix)
    classes = len(class_names)
    if counts.shape != (classes, classes):
        raise ValueError(
            f"matrix has shape {counts.shape}, expected ({classes}, {classes}): "
            "a row and a column for each class"
        )
    total, right = int(counts.sum()), int(np.trace(counts))
    if total < 1 or counts.min() < 0:
        raise ValueError("matrix must hold counts of at least one image")
    numbered = classes <= MOST_NUMBERED
    cell, fontsize = (0.42, None) if numbered else (0.12, 6)
    longest = max(map(len, class_names))
    figure = _figure(1.8 + cell * classes, 1.9 + cell * classes)
    axes = figure.subplots()
    axes.imshow(_cell_colours(counts))
    if numbered:
        for (i, j), count in np.ndenumerate(counts):
            colour = "#222222" if count else "#cccccc"
            axes.text(j, i, str(count), ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(
        range(classes), class_names, rotation=90 if longest > 3 else 0, fontsize=fontsize
    )
    axes.set_yticks(range(classes), class_names, fontsize=fontsize)
    edges = np.arange(classes + 1) - 0.5
    axes.hlines(edges, edges[0], edges[-1], color="#e6e6e6", linewidth=0.8)
    axes.vlines(edges, edges[0], edges[-1], color="#e6e6e6", linewidth=0.8)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    axes.set_title(f"{right} of {total} right ({100 * right / total:.2f} %)", fontsize=11)
    _save(figure, path)


def plot_profile(profile: Profile, title: str, path: PathLike) -> None:
    """Draw where the time of a training step goes to a PNG file: a bar for each layer.

    The parts of a bar are its passes. Where there is room, they bear their GFLOP/s.

    Parameters
    ----------
    profile
        What `rot180.profiling.profile` has measured.
    title
        What was measured: ``"lenet5, batches of 32"``.
    path
        The PNG file, replaced if it exists.

    Raises
    ------
    ImportError
        If Matplotlib is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rot180.plots import plot_profile
    >>> from rot180.profiling import PassTime, Profile
    >>> passes = (
    ...     PassTime("0", "Linear(8, 4)", "forward", 1.0, 0.25, 1024, 704),
    ...     PassTime("0", "Linear(8, 4)", "grad_weight", 3.0, 0.75, 1024, 704),
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "profile.png"
    ...     plot_profile(Profile(passes, 4.0, 16, 20), "a dense layer", path)
    ...     path.exists()
    True
    """
    bars = _bars(profile)
    longest = max(sum(each.milliseconds for each in bar) for _, bar in bars)
    figure = _figure(10, 1.6 + 0.27 * len(bars))
    axes = figure.subplots()
    for position, (_, bar) in enumerate(bars):
        end = 0.0
        for each in bar:
            colour = PASS_COLOURS[each.which]
            axes.barh(position, each.milliseconds, left=end, height=0.74, color=colour)
            if each.flops and each.milliseconds > 0.045 * longest:
                middle = end + each.milliseconds / 2
                text = f"{each.gflops:.0f}"
                axes.text(middle, position, text, ha="center", va="center_baseline", fontsize=7)
            end += each.milliseconds
        text = f"{end:.3g} ms, {100 * sum(each.share for each in bar):.1f} %"
        axes.annotate(
            text, (end, position), (4, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.set_yticks(range(len(bars)), [label for label, _ in bars], fontsize=8)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_xlim(0, 1.16 * longest)
    axes.set_xlabel("milliseconds; numbers in the bars are GFLOP/s, counted as the direct sum")
    axes.grid(axis="x", color="#e6e6e6")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_title(title, fontsize=11, loc="left")
    drawn = {each.which for each in profile.passes}
    for which, colour in PASS_COLOURS.items():
        if which in drawn:
            axes.barh(0, 0, color=colour, label=which)
    figure.legend(frameon=False, loc="outside lower right", ncols=len(PASS_COLOURS), fontsize=8)
    _save(figure, path)


def _bars(profile: Profile) -> list[tuple[str, list[PassTime]]]:
    """A label and the passes of each bar, in the order of the network."""
    layers = [list(passes) for _, passes in groupby(profile.passes, lambda each: each.layer)]
    by_time = sorted(layers, key=lambda layer: sum(each.milliseconds for each in layer))
    others = by_time[: len(layers) - MOST_BARS + 1] if len(layers) > MOST_BARS else []
    hidden = {layer[0].layer for layer in others}
    bars = [
        (f"{layer[0].layer}  {short(layer[0].what, 40)}", layer)
        for layer in layers
        if layer[0].layer not in hidden
    ]
    if others:
        passes = [each for layer in others for each in layer]
        bars.append((f"{len(others)} others", _joined(passes)))
    return bars


def _joined(passes: list[PassTime]) -> list[PassTime]:
    """One for each kind of pass, which stands for all of that kind."""
    joined = []
    for which in dict.fromkeys(each.which for each in passes):
        same = [each for each in passes if each.which == which]
        milliseconds = sum(each.milliseconds for each in same)
        share = sum(each.share for each in same)
        joined.append(PassTime("others", "", which, milliseconds, share, 0, 0))
    return joined


def _plot_curve(axes: Any, values: Sequence[float], scale: int, name: str, colour: str) -> None:
    scaled = scale * np.asarray(values, dtype=np.float64)
    marker = "o" if len(scaled) <= 30 else None
    axes.plot(
        range(1, len(scaled) + 1), scaled, color=colour, marker=marker, markersize=4, label=name
    )


def _set_limits(axes: Any, name: str) -> None:
    """Losses and errors start at 0 and accuracies end at 100 %, so that none flatters."""
    if name.endswith("accuracy"):
        low = axes.get_ylim()[0]
        axes.set_ylim(max(0, low), 100 + 0.02 * (100 - max(0, low)))
    elif name.endswith(("loss", "error")):
        axes.set_ylim(bottom=0)


def _cell_colours(counts: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Blue by row share on the diagonal, red off it, with a scale of its own.

    One scale for both would leave a mistake of 2 % invisible beside 98 %.
    """
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    mistakes = share * ~np.eye(len(counts), dtype=bool)
    white, blue, red = (np.array(rgb) / 255 for rgb in ((255,) * 3, (158, 202, 225), (239, 83, 80)))
    strength = np.sqrt(mistakes / max(0.1, float(mistakes.max())))[..., np.newaxis]
    colours: npt.NDArray[Any] = white + strength * (red - white)
    diagonal = np.arange(len(counts))
    colours[diagonal, diagonal] = white + share[diagonal, diagonal, np.newaxis] * (blue - white)
    return colours


def _figure(width: float, height: float) -> Any:
    """Return a figure that belongs to no window and to no global state."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise ImportError(
            'pictures are drawn with Matplotlib: pip install "rot180[train]"'
        ) from error
    margins = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
    figure = Figure(figsize=(width, height), layout=margins)
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Any, path: PathLike) -> None:
    with atomic_write(path) as file:
        # Without the version in the metadata the same picture is the same file.
        figure.savefig(file, format="png", dpi=150, metadata={"Software": None})
