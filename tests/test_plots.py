"""The pictures: drawn whatever the figures are, the same twice, mistakes to be seen."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from rot180.plots import plot_confusion, plot_history

HISTORY = {
    "loss": [1.2, 0.4, 0.1],
    "accuracy": [0.6, 0.9, 0.98],
    "val_loss": [0.8, 0.3, 0.2],
    "val_accuracy": [0.7, 0.92, 0.95],
    "seconds": [0.1, 0.1, 0.1],
}
DIGITS = "0123456789"


def pixels(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def has_red(path):
    red, green, blue = np.moveaxis(pixels(path), -1, 0)
    return bool(((red - green > 60) & (red - blue > 60)).any())


@pytest.mark.parametrize(
    "history",
    [
        HISTORY,
        {"loss": [0.5]},
        {"loss": [0.5, 0.4], "seconds": [1, 1]},
        {"loss": [0.5], "accuracy": [1.0]},
        {"loss": [0.5], "accuracy": [1.0], "val_accuracy": [1.0]},
        {"loss": [0.0] * 100, "accuracy": [1.0] * 100},
        {"loss": [0.5, np.nan], "accuracy": [0.5, np.nan]},
        {"loss": [np.nan], "accuracy": [0.0]},
    ],
)
def test_any_history_is_drawn_without_a_warning(tmp_path, history):
    plot_history(history, tmp_path / "curves.png")
    assert pixels(tmp_path / "curves.png").min() < 100


def test_held_out_curves_are_drawn(tmp_path):
    plot_history({key: HISTORY[key] for key in ("loss", "accuracy")}, tmp_path / "without.png")
    plot_history(HISTORY, tmp_path / "with.png")
    assert not has_red(tmp_path / "without.png")
    assert has_red(tmp_path / "with.png")


def test_every_metric_has_a_panel(tmp_path):
    history = HISTORY | {"f_score": [-0.5, 0.1, 0.2], "mean_absolute_error": [3.0, 2.0, 2.5]}
    figure = plot_history(history)
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "loss",
        "accuracy (%)",
        "f score",
        "mean absolute error",
    ]
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 1, 1]
    bottoms = [axes.get_ylim()[0] for axes in figure.axes]
    assert bottoms[0] == bottoms[3] == 0
    assert bottoms[1] > 0
    assert bottoms[2] < -0.5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("history", [{}, {"loss": []}, {"seconds": [1.0]}])
def test_a_history_without_epochs_is_refused(tmp_path, history):
    with pytest.raises(ValueError, match="no epoch"):
        plot_history(history, tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == []


def test_a_single_mistake_is_red_and_none_is_not(tmp_path):
    matrix = np.diag([45] * 10)
    plot_confusion(matrix, DIGITS, tmp_path / "right.png")
    matrix[3, 8] = 1
    plot_confusion(matrix, DIGITS, tmp_path / "wrong.png")
    assert not has_red(tmp_path / "right.png")
    assert has_red(tmp_path / "wrong.png")


def test_rows_are_the_true_classes(tmp_path):
    matrix = np.diag([45] * 10)
    matrix[0, 9] = 9
    plot_confusion(matrix, DIGITS, tmp_path / "confusion.png")
    red, green, blue = np.moveaxis(pixels(tmp_path / "confusion.png"), -1, 0)
    rows, columns = np.nonzero((red - green > 60) & (red - blue > 60))
    height, width = red.shape
    assert rows.max() < height / 4
    assert columns.min() > 3 * width / 4


@pytest.mark.parametrize("classes", [1, 2, 20])
def test_any_number_of_classes(tmp_path, classes):
    matrix = np.zeros((classes, classes), int)
    matrix[-1, 0] = 1  # the other rows are empty
    plot_confusion(matrix, [f"class {i}" for i in range(classes)], tmp_path / "confusion.png")
    assert pixels(tmp_path / "confusion.png").min() < 100


@pytest.mark.parametrize("matrix", [np.ones((9, 10)), np.ones(10), np.zeros((10, 10)), -np.eye(10)])
def test_a_wrong_matrix_is_refused(tmp_path, matrix):
    with pytest.raises(ValueError, match="matrix"):
        plot_confusion(matrix, DIGITS, tmp_path / "confusion.png")
    assert list(tmp_path.iterdir()) == []


def test_the_same_figures_give_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        plot_history(HISTORY, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_no_window_no_global_state_and_nothing_imported_early(tmp_path):
    script = (
        "import sys, rot180, rot180.plots; assert 'matplotlib' not in sys.modules; "
        "rot180.plots.plot_history({'loss': [1.0]}, sys.argv[1]); "
        "assert 'matplotlib.pyplot' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-W", "error", "-c", script, str(tmp_path / "a.png")], check=True
    )


def test_missing_matplotlib_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r'pip install "rot180\[train\]"'):
        plot_history(HISTORY, tmp_path / "curves.png")


def test_confusion_of_many_classes_is_drawn_in_a_moment(tmp_path):
    classes = 100
    matrix = np.eye(classes, dtype=int) * 9
    matrix[3, 40] = 7
    plot_confusion(matrix, [f"class_{i}" for i in range(classes)], tmp_path / "c.png")
    assert max(pixels(tmp_path / "c.png").shape) < 3000
    assert has_red(tmp_path / "c.png")
