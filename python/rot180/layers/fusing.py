"""One layer in place of two, for a network that is no longer trained."""

from __future__ import annotations

import copy

import numpy as np

from rot180.arguments import LEAKY_RELU_SLOPE, FloatArray
from rot180.layers.activation import LeakyReLU, ReLU, ReLU6, Sigmoid, Tanh
from rot180.layers.conv2d import Conv2d
from rot180.layers.conv_transpose2d import ConvTranspose2d
from rot180.layers.layer import Layer, Parameter
from rot180.layers.linear import Linear
from rot180.layers.norm import BatchNorm2d
from rot180.layers.pool2d import MaxPool2d

# Layers that can apply one of these as they write their output.
FUSED_ACTIVATIONS: dict[type[Layer], str] = {
    ReLU: "relu",
    ReLU6: "relu6",
    Sigmoid: "sigmoid",
    Tanh: "tanh",
}


def fused(layer: Layer, following: Layer) -> Layer | None:
    """Return one layer that computes what both do in inference mode; None if there is none.

    Types are compared exactly: a class derived from one of these may compute something else.
    """
    if type(layer) in (Conv2d, ConvTranspose2d) and type(following) is BatchNorm2d:
        return _with_norm(layer, following)  # type: ignore[arg-type]
    activation = _activation_of(following)
    takes_one = type(layer) in (Conv2d, ConvTranspose2d, Linear, BatchNorm2d, MaxPool2d)
    if activation and takes_one and layer.activation is None:  # type: ignore[attr-defined]
        return _with(layer, activation=activation)
    return None


def _with_norm(layer: Conv2d | ConvTranspose2d, norm: BatchNorm2d) -> Layer | None:
    """``norm(layer(x))``: the norm multiplies output channels, so multiply their weights instead.

    scale = norm.weight / sqrt(var + eps);  weight * scale;  (bias - mean) * scale + norm.bias
    """
    weight = layer.weight.value
    if layer.activation or layer.out_channels != norm.num_features:
        return None
    if weight.dtype != norm.running_mean.dtype:
        return None
    mean, var = norm.running_mean.astype(np.float64), norm.running_var.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (norm.weight.value if norm.weight else 1) / np.sqrt(var + norm.eps)
        bias = ((layer.bias.value if layer.bias else 0) - mean) * scale
        scaled = weight * _of_each_weight(scale, layer)
    bias = bias + (norm.bias.value if norm.bias else 0)
    return _with(
        layer,
        weight=Parameter(scaled.astype(weight.dtype), "weight"),
        bias=Parameter(bias.astype(weight.dtype), "bias"),
        activation=norm.activation,
    )


def _of_each_weight(scale: FloatArray, layer: Conv2d | ConvTranspose2d) -> FloatArray:
    """One number for each output channel, as an array that multiplies the weight."""
    if isinstance(layer, Conv2d):
        return scale  # the weight is (KH, KW, C // groups, K)
    # The weight is (KH, KW, K // groups, C): channel c of x belongs to group c // (C // groups).
    of_group: FloatArray = scale.reshape(layer.groups, -1).T
    return np.repeat(of_group, layer.in_channels // layer.groups, axis=1)


def _activation_of(layer: Layer) -> str | None:
    if type(layer) is LeakyReLU:
        return "leaky_relu" if layer.negative_slope == LEAKY_RELU_SLOPE else None
    return FUSED_ACTIVATIONS.get(type(layer))


def _with(layer: Layer, **attributes: object) -> Layer:
    changed = copy.copy(layer)
    vars(changed).update(attributes)
    return changed
