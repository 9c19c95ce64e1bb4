"""A network that labels every pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.layers import (
    Concat,
    Conv2d,
    ConvTranspose2d,
    Identity,
    Layer,
    MaxPool2d,
    Sequential,
)
from rot180.models.blocks import conv_norm
from rot180.models.options import ImageShape, Seed, layer_options

CHANNELS = (16, 32, 64)


def unet_small(
    *,
    classes: int = 2,
    input_shape: ImageShape = (64, 64, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """A class for every pixel of 64x64 images, 117,378 parameters.

    Two convolutions, max-pool 2, and again, three times in all; then back up by transposed
    convolutions, each beside the channels that were there before the pooling: Ronneberger, Fischer
    and Brox (2015), "U-Net: convolutional networks for biomedical image segmentation", smaller,
    with padding and batch normalisation. Train it with `CrossEntropy` and a label for each pixel.

    Parameters
    ----------
    classes
        How many numbers the output has for a pixel.
    input_shape
        (H, W, C) of an image; the network takes others whose H and W can be divided by 4, too.
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, H, W, C) to logits (N, H, W, classes).

    Raises
    ------
    ValueError
        If H or W cannot be divided by 4.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.unet_small(classes=5).output_shape((64, 64, 3))
    (64, 64, 5)
    """
    factor = 2 ** (len(CHANNELS) - 1)
    if input_shape[0] % factor or input_shape[1] % factor:
        raise ValueError(
            f"input_shape is {tuple(input_shape)}: expected height and width that can be divided "
            f"by {factor}"
        )
    options = layer_options(rng, dtype)
    layers = _level(input_shape[2], CHANNELS, options)
    return Sequential([*layers, Conv2d(CHANNELS[0], classes, 1, **options)])


def _level(before: int, channels: tuple[int, ...], options: dict[str, Any]) -> list[Layer]:
    """Layers of one size of image, with all that is smaller between them."""
    layers = _two_convolutions(before, channels[0], options)
    if len(channels) == 1:
        return layers
    smaller = [
        MaxPool2d(2),
        *_level(channels[0], channels[1:], options),
        ConvTranspose2d(channels[1], channels[0], 2, stride=2, **options),
    ]
    layers.append(Concat([Identity(), Sequential(smaller)]))
    return layers + _two_convolutions(2 * channels[0], channels[0], options)


def _two_convolutions(before: int, after: int, options: dict[str, Any]) -> list[Layer]:
    return [
        *conv_norm(before, after, 3, padding=1, **options),
        *conv_norm(after, after, 3, padding=1, **options),
    ]
