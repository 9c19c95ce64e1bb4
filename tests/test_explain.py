"""The page that explains a convolution: what it holds, what it refuses, how it is written."""

from __future__ import annotations

import html
import json
import math
import re
from importlib import resources

import numpy as np
import pytest

import geometries
import rot180
from rot180 import functional
from rot180.cli import main
from rot180.explainer import MISTAKES, example, explanation
from rot180.explainer.example import example_arrays
from rot180.explainer.html import SCRIPTS

SMALL = {"x": np.ones((3, 3)), "w": np.ones((2, 2)), "dy": np.ones((2, 2))}


def data_of(page):
    """What the page's script reads, and nothing that could end the element it stands in."""
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page.html)
    assert not set("<>&") & set(text)
    return json.loads(text)


def array_of(data, name):
    stored = data["arrays"][name]
    return np.array([float(value) for value in stored["values"]]).reshape(stored["shape"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["everything", "remainder rows and columns", "depthwise"])
def test_it_holds_what_the_kernels_compute(name, dtype):
    case = geometries.AWKWARD[name]
    x, w, dy = (array.astype(dtype) for array in case.reals())
    x, dy = x[:1], dy[:1]
    b = np.linspace(-1, 1, w.shape[3]).astype(dtype)
    data = data_of(rot180.explain(x, w, dy, b, **case.options))
    options = case.options | {"algorithm": "direct"}
    expected = {
        "x": x[0],
        "w": w,
        "b": b,
        "dy": dy[0],
        "y": functional.conv2d(x, w, b, **options)[0],
        "dx": functional.conv2d_grad_input(dy, w, x.shape, **options)[0],
        "dw": functional.conv2d_grad_weight(x, dy, case.kernel_size, **options),
        "db": functional.conv2d_grad_bias(dy),
    }
    assert set(data["arrays"]) == set(expected)
    for array_name, array in expected.items():
        np.testing.assert_array_equal(array_of(data, array_name).astype(dtype), array)
    assert data["dtype"] == np.dtype(dtype).name
    assert data["stride"] == list(case.geometry.stride)
    assert data["padding"] == [list(side) for side in case.geometry.padding]


def test_whole_numbers_planes_and_a_batch_of_one_mean_the_same():
    x, w, dy = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2), np.arange(4).reshape(2, 2)
    plain = rot180.explain(x, w, dy).html
    assert plain == rot180.explain(x.astype(float), w, dy, [0]).html
    batch = rot180.explain(
        x[np.newaxis, :, :, np.newaxis], w[:, :, np.newaxis, np.newaxis], dy[:, :, np.newaxis]
    )
    assert plain == batch.html


def test_numbers_that_are_not_finite():
    x = np.array([[np.nan, np.inf, 1], [-np.inf, 0, 2], [1e300, -1e-300, -0.0]])
    data = data_of(rot180.explain(x, SMALL["w"], SMALL["dy"]))
    np.testing.assert_array_equal(array_of(data, "x")[:, :, 0], x)
    assert data["arrays"]["x"]["values"][:2] == ["NaN", "Infinity"]


def test_float32_is_written_with_few_digits():
    x = np.full((3, 3), 0.1, np.float32)
    w, dy = SMALL["w"].astype("f"), SMALL["dy"].astype("f")
    assert data_of(rot180.explain(x, w, dy))["arrays"]["x"]["values"] == [0.1] * 9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"x": np.ones((2, 3, 3, 1))}, r"x has shape \(2, 3, 3, 1\), 2 images.*pass x\[:1\]"),
        ({"x": np.ones(9)}, r"x has shape \(9,\), expected \(H, W\) or \(H, W, C\)"),
        ({"w": np.ones((2, 2, 1))}, r"w has shape \(2, 2, 1\), expected \(KH, KW\)"),
        ({"w": np.ones((4, 4))}, "the kernel covers 4 in height, more than the padded input's 3"),
        ({"dy": np.ones((3, 3))}, r"dy has shape \(1, 3, 3, 1\), expected \(1, 2, 2, 1\)"),
        ({"dy": np.ones((2, 2), "f")}, "dy has dtype float32 but x has dtype float64"),
        ({"x": "picture"}, "x has dtype"),
        ({"b": [1.0, 2.0]}, r"b has shape \(2,\), expected \(1,\)"),
        ({"stride": 0}, "stride must be from 1"),
        ({"groups": 2}, "groups=2 must divide"),
        ({"view": "cinema"}, "view='cinema' is unknown: expected 'arrays', 'full', 'matrix'"),
        ({"mistake": "M99"}, "mistake='M99' is unknown"),
        ({"cell": ("dx", (0, 3, 0))}, r"no cell of y, dw, db or dx.*dx has shape \(3, 3, 1\)"),
        ({"cell": ("x", (0, 0, 0))}, "no cell of y, dw, db or dx"),
        ({"cell": "dx"}, "no cell of y, dw, db or dx"),
        ({"cell": 3}, "no cell of y, dw, db or dx"),
    ],
)
def test_what_it_refuses(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        rot180.explain(**SMALL | wrong)


@pytest.mark.parametrize(
    ("sizes", "options", "message"),
    [
        (((91, 91, 1), (90, 90), 1), {}, "x with its padding has 8281 cells, more than the 8192"),
        (((40, 40, 1), (3, 3), 6), {}, "y has 8664 cells"),
        (((8, 8, 1), (3, 3), 17), {}, "w has 17 filters, more than the 16"),
        (((3, 3, 17), (3, 3), 1), {}, "x has 17 channels, more than the 16"),
        (((25, 25, 4), (13, 13), 2), {}, "a pass sums 228488 products"),
        (((3, 3, 1), (3, 3), 1), {"padding": 17}, "more than the 16 that a page can show"),
    ],
)
def test_what_is_too_large_to_read(sizes, options, message, monkeypatch):
    with pytest.raises(ValueError, match=message):
        example_arrays(*sizes, **options)
    monkeypatch.setattr(example, "expect_readable", lambda geometry: None)
    x, w, dy, b = example_arrays(*sizes, **options)
    with pytest.raises(ValueError, match=message):
        rot180.explain(x, w, dy, b, **options)


def test_an_impossible_size_is_refused_before_anything_is_computed(monkeypatch):
    def computed(*args, **options):
        raise AssertionError("computed all the same")

    monkeypatch.setattr(explanation, "conv2d", computed)
    x = np.broadcast_to(np.float32(1), (1, 1000, 1000, 1))
    dy = np.broadcast_to(np.float32(1), (1, 998, 998, 1))
    with pytest.raises(ValueError, match="1000000 cells"):
        rot180.explain(x, np.ones((3, 3, 1, 1), "f"), dy)


def test_it_is_one_file_that_asks_for_no_other():
    page = rot180.explain(**SMALL).html
    assert not re.search(r"https?:|//[a-z]|@import|url\(|\bimport\b|fetch\(", page)
    assert "default-src 'none'" in page
    assert not re.search(r"\{\{\w+\}\}", page)
    folder = resources.files("rot180.explainer").joinpath("page")
    assert sorted(SCRIPTS) == sorted(
        file.name for file in folder.iterdir() if file.name.endswith(".js")
    )


def test_mistakes_are_those_of_the_page():
    script = resources.files("rot180.explainer").joinpath("page", "mistakes.js").read_text("utf-8")
    assert tuple(re.findall(r'^    id: "(.+)",$', script, re.MULTILINE)) == MISTAKES


def test_save_writes_it_whole_or_not_at_all(tmp_path):
    page = rot180.explain(**SMALL)
    path = tmp_path / "page.html"
    page.save(path)
    assert path.read_text("utf-8") == page.html
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
    with pytest.raises(FileNotFoundError):
        page.save(tmp_path / "nowhere" / "page.html")


def test_a_notebook_shows_it_in_a_frame():
    page = rot180.explain(**SMALL)
    frame = page._repr_html_()
    (source,) = re.findall(r'srcdoc="([^"]*)"', frame)
    assert html.unescape(source) == page.html
    assert 'sandbox="allow-scripts"' in frame
    assert len(repr(page)) < 80


class TestExample:
    def test_small_whole_numbers_none_of_them_zero(self):
        for array in example_arrays((6, 5, 4), (3, 2), 6, stride=2, padding=1, groups=2):
            assert array.size
            assert (array == np.rint(array)).all()
            assert (abs(array) > 0).all()
            assert (abs(array) <= 5).all()

    def test_another_seed_draws_other_numbers(self):
        first, second = (example_arrays((5, 5, 1), (3, 3), 1, seed=seed)[0] for seed in (0, 1))
        assert not np.array_equal(first, second)


class TestCommand:
    def run(self, folder, *options):
        path = folder / "page.html"
        assert main(["explain", "--out", str(path), *options]) == 0
        return data_of(rot180.explainer.Explanation(path.read_text("utf-8")))

    def test_every_option(self, tmp_path, capsys):
        data = self.run(
            tmp_path, "--input", "6x5x4", "--kernel", "3x2", "--filters", "6", "--stride", "2x1",
            "--padding", "1,0,2,1", "--dilation", "1x2", "--groups", "2", "--seed", "3",
            "--view", "full", "--mistake", "M9 scalar",
        )  # fmt: skip
        assert capsys.readouterr().out == f"written: {tmp_path / 'page.html'}\n"
        shapes = {name: array["shape"] for name, array in data["arrays"].items()}
        assert shapes["x"] == shapes["dx"] == [6, 5, 4]
        assert shapes["w"] == shapes["dw"] == [3, 2, 2, 6]
        assert shapes["y"] == shapes["dy"] == [3, 6, 6]
        assert data["stride"] == [2, 1]
        assert data["padding"] == [[1, 0], [2, 1]]
        assert data["dilation"] == [1, 2]
        assert (data["groups"], data["view"], data["mistake"]) == (2, "full", "M9 scalar")

    def test_one_number_stands_for_both_axes(self, tmp_path):
        data = self.run(tmp_path, "--input", "7x7", "--kernel", "2", "--stride", "2")
        assert data["arrays"]["x"]["shape"] == [7, 7, 1]
        assert data["arrays"]["w"]["shape"][:2] == data["stride"] == [2, 2]
        assert self.run(tmp_path, "--padding", "same")["padding"] == [[1, 1], [1, 1]]
        assert self.run(tmp_path, "--padding", "1x0")["padding"] == [[1, 1], [0, 0]]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--input", "5"], "argument --input: expected sizes as 5x5 or 5x5x2, got '5'"),
            (["--kernel", "3x3x3"], "argument --kernel: expected a number, or two as 2x1"),
            (["--padding", "1,2"], "argument --padding: expected top,bottom,left,right"),
            (["--stride", "0"], "stride must be from 1"),
            (["--kernel", "9x9"], "the kernel covers 9 in height"),
            (["--groups", "3"], "groups=3 must divide"),
            (["--input", "99x99x9"], "more than the 8192"),
            (["--input", "999999x999999x999999"], "elements are too many"),
            (["--view", "cinema"], "invalid choice: 'cinema'"),
            (["--out", "nowhere/page.html"], "the folder does not exist"),
        ],
    )
    def test_a_mistake_is_told_in_a_line(self, tmp_path, monkeypatch, capsys, options, message):
        monkeypatch.chdir(tmp_path)
        assert main(["explain", *options]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("rot180: error: ")
        assert captured.err.count("\n") == 1
        assert message in captured.err
        assert not list(tmp_path.iterdir())


def test_the_sums_are_exact_on_the_default_page():
    data = data_of(rot180.explain(*example_arrays((5, 5, 2), (3, 3), 2)))
    assert all(
        math.isfinite(value) and value == int(value)
        for array in data["arrays"].values()
        for value in array["values"]
    )
