"""Pooling layers."""

from __future__ import annotations

from rot180 import functional
from rot180.arguments import FloatArray
from rot180.geometry import IntOrPair, Padding, frozen, int_pair, padding_sides, pool2d_geometry
from rot180.layers.layer import Layer, call_text, image_shape


class MaxPool2d(Layer):
    """The largest value of each window: x (N, H, W, C) to y (N, OH, OW, C).

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
        self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: Padding = 0
    ) -> None:
        _check_window(kernel_size, stride, padding)
        self.kernel_size = frozen("kernel_size", kernel_size)
        self.stride = frozen("stride", stride)
        self.padding = frozen("padding", padding)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        if not training:
            return functional.max_pool2d(
                x, self.kernel_size, stride=self.stride, padding=self.padding
            )
        y, indices = functional.max_pool2d(
            x, self.kernel_size, stride=self.stride, padding=self.padding, return_indices=True
        )
        self._save(x.shape, indices)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send each dy to the pixel of x that was the largest of its window."""
        input_shape, indices = self._take_saved()
        if not input_grad:
            return None
        return functional.max_pool2d_grad_input(
            dy, indices, input_shape, self.kernel_size, stride=self.stride, padding=self.padding
        )

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, C) for x of shape (H, W, C)."""
        return _pooled_shape(input_shape, self.kernel_size, self.stride, self.padding)

    def __repr__(self) -> str:
        return call_text(
            "MaxPool2d", self.kernel_size, stride=(self.stride, None), padding=(self.padding, 0)
        )


class AvgPool2d(Layer):
    """The mean of each window: x (N, H, W, C) to y (N, OH, OW, C).

    Parameters
    ----------
    kernel_size, stride
        As in `MaxPool2d`.
    padding
        As in `Conv2d`, smaller than the window.
    count_include_pad
        Whether the padding's zeros count in the mean.

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
        count_include_pad: bool = True,
    ) -> None:
        _check_window(kernel_size, stride, padding)
        self.kernel_size = frozen("kernel_size", kernel_size)
        self.stride = frozen("stride", stride)
        self.padding = frozen("padding", padding)
        self.count_include_pad = count_include_pad

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        y = functional.avg_pool2d(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
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
            stride=self.stride,
            padding=self.padding,
            count_include_pad=self.count_include_pad,
        )

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, C) for x of shape (H, W, C)."""
        return _pooled_shape(input_shape, self.kernel_size, self.stride, self.padding)

    def __repr__(self) -> str:
        return call_text(
            "AvgPool2d",
            self.kernel_size,
            stride=(self.stride, None),
            padding=(self.padding, 0),
            count_include_pad=(self.count_include_pad, True),
        )


def _check_window(kernel_size: IntOrPair, stride: IntOrPair | None, padding: Padding) -> None:
    """Raise what is wrong whatever the image is when the layer is built, not at the first batch."""
    window = int_pair("kernel_size", kernel_size)
    strides = window if stride is None else int_pair("stride", stride)
    padding_sides(padding, window, window, strides)


def _pooled_shape(
    input_shape: tuple[int, ...],
    kernel_size: IntOrPair,
    stride: IntOrPair | None,
    padding: Padding,
) -> tuple[int, ...]:
    shape = (1, *image_shape(input_shape))
    return pool2d_geometry(shape, kernel_size, stride, padding).output_shape[1:]
