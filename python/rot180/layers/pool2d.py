"""Pooling layers."""

from __future__ import annotations

from typing import Any

from rot180 import functional
from rot180.arguments import MOST_TAPS, FloatArray, check_activation, expect_shape
from rot180.geometry import (
    IntOrPair,
    Padding,
    adaptive_pool2d_shape,
    frozen,
    int_pair,
    padding_sides,
    pool2d_geometry,
)
from rot180.layers.layer import Layer, call_text, image_shape


class Pooling(Layer):
    """Base of `MaxPool2d` and `AvgPool2d`: a window that slides over the image."""

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None,
        padding: Padding,
        ceil_mode: bool,
    ) -> None:
        # What is wrong whatever the image is raises here, not at the first batch.
        window = int_pair("kernel_size", kernel_size)
        strides = window if stride is None else int_pair("stride", stride)
        padding_sides(padding, window, window, strides)
        self.kernel_size = frozen("kernel_size", kernel_size)
        self.stride = frozen("stride", stride)
        self.padding = frozen("padding", padding)
        self.ceil_mode = bool(ceil_mode)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, C) for x of shape (H, W, C)."""
        shape = (1, *image_shape(input_shape))
        return pool2d_geometry(shape, self.kernel_size, **self._options()).output_shape[1:]

    def _options(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil_mode}

    def _text(self, **own: tuple[object, object]) -> str:
        """The call that makes this layer, with options of its own, each as (value, default)."""
        return call_text(
            type(self).__name__,
            self.kernel_size,
            stride=(self.stride, None),
            padding=(self.padding, 0),
            ceil_mode=(self.ceil_mode, False),
            **own,
        )


class MaxPool2d(Pooling):
    """g(the largest value of each window): x (N, H, W, C) to y (N, OH, OW, C).

    The gradient goes to the pixel that was chosen, the first in row-major order if several are
    equal.

    Parameters
    ----------
    kernel_size
        Height and width of the window, an int or a pair.
    stride
        None means `kernel_size`: windows that touch.
    padding
        As in `Conv2d`, smaller than the window; counts as -inf.
    ceil_mode
        Whether rows and columns that are left over at the end have a window too. As in PyTorch, it
        must begin within x or the padding before x.
    activation
        g, as in `Conv2d`: the same before a maximum and after it, but after there are fewer values
        to compute and to keep. A convolution without one and a ``MaxPool2d(2, activation="relu")``
        train as a convolution with "relu" and a ``MaxPool2d(2)`` do.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> pool = rot180.MaxPool2d(2)
    >>> x = np.array([[1.0, 7.0], [7.0, 3.0]]).reshape(1, 2, 2, 1)
    >>> pool.forward(x, training=True).item()
    7.0
    >>> pool.backward(np.array([[[[5.0]]]])).reshape(2, 2).tolist()
    [[0.0, 5.0], [0.0, 0.0]]
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        *,
        activation: str | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.activation = check_activation(activation)
        height, width = int_pair("kernel_size", kernel_size)
        # A byte for each output where it will do, see docs/decisions/10.
        name = "return_taps" if height * width <= MOST_TAPS else "return_indices"
        self._which: dict[str, Any] = {name: True}

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        y: FloatArray
        options = self._options() | {"activation": self.activation}
        if training:
            y, chosen = functional.max_pool2d(x, self.kernel_size, **options, **self._which)
            self._save(x.shape, chosen, y if self.activation else None)
        else:
            y = functional.max_pool2d(x, self.kernel_size, **options)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send each dy to the pixel of x that was the largest of its window."""
        input_shape, chosen, y = self._take_saved()
        if not input_grad:
            return None
        options = self._options() | {"activation": self.activation, "y": y}
        return functional.max_pool2d_grad_input(
            dy, chosen, input_shape, self.kernel_size, **options
        )

    def __repr__(self) -> str:
        return self._text(activation=(self.activation, None))


class AvgPool2d(Pooling):
    """The mean of each window: x (N, H, W, C) to y (N, OH, OW, C).

    Parameters
    ----------
    kernel_size, stride, ceil_mode
        As in `MaxPool2d`.
    padding
        As in `Conv2d`, smaller than the window.
    count_include_pad
        Whether the padding's zeros count in the mean; what a window covers beyond them never does.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> pool = rot180.AvgPool2d(2)
    >>> pool.forward(np.array([[1.0, 2.0], [3.0, 6.0]]).reshape(1, 2, 2, 1), training=True).item()
    3.0
    >>> pool.backward(np.array([[[[4.0]]]])).reshape(2, 2).tolist()
    [[1.0, 1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        kernel_size: IntOrPair,
        stride: IntOrPair | None = None,
        padding: Padding = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        y = functional.avg_pool2d(
            x, self.kernel_size, **self._options(), count_include_pad=self.count_include_pad
        )
        if training:
            self._save(x.shape)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Share each dy out among the pixels of its window."""
        (input_shape,) = self._take_saved()
        if not input_grad:
            return None
        return functional.avg_pool2d_grad_input(
            dy,
            input_shape,
            self.kernel_size,
            **self._options(),
            count_include_pad=self.count_include_pad,
        )

    def __repr__(self) -> str:
        return self._text(count_include_pad=(self.count_include_pad, True))


class AdaptiveAvgPool2d(Layer):
    """The means of as many windows as the output has pixels: x (N, H, W, C) to y (N, OH, OW, C).

    Window i covers rows floor(i * H / OH) to ceil((i + 1) * H / OH) - 1, as in PyTorch: a network
    that ends in it takes images of any size.

    Parameters
    ----------
    output_size
        OH = OW as an int, or (OH, OW).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> pool = rot180.AdaptiveAvgPool2d((1, 2))
    >>> pool.forward(np.arange(5.0).reshape(1, 1, 5, 1), training=True).ravel().tolist()
    [1.0, 3.0]
    >>> pool.backward(np.array([[[[6.0], [9.0]]]])).ravel().tolist()
    [2.0, 2.0, 5.0, 3.0, 3.0]
    """

    def __init__(self, output_size: IntOrPair) -> None:
        int_pair("output_size", output_size)
        self.output_size = frozen("output_size", output_size)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        y = functional.adaptive_avg_pool2d(x, self.output_size)
        if training:
            self._save(x.shape, y.shape)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Share each dy out among the pixels of its window."""
        input_shape, output_shape = self._take_saved()
        expect_shape("dy", dy, output_shape, "the shape of y")
        if not input_grad:
            return None
        return functional.adaptive_avg_pool2d_grad_input(dy, input_shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, C) for x of shape (H, W, C)."""
        return adaptive_pool2d_shape((1, *image_shape(input_shape)), self.output_size)[1:]

    def __repr__(self) -> str:
        return call_text(type(self).__name__, self.output_size)


class GlobalAvgPool2d(Layer):
    """The mean of each channel over the whole image: x (N, H, W, C) to y (N, C).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> pool = rot180.GlobalAvgPool2d()
    >>> pool.forward(np.arange(8.0).reshape(1, 2, 2, 2), training=True).tolist()
    [[3.0, 4.0]]
    >>> pool.backward(np.array([[4.0, 8.0]])).tolist()
    [[[[1.0, 2.0], [1.0, 2.0]], [[1.0, 2.0], [1.0, 2.0]]]]
    """

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, C) from x (N, H, W, C)."""
        y = functional.adaptive_avg_pool2d(x, 1)
        if training:
            self._save(x.shape)
        return y.reshape(*y.shape[:-3], y.shape[-1])

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Share each dy out among all pixels of the image."""
        (shape,) = self._take_saved()
        expect_shape("dy", dy, (*shape[:-3], shape[-1]), "the shape of y")
        if not input_grad:
            return None
        dy = dy.reshape(*shape[:-3], 1, 1, shape[-1])
        return functional.adaptive_avg_pool2d_grad_input(dy, shape)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (C,) for x of shape (H, W, C)."""
        return image_shape(input_shape)[2:]

    def __repr__(self) -> str:
        return call_text("GlobalAvgPool2d")
