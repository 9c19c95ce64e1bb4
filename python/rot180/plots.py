"""Pictures of a training: its curves and its confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.io import PathLike, atomic_write

TRAIN_COLOUR = "#4c78a8"
HELD_OUT_COLOUR = "#e45756"

# More classes would make a picture too large for a screen if each cell held its count.
MOST_NUMBERED = 30


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
