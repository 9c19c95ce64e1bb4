"""Networks for handwritten digits: a few convolutions and dense layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180.layers import AvgPool2d, Conv2d, GlobalAvgPool2d, MaxPool2d, Sequential
from rot180.models.options import ImageShape, Seed, layer_options, with_dense


def digits_cnn(
    *,
    classes: int = 10,
    input_shape: ImageShape = (8, 8, 1),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """Three convolutions and one dense layer for 8x8 images, 93,962 parameters.

    Trained by ``rot180 train`` on scikit-learn's digits.

    Parameters
    ----------
    classes
        How many numbers the output has for an image.
    input_shape
        (H, W, C) of an image. Another one than the default changes the number of parameters.
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, H, W, C) to logits (N, classes).

    Raises
    ------
    ValueError
        If `input_shape` is too small for the network: names the layer that it does not fit.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.models.digits_cnn(rng=0)
    >>> model.forward(np.zeros((2, 8, 8, 1), np.float32)).shape
    (2, 10)
    """
    options = layer_options(rng, dtype)
    layers = [
        Conv2d(input_shape[2], 32, 3, padding=1, activation="relu", **options),
        Conv2d(32, 64, 3, padding=1, **options),
        MaxPool2d(2, activation="relu"),
        Conv2d(64, 128, 3, padding=1, activation="relu", **options),
        # Over all that is left: half as many mistakes as without it.
        GlobalAvgPool2d(),
    ]
    return with_dense(layers, input_shape, [classes], **options)


def lenet5(
    *,
    classes: int = 10,
    input_shape: ImageShape = (28, 28, 1),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998) for 28x28 images, 61,706 parameters.

    As it is usually built today: the second convolution sees every channel, the pooling has no
    weights, and the output is ten logits. Parameters, Returns and Raises are those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.lenet5().output_shape((28, 28, 1))
    (10,)
    """
    options = layer_options(rng, dtype)
    layers = [
        Conv2d(input_shape[2], 6, 5, padding=2, activation="tanh", **options),
        AvgPool2d(2),
        Conv2d(6, 16, 5, activation="tanh", **options),
        AvgPool2d(2),
    ]
    return with_dense(layers, input_shape, [120, 84, classes], activation="tanh", **options)


def mnist_cnn(
    *,
    classes: int = 10,
    input_shape: ImageShape = (28, 28, 1),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """Two convolutions and two dense layers for 28x28 images, 1,199,882 parameters.

    conv 3x3x32, conv 3x3x64, max-pool 2, dense 128, dense 10: the network that many libraries
    train in their first example. Parameters, Returns and Raises are those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.mnist_cnn().output_shape((28, 28, 1))
    (10,)
    """
    options = layer_options(rng, dtype)
    layers = [
        Conv2d(input_shape[2], 32, 3, activation="relu", **options),
        Conv2d(32, 64, 3, **options),
        MaxPool2d(2, activation="relu"),
    ]
    return with_dense(layers, input_shape, [128, classes], activation="relu", **options)


def blog_cnn(
    *,
    classes: int = 10,
    input_shape: ImageShape = (28, 28, 1),
    rng: Seed = None,
    dtype: npt.DTypeLike = np.float32,
) -> Sequential:
    """Two convolutions and two dense layers for 28x28 images, 134,826 parameters.

    conv 3x3x10, max-pool 2, conv 5x5x16, dense 100, dense 10: a network that first
    implementations often train, with SGD in batches of 512. Parameters, Returns and Raises are
    those of `digits_cnn`.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.blog_cnn().output_shape((28, 28, 1))
    (10,)
    """
    options = layer_options(rng, dtype)
    layers = [
        Conv2d(input_shape[2], 10, 3, **options),
        MaxPool2d(2, activation="relu"),
        Conv2d(10, 16, 5, activation="relu", **options),
    ]
    return with_dense(layers, input_shape, [100, classes], activation="relu", **options)
