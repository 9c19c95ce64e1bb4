"""Layers that move values and compute nothing: Identity, Reshape, Flatten and ZeroPad2d."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from rot180.arguments import FloatArray, expect_shape
from rot180.geometry import Padding, frozen, padding_sides, positive_int
from rot180.layers.layer import Layer, call_text, image_shape


class Identity(Layer):
    """y = x: the straight way past other layers, in `Residual` and `Concat`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rot180.Identity().forward(np.array([[1.0, 2.0]])).tolist()
    [[1.0, 2.0]]
    """

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Return x itself."""
        if training:
            self._save(x.shape)
        return x

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Return dy itself."""
        (shape,) = self._take_saved()
        expect_shape("dy", dy, shape, "the shape of y")
        return dy if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return tuple(input_shape)

    def __repr__(self) -> str:
        return call_text("Identity")


class Reshape(Layer):
    """The numbers of each sample in another shape: x (N, ...) to y (N, *shape).

    Parameters
    ----------
    shape
        Of one sample, without the batch axis: ints of at least 1.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> reshape = rot180.Reshape((4, 4, 2))
    >>> reshape.forward(np.ones((5, 32)), training=True).shape
    (5, 4, 4, 2)
    >>> reshape.backward(np.ones((5, 4, 4, 2))).shape
    (5, 32)
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.shape = tuple(positive_int(f"shape[{axis}]", n) for axis, n in enumerate(shape))

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, *shape) from x (N, ...); a view of x where NumPy can make one."""
        shape = (*x.shape[:1], *self.output_shape(x.shape[1:]))
        if training:
            self._save(x.shape)
        return x.reshape(shape)

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Give dy the shape of x."""
        (shape,) = self._take_saved()
        expect_shape("dy", dy, (*shape[:1], *self.shape), "the shape of y")
        return dy.reshape(shape) if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `shape`, or raise ValueError unless it has as many numbers as `input_shape`."""
        if math.prod(input_shape) != math.prod(self.shape):
            raise ValueError(
                f"a sample of shape {tuple(input_shape)} has {math.prod(input_shape)} numbers, "
                f"shape={self.shape} holds {math.prod(self.shape)}"
            )
        return self.shape

    def __repr__(self) -> str:
        return call_text("Reshape", self.shape)


class Flatten(Layer):
    """Each sample as one vector: x (N, H, W, C) to y (N, H * W * C), or any (N, ...).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> flatten = rot180.Flatten()
    >>> flatten.forward(np.ones((5, 4, 3, 2)), training=True).shape
    (5, 24)
    >>> flatten.backward(np.ones((5, 24))).shape
    (5, 4, 3, 2)
    """

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, features) from x (N, ...); a view of x where NumPy can make one."""
        if x.ndim == 0:
            raise ValueError("x is a single number, expected a batch (N, ...)")
        if training:
            self._save(x.shape)
        return x.reshape(len(x), math.prod(x.shape[1:]))

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Give dy the shape of x."""
        (shape,) = self._take_saved()
        expect_shape("dy", dy, (shape[0], math.prod(shape[1:])), "the shape of y")
        return dy.reshape(shape) if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (features,)."""
        return (math.prod(input_shape),)

    def __repr__(self) -> str:
        return call_text("Flatten")


class ZeroPad2d(Layer):
    """Zeros around an image: x (N, H, W, C) to y (N, top + H + bottom, left + W + right, C).

    `Conv2d` pads by itself, without a copy; this is padding as a layer of its own.

    Parameters
    ----------
    padding
        An int, (ph, pw) or ((top, bottom), (left, right)).

    Examples
    --------
    >>> import numpy as np, rot180
    >>> pad = rot180.ZeroPad2d(((1, 0), (0, 2)))
    >>> pad.forward(np.ones((1, 1, 2, 1)), training=True)[0, :, :, 0].tolist()
    [[0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]
    >>> pad.backward(np.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0].tolist()
    [[4.0, 5.0]]
    """

    def __init__(self, padding: Padding) -> None:
        if isinstance(padding, str):
            raise TypeError(
                f"padding={padding!r}: without a kernel, expected an int, (ph, pw) "
                "or ((top, bottom), (left, right))"
            )
        self.padding = frozen("padding", padding)
        (self._top, self._bottom), (self._left, self._right) = padding_sides(
            padding, (1, 1), (1, 1), (1, 1)
        )

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y, a copy of x with zeros around it."""
        if x.ndim not in (3, 4):
            raise ValueError(f"x has shape {x.shape}, expected (N, H, W, C) or one image (H, W, C)")
        if training:
            self._save(x.shape)
        image = ((self._top, self._bottom), (self._left, self._right), (0, 0))
        return np.pad(x, ((0, 0), *image) if x.ndim == 4 else image)

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Cut the padding off dy."""
        (shape,) = self._take_saved()
        expect_shape("dy", dy, (*shape[:-3], *self.output_shape(shape[-3:])), "the shape of y")
        if not input_grad:
            return None
        height, width, _ = shape[-3:]
        dx = dy[..., self._top : self._top + height, self._left : self._left + width, :]
        return np.ascontiguousarray(dx)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (top + H + bottom, left + W + right, C) for x of shape (H, W, C)."""
        height, width, channels = image_shape(input_shape)
        return (
            self._top + height + self._bottom,
            self._left + width + self._right,
            channels,
        )

    def __repr__(self) -> str:
        return call_text("ZeroPad2d", self.padding)
