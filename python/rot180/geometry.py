"""The geometry of a window that slides over an image: sizes, strides, padding, dilation, groups.

Every public function reads its ``stride``, ``padding``, ``dilation`` and ``groups`` here, so that
`functional`, `reference` and the layers agree on them and on what they say when they are wrong.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

Pair: TypeAlias = tuple[int, int]
IntOrPair: TypeAlias = int | Sequence[int]
Sides: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right))
Padding: TypeAlias = int | str | Sequence[int] | Sequence[Sequence[int]]

# Every size, stride, and padding stays below 2**31 and every array below 2**62 bytes, so that no
# product of them can overflow the 64-bit indices of the kernels.
LARGEST_EXTENT = 2**31 - 1
LARGEST_ELEMENTS = 2**62 // 8


# One object for each set of arguments, equal to itself alone: its hash looks at nothing.
@dataclass(frozen=True, slots=True, eq=False)
class Conv2dGeometry:
    """Sizes of one convolution: x (N, H, W, C), w (KH, KW, C / groups, K), y (N, OH, OW, K)."""

    input_shape: tuple[int, int, int, int]
    weight_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]
    stride: Pair
    padding: Sides
    dilation: Pair
    groups: int

    @property
    def effective_kernel(self) -> Pair:
        """Height and width that the dilated kernel covers."""
        return effective_kernel(self.weight_shape[:2], self.dilation)

    @property
    def remainder(self) -> Pair:
        """Rows and columns at the end of the padded input that no window reaches."""
        height, width = self.input_shape[1:3]
        out_height, out_width = self.output_shape[1:3]
        window_h, window_w = self.effective_kernel
        return (
            height + sum(self.padding[0]) - window_h - (out_height - 1) * self.stride[0],
            width + sum(self.padding[1]) - window_w - (out_width - 1) * self.stride[1],
        )


@dataclass(frozen=True, slots=True)
class Pool2dGeometry:
    """Sizes of one pooling: x is (N, H, W, C), y is (N, OH, OW, C)."""

    input_shape: tuple[int, int, int, int]
    output_shape: tuple[int, int, int, int]
    kernel_size: Pair
    stride: Pair
    padding: Sides


def conv2d_geometry(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Conv2dGeometry:
    """Check the arguments of a convolution against one another and work out every size.

    `input_shape` is (N, H, W, C); `weight_shape` is (KH, KW, C / groups, K). Raises ValueError or
    TypeError naming the argument that is wrong.
    """
    return _conv2d_geometry(
        frozen_shape("input_shape", input_shape),
        frozen_shape("weight.shape", weight_shape),
        frozen("stride", stride),
        frozen("padding", padding),
        frozen("dilation", dilation),
        positive_int("groups", groups),
    )


def conv_transpose2d_geometry(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
) -> Conv2dGeometry:
    """Check the arguments of a transposed convolution and work out what it transposes.

    `input_shape` is that of x, (N, H, W, C), and `weight_shape` (KH, KW, K / groups, C). The result
    is the convolution from y (N, OH, OW, K), its `input_shape`, to x, its `output_shape`.
    """
    return _conv_transpose2d_geometry(
        frozen_shape("input_shape", input_shape),
        frozen_shape("weight.shape", weight_shape),
        frozen("stride", stride),
        frozen("padding", padding),
        frozen("output_padding", output_padding),
        frozen("dilation", dilation),
        positive_int("groups", groups),
    )


def conv_transpose2d_input_shape(
    output_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair = 1,
    padding: Padding = 0,
    output_padding: IntOrPair = 0,
    dilation: IntOrPair = 1,
) -> tuple[int, int, int, int]:
    """Work out (N, H, W, C) of x from the shape of y, (N, OH, OW, K).

    Not every size is one that a transposed convolution makes. Where that of y is none, x is the
    largest whose y is smaller, or one pixel, and `conv_transpose2d_geometry` tells what that makes.
    """
    batch, out_height, out_width, _ = four_sizes("dy.shape", output_shape, "(N, OH, OW, K)")
    kernel_h, kernel_w, _, channels = four_sizes(
        "weight.shape", weight_shape, "(KH, KW, K // groups, C)"
    )
    strides = int_pair("stride", stride)
    extra = int_pair("output_padding", output_padding, smallest=0)
    window = effective_kernel((kernel_h, kernel_w), int_pair("dilation", dilation))
    padding = frozen("padding", padding)
    out = (out_height, out_width)
    if padding == "same":
        height, width = (out[i] // strides[i] for i in (0, 1))
    else:
        sides = padding_sides(padding, out, window, strides)
        height, width = (
            (out[i] + sum(sides[i]) - window[i] - extra[i]) // strides[i] + 1 for i in (0, 1)
        )
    return (batch, max(1, height), max(1, width), channels)


def pool2d_geometry(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
) -> Pool2dGeometry:
    """Check the arguments of a pooling against one another and work out every size.

    `stride` None means `kernel_size`. Padding must be smaller than the window, so that every
    window holds at least one pixel of x. With `ceil_mode`, pixels that are left over at the end
    have a window that reaches beyond the padding, if it begins within x or the padding before it.
    """
    return _pool2d_geometry(
        frozen_shape("input_shape", input_shape),
        frozen("kernel_size", kernel_size),
        frozen("stride", stride),
        frozen("padding", padding),
        bool(ceil_mode),
    )


def adaptive_pool2d_shape(
    input_shape: tuple[int, ...], output_size: IntOrPair
) -> tuple[int, int, int, int]:
    """Work out (N, OH, OW, C), for x (N, H, W, C) and OH and OW as given."""
    batch, _, _, channels = _image_sizes(input_shape)
    shape = (batch, *int_pair("output_size", output_size), channels)
    check_elements("the output", shape)
    return shape


def upsample2d_shape(
    input_shape: tuple[int, ...], scale: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Work out (N, OH, OW, C), for x (N, H, W, C): H and W times their scale, rounded down."""
    batch, height, width, channels = _image_sizes(input_shape)
    sizes = (height * scale[0], width * scale[1])
    for axis, size, factor in zip(("height", "width"), sizes, scale, strict=True):
        if not 1 <= size < LARGEST_EXTENT + 1:
            raise ValueError(
                f"the output would be {size:g} in {axis}, with scale_factor {factor:g}: "
                f"expected 1 to {LARGEST_EXTENT}"
            )
    shape = (batch, int(sizes[0]), int(sizes[1]), channels)
    check_elements("the output", shape)
    return shape


def _image_sizes(input_shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    shape = frozen_shape("input_shape", input_shape)
    sizes = four_sizes("input_shape", shape, "(N, H, W, C)")
    _refuse_zeros("x", shape, ("N", "H", "W", "C"))
    return sizes


def frozen(name: str, value: Any) -> Any:
    """An argument of integers as int, str, None or tuples of these, so that it can key a cache.

    1 and 1.0 are equal as keys: only checked integers may become one.
    """
    if type(value) is int or value is None or isinstance(value, str) or _is_tuple_of_ints(value):
        return value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return tuple(frozen(name, entry) for entry in value)
    try:
        return operator.index(value)
    except TypeError:
        raise _not_an_int(name, value) from None


def frozen_shape(name: str, shape: Any) -> tuple[int, ...]:
    """A shape, given as any sequence of integers, as a tuple."""
    if _is_tuple_of_ints(shape):
        return shape  # type: ignore[no-any-return]
    if isinstance(shape, np.ndarray):
        shape = shape.tolist()
    if not isinstance(shape, list | tuple):
        raise TypeError(f"{name} must be a tuple of ints, got {shape!r}")
    try:
        return tuple(map(operator.index, shape))
    except TypeError:
        raise TypeError(f"{name} must be a tuple of ints, got {shape!r}") from None


def _is_tuple_of_ints(value: Any) -> bool:
    """Whether there is nothing to convert: the usual case, told apart in haste."""
    if type(value) is not tuple:
        return False
    for entry in value:  # noqa: SIM110, any() takes three times as long
        if type(entry) is not int:
            return False
    return True


@lru_cache(maxsize=1024)
def _conv2d_geometry(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair,
    padding: Padding,
    dilation: IntOrPair,
    groups: int,
) -> Conv2dGeometry:
    batch, height, width, in_channels = four_sizes("input_shape", input_shape, "(N, H, W, C)")
    kernel_h, kernel_w, group_channels, out_channels = four_sizes(
        "weight.shape", weight_shape, "(KH, KW, C // groups, K)"
    )
    _refuse_zeros("x", input_shape, ("N", "H", "W", "C"))
    _refuse_zeros("weight", weight_shape, ("KH", "KW", "C // groups", "K"))
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups={groups} must divide the input channels C={in_channels} "
            f"and the output channels K={out_channels}"
        )
    if group_channels * groups != in_channels:
        raise ValueError(_channel_mismatch(input_shape, weight_shape, groups))
    strides = int_pair("stride", stride)
    dilations = int_pair("dilation", dilation)
    window = effective_kernel((kernel_h, kernel_w), dilations)
    sides = padding_sides(padding, (height, width), window, strides)
    out_height, out_width = (
        _output_size(axis, size, sides[i], window[i], strides[i])
        for i, (axis, size) in enumerate((("height", height), ("width", width)))
    )
    output_shape = (batch, out_height, out_width, out_channels)
    check_elements("the output", output_shape)
    padded = (batch, height + sum(sides[0]), width + sum(sides[1]), in_channels)
    check_elements("the padded input", padded)
    return Conv2dGeometry(
        (batch, height, width, in_channels),
        (kernel_h, kernel_w, group_channels, out_channels),
        output_shape,
        strides,
        sides,
        dilations,
        groups,
    )


@lru_cache(maxsize=1024)
def _conv_transpose2d_geometry(
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    stride: IntOrPair,
    padding: Padding,
    output_padding: IntOrPair,
    dilation: IntOrPair,
    groups: int,
) -> Conv2dGeometry:
    batch, height, width, in_channels = four_sizes("input_shape", input_shape, "(N, H, W, C)")
    kernel_h, kernel_w, group_channels, weight_channels = four_sizes(
        "weight.shape", weight_shape, "(KH, KW, K // groups, C)"
    )
    _refuse_zeros("x", input_shape, ("N", "H", "W", "C"))
    _refuse_zeros("weight", weight_shape, ("KH", "KW", "K // groups", "C"))
    if weight_channels != in_channels:
        raise ValueError(_transposed_channel_mismatch(input_shape, weight_shape))
    if in_channels % groups:
        raise ValueError(f"groups={groups} must divide the input channels C={in_channels}")
    strides = int_pair("stride", stride)
    dilations = int_pair("dilation", dilation)
    extra = output_padding_pair(output_padding, strides, padding, dilations)
    window = effective_kernel((kernel_h, kernel_w), dilations)
    sizes = (height * strides[0], width * strides[1])  # what "same" asks for
    sides = padding_sides(padding, sizes, window, strides)
    if padding != "same":
        sizes = (
            (height - 1) * strides[0] + window[0] + extra[0] - sum(sides[0]),
            (width - 1) * strides[1] + window[1] + extra[1] - sum(sides[1]),
        )
    for axis, size, pair in zip(("height", "width"), sizes, sides, strict=True):
        if not 1 <= size <= LARGEST_EXTENT:
            raise ValueError(
                f"the output would be {size} in {axis}, of which padding takes "
                f"{pair[0]} + {pair[1]}: expected 1 to {LARGEST_EXTENT}"
            )
    output_shape = (batch, *sizes, group_channels * groups)
    check_elements("the output", output_shape)
    uncut = (batch, sizes[0] + sum(sides[0]), sizes[1] + sum(sides[1]), output_shape[3])
    check_elements("the output before padding is cut off", uncut)
    return Conv2dGeometry(
        output_shape,
        (kernel_h, kernel_w, group_channels, weight_channels),
        (batch, height, width, in_channels),
        strides,
        sides,
        dilations,
        groups,
    )


@lru_cache(maxsize=1024)
def _pool2d_geometry(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: Padding,
    ceil_mode: bool,
) -> Pool2dGeometry:
    batch, height, width, channels = four_sizes("input_shape", input_shape, "(N, H, W, C)")
    _refuse_zeros("x", input_shape, ("N", "H", "W", "C"))
    window = int_pair("kernel_size", kernel_size)
    strides = window if stride is None else int_pair("stride", stride)
    sides = padding_sides(padding, (height, width), window, strides)
    if any(side >= extent for pair, extent in zip(sides, window, strict=True) for side in pair):
        raise ValueError(
            f"padding {sides} must be smaller than the window {window} on every side: "
            "a window may not lie wholly in the padding"
        )
    out_height, out_width = (
        _output_size(axis, size, sides[i], window[i], strides[i], ceil_mode)
        for i, (axis, size) in enumerate((("height", height), ("width", width)))
    )
    output_shape = (batch, out_height, out_width, channels)
    check_elements("the output", output_shape)
    return Pool2dGeometry((batch, height, width, channels), output_shape, window, strides, sides)


def effective_kernel(kernel_size: Pair, dilation: Pair) -> Pair:
    """Height and width that a dilated kernel covers: dilation * (k - 1) + 1."""
    return (
        dilation[0] * (kernel_size[0] - 1) + 1,
        dilation[1] * (kernel_size[1] - 1) + 1,
    )


def padding_sides(padding: Padding, size: Pair, window: Pair, stride: Pair) -> Sides:
    """Padding in any accepted form as ((top, bottom), (left, right)).

    `window` is the kernel after dilation. "same" splits the padding as TensorFlow and Keras do: the
    output has ceil(size / stride) rows, and an odd padding row goes to the bottom or the right.
    """
    if isinstance(padding, str):
        if padding == "valid":
            return ((0, 0), (0, 0))
        if padding == "full":
            return ((window[0] - 1, window[0] - 1), (window[1] - 1, window[1] - 1))
        if padding == "same":
            return (
                _same_padding(size[0], window[0], stride[0]),
                _same_padding(size[1], window[1], stride[1]),
            )
        raise ValueError(
            f'padding={padding!r} is unknown: expected "valid", "same", "full", an int, '
            "(ph, pw) or ((top, bottom), (left, right))"
        )
    if isinstance(padding, tuple | list) and len(padding) == 2:
        first, second = padding
        if isinstance(first, tuple | list) and isinstance(second, tuple | list):
            return (
                int_pair("padding", first, smallest=0),
                int_pair("padding", second, smallest=0),
            )
    vertical, horizontal = int_pair("padding", padding, smallest=0)  # type: ignore[arg-type]
    return ((vertical, vertical), (horizontal, horizontal))


def output_padding_pair(
    output_padding: IntOrPair, stride: Pair, padding: Padding, dilation: Pair
) -> Pair:
    """Rows and columns that make a transposed convolution's output larger, checked."""
    extra = int_pair("output_padding", output_padding, smallest=0)
    if any(extra[i] >= max(stride[i], dilation[i]) for i in (0, 1)):
        raise ValueError(
            f"output_padding {extra} must be smaller than the stride {stride} "
            f"or the dilation {dilation}"
        )
    if padding == "same" and extra != (0, 0):
        raise ValueError(
            f'output_padding is {extra} beside padding="same", which makes the output H and W '
            f"times the stride {stride}: leave it out"
        )
    return extra


def int_pair(name: str, value: IntOrPair, *, smallest: int = 1) -> Pair:
    """One integer or a pair of them as a pair, each from `smallest` to 2**31 - 1."""
    value = frozen(name, value)
    if isinstance(value, tuple):
        if len(value) != 2:
            raise ValueError(
                f"{name}={value!r} has {len(value)} entries: expected one int, "
                "or two for height and width"
            )
        return _bounded_int(name, value[0], smallest), _bounded_int(name, value[1], smallest)
    both = _bounded_int(name, value, smallest)
    return both, both


def positive_int(name: str, value: Any) -> int:
    """A whole number from 1 to 2**31 - 1."""
    if type(value) is int and 1 <= value <= LARGEST_EXTENT:
        return value
    try:
        value = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be an int, got {value!r} of type {type(value).__name__}"
        ) from None
    return _bounded_int(name, value, 1)


def non_negative_int(name: str, value: Any) -> int:
    """A whole number from 0 to 2**31 - 1."""
    return _bounded_int(name, value, 0)


def four_sizes(name: str, shape: Sequence[int], meaning: str) -> tuple[int, int, int, int]:
    """A shape of four non-negative integers, or an error that says what each of the four means."""
    if len(shape) != 4:
        raise ValueError(f"{name} is {tuple(shape)}: expected four sizes {meaning}")
    a, b, c, d = (_bounded_int(name, size, 0) for size in shape)
    check_elements(name, (a, b, c, d))
    return a, b, c, d


def check_elements(what: str, shape: tuple[int, ...]) -> None:
    """Refuse a shape whose size in bytes would not fit 64-bit arithmetic."""
    elements = 1
    for size in shape:
        elements *= max(size, 1)  # a batch of none must not hide an impossible image
    if elements > LARGEST_ELEMENTS:
        raise ValueError(f"{what} would have shape {shape}: {elements} elements are too many")


def _refuse_zeros(name: str, shape: tuple[int, ...], axes: tuple[str, ...]) -> None:
    for axis, size in zip(axes, shape, strict=True):
        if size == 0 and axis != "N":
            raise ValueError(f"{name} has shape {shape}: {axis} is 0, expected at least 1")


def _bounded_int(name: str, value: Any, smallest: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise _not_an_int(name, value) from None
    if not smallest <= number <= LARGEST_EXTENT:
        raise ValueError(f"{name} must be from {smallest} to {LARGEST_EXTENT}, got {number}")
    return number


def _not_an_int(name: str, value: Any) -> TypeError:
    return TypeError(
        f"{name} must be an int or a pair of ints, got {value!r} of type {type(value).__name__}"
    )


def _same_padding(size: int, window: int, stride: int) -> Pair:
    out = -(-size // stride)
    total = max((out - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _output_size(
    axis: str, size: int, padding: Pair, window: int, stride: int, ceil_mode: bool = False
) -> int:
    padded = size + padding[0] + padding[1]
    out = (padded - window) // stride + 1
    # The window that begins after the last whole one.
    if ceil_mode and (padded - window) % stride and out * stride < size + padding[0]:
        out += 1
    if out < 1:
        raise ValueError(
            f"the kernel covers {window} in {axis}, more than the padded input's {padded} "
            f"({size} + padding {padding[0]} + {padding[1]}): use a smaller kernel or dilation, "
            "or more padding"
        )
    return out


def _channel_mismatch(
    input_shape: tuple[int, ...], weight_shape: tuple[int, ...], groups: int
) -> str:
    expected = weight_shape[2] * groups
    message = (
        f"x has shape {input_shape} with {input_shape[3]} channels (NHWC), but weight has shape "
        f"{weight_shape} (KH, KW, C // groups, K) and takes {expected}"
        + (f" = {weight_shape[2]} * {groups} groups" if groups > 1 else "")
    )
    if input_shape[1] == expected:
        return message + ": x looks like NCHW, pass numpy.moveaxis(x, 1, -1)"
    if weight_shape[1] * groups == input_shape[3]:
        return message + (": weight looks like OIHW, pass numpy.transpose(weight, (2, 3, 1, 0))")
    return message


def _transposed_channel_mismatch(
    input_shape: tuple[int, ...], weight_shape: tuple[int, ...]
) -> str:
    channels, expected = input_shape[3], weight_shape[3]
    message = (
        f"x has shape {input_shape} with {channels} channels (NHWC), but weight has shape "
        f"{weight_shape} (KH, KW, K // groups, C) and takes {expected}"
    )
    if input_shape[1] == expected:
        return message + ": x looks like NCHW, pass numpy.moveaxis(x, 1, -1)"
    if weight_shape[0] == channels:
        return message + (
            ": weight looks like (C, K // groups, KH, KW), pass "
            "numpy.transpose(weight, (2, 3, 1, 0))"
        )
    if weight_shape[2] == channels:
        return message + (
            ": weight looks like that of a convolution from C to K channels, pass "
            "numpy.swapaxes(weight, 2, 3)"
        )
    return message
