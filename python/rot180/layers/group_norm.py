"""Layers that normalise each sample by itself: the same in training and after it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import (
    FloatArray,
    check_activation,
    expect_shape,
    float_dtype,
    real_number,
)
from rot180.geometry import positive_int
from rot180.grouping import normalized_axes
from rot180.layers.layer import Layer, Parameter, call_text, image_shape


class GroupNorm(Layer):
    """y = g((x - mean) / sqrt(var + eps) * weight + bias), by the moments of a sample's groups.

    Each image is normalised by itself, so that neither the batch's size nor what else is in it
    matters. Formulas in `rot180.functional.group_norm`. One group normalises whole images, as many
    groups as channels each channel of an image (instance normalisation).

    Parameters
    ----------
    num_groups
        How many groups the channels are cut into; divides `num_channels`.
    num_channels
        C of x (N, H, W, C).
    eps
        Keeps a group without variance from a division by zero.
    affine
        Whether there are a weight, ones at first, and a bias, zeros at first.
    activation
        g, computed in the same pass; as in `Conv2d`.
    dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter or None
        (C,).

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> norm = rot180.GroupNorm(2, 4, dtype=np.float64)
    >>> x = np.array([1.0, 3.0, 70.0, 90.0]).reshape(1, 1, 1, 4)
    >>> norm.forward(x).round(3).ravel().tolist()
    [-1.0, 1.0, -1.0, 1.0]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        activation: str | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.num_groups = positive_int("num_groups", num_groups)
        self.num_channels = positive_int("num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ValueError(
                f"num_groups={self.num_groups} does not divide num_channels={self.num_channels}"
            )
        self.eps = real_number("eps", eps)
        self.activation = check_activation(activation)

        dtype = float_dtype(dtype)
        self.weight = Parameter(np.ones(self.num_channels, dtype), "weight") if affine else None
        self.bias = Parameter(np.zeros(self.num_channels, dtype), "bias") if affine else None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y, of x's shape."""
        self._check_channels(x)
        y, mean, inv_std = functional.group_norm(
            x,
            self.num_groups,
            *_values(self.weight, self.bias),
            eps=self.eps,
            activation=self.activation,
        )
        if training:
            self._save(x, mean, inv_std)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add dw and db to the parameters' ``grad`` and return dx, of x's shape."""
        x, mean, inv_std = self._take_saved()
        expect_shape("dy", dy, x.shape, "the shape of y")
        arguments = (mean, inv_std, *_values(self.weight, self.bias))
        shape = x.shape[-1:]
        dw, db = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
        dx = None
        if input_grad:
            dx = functional.group_norm_grad_input(
                dy, x, *arguments, activation=self.activation, weight_out=dw, bias_out=db
            )
        elif self.weight:
            dw = functional.group_norm_grad_weight(
                x, dy, *arguments, activation=self.activation, bias_out=db
            )
        _accumulate(self.weight, dw)
        _accumulate(self.bias, db)
        return dx

    def parameters(self) -> list[Parameter]:
        """Return the weight and the bias, if there are any."""
        return [parameter for parameter in (self.weight, self.bias) if parameter]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`, (H, W, C)."""
        shape = image_shape(input_shape)
        if shape[2] != self.num_channels:
            raise ValueError(
                f"input_shape is {shape}, expected (H, W, {self.num_channels}): "
                f"num_channels={self.num_channels}"
            )
        return shape

    def __repr__(self) -> str:
        return call_text(
            "GroupNorm",
            self.num_groups,
            self.num_channels,
            eps=(self.eps, 1e-5),
            affine=(self.weight is not None, True),
            activation=(self.activation, None),
        )

    def _check_channels(self, x: FloatArray) -> None:
        if x.ndim not in (3, 4) or x.shape[-1] != self.num_channels:
            nchw = x.ndim == 4 and x.shape[1] == self.num_channels
            raise ValueError(
                f"x has shape {x.shape}, expected (N, H, W, {self.num_channels}) "
                f"or one image (H, W, {self.num_channels})"
                + (": x looks like NCHW, pass numpy.moveaxis(x, 1, -1)" if nchw else "")
            )


class LayerNorm(Layer):
    """y = g((x - mean) / sqrt(var + eps) * weight + bias), by the moments over the last axes.

    Formulas in `rot180.functional.layer_norm`. ``LayerNorm(C)`` normalises each pixel,
    ``LayerNorm((H, W, C))`` each image.

    Parameters
    ----------
    normalized_shape
        The last axes of x: an int or a sequence of ints.
    eps
        Keeps what has no variance from a division by zero.
    elementwise_affine
        Whether there are a weight, ones at first, and a bias, zeros at first.
    bias
        False leaves the bias out.
    activation
        g, computed in the same pass; as in `Conv2d`.
    dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter or None
        Of shape `normalized_shape`.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> norm = rot180.LayerNorm(2, dtype=np.float64)
    >>> norm.forward(np.array([[1.0, 3.0], [70.0, 90.0]])).round(3).tolist()
    [[-1.0, 1.0], [-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        *,
        activation: str | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.normalized_shape = normalized_axes(normalized_shape)
        self.eps = real_number("eps", eps)
        self.activation = check_activation(activation)

        dtype = float_dtype(dtype)
        ones, zeros = np.ones(self.normalized_shape, dtype), np.zeros(self.normalized_shape, dtype)
        self.weight = Parameter(ones, "weight") if elementwise_affine else None
        self.bias = Parameter(zeros, "bias") if elementwise_affine and bias else None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y, of x's shape."""
        y, mean, inv_std = functional.layer_norm(
            x,
            self.normalized_shape,
            *_values(self.weight, self.bias),
            eps=self.eps,
            activation=self.activation,
        )
        if training:
            self._save(x, mean, inv_std)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add dw and db to the parameters' ``grad`` and return dx, of x's shape."""
        x, mean, inv_std = self._take_saved()
        expect_shape("dy", dy, x.shape, "the shape of y")
        arguments = (mean, inv_std, *_values(self.weight, self.bias))
        dw, db = np.empty(self.normalized_shape, x.dtype), np.empty(self.normalized_shape, x.dtype)
        dx = None
        if input_grad:
            dx = functional.layer_norm_grad_input(
                dy, x, *arguments, activation=self.activation, weight_out=dw, bias_out=db
            )
        elif self.weight:
            dw = functional.layer_norm_grad_weight(
                x, dy, *arguments, activation=self.activation, bias_out=db
            )
        _accumulate(self.weight, dw)
        _accumulate(self.bias, db)
        return dx

    def parameters(self) -> list[Parameter]:
        """Return the weight and the bias, if there are any."""
        return [parameter for parameter in (self.weight, self.bias) if parameter]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`, which ends with the normalised axes."""
        shape, last = tuple(input_shape), self.normalized_shape
        if shape[max(len(shape) - len(last), 0) :] != last:
            raise ValueError(f"input_shape is {shape}, expected one that ends with {last}")
        return shape

    def __repr__(self) -> str:
        shape = self.normalized_shape
        return call_text(
            "LayerNorm",
            shape[0] if len(shape) == 1 else shape,
            eps=(self.eps, 1e-5),
            elementwise_affine=(self.weight is not None, True),
            bias=(self.bias is not None, self.weight is not None),
            activation=(self.activation, None),
        )


def _values(*parameters: Parameter | None) -> list[FloatArray | None]:
    return [parameter.value if parameter else None for parameter in parameters]


def _accumulate(parameter: Parameter | None, gradient: FloatArray) -> None:
    if parameter:
        parameter.accumulate(gradient)
