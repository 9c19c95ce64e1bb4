"""Dropout."""

from __future__ import annotations

import numpy as np

from rot180 import functional
from rot180.arguments import FloatArray, expect_shape, random_generator, real_number
from rot180.layers.layer import Layer, call_text


class Dropout(Layer):
    """In training y = x / (1 - p) with probability 1 - p, else 0; otherwise y = x itself.

    Each training pass draws one number from `rng`, the key of `rot180.functional.dropout`: the same
    seed drops the same elements, whatever the number of threads. The backward pass makes the same
    choice from the same key again, so that no mask is kept.

    Parameters
    ----------
    p
        The probability of 0; at least 0, less than 1.
    rng
        A numpy.random.Generator; None takes a fresh one.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> dropout = rot180.Dropout(0.5, rng=np.random.default_rng(0))
    >>> dropout.forward(np.ones((2, 4)), training=True).tolist()
    [[2.0, 2.0, 2.0, 2.0], [0.0, 2.0, 0.0, 2.0]]
    >>> dropout.backward(np.ones((2, 4))).tolist()
    [[2.0, 2.0, 2.0, 2.0], [0.0, 2.0, 0.0, 2.0]]
    >>> dropout.forward(np.ones((2, 4))).tolist()
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    """

    def __init__(self, p: float = 0.5, *, rng: np.random.Generator | None = None) -> None:
        self.p = real_number("p", p, below=1.0)
        self.rng = random_generator(np.random.default_rng() if rng is None else rng)

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y; without training it is x itself."""
        if not training:
            return x
        key = int(self.rng.integers(2**64, dtype=np.uint64))
        y = functional.dropout(x, self.p, key)
        self._save(key, x.shape)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Compute dx = dy / (1 - p) where x was kept, else 0."""
        key, shape = self._take_saved()
        expect_shape("dy", dy, shape, "the shape of y")
        return functional.dropout(dy, self.p, key) if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`."""
        return tuple(input_shape)

    def named_generators(self) -> dict[str, np.random.Generator]:
        """Return the generator that keys are drawn from."""
        return {"rng": self.rng}

    def __repr__(self) -> str:
        return call_text("Dropout", self.p)
