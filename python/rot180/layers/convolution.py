"""What the convolution layers have in common: their arguments, a weight and a bias."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, check_activation, float_dtype
from rot180.geometry import (
    IntOrPair,
    Padding,
    effective_kernel,
    frozen,
    int_pair,
    padding_sides,
    positive_int,
)
from rot180.init import Initializer, default_initializer, initial_weight
from rot180.layers.layer import Layer, Parameter, call_text
from rot180.runtime import core_algorithm


class Convolution(Layer):
    """Base of `Conv2d` and `ConvTranspose2d`, which say what the arguments mean."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        *,
        stride: IntOrPair,
        padding: Padding,
        dilation: IntOrPair,
        groups: int,
        bias: bool,
        activation: str | None,
        initializer: Initializer | None,
        rng: np.random.Generator | None,
        dtype: npt.DTypeLike,
        algorithm: str,
    ) -> None:
        self.in_channels = positive_int("in_channels", in_channels)
        self.out_channels = positive_int("out_channels", out_channels)
        self.kernel_size = int_pair("kernel_size", kernel_size)
        self.stride = int_pair("stride", stride)
        self.padding = frozen("padding", padding)
        self.dilation = int_pair("dilation", dilation)
        self.groups = positive_int("groups", groups)
        self.activation = check_activation(activation)
        core_algorithm(algorithm)  # refuses a wrong name here, not at the first image
        self.algorithm = algorithm
        self._check_groups()
        window = effective_kernel(self.kernel_size, self.dilation)
        padding_sides(padding, window, window, self.stride)  # raises here, not at the first image

        dtype = float_dtype(dtype)
        initializer = initializer or default_initializer(self.activation)
        weight = initial_weight(initializer, self._weight_shape(), rng, dtype)
        self.weight = Parameter(weight, "weight")
        self.bias = Parameter(np.zeros(self.out_channels, dtype), "bias") if bias else None

    def parameters(self) -> list[Parameter]:
        """Return the weight, and the bias if there is one."""
        return [self.weight, self.bias] if self.bias else [self.weight]

    @abstractmethod
    def _weight_shape(self) -> tuple[int, ...]:
        """(KH, KW, and the channels in the order of the layer)."""

    def _options(self) -> dict[str, Any]:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "dilation": self.dilation,
            "groups": self.groups,
            "algorithm": self.algorithm,
        }

    def _accumulate(self, dw: FloatArray, db: FloatArray | None) -> None:
        self.weight.accumulate(dw)
        if self.bias and db is not None:
            self.bias.accumulate(db)

    def _text(self, **own: tuple[object, object]) -> str:
        """The call that makes this layer, with options of its own, each as (value, default)."""
        return call_text(
            type(self).__name__,
            self.in_channels,
            self.out_channels,
            one_or_pair(self.kernel_size),
            stride=(one_or_pair(self.stride), 1),
            padding=(self.padding, 0),
            **own,
            dilation=(one_or_pair(self.dilation), 1),
            groups=(self.groups, 1),
            bias=(self.bias is not None, True),
            activation=(self.activation, None),
            algorithm=(self.algorithm, "auto"),
        )

    def _check_groups(self) -> None:
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"groups={self.groups} must divide in_channels={self.in_channels} "
                f"and out_channels={self.out_channels}"
            )


def one_or_pair(pair: tuple[int, int]) -> int | tuple[int, int]:
    """Write (3, 3) as 3, as it is mostly given."""
    return pair[0] if pair[0] == pair[1] else pair
