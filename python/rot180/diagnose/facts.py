"""What is known of a wrong array that no mistake of the catalogue makes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from rot180.diagnose.convolution import GRADIENTS, Array, Convolution
from rot180.diagnose.matching import FORMS, ROOM, Observation
from rot180.diagnose.terms import written_out
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

MOST_PROPERTIES = 4


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
    telling = [name for name in common if not all(map(PROPERTIES[name], right))][:MOST_PROPERTIES]
    only = f", and only where there is {_and(telling)}" if telling else ""
    yield f"wrong on {len(wrong)} of {len(wrong) + len(right)} probes{only}"


def facts_of_one(observation: Observation) -> Iterator[str]:
    """Yield what is known of the array on one probe: its shape, or how and where it is off."""
    raw = observation.received.raw
    if raw.size and not np.isfinite(raw).all():
        bad = [int(i) for i in np.argwhere(~np.isfinite(raw))[0]]
        yield (
            f"holds NaN or infinity, first at {bad}: memory that was not set to zero (np.empty), "
            "an index outside an array, or a division by zero"
        )
        return
    actual = _in_the_right_shape(observation)
    if actual is None:
        yield from _facts_of_shape(observation)
        yield from _other_gradients(observation)
        yield from _other_axes(observation)
        yield from _part(observation)
    elif not actual.any():
        yield "zero everywhere"
    else:
        explained = [
            *_other_gradients(observation),
            *_other_axes(observation),
            *_whole(observation, actual),
        ]
        yield from explained or _where(observation, actual)


def facts_of_factor(wrong: Sequence[Observation]) -> Iterator[str]:
    """Yield by which factor an array is off, if it is that on every probe on which it is wrong."""
    ratios = [_ratio(observation) for observation in wrong]
    factors = [ratio for ratio in ratios if ratio is not None]
    if len(factors) < len(ratios):
        return
    sizes = [_sizes(observation.convolution) for observation in wrong]
    grouped = any(observation.convolution.geometry.groups > 1 for observation in wrong)
    names = [
        name
        for name in sizes[0]
        if (grouped or "groups" not in name)
        and all(
            math.isclose(abs(factor), its[name], rel_tol=1e-5)
            for factor, its in zip(factors, sizes, strict=True)
        )
    ]
    sign = "the sign and " if factors[0] < 0 else ""
    if names:
        yield f"right but for {sign}a factor of {_or(names)}, {abs(factors[-1]):.6g} here"
    elif np.allclose(factors, factors[0], rtol=1e-5):
        yield f"right but for {sign}a constant factor of {abs(factors[0]):.6g}"
    else:
        some = ", ".join(dict.fromkeys(f"{factor:.4g}" for factor in factors))
        yield f"right but for a factor that is not the same on every probe: {some}"


def first_wrong_cell(observation: Observation) -> str | None:
    """Return the terms of the first wrong cell; None where the shape is wrong or all is NaN."""
    actual = _in_the_right_shape(observation)
    if actual is None:
        return None
    wrong = ~(np.abs(actual - observation.right.values) <= _allowed(observation))
    if not wrong.any():
        return None
    index = tuple(int(i) for i in np.argwhere(wrong)[0])
    return written_out(
        observation.gradient,
        index,
        observation.convolution,
        observation.received.layout,
        float(actual[index]),
    )


def _in_the_right_shape(observation: Observation) -> Array | None:
    """Return the array in our layout, if its shape is right."""
    right, received = observation.right, observation.received
    expected = right.values.shape
    if right.form != "raw":
        actual = received.read_as(right.form)
        return actual if actual is not None and actual.shape == expected else None
    squeezed = [n for n in received.raw.shape if n != 1]
    return received.raw.reshape(expected) if squeezed == [n for n in expected if n != 1] else None


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
    if observation.gradient == "dx" and 0 in shape and not np.any(g.padding):
        yield "it is empty: where the padding p is 0, so is -p, and p:-p is nothing; take p : p + H"
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


def _part(observation: Observation) -> Iterator[str]:
    """Whether the array holds the right one, or a part of it."""
    right = observation.right
    actual, expected = observation.received.read_as(right.form), right.values
    if right.form == "raw" or actual is None:
        return
    first = 0 if right.form == "w" else 1
    a, e = (np.moveaxis(array, (first, first + 1), (0, 1)) for array in (actual, expected))
    if a.shape[2:] != e.shape[2:] or not a.size:
        return
    small, large = (a, e) if a.shape[0] <= e.shape[0] else (e, a)
    if small.shape[1] > large.shape[1]:
        return
    rows, columns = small.shape[:2]
    for p in range(large.shape[0] - rows + 1):
        for q in range(large.shape[1] - columns + 1):
            if _close(observation, small, large[p : p + rows, q : q + columns]):
                what = "the right numbers begin" if small is e else "it is the part that begins"
                yield f"{what} at row {p}, column {q}" + (" of what is right" * (small is a))
                return


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
    """Facts of all cells alike: a constant, a shift, another order of channels."""
    expected = observation.right.values
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
        if bad.sum() < len(bad) and not (form != "w" and axis in (1, 2)):
            what = {"N": "image", "C": "channel", "K": "filter", "KH": "kernel row"}.get(
                name, "kernel column"
            )
            yield f"wrong for {what} {_some([int(i) for i in np.flatnonzero(bad)])} only"


def _borders(wrong: Array) -> Iterator[str]:
    """Whether all wrong pixels lie near some edges."""
    pixels: Array = np.any(wrong, axis=(0, 3))
    height, width = pixels.shape
    for depth in range(1, max(1, min(height, width) // 4) + 1):
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
        others = tuple(i for i in range(4) if i != axis)
        phases, reached = (
            sorted({(int(p) + before) % stride for p in np.flatnonzero(np.any(cells, axis=others))})
            for cells in (wrong, observation.right.values)
        )
        if len(phases) < len(reached):
            place = f"(p + {before}) % {stride}" if before else f"p % {stride}"
            yield f"wrong only in {name} p where {place} is {_or(phases)} ({stride} is the stride)"


def _ratio(observation: Observation) -> float | None:
    """Return the factor by which the whole array is off, if it is one."""
    actual, expected = _in_the_right_shape(observation), observation.right.values
    weight = float((expected * expected).sum())
    if actual is None or not weight or not np.isfinite(actual).all():
        return None
    ratio = float((actual * expected).sum()) / weight
    return ratio if ratio and _close(observation, actual, ratio * expected, abs(ratio)) else None


def _sizes(convolution: Convolution) -> dict[str, float]:
    """Return sizes that a factor may come from, and their inverses."""
    g = convolution.geometry
    batch, out_height, out_width, filters = g.output_shape
    kernel_h, kernel_w, channels, _ = g.weight_shape
    sizes = {
        "N": batch,
        "C": g.input_shape[3],
        "K": filters,
        "KH*KW": kernel_h * kernel_w,
        "KH*KW*C": kernel_h * kernel_w * g.input_shape[3],
        "KH*KW*C/groups": kernel_h * kernel_w * channels,
        "OH*OW": out_height * out_width,
        "N*OH*OW": batch * out_height * out_width,
        "H*W": math.prod(g.input_shape[1:3]),
        "sh*sw": math.prod(g.stride),
        "groups": g.groups,
    }
    inverses = {(f"1/({n})" if "*" in n else f"1/{n}"): 1 / size for n, size in sizes.items()}
    return {**{name: float(size) for name, size in sizes.items()}, **inverses}


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
