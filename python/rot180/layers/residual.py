"""A way around a body of layers, and their sum."""

from __future__ import annotations

from collections.abc import Callable

from rot180 import functional
from rot180.arguments import FloatArray, check_activation
from rot180.layers.container import Container
from rot180.layers.layer import Layer, call_text
from rot180.layers.shape import Identity


class Residual(Container):
    """y = g(body(x) + shortcut(x)): He, Zhang, Ren and Sun (2016), "Deep residual learning".

    Parameters
    ----------
    body
        A layer, mostly a `Sequential`.
    shortcut
        None is x itself. Where the body changes the shape, a `Conv2d` of 1x1 with its stride.
    activation
        g, computed in the same pass as the sum; as in `Conv2d`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> block = rot180.Residual(rot180.Conv2d(4, 4, 3, padding=1), activation="relu")
    >>> block.body.weight.value = np.zeros((3, 3, 4, 4), np.float32)
    >>> block.forward(np.full((1, 2, 2, 4), 3, np.float32), training=True).max()
    np.float32(3.0)
    >>> block.backward(np.ones((1, 2, 2, 4), np.float32)).shape
    (1, 2, 2, 4)
    """

    def __init__(
        self, body: Layer, shortcut: Layer | None = None, *, activation: str | None = None
    ) -> None:
        self.body = body
        self.shortcut = Identity() if shortcut is None else shortcut
        self.activation = check_activation(activation)
        super().__init__({"body": self.body, "shortcut": self.shortcut})

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y; body(x) and shortcut(x) must have one shape."""
        with self.named_errors("shortcut"):
            around = self.shortcut.forward(x, training)
        if self.body.adds_residual():  # a pass less over y
            forward: Callable[..., FloatArray] = self.body.forward
            with self.named_errors("body"):
                y = forward(x, training, residual=around, activation=self.activation)
        else:
            with self.named_errors("body"):
                through = self.body.forward(x, training)
            _expect_one_shape(through.shape, around.shape)
            y = functional.add(through, around, activation=self.activation)
        if training:
            self._save(y if self.activation else None)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send dy through both ways; dx is the sum of what comes back."""
        (y,) = self._take_saved()
        dy = functional.add_grad_input(dy, activation=self.activation, y=y)
        with self.named_errors("body"):
            through = self.body.backward(dy, input_grad=input_grad)
        with self.named_errors("shortcut"):
            around = self.shortcut.backward(dy, input_grad=input_grad)
        if through is None or around is None:
            return None
        return functional.add(through, around)

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the body's output shape."""
        with self.named_errors("body"):
            through = self.body.output_shape(input_shape)
        with self.named_errors("shortcut"):
            around = self.shortcut.output_shape(input_shape)
        _expect_one_shape(through, around)
        return through

    def __repr__(self) -> str:
        return call_text(
            "Residual",
            self.body,
            **({} if isinstance(self.shortcut, Identity) else {"shortcut": (self.shortcut, None)}),
            activation=(self.activation, None),
        )


def _expect_one_shape(body: tuple[int, ...], shortcut: tuple[int, ...]) -> None:
    if body != shortcut:
        raise ValueError(
            f"body returns shape {body} and shortcut {shortcut}, expected the same: "
            "give the body padding, or the shortcut a 1x1 convolution with the body's stride"
        )
