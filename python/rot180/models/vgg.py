"""Networks in the manner of VGG: pairs of 3x3 convolutions, and pooling between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180.layers import Layer, MaxPool2d, Sequential
from rot180.models.blocks import conv_norm
from rot180.models.options import ImageShape, Seed, layer_options, with_dense


def vgg_small(
    *,
    classes: int = 10,
    input_shape: ImageShape = (32, 32, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """Six convolutions and one dense layer for 32x32 images, 1,187,274 parameters.

    Twice each 3x3x64, 3x3x128 and 3x3x256, with batch normalisation and relu, and max-pool 2 after
    each two: the beginning of the networks of Simonyan and Zisserman (2015), "Very deep
    convolutional networks for large-scale image recognition", for CIFAR. Parameters, Returns and
    Raises are those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.vgg_small().output_shape((32, 32, 3))
    (10,)
    """
    options = layer_options(rng, dtype)
    layers: list[Layer] = []
    channels = input_shape[2]
    for filters in (64, 128, 256):
        layers += conv_norm(channels, filters, 3, padding=1, **options)
        layers += conv_norm(filters, filters, 3, padding=1, **options)
        layers.append(MaxPool2d(2))
        channels = filters
    return with_dense(layers, input_shape, [classes], **options)
