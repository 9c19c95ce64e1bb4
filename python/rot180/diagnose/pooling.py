"""Names the mistake in the backward pass of max and mean pooling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.candidates import RIGHT, Names, Way, Ways
from rot180.diagnose.diagnosis import Diagnosis, Mistake
from rot180.diagnose.judging import Gradient, Probe, judge, written_sum
from rot180.geometry import IntOrPair

_NAMES = {
    "x": ("x", "input", "inputs", "a", "aprev", "image", "images", "xin", "data"),
    "dy": (
        *("dy", "dout", "grad", "delta", "deltas", "gradoutput", "gradout", "dz", "g", "upstream"),
        *("gradient", "dldy", "outputgrad", "d"),
    ),
    "y": ("y", "out", "output", "pooled"),
    "kernel_size": (
        "kernelsize",
        "k",
        "size",
        "poolsize",
        "pool",
        "kernel",
        "window",
        "ksize",
        "f",
    ),
    "stride": ("stride", "strides", "s"),
    "padding": ("padding", "pad", "p"),
    "input_shape": ("inputshape", "xshape", "shape"),
}
_LAYOUTS = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 3, 1, 2), "HW": ()}
_MAX_LINE = (
    "r, s = np.unravel_index(np.argmax(window), window.shape); dx[i*sh + r, j*sw + s] += dy[i, j]"
)
_MEAN_LINE = "dx[i*sh:i*sh+KH, j*sw:j*sw+KW] += dy[i, j] / (KH * KW)"

ALL_MAXIMA = Mistake(
    "M22",
    "every pixel that equals the maximum gets the whole gradient",
    "The forward took one of the equal pixels, so one gets the gradient. Given to each, it is "
    "counted several times; after a ReLU, where windows are full of zeros, that is the rule.",
    _MAX_LINE,
    "pooling",
)
EVERYWHERE = Mistake(
    "M22",
    "every pixel of the window gets the gradient, not the maximum alone",
    "y is the largest pixel; the others can move a little without y moving. Their derivative is 0.",
    _MAX_LINE,
    "pooling",
)
OVERWRITTEN = Mistake(
    "M21",
    "overlapping windows overwrite one another instead of adding up",
    "A pixel under several windows has a share in each of their outputs, and its gradient is the "
    "sum. With = in place of += the last window alone counts.",
    "dx[...] += ...",
    "pooling",
)
STRIDE_IS_KERNEL = Mistake(
    "M12",
    "the stride is taken to be the size of the window",
    "Window i begins at pixel i*stride. Where the stride is not the size of the window, i*KH is "
    "another pixel.",
    "top, left = i * sh, j * sw",
    "pooling",
)
KERNEL_IS_STRIDE = Mistake(
    "M12",
    "the size of the window is taken to be the stride",
    "A window has KH x KW pixels, however far it is to the next one.",
    "window = x[i*sh:i*sh+KH, j*sw:j*sw+KW]",
    "pooling",
)
EXCHANGED = Mistake(
    "M16",
    "rows and columns are exchanged",
    "kernel_size and stride are (rows, columns), as is the shape of the image. Square windows hide "
    "the exchange.",
    "window = x[i*sh:i*sh+KH, j*sw:j*sw+KW]",
    "pooling",
)
NOT_CROPPED = Mistake(
    "M14",
    "the padding is not cropped from dx",
    "dx has the shape of x. What the padded border has received belongs to no pixel.",
    "dx = dx_padded[:, top:top+H, left:left+W]",
    "pooling",
)
NOT_SHIFTED = Mistake(
    "M14",
    "the padding is forgotten in the backward",
    "With padding, window i begins at pixel i*stride - top. Without it every gradient arrives too "
    "far down and to the right.",
    "top = i * sh - pad_top",
    "pooling",
)
REMAINDER_DROPPED = Mistake(
    "M13",
    "dx lacks the rows and columns that no window reaches",
    "Where the windows do not fill the image, pixels are left over at its end. They had no part in "
    "y, so their gradient is 0, but it is there.",
    "dx = np.zeros(x.shape)",
    "pooling",
)
PADDED_WITH_ZEROS = Mistake(
    "M22",
    "max pooling pads with 0 instead of minus infinity",
    "A border of zeros is the maximum of every window of negative pixels, and takes their "
    "gradient. Padding must never be chosen.",
    "x_padded = np.pad(x, ..., constant_values=-np.inf)",
    "pooling",
)
DY_MISSING = Mistake(
    "M22",
    "the mask of the maxima is returned without dy",
    "The derivative of the maximum is 1 at one pixel; the gradient is that times dy.",
    _MAX_LINE,
    "pooling",
)
X_FOR_MASK = Mistake(
    "M22",
    "dy is multiplied by the largest pixel",
    "The derivative of the maximum by the largest pixel is 1, not its value.",
    _MAX_LINE,
    "pooling",
)
ONE_CHANNEL = Mistake(
    "M22",
    "the first channel's maximum is taken for all channels",
    "Each channel has maxima at places of its own.",
    _MAX_LINE,
    "pooling",
)
LARGEST_SIZE = Mistake(
    "M22",
    "the pixel of the largest absolute value is taken",
    "The forward took the largest pixel; -5 is not larger than 1.",
    _MAX_LINE,
    "pooling",
)
MAX_DIVIDED = Mistake(
    "M22",
    "max pooling's gradient is divided by the size of the window",
    "Only mean pooling divides. The maximum passes its whole gradient on.",
    _MAX_LINE,
    "pooling",
)
NOT_DIVIDED = Mistake(
    "M22",
    "the gradient is not divided by the size of the window",
    "y is the mean of KH*KW pixels, so a pixel has the share 1/(KH*KW) in it, and gets that share "
    "of the gradient.",
    _MEAN_LINE,
    "pooling",
)
WRONG_COUNT = Mistake(
    "M22",
    "the gradient is divided by a wrong count of pixels",
    "What the forward divided by, the backward divides by: the pixels of one window.",
    _MEAN_LINE,
    "pooling",
)
PAD_NOT_COUNTED = Mistake(
    "M22",
    "windows at the border are divided by their pixels in the image alone",
    "This forward counts the padding's zeros (count_include_pad=True), so every window has KH*KW "
    "pixels.",
    _MEAN_LINE,
    "pooling",
)
PAD_COUNTED = Mistake(
    "M22",
    "windows at the border are divided by KH*KW",
    "This forward does not count the padding's zeros (count_include_pad=False), so a window is "
    "divided by its pixels in the image.",
    "dx[window in x] += dy[i, j] / pixels_of_the_window_in_x",
    "pooling",
)
ONE_PIXEL = Mistake(
    "M22",
    "one pixel of the window gets the gradient instead of all",
    "Every pixel has the same share in a mean, and gets the same share of its gradient.",
    _MEAN_LINE,
    "pooling",
)
NEGATIVE = Mistake(
    "M10",
    "the sign is wrong",
    "A gradient points to where the loss grows; the optimizer subtracts it. Turned round here, it "
    "is added in effect.",
    "dx[...] += dy[i, j]",
    "adam-and-backprop",
)
DIVIDED_BY_BATCH = Mistake(
    "M8",
    "dx is divided by the batch",
    "The loss is a mean, so dy is divided by the batch already.",
    "dx[...] += dy[i, j]",
    "softmax-delta",
)

_WAYS = {
    "overwritten": Way("sum", OVERWRITTEN),
    "window overwritten": Way("sum", OVERWRITTEN),
    "stride is kernel": Way("windows", STRIDE_IS_KERNEL),
    "kernel is stride": Way("windows", KERNEL_IS_STRIDE),
    "exchanged": Way("axes", EXCHANGED),
    "kernel exchanged": Way("axes", EXCHANGED),
    "stride exchanged": Way("axes", EXCHANGED),
    "not cropped": Way("padding", NOT_CROPPED),
    "not shifted": Way("padding", NOT_SHIFTED),
    "remainder dropped": Way("shape", REMAINDER_DROPPED),
    "negative": Way("sign", NEGATIVE),
    "divided by the batch": Way("batch", DIVIDED_BY_BATCH),
}
_MAX_WAYS = {
    "all maxima": Way("place", ALL_MAXIMA),
    "everywhere": Way("place", EVERYWHERE),
    "of the first channel": Way("place", ONE_CHANNEL),
    "largest size": Way("place", LARGEST_SIZE),
    "padded with zeros": Way("fill", PADDED_WITH_ZEROS),
    "without dy": Way("value", DY_MISSING),
    "times x": Way("value", X_FOR_MASK),
    "divided": Way("count", MAX_DIVIDED),
    **_WAYS,
}
_MEAN_WAYS = {
    "not divided": Way("count", NOT_DIVIDED),
    "by rows": Way("count", WRONG_COUNT),
    "by columns": Way("count", WRONG_COUNT),
    "by outputs": Way("count", WRONG_COUNT),
    "by pixels of x": Way("count", WRONG_COUNT),
    "by stride": Way("count", WRONG_COUNT),
    "twice": Way("count", WRONG_COUNT),
    "first pixel": Way("place", ONE_PIXEL),
    **_WAYS,
}


def max_pool2d_backward(
    fn: Callable[..., Any],
    *,
    kernel_size: IntOrPair = 2,
    stride: IntOrPair | None = None,
    padding: int = 0,
    layout: str = "NHWC",
) -> Diagnosis:
    """Say whether the backward pass of max pooling is right, or which mistake it has.

    Of several equal maxima any one may get the gradient; a share of it for each is right as well.

    Parameters
    ----------
    fn : callable
        ``backward(x, dy, kernel_size, stride, padding)``, with those of the arguments that it has,
        in any order and under the usual names; y, the forward's output, can be had too. Returns dx.
        kernel_size and stride are pairs (rows, columns), padding is a number.
    kernel_size, stride, padding
        What is written in fn, where it does not take them; a stride of None is kernel_size.
    layout : str
        ``"NHWC"``, ``"NCHW"``, or ``"HW"`` for one image of one channel.

    Returns
    -------
    Diagnosis
        One finding, of ``"dx"``.

    Raises
    ------
    ValueError
        If layout is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> def backward(x, dy):
    ...     up = lambda a: a.repeat(2, axis=0).repeat(2, axis=1)
    ...     y = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).max(axis=(1, 3))
    ...     return (x == up(y)) * up(dy)
    >>> diagnose.max_pool2d_backward(backward, layout="HW").mistakes[0].name
    'every pixel that equals the maximum gets the whole gradient'
    """
    fixed = _Window(_pair(kernel_size), _pair(kernel_size if stride is None else stride), padding)
    return _judge(fn, fixed, layout, _Pool(_MAX_WAYS, mean=False))


def avg_pool2d_backward(
    fn: Callable[..., Any],
    *,
    kernel_size: IntOrPair = 2,
    stride: IntOrPair | None = None,
    padding: int = 0,
    layout: str = "NHWC",
    count_include_pad: bool = True,
) -> Diagnosis:
    """Say whether the backward pass of mean pooling is right, or which mistake it has.

    Parameters
    ----------
    fn : callable
        As in `max_pool2d_backward`; of x it may take ``input_shape`` instead.
    kernel_size, stride, padding, layout
        As in `max_pool2d_backward`.
    count_include_pad : bool
        Whether the forward divides by KH*KW everywhere, or at the border by a window's pixels in
        the image.

    Returns
    -------
    Diagnosis
        One finding, of ``"dx"``.

    Raises
    ------
    ValueError
        If layout is none of these.

    Examples
    --------
    >>> from rot180 import diagnose
    >>> def backward(dy):
    ...     return dy.repeat(2, axis=1).repeat(2, axis=2)
    >>> diagnose.avg_pool2d_backward(backward).mistakes[0].name
    'the gradient is not divided by the size of the window'
    """
    fixed = _Window(_pair(kernel_size), _pair(kernel_size if stride is None else stride), padding)
    ways = dict(_MEAN_WAYS)
    other = PAD_NOT_COUNTED if count_include_pad else PAD_COUNTED
    ways["other count at the border"] = Way("count", other)

    return _judge(fn, fixed, layout, _Pool(ways, True, count_include_pad))


@dataclass(frozen=True)
class _Window:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: int

    def arguments(self) -> dict[str, Any]:
        """As a function takes them: a number where both are the same."""
        sizes = {"kernel_size": self.kernel, "stride": self.stride}
        told = {name: size[0] if size[0] == size[1] else size for name, size in sizes.items()}
        return {**told, "padding": self.padding}

    def taken(self, names: Names) -> tuple[tuple[int, int], tuple[int, int]]:
        """Return what is taken for the size of a window, and for the stride."""
        kernel, stride = self.kernel, self.stride
        if "stride is kernel" in names:
            stride = kernel
        elif "kernel is stride" in names:
            kernel = stride
        if names & {"exchanged", "kernel exchanged"}:
            kernel = (kernel[1], kernel[0])
        if names & {"exchanged", "stride exchanged"}:
            stride = (stride[1], stride[0])
        return kernel, stride


def _pair(value: IntOrPair) -> tuple[int, int]:
    rows, columns = (value, value) if isinstance(value, (int, np.integer)) else value
    return int(rows), int(columns)


def _judge(
    fn: Callable[..., Any],
    fixed: _Window,
    layout: str,
    pool: _Pool,
) -> Diagnosis:
    if layout not in _LAYOUTS:
        raise ValueError(f"layout is {layout!r}, expected one of {', '.join(_LAYOUTS)}")

    def make(given: Mapping[str, Any], names: Names) -> tuple[FloatArray, FloatArray]:
        ours = _ours(given, layout)
        dx = _theirs(pool.dx(ours, names), layout)
        size = np.abs(ours["dy"]).sum() * max(1.0, np.abs(ours["x"]).max())
        return dx, np.full(dx.shape, 4 * float(size))

    def term(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
        ours = _ours(given, layout)
        place = (0, *at, 0) if layout == "HW" else tuple(at[axis] for axis in _INVERSE[layout])
        return written_sum(list(pool.terms(ours, place)))

    def read(given: Mapping[str, Any], array: FloatArray) -> FloatArray:
        ours = _ours(given, layout)
        if pool.mean or array.shape != given["x"].shape:
            return array
        return _theirs(_at_the_first(ours, _from_theirs(array, layout)), layout)

    notes = {"shared": "equal maxima share the gradient, which is right as well"}
    variants = [RIGHT] if pool.mean else [RIGHT, frozenset({"shared"})]
    gradient = Gradient("dx", pool.ways, make, term, variants, notes, read)
    return judge(fn, _NAMES, ("x", "dy"), list(_probes(fixed, layout)), [gradient])


_INVERSE = {"NHWC": (0, 1, 2, 3), "NCHW": (0, 2, 3, 1)}


def _theirs(array: FloatArray, layout: str) -> FloatArray:
    return array[0, :, :, 0] if layout == "HW" else array.transpose(_LAYOUTS[layout])


def _from_theirs(array: FloatArray, layout: str) -> FloatArray:
    return array[None, :, :, None] if layout == "HW" else array.transpose(_INVERSE[layout])


def _ours(given: Mapping[str, Any], layout: str) -> dict[str, Any]:
    arrays = {
        name: _from_theirs(given[name], layout).astype(np.float64) for name in ("x", "dy", "y")
    }
    window = _Window(_pair(given["kernel_size"]), _pair(given["stride"]), given["padding"])
    return {**arrays, "window": window}


def _probes(fixed: _Window, layout: str) -> Iterator[Probe]:
    """Whole numbers that are all different, but for one probe; dy is whole too."""
    square = _Window((2, 2), (2, 2), 0)
    kernel, stride = ("kernel_size",), ("kernel_size", "stride")
    padded = (*stride, "padding")
    sized = ("x|input_shape",)  # without which nobody can know what is left over
    many = layout != "HW"
    for shows, window, outputs, over, needs, may_be_refused in (
        ("windows that fill the image", fixed, (2, 3), (0, 0), (), False),
        ("windows that leave pixels over", fixed, (2, 3), (1, 1), sized, True),
        ("windows of 3x3", _Window((3, 3), (3, 3), 0), (2, 3), (0, 0), kernel, False),
        ("windows of 2x3", _Window((2, 3), (2, 3), 0), (3, 2), (0, 0), kernel, True),
        ("windows of 3x3, stride 2", _Window((3, 3), (2, 2), 0), (2, 3), (0, 0), stride, False),
        ("windows of 2x2, stride 3", _Window((2, 2), (3, 3), 0), (2, 3), (1, 1), stride, True),
        ("windows of 3x2, stride (1, 2)", _Window((3, 2), (1, 2), 0), (3, 3), (0, 0), stride, True),
        ("padding 1", _Window((3, 3), (2, 2), 1), (2, 3), (0, 0), padded, False),
        (
            "negative pixels and padding 1",
            _Window((2, 2), (2, 2), 1),
            (2, 3),
            (1, 0),
            padded,
            False,
        ),
    ):
        sign = -1 if shows.startswith("negative") else 1
        yield _probe(shows, window, outputs, over, layout, many, sign, needs, may_be_refused)
    tied = fixed if fixed.kernel == fixed.stride and not fixed.padding else square
    needs = () if tied is fixed else stride
    yield _probe("equal pixels", tied, (2, 3), (0, 0), layout, many, 0, needs, False)


def _probe(
    shows: str,
    window: _Window,
    outputs: tuple[int, int],
    over: tuple[int, int],
    layout: str,
    many: bool,
    sign: int,
    needs: tuple[str, ...],
    may_be_refused: bool,
) -> Probe:
    rng = np.random.default_rng(180)
    spans = [
        (o - 1) * s + k - 2 * window.padding + left
        for o, s, k, left in zip(outputs, window.stride, window.kernel, over, strict=True)
    ]
    shape = (2, *spans, 3) if many else (1, *spans, 1)
    count = math.prod(shape)
    x = rng.permutation(count).reshape(shape) + 1.0
    if sign == 0:
        x = rng.integers(0, 2, shape) * 3.0
    elif sign < 0:
        x = -x
    else:
        x -= count // 3
    out = (shape[0], *outputs, shape[3])
    dy = rng.integers(1, 10, out) * rng.choice([-1.0, 1.0], out)
    y = np.zeros(out)
    for i, j, patch, _ in _patches(x, dy, window, RIGHT, -np.inf):
        y[:, i, j] = patch.reshape(len(x), -1, shape[3]).max(axis=1)
    arrays = {"x": _theirs(x, layout), "dy": _theirs(dy, layout), "y": _theirs(y, layout)}
    arguments = {**arrays, **window.arguments(), "input_shape": arrays["x"].shape}
    return Probe(shows, arguments, needs, may_be_refused)


def _patches(
    x: FloatArray, dy: FloatArray, window: _Window, names: Names, fill: float
) -> Iterator[tuple[int, int, FloatArray, tuple[slice, slice]]]:
    """Yield each output's place, the pixels of its window, and their place in the padded image."""
    (kernel, stride), pad = window.taken(names), window.padding
    padded = np.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)), constant_values=fill)
    shift = pad if "not shifted" in names else 0
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            top, left = i * stride[0] + shift, j * stride[1] + shift
            place = slice(top, top + kernel[0]), slice(left, left + kernel[1])
            patch = padded[:, place[0], place[1]]
            if patch.size:
                yield i, j, patch, place


@dataclass(frozen=True)
class _Pool:
    """Max or mean pooling's gradient, with any of the ways that are wrong."""

    ways: Ways
    mean: bool
    count_include_pad: bool = True

    def dx(self, given: Mapping[str, Any], names: Names) -> FloatArray:
        """Return dx for images (N, H, W, C)."""
        x, dy, window = given["x"], given["dy"], given["window"]
        pad = window.padding
        batch, height, width, channels = x.shape
        dx = np.zeros((batch, height + 2 * pad, width + 2 * pad, channels))
        fill = 0.0 if "padded with zeros" in names else -np.inf
        for i, j, patch, (rows, columns) in _patches(x, dy, window, names, fill):
            share = self._share(patch, window, given, names)
            here = dx[:, rows, columns]
            part = share * (1.0 if "without dy" in names else dy[:, i, j][:, None, None])
            if "overwritten" in names:
                np.copyto(here, part, where=share != 0)
            elif "window overwritten" in names:
                here[...] = part
            else:
                here += part
        if "negative" in names:
            dx = -dx
        if "divided by the batch" in names:
            dx /= batch
        if "not cropped" in names:
            return dx
        dx = dx[:, pad : pad + height, pad : pad + width]
        if "remainder dropped" in names:
            reached = [
                (o - 1) * s + k - pad
                for o, s, k in zip(dy.shape[1:3], window.stride, window.kernel, strict=True)
            ]
            dx = dx[:, : reached[0], : reached[1]]
        return dx

    def _share(
        self, patch: FloatArray, window: _Window, given: Mapping[str, Any], names: Names
    ) -> FloatArray:
        """Return what each pixel of a window gets of its dy."""
        pixels = math.prod(window.taken(names)[0])
        inside = np.isfinite(patch)
        if self.mean:
            return self._place(patch, names) / self._count(inside, window, given, names)
        flat = patch.reshape(len(patch), -1, patch.shape[3])
        if "largest size" in names:
            flat = np.where(np.isfinite(flat), np.abs(flat), -np.inf)
        best = flat.max(axis=1, keepdims=True)
        largest = patch.reshape(flat.shape).max(axis=1, keepdims=True)
        if "everywhere" in names:
            share = np.ones_like(flat)
        elif names & {"all maxima", "shared"}:
            share = (flat == best).astype(np.float64)
            if "shared" in names:
                share /= share.sum(axis=1, keepdims=True)
        else:
            chosen = flat.argmax(axis=1)
            if "of the first channel" in names:
                chosen = np.broadcast_to(chosen[:, :1], chosen.shape)
            share = (np.arange(flat.shape[1])[None, :, None] == chosen[:, None]).astype(np.float64)
        if "times x" in names:
            share = share * np.where(np.isfinite(largest), largest, 0)
        if "divided" in names:
            share = share / pixels
        return np.asarray(share.reshape(patch.shape))

    def _place(self, patch: FloatArray, names: Names) -> FloatArray:
        place = np.ones_like(patch)
        if "first pixel" in names:
            place = np.zeros_like(patch)
            place[:, 0, 0] = 1
        return place

    def _count(
        self, inside: FloatArray, window: _Window, given: Mapping[str, Any], names: Names
    ) -> float:
        x, dy = given["x"], given["dy"]
        kernel, _ = window.taken(names)
        pixels = math.prod(kernel)
        counts = {
            "not divided": 1,
            "by rows": kernel[0],
            "by columns": kernel[1],
            "by outputs": math.prod(dy.shape[1:3]),
            "by pixels of x": math.prod(x.shape[1:3]),
            "by stride": math.prod(window.stride),
            "twice": pixels**2,
        }
        for name, count in counts.items():
            if name in names:
                return float(count)
        if self.count_include_pad != ("other count at the border" in names):
            return pixels
        return max(1, int(inside[0, :, :, 0].sum()))

    def terms(self, given: Mapping[str, Any], at: tuple[int, ...]) -> Iterator[tuple[str, str]]:
        """Yield what one pixel of dx is the sum of."""
        n, p, q, c = at
        x, dy, window = given["x"], given["dy"], given["window"]
        row, column = p + window.padding, q + window.padding
        for i, j, patch, (rows, columns) in _patches(x, dy, window, RIGHT, -np.inf):
            if rows.start <= row < rows.stop and columns.start <= column < columns.stop:
                share = self._share(patch, window, given, RIGHT)
                part = share[n, row - rows.start, column - columns.start, c]
                if part:
                    factor = "" if part == 1 else f"*{part:.4g}"
                    yield f"dy[{n},{i},{j},{c}]{factor}", f"({dy[n, i, j, c]:g}){factor}"


def _at_the_first(given: Mapping[str, Any], dx: FloatArray) -> FloatArray:
    """Move what one of several equal maxima got to the first of them, if windows do not overlap."""
    x, dy, window = given["x"], given["dy"], given["window"]
    if any(k > s for k, s in zip(window.kernel, window.stride, strict=True)) or window.padding:
        return dx
    moved = dx.copy()
    for _, _, patch, (rows, columns) in _patches(x, dy, window, RIGHT, -np.inf):
        flat = patch.reshape(len(patch), -1, patch.shape[3])
        ties = flat == flat.max(axis=1, keepdims=True)
        got = moved[:, rows, columns].reshape(flat.shape)
        one = (got != 0).sum(axis=1, keepdims=True) == 1
        among = (ties & (got != 0)).any(axis=1, keepdims=True)
        first = np.arange(flat.shape[1])[None, :, None] == flat.argmax(axis=1)[:, None]
        put = np.where(one & among, np.where(first, got.sum(axis=1, keepdims=True), 0), got)
        moved[:, rows, columns] = put.reshape(patch.shape)
    return moved
