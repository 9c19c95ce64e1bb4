"""A convolutional autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.geometry import positive_int
from rot180.layers import BatchNorm2d, Conv2d, ConvTranspose2d, Layer, Sequential
from rot180.models.blocks import conv_norm
from rot180.models.options import ImageShape, Seed, layer_options


def autoencoder(
    *,
    input_shape: ImageShape = (64, 64, 3),
    channels: Sequence[int] = (64, 128, 256),
    code_channels: int = 16,
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """A code twelve times smaller than the image, and the image again: 1,326,851 parameters.

    The encoder halves the image with each convolution of 4x4 and stride 2, as the discriminator of
    Radford, Metz and Chintala (2016), "Unsupervised representation learning with deep convolutional
    generative adversarial networks", and ends with one of 1x1; the decoder is its mirror image, of
    transposed convolutions, and ends with a sigmoid. Batch normalisation and relu are between them.
    Train it with `MeanSquaredError` on images from 0 to 1 as their own targets.

    Parameters
    ----------
    input_shape
        (H, W, C) of an image. H and W are halved once for each entry of `channels`.
    channels
        Channels after each halving.
    code_channels
        Channels of the code, which is (H / 2**len(channels), W / 2**len(channels), code_channels).
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, H, W, C) to images (N, H, W, C), of two parts: ``model[0]`` is the encoder,
        ``model[1]`` the decoder.

    Raises
    ------
    ValueError
        If H or W cannot be halved so often.

    Examples
    --------
    >>> import rot180
    >>> model = rot180.models.autoencoder()
    >>> model[0].output_shape((64, 64, 3)), model.output_shape((64, 64, 3))
    ((8, 8, 16), (64, 64, 3))
    """
    sizes = [positive_int(f"channels[{index}]", size) for index, size in enumerate(channels)]
    factor = 2 ** len(sizes)
    if not sizes or input_shape[0] % factor or input_shape[1] % factor:
        raise ValueError(
            f"input_shape is {tuple(input_shape)} and channels={tuple(sizes)}: expected at least "
            f"one channel, and height and width that can be divided by 2**{len(sizes)}"
        )
    options = layer_options(rng, dtype)
    halving: dict[str, Any] = {"kernel_size": 4, "stride": 2, "padding": 1, **options}

    encoder: list[Layer] = []
    for before, after in zip([input_shape[2], *sizes], sizes, strict=False):
        encoder += conv_norm(before, after, **halving)
    # The decoder's first normalisation would take a bias of the code away.
    encoder.append(Conv2d(sizes[-1], code_channels, 1, bias=False, **options))

    decoder = conv_norm(code_channels, sizes[-1], 1, **options)
    for before, after in zip(sizes[:0:-1], sizes[-2::-1], strict=True):
        decoder.append(ConvTranspose2d(before, after, bias=False, **halving))
        decoder.append(BatchNorm2d(after, activation="relu", dtype=dtype))
    decoder.append(ConvTranspose2d(sizes[0], input_shape[2], activation="sigmoid", **halving))
    return Sequential([Sequential(encoder), Sequential(decoder)])
