"""How a normalisation of each sample cuts it into groups: checked alike by `functional` and
`reference`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from rot180.arguments import FloatArray, expect_dtype, expect_shape, float_array
from rot180.geometry import frozen_shape, positive_int


class Groups(NamedTuple):
    """x (samples, pixels, channels), whose channels are cut into groups of equal size.

    Attributes
    ----------
    view
        x's shape for the kernels.
    number
        How many groups of channels there are.
    statistics
        Shape of the means and inverse deviations.
    parameters
        Shape of weight and bias.
    """

    view: tuple[int, int, int]
    number: int
    statistics: tuple[int, ...]
    parameters: tuple[int, ...]


def channel_groups(x: FloatArray, num_groups: Any) -> Groups:
    """The groups of `group_norm`, for x (N, H, W, C), (H, W, C) or (N, C)."""
    count = positive_int("num_groups", num_groups)
    if x.ndim not in (2, 3, 4) or 0 in x.shape[x.ndim != 3 :]:
        raise ValueError(
            f"x has shape {x.shape}, expected (N, H, W, C), one image (H, W, C), or vectors "
            "(N, C), with at least one pixel and one channel"
        )
    batch, channels = x.shape[: x.ndim != 3], x.shape[-1]
    if channels % count:
        raise ValueError(
            f"num_groups={count} does not divide the {channels} channels of x, of shape {x.shape}"
        )
    pixels = math.prod(x.shape[len(batch) : -1])
    return Groups((math.prod(batch), pixels, channels), count, (*batch, count), (channels,))


def trailing_axes(x: FloatArray, normalized_shape: int | Sequence[int]) -> Groups:
    """The groups of `layer_norm`: all that the last axes hold is one."""
    shape = normalized_axes(normalized_shape)
    lead = x.ndim - len(shape)
    if lead < 0 or x.shape[lead:] != shape:
        axes = f"the axis {shape}" if len(shape) == 1 else f"the axes {shape}"
        raise ValueError(
            f"x has shape {x.shape}, expected one that ends with {axes}: "
            f"normalized_shape={normalized_shape!r}"
        )
    return _rows(x, lead)


def groups_like(x: FloatArray, mean: FloatArray, *, by_channels: bool) -> Groups:
    """The groups that those means were taken over, by `group_norm` or else by `layer_norm`."""
    if by_channels:
        if mean.ndim == 0:
            raise ValueError("mean has shape (), expected (N, num_groups) or (num_groups,)")
        return channel_groups(x, mean.shape[-1])
    if mean.ndim >= x.ndim:
        raise ValueError(
            f"mean has shape {mean.shape} and x {x.shape}: expected the shape of x without the "
            "axes that were normalised"
        )
    return _rows(x, mean.ndim)


def normalized_axes(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a layer normalisation's shape as a tuple of at least one axis, none of them empty."""
    one = not isinstance(normalized_shape, list | tuple)
    shape = frozen_shape("normalized_shape", (normalized_shape,) if one else normalized_shape)
    if not shape or min(shape) < 1:
        raise ValueError(
            f"normalized_shape is {normalized_shape!r}, expected at least one axis, and sizes of "
            "at least 1"
        )
    return shape


def of_groups(name: str, value: ArrayLike, x: FloatArray, groups: Groups) -> FloatArray:
    """A mean or inverse deviation for each sample and group, of x's dtype."""
    array = float_array(name, value)
    expect_dtype(name, array, "x", x)
    expect_shape(name, array, groups.statistics, "one number for each sample and group of x")
    return array


def affine_of_groups(
    weight: ArrayLike | None, bias: ArrayLike | None, x: FloatArray, groups: Groups
) -> tuple[FloatArray | None, FloatArray | None]:
    """Weight and bias, of x's dtype; None stays None."""
    return _parameter("weight", weight, x, groups), _parameter("bias", bias, x, groups)


def _parameter(
    name: str, value: ArrayLike | None, x: FloatArray, groups: Groups
) -> FloatArray | None:
    if value is None:
        return None
    array = float_array(name, value)
    expect_dtype(name, array, "x", x)
    expect_shape(name, array, groups.parameters, "the shape that is normalised")
    return array


def _rows(x: FloatArray, lead: int) -> Groups:
    rows, shape = math.prod(x.shape[:lead]), x.shape[lead:]
    if 0 in shape:
        raise ValueError(f"x has shape {x.shape}, expected the normalised axes {shape} not empty")
    return Groups((rows, 1, math.prod(shape)), 1, x.shape[:lead], shape)
