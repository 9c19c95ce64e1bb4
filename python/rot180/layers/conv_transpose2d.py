"""The transposed convolution layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import FloatArray, expect_shape
from rot180.geometry import (
    IntOrPair,
    Padding,
    conv_transpose2d_geometry,
    output_padding_pair,
)
from rot180.init import Initializer
from rot180.layers.convolution import Convolution, one_or_pair
from rot180.layers.layer import image_shape


class ConvTranspose2d(Convolution):
    """y = g(conv_transpose2d(x, weight) + bias), for batches x (N, H, W, C) to y (N, OH, OW, K).

    Each pixel of x is spread over a window of y: with a stride, images grow. OH is
    (H - 1) * stride - top - bottom + dilation * (KH - 1) + 1 + output_padding; formulas in
    `rot180.functional.conv_transpose2d`.

    Parameters
    ----------
    in_channels, out_channels
        C and K.
    kernel_size
        KH = KW as an int, or (KH, KW).
    stride
        An int, or one for height and one for width.
    padding
        Rows and columns that are cut off y: an int, (ph, pw), ((top, bottom), (left, right)),
        "valid", "same" (H * stride rows) or "full".
    output_padding
        Rows at the bottom and columns at the right to make y larger by: an int or a pair, less than
        the stride or the dilation.
    groups
        Divides the channels into groups that do not see one another.
    bias
        Whether to add one number for each output channel, zero at first.
    dilation
        An int, or one for height and one for width. Last, as in PyTorch.
    activation
        g, computed in the same pass: None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or
        "tanh".
    initializer
        As in `Conv2d`. It is given the weight's shape, whose fan_in, KH * KW * K // groups, counts
        the products in a number of dx; one of y sums KH * KW * C / (groups * stride**2) of them.
    rng, dtype, algorithm
        As in `Conv2d`.

    Attributes
    ----------
    weight : Parameter
        (KH, KW, K // groups, C): laid out as that of the `Conv2d` from K to C channels.
    bias : Parameter or None
        (K,).

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or does not fit the others.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> up = rot180.ConvTranspose2d(16, 3, 4, stride=2, padding=1, activation="sigmoid")
    >>> y = up.forward(np.ones((2, 8, 8, 16), np.float32), training=True)
    >>> y.shape
    (2, 16, 16, 3)
    >>> up.backward(np.ones_like(y)).shape, up.weight.grad.shape
    ((2, 8, 8, 16), (4, 4, 3, 16))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        output_padding: IntOrPair = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: IntOrPair = 1,
        *,
        activation: str | None = None,
        initializer: Initializer | None = None,
        rng: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
        algorithm: str = "auto",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            activation=activation,
            initializer=initializer,
            rng=rng,
            dtype=dtype,
            algorithm=algorithm,
        )
        self.output_padding = output_padding_pair(
            output_padding, self.stride, self.padding, self.dilation
        )

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, K) from x (N, H, W, C)."""
        y = functional.conv_transpose2d(
            x,
            self.weight.value,
            self.bias.value if self.bias else None,
            activation=self.activation,
            **self._options(),
        )
        if training:
            self._save(x, y.shape, y if self.activation else None)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add dw and db to the parameters' ``grad`` and return dx, of x's shape."""
        x, output_shape, y = self._take_saved()
        expect_shape("dy", dy, output_shape, "the shape of y")
        if self.activation:
            dy = getattr(functional, f"{self.activation}_grad_input")(dy, y)
        options = self._options()
        db = np.empty_like(self.bias.value) if self.bias else None
        dw = functional.conv_transpose2d_grad_weight(
            x, dy, self.kernel_size, **options, bias_out=db
        )
        self._accumulate(dw, db)
        if not input_grad:
            return None
        return functional.conv_transpose2d_grad_input(dy, self.weight.value, **options)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, K) for x of shape (H, W, C)."""
        geometry = conv_transpose2d_geometry(
            (1, *image_shape(input_shape)),
            self.weight.value.shape,
            self.stride,
            self.padding,
            self.output_padding,
            self.dilation,
            self.groups,
        )
        return geometry.input_shape[1:]

    def __repr__(self) -> str:
        return self._text(output_padding=(one_or_pair(self.output_padding), 0))

    def _options(self) -> dict[str, Any]:
        return {**super()._options(), "output_padding": self.output_padding}

    def _weight_shape(self) -> tuple[int, ...]:
        return (*self.kernel_size, self.out_channels // self.groups, self.in_channels)
