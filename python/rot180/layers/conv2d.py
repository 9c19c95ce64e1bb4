"""The convolution layer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import FloatArray, expect_shape
from rot180.geometry import IntOrPair, Padding, conv2d_geometry
from rot180.init import Initializer
from rot180.layers.convolution import Convolution
from rot180.layers.layer import image_shape


class Conv2d(Convolution):
    """y = g(conv2d(x, weight) + bias), for batches x (N, H, W, C) to y (N, OH, OW, K).

    Cross-correlation, as in PyTorch and TensorFlow; formulas in `rot180.functional.conv2d`.

    Parameters
    ----------
    in_channels, out_channels
        C and K.
    kernel_size
        KH = KW as an int, or (KH, KW).
    stride, dilation
        An int, or one for height and one for width.
    padding
        Zeros around x: an int, (ph, pw), ((top, bottom), (left, right)), "valid", "same" or "full".
    groups
        Divides the channels into groups that do not see one another; C for a depthwise layer.
    bias
        Whether to add one number for each output channel, zero at first.
    activation
        g, computed in the same pass: None, "relu", "relu6", "leaky_relu" (slope 0.01), "sigmoid" or
        "tanh".
    initializer
        A function of `rot180.init`. None is `he_normal`, or `xavier_uniform` before sigmoid and
        tanh.
    rng
        A numpy.random.Generator for the initializer; None takes a fresh one.
    dtype
        float32 or float64: of the parameters, and so of x.
    algorithm
        As in `rot180.functional.conv2d`.

    Attributes
    ----------
    weight : Parameter
        (KH, KW, C // groups, K).
    bias : Parameter or None
        (K,).

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or does not fit the others.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> conv = rot180.Conv2d(3, 16, 3, padding=1, activation="relu")
    >>> y = conv.forward(np.ones((2, 8, 8, 3), np.float32), training=True)
    >>> y.shape
    (2, 8, 8, 16)
    >>> conv.backward(np.ones_like(y)).shape, conv.weight.grad.shape
    ((2, 8, 8, 3), (3, 3, 3, 16))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: IntOrPair,
        stride: IntOrPair = 1,
        padding: Padding = 0,
        dilation: IntOrPair = 1,
        groups: int = 1,
        bias: bool = True,
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

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, K) from x (N, H, W, C)."""
        y = functional.conv2d(
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
        options = self._options()
        if self.activation and input_grad and self._reads_dy_often((1, *x.shape)[-4:]):
            dy = getattr(functional, f"{self.activation}_grad_input")(dy, y)
        else:
            options |= {"activation": self.activation, "y": y}
        db = np.empty_like(self.bias.value) if self.bias else None
        dw = functional.conv2d_grad_weight(x, dy, self.kernel_size, **options, bias_out=db)
        self._accumulate(dw, db)
        if not input_grad:
            return None
        return functional.conv2d_grad_input(dy, self.weight.value, x.shape, **options)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, K) for x of shape (H, W, C)."""
        geometry = conv2d_geometry(
            (1, *image_shape(input_shape)),
            self.weight.value.shape,
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
        )
        return geometry.output_shape[1:]

    def __repr__(self) -> str:
        return self._text()

    def _weight_shape(self) -> tuple[int, ...]:
        return (*self.kernel_size, self.in_channels // self.groups, self.out_channels)

    def _reads_dy_often(self, x_shape: tuple[int, ...]) -> bool:
        """Whether dy had better be multiplied by the activation's derivative once, for both
        gradients: Winograd's algorithm takes each pixel into several tiles.
        """
        options = self._options()
        algorithm = options.pop("algorithm")
        if algorithm == "auto":
            weight = self.weight.value
            algorithm = functional.conv2d_algorithm(
                "conv2d_grad_weight", x_shape, weight.shape, **options, dtype=weight.dtype
            )
        return bool(algorithm == "winograd")
