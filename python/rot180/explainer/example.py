"""Arrays of small whole numbers, on which every sum is exact and can be read at a glance."""

from __future__ import annotations

import numpy as np

from rot180.arguments import FloatArray
from rot180.explainer.explanation import expect_readable
from rot180.geometry import IntOrPair, Padding, conv2d_geometry


def example_arrays(
    input_shape: tuple[int, int, int],
    kernel_size: tuple[int, int],
    filters: int,
    *,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    dilation: IntOrPair = 1,
    groups: int = 1,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Draw x, w, dy and b for one image (H, W, C): no zeros, so that every term counts.

    Raises
    ------
    ValueError, TypeError
        Where the sizes do not fit one another, or are more than a page can show.

    Examples
    --------
    >>> from rot180.explainer.example import example_arrays
    >>> x, w, dy, b = example_arrays((5, 5, 2), (3, 3), 4, stride=2, padding=1)
    >>> x.shape, w.shape, dy.shape, b.shape
    ((5, 5, 2), (3, 3, 2, 4), (3, 3, 4), (4,))
    """
    weight_shape = (*kernel_size, max(input_shape[2] // groups, 1), filters)
    geometry = conv2d_geometry((1, *input_shape), weight_shape, stride, padding, dilation, groups)
    expect_readable(geometry)
    rng = np.random.default_rng(seed)
    x = rng.integers(1, 6, input_shape).astype(float)
    w = rng.choice([-2.0, -1.0, 1.0, 2.0, 3.0], weight_shape)
    dy = rng.choice([-3.0, -2.0, -1.0, 1.0, 2.0, 3.0], geometry.output_shape[1:])
    b = rng.choice([-2.0, -1.0, 1.0, 2.0], filters)
    return x, w, dy, b
