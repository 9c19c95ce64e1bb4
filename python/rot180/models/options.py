"""What the functions of the zoo have in common: their options, and dense layers that fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.layers import Flatten, Layer, Linear, Sequential

Seed: TypeAlias = np.random.Generator | int | None
ImageShape: TypeAlias = tuple[int, int, int]


def layer_options(rng: Seed, dtype: npt.DTypeLike) -> dict[str, Any]:
    """Options for every layer that draws weights: one generator for all, and the dtype."""
    return {"rng": np.random.default_rng(rng), "dtype": dtype}


def with_dense(
    layers: Sequence[Layer],
    input_shape: ImageShape,
    widths: Sequence[int],
    *,
    activation: str | None = None,
    **options: Any,
) -> Sequential:
    """Put dense layers of those widths after the others, the last of them without activation."""
    shape = Sequential(layers).output_shape(input_shape)
    features = math.prod(shape)
    dense: list[Layer] = [Flatten()] if len(shape) > 1 else []
    for width in widths[:-1]:
        dense.append(Linear(features, width, activation=activation, **options))
        features = width
    return Sequential([*layers, *dense, Linear(features, widths[-1], **options)])
