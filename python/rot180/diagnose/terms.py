"""The terms of one cell of y, dx, dw or db, in index notation and in numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rot180.diagnose.convolution import Convolution
from rot180.diagnose.layouts import Layout

MOST_TERMS = 6


def cell(name: str, index: Sequence[int], layout: Layout) -> str:
    """Return a cell of a user's array, ``dx[0, 1, 2, 0]``; the index is ours."""
    form = {"x": "x", "dx": "x", "w": "w", "dw": "w"}.get(name, "dy")
    place = tuple(index) if name in ("db", "b") else layout.index(form, index)
    return f"{name}[{', '.join(map(str, place))}]"


def written_out(
    gradient: str, index: Sequence[int], convolution: Convolution, layout: Layout, got: float
) -> str:
    """Return a cell's terms, a line each in symbols and numbers, and what is expected and got."""
    terms = list(_terms(gradient, index, convolution))
    name = cell(gradient, index, layout)
    expected = float(convolution.right(gradient)[tuple(index)])
    if gradient == "y" and convolution.activation:
        name = "z" + name[1:]
        expected = float(convolution.correlation[tuple(index)])
    if gradient == "dw" and convolution.flipped:
        name = cell("dw", _flipped(index, convolution), layout)
    symbols = [
        " * ".join(_symbol(*factor, convolution, layout) for factor in term)
        for term in terms[:MOST_TERMS]
    ]
    numbers = [
        " * ".join(_number(_value(*factor, convolution)) for factor in term)
        for term in terms[:MOST_TERMS]
    ]
    lines = [f"{name} ="]
    width = max(map(len, symbols), default=0)
    for symbol, number in zip(symbols, numbers, strict=True):
        lines.append(f"    + {symbol:<{width}}   {number}")
    if len(terms) > MOST_TERMS:
        lines.append(f"    + {len(terms) - MOST_TERMS} more terms")
    if not terms:
        lines[0] += " 0: no window reads this pixel"
    lines.append(f"expected {_number(expected, digits=10)}, got {_number(got, digits=10)}")
    return "\n".join(lines)


Factor = tuple[str, tuple[int, ...]]


def _terms(
    gradient: str, index: Sequence[int], convolution: Convolution
) -> Iterator[tuple[Factor, ...]]:
    """Yield the factors of each term of a cell, as (array, index)."""
    geometry = convolution.geometry
    (batch, height, width, _), (_, out_height, out_width, filters) = (
        geometry.input_shape,
        geometry.output_shape,
    )
    kernel_h, kernel_w, channels, _ = geometry.weight_shape
    group_filters = filters // geometry.groups
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    (top, _), (left, _) = geometry.padding
    delta = "dy" if convolution.activation is None else "delta"
    if gradient == "db":
        for n in range(batch):
            for i in range(out_height):
                for j in range(out_width):
                    yield ((delta, (n, i, j, index[0])),)
    elif gradient == "dw":
        r, s, c, k = index
        source = c + k // group_filters * channels
        for n in range(batch):
            for i in range(out_height):
                for j in range(out_width):
                    p, q = i * sh + r * dh - top, j * sw + s * dw - left
                    if 0 <= p < height and 0 <= q < width:
                        yield ("x", (n, p, q, source)), (delta, (n, i, j, k))
    elif gradient == "dx":
        n, p, q, c = index
        group = c // channels
        for i in range(out_height):
            for j in range(out_width):
                r, rest_r = divmod(p + top - i * sh, dh)
                s, rest_s = divmod(q + left - j * sw, dw)
                if rest_r or rest_s or not (0 <= r < kernel_h and 0 <= s < kernel_w):
                    continue
                for k in range(group * group_filters, (group + 1) * group_filters):
                    yield (delta, (n, i, j, k)), ("w", (r, s, c % channels, k))
    else:
        n, i, j, k = index
        for r in range(kernel_h):
            for s in range(kernel_w):
                p, q = i * sh + r * dh - top, j * sw + s * dw - left
                if 0 <= p < height and 0 <= q < width:
                    for c in range(channels):
                        source = c + k // group_filters * channels
                        yield ("x", (n, p, q, source)), ("w", (r, s, c, k))
        if convolution.bias is not None:
            yield (("b", (k,)),)


def _symbol(name: str, index: tuple[int, ...], convolution: Convolution, layout: Layout) -> str:
    if name == "w" and convolution.flipped:
        index = _flipped(index, convolution)
    return cell(name, index, layout)


def _value(name: str, index: tuple[int, ...], convolution: Convolution) -> float:
    array = {
        "x": convolution.x,
        "w": convolution.w,
        "dy": convolution.dy,
        "delta": convolution.delta,
        "b": convolution.bias,
    }[name]
    assert array is not None
    return float(array[index])


def _flipped(index: Sequence[int], convolution: Convolution) -> tuple[int, ...]:
    """The kernel's index as a true convolution stores it."""
    kernel_h, kernel_w = convolution.geometry.weight_shape[:2]
    r, s, c, k = index
    return kernel_h - 1 - r, kernel_w - 1 - s, c, k


def _number(value: float, digits: int = 6) -> str:
    text = f"{value:.{digits}g}"
    return f"({text})" if text.startswith("-") and digits == 6 else text
