"""The layer that makes images larger."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rot180 import functional
from rot180.arguments import FloatArray, check_interpolation, expect_shape, scale_pair
from rot180.geometry import upsample2d_shape
from rot180.layers.layer import Layer, call_text, image_shape


class Upsample(Layer):
    """Images `scale_factor` times as large: x (N, H, W, C) to y (N, OH, OW, C).

    OH is floor(H * scale_factor); formulas in `rot180.functional.upsample2d`. `ConvTranspose2d`
    learns how to make images larger, this does not.

    Parameters
    ----------
    scale_factor
        A number greater than 0, or one for height and one for width; less than 1 makes images
        smaller and leaves pixels out.
    mode
        "nearest" or "bilinear".
    align_corners
        With "bilinear": whether the centres of the corner pixels of x and y lie on one another;
        otherwise their outer corners do.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong, or does not fit the others.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> up = rot180.Upsample(2)
    >>> up.forward(np.array([[1.0, 5.0]]).reshape(1, 1, 2, 1), training=True)[0, :, :, 0]
    array([[1., 1., 5., 5.],
           [1., 1., 5., 5.]])
    >>> up.backward(np.ones((1, 2, 4, 1)))[0, :, :, 0]
    array([[4., 4.]])
    """

    def __init__(
        self,
        scale_factor: float | Sequence[float],
        mode: str = "nearest",
        align_corners: bool = False,
    ) -> None:
        check_interpolation(mode, align_corners)
        self._scale = scale_pair(scale_factor)
        self.scale_factor = (
            tuple(scale_factor) if isinstance(scale_factor, list | tuple) else scale_factor
        )
        self.mode = mode
        self.align_corners = bool(align_corners)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, OH, OW, C) from x (N, H, W, C)."""
        y = functional.upsample2d(x, self._scale, **self._options())
        if training:
            self._save(x.shape, y.shape)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send each dy to the pixels that its output was made of, by their shares."""
        input_shape, output_shape = self._take_saved()
        expect_shape("dy", dy, output_shape, "the shape of y")
        if not input_grad:
            return None
        return functional.upsample2d_grad_input(dy, input_shape, self._scale, **self._options())

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (OH, OW, C) for x of shape (H, W, C)."""
        return upsample2d_shape((1, *image_shape(input_shape)), self._scale)[1:]

    def __repr__(self) -> str:
        return call_text(
            "Upsample",
            self.scale_factor,
            mode=(self.mode, "nearest"),
            align_corners=(self.align_corners, False),
        )

    def _options(self) -> dict[str, Any]:
        return {"mode": self.mode, "align_corners": self.align_corners}
