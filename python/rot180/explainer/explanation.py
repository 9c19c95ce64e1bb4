"""`explain`: computes the passes with the kernels and lays them out in a page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rot180 import _core
from rot180.arguments import expect_shape
from rot180.explainer.html import numbers, page_html
from rot180.functional import conv2d, conv2d_grad_bias, conv2d_grad_input, conv2d_grad_weight
from rot180.geometry import Conv2dGeometry, IntOrPair, Padding, conv2d_geometry
from rot180.io.atomic import PathLike, atomic_write
from rot180.teaching.arguments import expect_axes, number_arrays

# What a person can take in and a browser can lay out at once.
MOST_CELLS = 8192
MOST_PRODUCTS = 200_000
MOST_CHANNELS = 16
LARGEST_STEP = 16  # of stride, dilation and padding

VIEWS = ("arrays", "full", "matrix")

# The mistakes that the page can show, by their names in the catalogue; the page has the sentences.
MISTAKES = (
    "M1", "M2", "M3", "M4", "M5", "M6", "M7", "M9", "M9 scalar", "M11", "M12", "M12 zeros",
    "M12 dw", "M13", "M14", "M14 dw", "M15", "M16", "M17", "M18", "M20", "M21",
)  # fmt: skip


class Explanation:
    """A page about one convolution, made by `explain`; a notebook shows it inline.

    Attributes
    ----------
    html : str
        The whole page. It needs no other file and no network.

    Examples
    --------
    >>> import numpy as np
    >>> import rot180
    >>> page = rot180.explain(np.ones((3, 3)), np.ones((2, 2)), np.ones((2, 2)))
    >>> page.html[:15]
    '<!doctype html>'
    """

    def __init__(self, page: str) -> None:
        self.html = page

    def save(self, path: PathLike) -> None:
        """Write the page into a file, whole or not at all.

        Parameters
        ----------
        path
            The file, replaced if it exists. Its folder must exist.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import numpy as np
        >>> import rot180
        >>> page = rot180.explain(np.ones((3, 3)), np.ones((2, 2)), np.ones((2, 2)))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "page.html"
        ...     page.save(path)
        ...     path.read_text(encoding="utf-8") == page.html
        True
        """
        with atomic_write(path, "w") as file:
            file.write(self.html)

    def __repr__(self) -> str:
        return f"<rot180 explanation, {len(self.html)} characters of HTML>"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the page in a frame of its own."""
        return (
            '<iframe title="A convolution, term by term" sandbox="allow-scripts" '
            'style="width: 100%; height: 800px; border: 1px solid #8888; border-radius: 8px" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def explain(
    x: ArrayLike,
    w: ArrayLike,
    dy: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    view: str = "arrays",
    cell: tuple[str, Sequence[int]] | None = None,
    mistake: str | None = None,
) -> Explanation:
    """Make a page that shows where each number of a convolution and its gradients comes from.

    The page holds x, w, b, y, dy, dw, db and dx as the kernels computed them. Pointing at a cell of
    a result lights the cells it is made of and lists its terms. Other views show dx as a full
    correlation with the turned kernel, and the convolution as a matrix. Sizes, stride, padding,
    dilation and groups can be changed there; the page then computes the passes itself.

    Parameters
    ----------
    x : array (H, W, C), (1, H, W, C) or (H, W)
        One image: whole numbers, float32 or float64.
    w : array (KH, KW, C // groups, K), or (KH, KW) for one channel and one filter
    dy : array (OH, OW, K), (1, OH, OW, K) or (OH, OW)
        The gradient of the loss by y.
    b : array (K,), optional
        The bias; zeros if None.
    stride, padding, dilation, groups
        As in `rot180.functional.conv2d`.
    view : "arrays", "full" or "matrix"
        What the page shows first.
    cell : ("dx", (1, 2, 0)), for example; optional
        The cell of y, dw, db or dx that the page explains first, with channels also where the
        arrays have none; the middle of dx if None.
    mistake : str, optional
        A name of `rot180.explainer.MISTAKES`, "M1" for example, that the page shows first.

    Returns
    -------
    Explanation
        With `html`, `save(path)`, and inline display in notebooks.

    Raises
    ------
    ValueError, TypeError
        Where shapes, dtypes or options do not fit one another, or a page would be too large to
        read: at most 8192 cells in an array, 200 000 products in a pass, 16 channels, and 16 for
        stride, dilation and padding.

    Examples
    --------
    >>> import numpy as np
    >>> import rot180
    >>> x = np.arange(1, 10).reshape(3, 3)
    >>> w = np.array([[1, 2], [3, 4]])
    >>> dy = np.array([[1, -1], [2, 0.5]])
    >>> rot180.explain(x, w, dy)
    <rot180 explanation, ... characters of HTML>
    """
    x, w, dy = _with_channels(*number_arrays(x=x, w=w, dy=dy))
    filters = w.shape[3]
    b = np.zeros(filters, x.dtype) if b is None else number_arrays(b=b, x=x)[0]
    if x.dtype == np.int64 or b.dtype != x.dtype:  # whole numbers alone, or beside a float bias
        x, w, dy, b = (np.asarray(array, float) for array in (x, w, dy, b))
    geometry = conv2d_geometry(x.shape, w.shape, stride, padding, dilation, groups)
    expect_shape("dy", dy, geometry.output_shape, "the shape of conv2d's output")
    expect_shape("b", b, (filters,), "one number for each filter")
    expect_readable(geometry)

    options: dict[str, Any] = {
        "stride": geometry.stride,
        "padding": geometry.padding,
        "dilation": geometry.dilation,
        "groups": geometry.groups,
    }
    # The direct sum: exact on whole numbers, and with one term for each that the page lists.
    direct = options | {"algorithm": "direct"}
    arrays = {
        "x": x[0],
        "w": w,
        "b": b,
        "dy": dy[0],
        "y": conv2d(x, w, b, **direct)[0],
        "dw": conv2d_grad_weight(x, dy, w.shape[:2], **direct),
        "db": conv2d_grad_bias(dy),
        "dx": conv2d_grad_input(dy, w, x.shape, **direct)[0],
    }
    data = {
        "version": _core.version(),
        "dtype": str(x.dtype),
        **options,
        "arrays": {name: numbers(array) for name, array in arrays.items()},
        "limits": {
            "cells": MOST_CELLS,
            "products": MOST_PRODUCTS,
            "channels": MOST_CHANNELS,
            "step": LARGEST_STEP,
        },
        "view": _one_of("view", view, VIEWS),
        "cell": None if cell is None else _checked_cell(cell, arrays),
        "mistake": None if mistake is None else _one_of("mistake", mistake, MISTAKES),
    }
    return Explanation(page_html(data))


def _with_channels(
    x: NDArray[Any], w: NDArray[Any], dy: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The arrays as (1, H, W, C), (KH, KW, C // groups, K) and (1, OH, OW, K)."""
    expect_axes("w", w, ("(KH, KW)", "(KH, KW, C // groups, K)"))
    if w.ndim == 2:
        w = w[:, :, np.newaxis, np.newaxis]
    return _one_image("x", x, "H, W, C"), w, _one_image("dy", dy, "OH, OW, K")


def _one_image(name: str, array: NDArray[Any], axes: str) -> NDArray[Any]:
    height_and_width = axes.rpartition(",")[0]
    expect_axes(name, array, (f"({height_and_width})", f"({axes})", f"(1, {axes})"))
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.ndim == 3:
        array = array[np.newaxis]
    if len(array) != 1:
        raise ValueError(
            f"{name} has shape {array.shape}, {len(array)} images, and the page shows one: "
            f"pass {name}[:1]"
        )
    return array


def expect_readable(geometry: Conv2dGeometry) -> None:
    """Refuse what would be too large to read, before anything is computed."""
    _, height, width, channels = geometry.input_shape
    _, out_height, out_width, filters = geometry.output_shape
    kernel_h, kernel_w, group_channels, _ = geometry.weight_shape
    (top, bottom), (left, right) = geometry.padding
    products = out_height * out_width * filters * kernel_h * kernel_w * group_channels
    cells = {
        "x with its padding": (height + top + bottom) * (width + left + right) * channels,
        "w": kernel_h * kernel_w * group_channels * filters,
        "y": out_height * out_width * filters,
    }
    found = [(f"{name} has {size} cells", size, MOST_CELLS) for name, size in cells.items()]
    found += [
        (f"x has {channels} channels", channels, MOST_CHANNELS),
        (f"w has {filters} filters", filters, MOST_CHANNELS),
        (f"a pass sums {products} products", products, MOST_PRODUCTS),
        (f"stride is {geometry.stride}", max(geometry.stride), LARGEST_STEP),
        (f"dilation is {geometry.dilation}", max(geometry.dilation), LARGEST_STEP),
        (f"padding is {geometry.padding}", max(top, bottom, left, right), LARGEST_STEP),
    ]
    for what, size, limit in found:
        if size > limit:
            raise ValueError(
                f"{what}, more than the {limit} that a page can show: explain a crop of the image, "
                "or fewer channels"
            )


def _one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValueError(f"{name}={value!r} is unknown: expected {', '.join(map(repr, allowed))}")
    return value


def _checked_cell(
    cell: tuple[str, Sequence[int]], arrays: dict[str, NDArray[Any]]
) -> dict[str, Any]:
    message = (
        f'cell={cell!r} is no cell of y, dw, db or dx: expected a pair such as ("dx", (0, 0, 0))'
    )
    try:
        name, index = cell
        place = [int(i) for i in index]
    except (TypeError, ValueError):
        raise ValueError(message) from None
    if name not in ("y", "dw", "db", "dx"):
        raise ValueError(message)
    shape = arrays[name].shape
    if len(place) != len(shape) or not all(
        0 <= i < size for i, size in zip(place, shape, strict=True)
    ):
        raise ValueError(f"{message}; {name} has shape {shape}")
    return {"array": name, "index": place}
