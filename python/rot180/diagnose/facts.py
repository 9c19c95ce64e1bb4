"""What is known of a wrong array that no mistake of the catalogue makes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rot180.diagnose.convolution import GRADIENTS, Array, Convolution
from rot180.diagnose.matching import FORMS, ROOM, Observation
from rot180.diagnose.terms import cell, written_out
from rot180.geometry import Conv2dGeometry

AXES = {"x": ("N", "H", "W", "C"), "dy": ("N", "OH", "OW", "K"), "w": ("KH", "KW", "C", "K")}

# What may set apart the probes on which an array is right.
PROPERTIES: dict[str, Callable[[Conv2dGeometry], bool]] = {
    "a stride above 1": lambda g: g.stride != (1, 1),
    "padding": lambda g: g.padding != ((0, 0), (0, 0)),
    "a dilation above 1": lambda g: g.dilation != (1, 1),
    "groups": lambda g: g.groups > 1,
    "remainder rows or columns, which no window reaches": lambda g: any(
        left > 0 and stride > 1 for left, stride in zip(g.remainder, g.stride, strict=True)
    ),
    "more than one image": lambda g: g.input_shape[0] > 1,
    "more than one channel": lambda g: g.input_shape[3] > 1,
    "more than one filter": lambda g: g.output_shape[3] > 1,
    "more than one channel or filter": lambda g: g.input_shape[3] > 1 or g.output_shape[3] > 1,
    "a kernel that is not square": lambda g: g.weight_shape[0] != g.weight_shape[1],
    "an image that is not square": lambda g: g.input_shape[1] != g.input_shape[2],
    "strides that differ": lambda g: g.stride[0] != g.stride[1],
    "padding that differs between rows and columns": lambda g: g.padding[0] != g.padding[1],
    "padding that differs before and after": lambda g: any(a != b for a, b in g.padding),
}


def is_right(observation: Observation) -> bool:
    """Whether the array is right to rounding, in the coarsest precision that is possible."""
    return observation.misfit(observation.right) <= ROOM * observation.levels[-1]


def facts_of_probes(observations: Sequence[Observation]) -> Iterator[str]:
    """Yield on which of several probes the array is right."""
    right = [o.convolution.geometry for o in observations if is_right(o)]
    wrong = [o.convolution.geometry for o in observations if not is_right(o)]
    if not right:
        return
    common = [name for name, holds in PROPERTIES.items() if all(map(holds, wrong))]
    exact = [name for name in common if not any(map(PROPERTIES[name], right))]
    if exact:
        yield f"right without, and wrong with, {_or(exact)} ({len(wrong)} probes wrong)"
        return
    telling = [name for name in common if not all(map(PROPERTIES[name], right))]
    only = f", and only where there is {_and(telling)}" if telling else ""
    yield f"wrong on {len(wrong)} of {len(wrong) + len(right)} probes{only}"


def facts_of_one(observation: Observation) -> Iterator[str]:
    """Yield what is known of the array on one probe, and the terms of its first wrong cell."""
    right, received = observation.right, observation.received
    actual = received.read_as(right.form)
    if received.raw.size and not np.isfinite(received.raw).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(received.raw))[0])
        yield (
            f"holds NaN or infinity, first at {list(bad)}: memory that was not set to zero "
            "(np.empty), an index outside an array, or a division by zero"
        )
        return
    if right.form == "raw":
        squeezed = [n for n in received.raw.shape if n != 1]
        same = squeezed == [n for n in right.values.shape if n != 1]
        actual = received.raw.reshape(right.values.shape) if same else None
    if actual is None or actual.shape != right.values.shape:
        yield from _facts_of_shape(observation)
        yield from _other_gradients(observation)
        yield from _other_axes(observation)
        return
    if not actual.any():
        yield "zero everywhere"
    else:
        explained = [
            *_other_gradients(observation),
            *_other_axes(observation),
            *_whole(observation, actual),
        ]
        yield from explained or _where(observation, actual)
    yield _first_wrong_cell(observation, actual)


def _facts_of_shape(observation: Observation) -> Iterator[str]:
    right, received = observation.right, observation.received
    layout, convolution = received.layout, observation.convolution
    shape = received.raw.shape
    expected = right.values.shape
    if right.form != "raw":
        expected = layout.shape(right.form, expected)
    g = convolution.geometry
    known = {
        "x": layout.shape("x", g.input_shape),
        "w": layout.shape("w", g.weight_shape),
        "dy": layout.shape("dy", g.output_shape),
        "the padded x": layout.shape(
            "x",
            (
                g.input_shape[0],
                g.input_shape[1] + sum(g.padding[0]),
                g.input_shape[2] + sum(g.padding[1]),
                g.input_shape[3],
            ),
        ),
        "a valid correlation of dy with the kernel": layout.shape(
            "x",
            (
                g.input_shape[0],
                max(0, g.output_shape[1] - g.weight_shape[0] + 1),
                max(0, g.output_shape[2] - g.weight_shape[1] + 1),
                g.input_shape[3],
            ),
        ),
    }
    same = next((f", the shape of {name}" for name, its in known.items() if its == shape), "")
    of = {"dx": "x's shape", "dw": "w's shape", "db": "one number for each filter"}
    meaning = of.get(observation.gradient, "the shape of the convolution's output")
    yield f"has shape {shape}{same}, expected {expected}, {meaning}"
    if sorted(shape) == sorted(expected):
        yield "the sizes are those expected, in another order"


def _other_axes(observation: Observation) -> Iterator[str]:
    """Whether the right numbers are there with the axes in another order or direction."""
    right, raw = observation.right, observation.received.raw
    form = right.form
    if form == "raw":
        return
    layout = observation.received.layout
    expected = layout.to_theirs(form, _stored(observation, right.values))
    names = {"x": layout.x, "dy": layout.dy, "w": layout.w}[form]
    if raw.ndim == expected.ndim:
        for order in itertools.permutations(range(raw.ndim)):
            if order == tuple(range(raw.ndim)):
                continue
            if raw.shape != tuple(expected.shape[axis] for axis in order):
                continue
            if _close(observation, raw, expected.transpose(order)):
                yield (
                    f"right, but with its axes in the order {''.join(names[a] for a in order)} "
                    f"where {names} was said: pass the layout that it has, or transpose it"
                )
                return
    if raw.shape != expected.shape:
        if _close(observation, raw.ravel(), expected.ravel()):
            yield "the right numbers in the right order: only reshape it"
        return
    yield from _reversed_axes(observation, raw, expected, names)


def _reversed_axes(
    observation: Observation, raw: Array, expected: Array, names: str
) -> Iterator[str]:
    for count in range(1, raw.ndim + 1):
        for axes in itertools.combinations(range(raw.ndim), count):
            if _close(observation, raw, np.flip(expected, axes)):
                yield f"right, but reversed along {_and([names[axis] for axis in axes])}"
                return


def _stored(observation: Observation, values: Array) -> Array:
    """A gradient of ours as it is for the user, whose kernel may be turned."""
    flipped = observation.gradient == "dw" and observation.convolution.flipped
    return values[::-1, ::-1] if flipped else values


def _other_gradients(observation: Observation) -> Iterator[str]:
    """Whether it is another gradient, or the same one of another quantity."""
    convolution, received = observation.convolution, observation.received
    for name in GRADIENTS:
        if name == observation.gradient:
            continue
        other = Observation(name, convolution, received)
        if is_right(other):
            yield f"this is the right {name}: the results are in another order than was said"
            return


def _whole(observation: Observation, actual: Array) -> Iterator[str]:
    """Facts of all cells alike: a factor, a constant, a shift, another order of channels."""
    expected = observation.right.values
    convolution = observation.convolution
    weight = float((expected * expected).sum())
    if weight:
        ratio = float((actual * expected).sum()) / weight
        if ratio and _close(observation, actual, ratio * expected, abs(ratio)):
            yield f"right but for a constant factor of {_explained(ratio, convolution)}"
            return
    offset = float(np.mean(actual - expected))
    if _close(observation, actual, expected + offset):
        yield f"right but for {offset:.6g} added to every cell"
        return
    form = FORMS[observation.gradient]
    if form == "raw":
        return
    yield from _shifted(observation, actual, expected)
    axis = 3
    names = {"x": ("C",), "dy": ("K",), "w": ("C", "K")}[form]
    for name in names:
        axis = 2 if form == "w" and name == "C" else 3
        yield from _reordered(observation, actual, expected, axis, name)


def _shifted(observation: Observation, actual: Array, expected: Array) -> Iterator[str]:
    first = 0 if FORMS[observation.gradient] == "w" else 1
    rows, columns = actual.shape[first : first + 2]
    a, e = (np.moveaxis(array, (first, first + 1), (0, 1)) for array in (actual, expected))
    moves = sorted(itertools.product(range(-3, 4), repeat=2), key=lambda move: sum(map(abs, move)))
    for down, right in moves[1:]:
        if abs(down) >= rows or abs(right) >= columns:
            continue
        there = (_overlap(down, rows), _overlap(right, columns))
        here = (_overlap(-down, rows), _overlap(-right, columns))
        if e[here].size * 3 < e.size:
            continue
        if e[here].any() and _close(observation, a[there], e[here]):
            yield f"right, but moved by {down} rows and {right} columns"
            return


def _overlap(move: int, size: int) -> slice:
    return slice(max(0, move), size + min(0, move))


def _reordered(
    observation: Observation, actual: Array, expected: Array, axis: int, name: str
) -> Iterator[str]:
    a, e = np.moveaxis(actual, axis, 0), np.moveaxis(expected, axis, 0)
    order = []
    for entry in a:
        match = [k for k, other in enumerate(e) if _close(observation, entry, other)]
        if len(match) != 1:
            return
        order.append(match[0])
    if order != sorted(order) or len(set(order)) < len(order):
        yield f"right, but its entries along {name} are those of {order}"


def _where(observation: Observation, actual: Array) -> Iterator[str]:
    """Facts of where the cells are wrong: borders, channels, images, multiples of the stride."""
    expected = observation.right.values
    wrong = np.abs(actual - expected) > _allowed(observation)
    count = int(wrong.sum())
    yield f"{count} of {wrong.size} cells are wrong"
    if count == wrong.size:
        return
    form = FORMS[observation.gradient]
    if form == "raw":
        places = [int(k) for k in np.flatnonzero(wrong)]
        yield f"wrong for filter {_some(places)} only"
        return
    if form != "w":
        yield from _borders(wrong)
        yield from _phases(observation, wrong)
    for axis, name in enumerate(AXES[form]):
        others = tuple(i for i in range(4) if i != axis)
        bad: Array = np.any(wrong, axis=others)
        if 0 < bad.sum() < len(bad) and not (form != "w" and axis in (1, 2)):
            what = {"N": "image", "C": "channel", "K": "filter", "KH": "kernel row"}.get(
                name, "kernel column"
            )
            yield f"wrong for {what} {_some([int(i) for i in np.flatnonzero(bad)])} only"


def _borders(wrong: Array) -> Iterator[str]:
    """Whether all wrong pixels lie near some edges."""
    pixels: Array = np.any(wrong, axis=(0, 3))
    height, width = pixels.shape
    for depth in range(1, (min(height, width) + 1) // 2):
        inner = pixels[depth : height - depth, depth : width - depth]
        if inner.size and not inner.any():
            edges = {
                "top": pixels[:depth],
                "bottom": pixels[height - depth :],
                "left": pixels[:, :depth],
                "right": pixels[:, width - depth :],
            }
            for several in (1, 2, 3):
                for chosen in itertools.combinations(edges, several):
                    rest = pixels.copy()
                    for edge in chosen:
                        _clear(rest, edge, depth)
                    if not rest.any():
                        yield (
                            f"right in the interior, wrong only within {depth} of the "
                            f"{_and(list(chosen))}"
                        )
                        return
            yield f"right in the interior, wrong only within {depth} of the border"
            return


def _clear(pixels: Array, edge: str, depth: int) -> None:
    if edge == "top":
        pixels[:depth] = False
    elif edge == "bottom":
        pixels[len(pixels) - depth :] = False
    elif edge == "left":
        pixels[:, :depth] = False
    else:
        pixels[:, pixels.shape[1] - depth :] = False


def _phases(observation: Observation, wrong: Array) -> Iterator[str]:
    """Whether pixels are wrong by their place in the stride."""
    geometry = observation.convolution.geometry
    for axis, name in ((1, "rows"), (2, "columns")):
        stride, before = geometry.stride[axis - 1], geometry.padding[axis - 1][0]
        if stride == 1:
            continue
        bad = wrong.any(axis=tuple(i for i in range(4) if i != axis))
        phases = sorted({(int(p) + before) % stride for p in np.flatnonzero(bad)})
        if len(phases) < stride:
            yield (
                f"wrong only in {name} p with (p + {before}) % {stride} in {phases}, "
                "which is where they lie between two windows' beginnings"
            )


def _first_wrong_cell(observation: Observation, actual: Array) -> str:
    expected = observation.right.values
    wrong = np.abs(actual - expected) > _allowed(observation)
    if not wrong.any():
        return "no cell is off by more than rounding"
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    got = float(actual[index])
    layout = observation.received.layout
    return f"the first wrong cell is {cell_of(observation, index)}:\n" + written_out(
        observation.gradient, index, observation.convolution, layout, got
    )


def cell_of(observation: Observation, index: tuple[int, ...]) -> str:
    """Return a cell as the user counts it."""
    if observation.gradient == "dw" and observation.convolution.flipped:
        kernel_h, kernel_w = observation.convolution.geometry.weight_shape[:2]
        index = (kernel_h - 1 - index[0], kernel_w - 1 - index[1], *index[2:])
    return cell(observation.gradient, index, observation.received.layout)


def _explained(ratio: float, convolution: Convolution) -> str:
    """Return a factor, and the sizes that it may come from."""
    g = convolution.geometry
    batch, out_height, out_width, filters = g.output_shape
    kernel_h, kernel_w, channels, _ = g.weight_shape
    sizes = {
        "N": batch,
        "C": channels,
        "K": filters,
        "KH*KW": kernel_h * kernel_w,
        "KH*KW*C": kernel_h * kernel_w * channels,
        "OH*OW": out_height * out_width,
        "N*OH*OW": batch * out_height * out_width,
        "H*W": math.prod(g.input_shape[1:3]),
        "sh*sw": g.stride[0] * g.stride[1],
        "groups": g.groups,
    }
    size = abs(ratio)
    found = [
        text
        for name, value in sizes.items()
        if value > 1
        for text, number in (
            (name, value),
            (f"1/({name})" if "*" in name else f"1/{name}", 1 / value),
        )
        if math.isclose(size, number, rel_tol=1e-5)
    ]
    sign = " and the sign" if ratio < 0 else ""
    return f"{ratio:.6g}" + (f" = {_or(found)}{sign}" if found else "")


def _close(observation: Observation, actual: Array, expected: Array, scale: float = 1.0) -> bool:
    room = _allowed(observation) * max(1.0, scale)
    return actual.shape == expected.shape and bool((np.abs(actual - expected) <= room).all())


def _allowed(observation: Observation) -> float:
    """How far a right cell may be off by rounding."""
    convolution, gradient = observation.convolution, observation.gradient
    size = convolution.largest(gradient) * math.sqrt(convolution.terms(gradient))
    return ROOM * observation.levels[-1] * size


def _some(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:5]))
    return shown + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")


def _and(names: list[Any]) -> str:
    return " and ".join(map(str, names))


def _or(names: list[Any]) -> str:
    return " or ".join(map(str, names))
