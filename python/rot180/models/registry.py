"""The zoo by name."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from rot180.layers import Sequential
from rot180.models.autoencoder import autoencoder
from rot180.models.digits import blog_cnn, digits_cnn, lenet5, mnist_cnn
from rot180.models.mobilenet import mobilenet_small
from rot180.models.options import ImageShape
from rot180.models.resnet import resnet20, resnet32, resnet56
from rot180.models.unet import unet_small
from rot180.models.vgg import vgg_small

# Models that turn an image into logits, one for each of their `classes`.
CLASSIFIERS: dict[str, Callable[..., Sequential]] = {
    "digits_cnn": digits_cnn,
    "lenet5": lenet5,
    "mnist_cnn": mnist_cnn,
    "blog_cnn": blog_cnn,
    "vgg_small": vgg_small,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet56": resnet56,
    "mobilenet_small": mobilenet_small,
}

# A weights file names its model. Only a name that stands here is ever built.
MODELS: dict[str, Callable[..., Sequential]] = {
    **CLASSIFIERS,
    "autoencoder": autoencoder,
    "unet_small": unet_small,
}


def build(name: str, **options: Any) -> Sequential:
    """Build a model of the zoo by its name.

    Parameters
    ----------
    name
        A key of ``rot180.models.MODELS``.
    **options
        As for the model's own function: ``rng``, ``dtype``, ``input_shape``, ``classes``.

    Raises
    ------
    ValueError
        If the zoo has no model of that name, or the model does not fit `input_shape`.
    TypeError
        If the model's function has no such option.

    Examples
    --------
    >>> import rot180
    >>> model = rot180.models.build("lenet5", input_shape=(32, 32, 3), classes=100, rng=0)
    >>> model.output_shape((32, 32, 3))
    (100,)
    """
    return _function(name)(**options)


def input_shape(name: str) -> ImageShape:
    """Return the shape (H, W, C) of the images that a model takes when it is built as it comes.

    Raises
    ------
    ValueError
        If the zoo has no model of that name.

    Examples
    --------
    >>> import rot180
    >>> rot180.models.input_shape("digits_cnn")
    (8, 8, 1)
    """
    shape: ImageShape = inspect.signature(_function(name)).parameters["input_shape"].default
    return shape


def _function(name: str) -> Callable[..., Sequential]:
    if name not in MODELS:
        raise ValueError(f"no model is called {name[:80]!r}: expected one of {', '.join(MODELS)}")
    return MODELS[name]
