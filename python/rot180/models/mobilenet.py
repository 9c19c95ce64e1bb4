"""Networks of depthwise separable convolutions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180.layers import GlobalAvgPool2d, Layer, Sequential
from rot180.models.blocks import conv_norm
from rot180.models.options import ImageShape, Seed, layer_options, with_dense

# Channels and stride of each block: 32x32 images become 16x16, 8x8 and 4x4.
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1))


def mobilenet_small(
    *,
    classes: int = 10,
    input_shape: ImageShape = (32, 32, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """Seven depthwise separable blocks for 32x32 images, 543,050 parameters.

    A block is a 3x3 convolution of each channel by itself and a 1x1 convolution over all of them,
    each with batch normalisation and relu: Howard et al. (2017), "MobileNets", of half the depth,
    and with a stride of 1 where their images of 224x224 are halved first. Parameters, Returns and
    Raises are those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.mobilenet_small().output_shape((32, 32, 3))
    (10,)
    """
    options = layer_options(rng, dtype)
    layers: list[Layer] = conv_norm(input_shape[2], 32, 3, padding=1, **options)
    channels = 32
    for filters, stride in BLOCKS:
        depthwise = conv_norm(
            channels, channels, 3, stride=stride, padding=1, groups=channels, **options
        )
        layers.append(Sequential([*depthwise, *conv_norm(channels, filters, 1, **options)]))
        channels = filters
    layers.append(GlobalAvgPool2d())
    return with_dense(layers, input_shape, [classes], **options)
