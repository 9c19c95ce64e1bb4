"""The model zoo: small networks that work without arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.layers import AvgPool2d, Conv2d, Flatten, Linear, MaxPool2d, Sequential

Seed: TypeAlias = np.random.Generator | int | None


def digits_cnn(*, rng: Seed = None, dtype: npt.DTypeLike = np.float32) -> Sequential:
    """Three convolutions and one dense layer for 8x8 images, 93,962 parameters.

    Trained by ``rot180 train`` on scikit-learn's digits.

    Parameters
    ----------
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, 8, 8, 1) to logits (N, 10).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.models.digits_cnn(rng=0)
    >>> model.forward(np.zeros((2, 8, 8, 1), np.float32)).shape
    (2, 10)
    """
    options: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    return Sequential(
        [
            Conv2d(1, 32, 3, padding=1, activation="relu", **options),
            Conv2d(32, 64, 3, padding=1, activation="relu", **options),
            MaxPool2d(2),
            Conv2d(64, 128, 3, padding=1, activation="relu", **options),
            AvgPool2d(4),  # over all that is left: half as many mistakes as without it
            Flatten(),
            Linear(128, 10, **options),
        ]
    )


def lenet5(*, rng: Seed = None, dtype: npt.DTypeLike = np.float32) -> Sequential:
    """LeNet-5 (LeCun, Bottou, Bengio and Haffner, 1998) for 28x28 images, 61,706 parameters.

    As it is usually built today: the second convolution sees every channel, the pooling has no
    weights, and the output is ten logits.

    Parameters
    ----------
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, 28, 28, 1) to logits (N, 10).

    Examples
    --------
    >>> import rot180
    >>> rot180.models.lenet5().output_shape((28, 28, 1))
    (10,)
    """
    options: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    return Sequential(
        [
            Conv2d(1, 6, 5, padding=2, activation="tanh", **options),
            AvgPool2d(2),
            Conv2d(6, 16, 5, activation="tanh", **options),
            AvgPool2d(2),
            Flatten(),
            Linear(400, 120, activation="tanh", **options),
            Linear(120, 84, activation="tanh", **options),
            Linear(84, 10, **options),
        ]
    )


def blog_cnn(*, rng: Seed = None, dtype: npt.DTypeLike = np.float32) -> Sequential:
    """Two convolutions and two dense layers for 28x28 images, 134,826 parameters.

    conv 3x3x10, max-pool 2, conv 5x5x16, dense 100, dense 10: a network that first
    implementations often train, with SGD in batches of 512.

    Parameters
    ----------
    rng
        Where the first weights come from: a `numpy.random.Generator`, a seed, or None for weights
        that differ each time.
    dtype
        float32 or float64.

    Returns
    -------
    Sequential
        From images (N, 28, 28, 1) to logits (N, 10).

    Examples
    --------
    >>> import rot180
    >>> rot180.models.blog_cnn().output_shape((28, 28, 1))
    (10,)
    """
    options: dict[str, Any] = {"rng": np.random.default_rng(rng), "dtype": dtype}
    return Sequential(
        [
            Conv2d(1, 10, 3, activation="relu", **options),
            MaxPool2d(2),
            Conv2d(10, 16, 5, activation="relu", **options),
            Flatten(),
            Linear(1296, 100, activation="relu", **options),
            Linear(100, 10, **options),
        ]
    )


# A weights file names its model. Only a name that stands here is ever built.
MODELS: dict[str, Callable[..., Sequential]] = {
    "digits_cnn": digits_cnn,
    "lenet5": lenet5,
    "blog_cnn": blog_cnn,
}


def build(name: str, *, rng: Seed = None, dtype: npt.DTypeLike = np.float32) -> Sequential:
    """Build a model of the zoo by its name.

    Parameters
    ----------
    name
        A key of ``rot180.models.MODELS``.
    rng, dtype
        As for the model's own function.

    Raises
    ------
    ValueError
        If the zoo has no model of that name.

    Examples
    --------
    >>> import rot180
    >>> len(rot180.models.build("digits_cnn"))
    7
    """
    if name not in MODELS:
        raise ValueError(f"no model is called {name[:80]!r}: expected one of {', '.join(MODELS)}")
    return MODELS[name](rng=rng, dtype=dtype)
