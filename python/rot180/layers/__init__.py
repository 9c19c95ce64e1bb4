"""Layers with an explicit forward and backward, and the network made of them."""

from __future__ import annotations

from rot180.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from rot180.layers.concat import Concat
from rot180.layers.container import Container
from rot180.layers.conv2d import Conv2d
from rot180.layers.conv_transpose2d import ConvTranspose2d
from rot180.layers.layer import Layer, Parameter
from rot180.layers.linear import Linear
from rot180.layers.norm import BatchNorm2d
from rot180.layers.pool2d import AvgPool2d, MaxPool2d
from rot180.layers.residual import Residual
from rot180.layers.sequential import Sequential
from rot180.layers.shape import Flatten, Identity, Reshape, ZeroPad2d

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "Identity",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Reshape",
    "Residual",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "ZeroPad2d",
]
