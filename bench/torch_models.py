"""A network of rot180 as a PyTorch module, layer for layer, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

import rot180
from rot180.geometry import padding_sides

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.01, inplace=True),
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
}

# Takes an array of PyTorch's layout to that of rot180.
Layout = Callable[[Any], Any]


class Twin:
    """A module that computes what a model of rot180 does, from images in NCHW.

    Attributes
    ----------
    module : nn.Module
    """

    def __init__(
        self, model: rot180.Layer, input_shape: tuple[int, ...], memory_format: torch.memory_format
    ) -> None:
        self._parameters: list[tuple[Any, Layout]] = []
        self._buffers: list[Any] = []
        self._flattened: tuple[int, ...] = ()
        module = self._twin(model, input_shape)
        self.module: nn.Module = module.to(memory_format=memory_format)

    def gradients(self) -> list[Any]:
        """The gradient of each parameter, in rot180's order and layout."""
        return [to_rot180(tensor.grad.numpy()) for tensor, to_rot180 in self._parameters]

    def buffers(self) -> list[Any]:
        """The running statistics, in rot180's order."""
        return [tensor.numpy() for tensor in self._buffers]

    def _twin(self, layer: rot180.Layer, shape: tuple[int, ...]) -> nn.Module:
        match layer:
            case rot180.Sequential():
                shapes = layer.input_shapes(shape)
                return nn.Sequential(
                    *(self._twin(child, shapes[name]) for name, child in layer.children().items())
                )
            case rot180.Residual():
                ways = self._twin(layer.body, shape), self._twin(layer.shortcut, shape)
                return _activated(_Sum(*ways), layer.activation)
            case rot180.Concat():
                return _Concat(self._twin(branch, shape) for branch in layer.branches)
            case rot180.Conv2d() | rot180.ConvTranspose2d():
                return self._convolution(layer)
            case rot180.Linear():
                return self._linear(layer)
            case rot180.BatchNorm2d():
                return self._batch_norm(layer)
            case rot180.MaxPool2d():
                pool = nn.MaxPool2d(
                    layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode
                )
                return _activated(pool, layer.activation)
            case rot180.AvgPool2d():
                return nn.AvgPool2d(
                    layer.kernel_size,
                    layer.stride,
                    layer.padding,
                    layer.ceil_mode,
                    count_include_pad=layer.count_include_pad,
                )
            case rot180.GlobalAvgPool2d():
                return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
            case rot180.Flatten():
                self._flattened = shape
                return nn.Flatten()
            case rot180.Identity():
                return nn.Identity()
        raise NotImplementedError(f"{layer!r} has no twin here")

    def _convolution(self, layer: rot180.Conv2d | rot180.ConvTranspose2d) -> nn.Module:
        kind = nn.Conv2d if isinstance(layer, rot180.Conv2d) else nn.ConvTranspose2d
        (top, bottom), (left, right) = padding_sides(layer.padding, (1, 1), (1, 1), (1, 1))
        if (top, left) != (bottom, right):
            raise NotImplementedError(f"{layer!r}: PyTorch pads opposite sides alike")
        module = kind(
            layer.in_channels,
            layer.out_channels,
            layer.kernel_size,
            layer.stride,
            (top, left),
            dilation=layer.dilation,
            groups=layer.groups,
            bias=layer.bias is not None,
        )
        weight = layer.weight.value.transpose(3, 2, 0, 1)
        self._take(module, "weight", weight, lambda grad: grad.transpose(2, 3, 1, 0))
        if layer.bias:
            self._take(module, "bias", layer.bias.value)
        return _activated(module, layer.activation)

    def _linear(self, layer: rot180.Linear) -> nn.Module:
        module = nn.Linear(layer.in_features, layer.out_features, layer.bias is not None)
        # The first one after Flatten reads H, W, C in rot180 and C, H, W in PyTorch.
        sizes = self._flattened or (layer.in_features,)
        self._flattened = ()
        axes = (len(sizes), len(sizes) - 1, *range(len(sizes) - 1))  # K, C, H, W
        weight = layer.weight.value.reshape(*sizes, -1).transpose(axes)

        def to_rot180(grad: Any) -> Any:
            back = grad.reshape(weight.shape).transpose(np.argsort(axes))
            return back.reshape(layer.weight.value.shape)

        self._take(module, "weight", weight.reshape(layer.out_features, -1), to_rot180)
        if layer.bias:
            self._take(module, "bias", layer.bias.value)
        return _activated(module, layer.activation)

    def _batch_norm(self, layer: rot180.BatchNorm2d) -> nn.Module:
        if layer.weight is None or layer.bias is None:
            raise NotImplementedError(f"{layer!r}: only with a weight and a bias")
        dtype = torch.from_numpy(layer.running_mean).dtype
        module = nn.BatchNorm2d(layer.num_features, layer.eps, layer.momentum, dtype=dtype)
        self._take(module, "weight", layer.weight.value)
        self._take(module, "bias", layer.bias.value)
        self._buffers += [module.running_mean, module.running_var]
        return _activated(module, layer.activation)

    def _take(
        self,
        module: nn.Module,
        name: str,
        value: Any,
        to_rot180: Layout = lambda grad: grad,
    ) -> None:
        """Give a parameter of the module a copy of the value, in the value's dtype."""
        parameter = nn.Parameter(torch.from_numpy(value.copy()))
        module.register_parameter(name, parameter)
        self._parameters.append((parameter, to_rot180))


def _activated(module: nn.Module, activation: str | None) -> nn.Module:
    return module if activation is None else nn.Sequential(module, ACTIVATIONS[activation]())


class _Sum(nn.Module):  # type: ignore[misc]
    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.shortcut(x)


class _Concat(nn.ModuleList):  # type: ignore[misc]
    def forward(self, x: Any) -> Any:
        return torch.cat([branch(x) for branch in self], dim=1)
