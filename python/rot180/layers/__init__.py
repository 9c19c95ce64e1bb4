"""Layers with an explicit forward and backward, and the network made of them."""

from __future__ import annotations

from rot180.layers.activation import LeakyReLU, ReLU, Sigmoid, Tanh
from rot180.layers.conv2d import Conv2d
from rot180.layers.conv_transpose2d import ConvTranspose2d
from rot180.layers.layer import Layer, Parameter
from rot180.layers.linear import Linear
from rot180.layers.pool2d import AvgPool2d, MaxPool2d
from rot180.layers.sequential import Sequential
from rot180.layers.shape import Flatten, ZeroPad2d

__all__ = [
    "AvgPool2d",
    "Conv2d",
    "ConvTranspose2d",
    "Flatten",
    "Layer",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "ZeroPad2d",
]
