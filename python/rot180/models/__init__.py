"""The model zoo: networks for small images that work without arguments."""

from __future__ import annotations

from rot180.models.digits import blog_cnn, digits_cnn, lenet5, mnist_cnn
from rot180.models.registry import CLASSIFIERS, MODELS, build, input_shape

__all__ = [
    "CLASSIFIERS",
    "MODELS",
    "blog_cnn",
    "build",
    "digits_cnn",
    "input_shape",
    "lenet5",
    "mnist_cnn",
]
