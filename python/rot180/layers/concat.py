"""Several ways side by side, and their channels one after another."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import accumulate

import numpy as np

from rot180 import functional
from rot180.arguments import FloatArray, expect_shape
from rot180.functional.results import new_array
from rot180.layers.container import Container
from rot180.layers.layer import Layer, list_text


class Concat(Container):
    """y = [branch(x) for each branch], joined along the channels: (N, OH, OW, sum of channels).

    Parameters
    ----------
    branches
        A list of layers, at least one. All take the same x; their outputs agree in all but the
        last axis. `Identity` puts x itself beside the others.

    Raises
    ------
    ValueError
        If there is no branch.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> both = rot180.Concat([rot180.Identity(), rot180.Conv2d(3, 8, 3, padding=1)])
    >>> y = both.forward(np.ones((2, 6, 5, 3), np.float32), training=True)
    >>> y.shape
    (2, 6, 5, 11)
    >>> both.backward(y).shape
    (2, 6, 5, 3)
    """

    def __init__(self, branches: Iterable[Layer]) -> None:
        self.branches = tuple(branches)
        if not self.branches:
            raise ValueError("branches is empty, expected at least one layer")
        super().__init__({str(index): branch for index, branch in enumerate(self.branches)})

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y, each branch's channels after those of the branch before."""
        parts = []
        for name, branch in self._children.items():
            with self.named_errors(name):
                parts.append(branch.forward(x, training))
        shape = _joined([part.shape for part in parts])
        y = np.concatenate(parts, axis=-1, out=new_array(shape, parts[0].dtype))
        if training:
            self._save(y.shape, [part.shape[-1] for part in parts])
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Give each branch its channels of dy; dx is the sum of what comes back."""
        shape, channels = self._take_saved()
        expect_shape("dy", dy, shape, "the shape of y")
        dx = None
        for (name, branch), part in zip(
            self._children.items(),
            np.split(dy, list(accumulate(channels))[:-1], axis=-1),
            strict=True,
        ):
            with self.named_errors(name):
                back = branch.backward(np.ascontiguousarray(part), input_grad=input_grad)
            if back is not None:
                dx = back if dx is None else functional.add(dx, back)
        return dx

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the branches' output shape, with the sum of their channels."""
        shapes = []
        for name, branch in self._children.items():
            with self.named_errors(name):
                shapes.append(branch.output_shape(input_shape))
        return _joined(shapes)

    def __repr__(self) -> str:
        return list_text("Concat", self.branches)


def _joined(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of all outputs together, or raise ValueError if they do not fit."""
    for index, shape in enumerate(shapes):
        if shape[:-1] != shapes[0][:-1] or len(shape) != len(shapes[0]):
            raise ValueError(
                f"branch 0 returns shape {shapes[0]} and branch {index} {shape}, "
                "expected the same but for the last axis"
            )
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))
