"""Residual networks for CIFAR: He, Zhang, Ren and Sun (2016), "Deep residual learning for image
recognition", section 4.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.layers import GlobalAvgPool2d, Layer, Residual, Sequential
from rot180.models.blocks import conv_norm
from rot180.models.options import ImageShape, Seed, layer_options, with_dense


def resnet20(
    *,
    classes: int = 10,
    input_shape: ImageShape = (32, 32, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """ResNet-20 for 32x32 images, 272,474 parameters.

    A convolution, nine residual blocks of two, and one dense layer. Where a block halves the image
    and doubles the channels, its shortcut is a 1x1 convolution with stride 2 (option B of the
    paper, whose CIFAR networks have option A, without weights). Parameters, Returns and Raises are
    those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.resnet20().output_shape((32, 32, 3))
    (10,)
    """
    return _resnet(3, classes, input_shape, rng, dtype)


def resnet32(
    *,
    classes: int = 10,
    input_shape: ImageShape = (32, 32, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """ResNet-32 for 32x32 images, 466,906 parameters: `resnet20` with fifteen blocks."""
    return _resnet(5, classes, input_shape, rng, dtype)


def resnet56(
    *,
    classes: int = 10,
    input_shape: ImageShape = (32, 32, 3),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """ResNet-56 for 32x32 images, 855,770 parameters: `resnet20` with 27 blocks."""
    return _resnet(9, classes, input_shape, rng, dtype)


def _resnet(
    blocks: int, classes: int, input_shape: ImageShape, rng: Seed, dtype: npt.DTypeLike
) -> Sequential:
    """Three times so many blocks, with 16, 32 and 64 channels."""
    options = layer_options(rng, dtype)
    layers: list[Layer] = conv_norm(input_shape[2], 16, 3, padding=1, **options)
    channels = 16
    for filters, first_stride in ((16, 1), (32, 2), (64, 2)):
        for stride in [first_stride] + [1] * (blocks - 1):
            layers.append(_block(channels, filters, stride, options))
            channels = filters
    layers.append(GlobalAvgPool2d())
    return with_dense(layers, input_shape, [classes], **options)


def _block(channels: int, filters: int, stride: int, options: dict[str, Any]) -> Residual:
    body = Sequential(
        [
            *conv_norm(channels, filters, 3, stride=stride, padding=1, **options),
            *conv_norm(filters, filters, 3, padding=1, activation=None, **options),
        ]
    )
    shortcut = None
    if stride > 1 or channels != filters:
        shortcut = Sequential(
            conv_norm(channels, filters, 1, stride=stride, activation=None, **options)
        )
    return Residual(body, shortcut, activation="relu")
