"""Layers with an explicit forward and backward, and the network made of them."""

from __future__ import annotations

from rot180.layers.activation import (
    ELU,
    GELU,
    LeakyReLU,
    ReLU,
    ReLU6,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
)
from rot180.layers.concat import Concat
from rot180.layers.container import Container
from rot180.layers.conv2d import Conv2d
from rot180.layers.conv_transpose2d import ConvTranspose2d
from rot180.layers.dropout import Dropout
from rot180.layers.group_norm import GroupNorm, LayerNorm
from rot180.layers.layer import Layer, Parameter
from rot180.layers.linear import Linear
from rot180.layers.norm import BatchNorm2d
from rot180.layers.pool2d import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool2d, MaxPool2d
from rot180.layers.residual import Residual
from rot180.layers.sequential import Sequential
from rot180.layers.shape import Flatten, Identity, Reshape, ZeroPad2d
from rot180.layers.upsample import Upsample

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GroupNorm",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Upsample",
    "ZeroPad2d",
]
