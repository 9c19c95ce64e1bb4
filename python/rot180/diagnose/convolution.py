"""One convolution with its numbers, and its right gradients."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180 import reference
from rot180.geometry import Conv2dGeometry, conv2d_geometry
from rot180.reference.activation import activate, activate_grad_input

Array: TypeAlias = npt.NDArray[Any]

GRADIENTS = ("dx", "dw", "db")


@dataclass(frozen=True, eq=False)
class Convolution:
    """The numbers of one convolution, float64, as `rot180.reference` takes them.

    Where the forward is a true convolution, w is the kernel turned by 180 degrees, so that all
    else is as for a correlation.

    Attributes
    ----------
    x, w, dy : (N, H, W, C), (KH, KW, C / groups, K), (N, OH, OW, K)
    geometry : sizes, stride, padding, dilation, groups
    bias : (K,) or None
    activation : its name, or None
    y : what the activation returned, where there is one
    flipped : whether the forward is a true convolution
    batch : N of the whole, where these are some of its images
    """

    x: Array
    w: Array
    dy: Array
    geometry: Conv2dGeometry
    bias: Array | None = None
    activation: str | None = None
    y: Array | None = None
    flipped: bool = False
    batch: int | None = None

    @property
    def images(self) -> int:
        """N."""
        return self.geometry.input_shape[0] if self.batch is None else self.batch

    def first_image(self) -> Convolution:
        """Return the convolution of the first image alone."""
        geometry = self.geometry
        return replace(
            self,
            x=self.x[:1],
            dy=self.dy[:1],
            y=None if self.y is None else self.y[:1],
            geometry=conv2d_geometry((1, *self.x.shape[1:]), self.w.shape, **self.options),
            batch=geometry.input_shape[0],
        )

    @property
    def options(self) -> dict[str, Any]:
        """What every pass of `rot180.reference` is told."""
        geometry = self.geometry
        return {
            "stride": geometry.stride,
            "padding": geometry.padding,
            "dilation": geometry.dilation,
            "groups": geometry.groups,
        }

    def turned(self) -> Convolution:
        """Return the true convolution with the same numbers: w is the kernel turned."""
        return replace(self, w=self.w[::-1, ::-1], y=None, flipped=not self.flipped)

    @cached_property
    def correlation(self) -> Array:
        """The cross-correlation of x with w, and the bias where there is one."""
        return reference.conv2d(self.x, self.w, self.bias, **self.options)

    @cached_property
    def output(self) -> Array:
        """What the activation returned: `y`, or computed."""
        return activate(self.correlation, self.activation) if self.y is None else self.y

    @cached_property
    def sums_over_pixels(self) -> dict[Any, Array]:
        """Sums that gradients by w with different mistakes share, by what makes them."""
        return {}

    @cached_property
    def delta(self) -> Array:
        """Return dy through the activation's derivative."""
        if self.activation is None:
            return self.dy
        return activate_grad_input(self.dy, self.activation, self.output)

    def derivative(self, at: str = "output") -> Array:
        """The activation's derivative: right, or taken at a wrong argument.

        "output" takes it from the output, as is right. "z of the output" takes the derivative at
        the output as if that were the argument; "output of z" the formula for the output, at z.
        """
        if self.activation is None:
            return np.ones_like(self.dy)
        values = {
            "output": self.output,
            "z of the output": activate(self.output, self.activation),
            "output of z": self.correlation,
        }[at]
        return activate_grad_input(np.ones_like(self.dy), self.activation, values)

    def right(self, gradient: str) -> Array:
        """Return the right dx, dw or db; or y."""
        return self._right[gradient]

    @cached_property
    def _right(self) -> _Gradients:
        gradients = _Gradients(self, self.x, self.w, self.delta)
        gradients["y"] = self.output
        return gradients

    def largest(self, gradient: str) -> float:
        """The largest sum of absolute terms in dx, dw or db: what rounding is measured by."""
        return float(np.max(self._absolute[gradient], initial=0.0))

    @cached_property
    def _absolute(self) -> _Gradients:
        x, w = abs(self.x), abs(self.w)
        gradients = _Gradients(self, x, w, abs(self.delta))
        gradients["y"] = reference.conv2d(x, w, **self.options)
        return gradients

    def terms(self, gradient: str) -> int:
        """How many products the longest sum of dx, dw or db adds up."""
        batch, out_height, out_width, filters = self.geometry.output_shape
        if gradient == "dx":
            kernel_h, kernel_w = self.geometry.weight_shape[:2]
            return kernel_h * kernel_w * filters // self.geometry.groups
        if gradient == "y":
            return math.prod(self.geometry.weight_shape[:3])
        return batch * out_height * out_width


class _Gradients(dict[str, Array]):
    """The gradients, each computed when it is first asked for."""

    def __init__(self, convolution: Convolution, x: Array, w: Array, delta: Array) -> None:
        self._of, self._x, self._w, self._delta = convolution, x, w, delta

    def __missing__(self, gradient: str) -> Array:
        geometry, options = self._of.geometry, self._of.options
        if gradient == "dx":
            result = reference.conv2d_grad_input(
                self._delta, self._w, geometry.input_shape, **options
            )
        elif gradient == "dw":
            size = geometry.weight_shape[:2]
            result = reference.conv2d_grad_weight(self._x, self._delta, size, **options)
        else:
            result = reference.conv2d_grad_bias(self._delta)
        self[gradient] = result
        return result
