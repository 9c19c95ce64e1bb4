"""The model zoo: networks for small images that work without arguments."""

from __future__ import annotations

from rot180.models.autoencoder import autoencoder
from rot180.models.digits import blog_cnn, digits_cnn, lenet5, mnist_cnn
from rot180.models.mobilenet import mobilenet_small
from rot180.models.registry import CLASSIFIERS, MODELS, build, input_shape
from rot180.models.resnet import resnet20, resnet32, resnet56
from rot180.models.unet import unet_small
from rot180.models.vgg import vgg_small

__all__ = [
    "CLASSIFIERS",
    "MODELS",
    "autoencoder",
    "blog_cnn",
    "build",
    "digits_cnn",
    "input_shape",
    "lenet5",
    "mnist_cnn",
    "mobilenet_small",
    "resnet20",
    "resnet32",
    "resnet56",
    "unet_small",
    "vgg_small",
]
