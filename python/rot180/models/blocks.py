"""Pieces that several networks are made of."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from rot180.layers import BatchNorm2d, Conv2d, Layer


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    activation: str | None = "relu",
    dtype: npt.DTypeLike,
    **options: Any,
) -> list[Layer]:
    """Make a convolution and the batch normalisation that follows it, with its activation.

    The convolution has no bias: the normalisation would take it away, and has one of its own.
    """
    return [
        Conv2d(in_channels, out_channels, kernel_size, bias=False, dtype=dtype, **options),
        BatchNorm2d(out_channels, activation=activation, dtype=dtype),
    ]
