"""Layers one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rot180.arguments import FloatArray
from rot180.layers.container import Container
from rot180.layers.fusing import fused
from rot180.layers.layer import Layer, list_text


class Sequential(Container):
    """A network: each layer takes what the one before it returns.

    An error inside it says which layer raised it.

    Parameters
    ----------
    layers
        A list of layers, each of them once. A Sequential may hold another one.

    Raises
    ------
    TypeError
        If an entry is not a layer.
    ValueError
        If a layer stands there twice: it would keep the second input only.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([
    ...     rot180.Conv2d(1, 8, 3, activation="relu"),
    ...     rot180.MaxPool2d(2),
    ...     rot180.Flatten(),
    ...     rot180.Linear(72, 10),
    ... ])
    >>> model.forward(np.ones((2, 8, 8, 1), np.float32)).shape
    (2, 10)
    >>> list(model.named_parameters())
    ['0.weight', '0.bias', '3.weight', '3.bias']
    >>> print(model.summary((8, 8, 1)))
       layer                               output shape  parameters
       input                               (8, 8, 1)
    0  Conv2d(1, 8, 3, activation='relu')  (6, 6, 8)             80
    1  MaxPool2d(2)                        (3, 3, 8)              0
    2  Flatten()                           (72,)                  0
    3  Linear(72, 10)                      (10,)                730
       total: 3,240 bytes                                       810
    """

    def __init__(self, layers: Iterable[Layer]) -> None:
        self.layers = tuple(layers)
        super().__init__({str(index): layer for index, layer in enumerate(self.layers)})

    def forward(self, x: FloatArray, training: bool = False, **last: Any) -> FloatArray:
        """Compute the last layer's y from the first layer's x.

        `last` are options of the last layer, such as the residual that it adds.
        """
        index, end = 0, len(self.layers) - 1
        try:  # around all layers: a context for each takes longer than small ones compute
            for index in range(end + 1):
                options = last if index == end else {}
                x = self.layers[index].forward(x, training, **options)
        except Exception as error:
            self.named_errors(str(index)).add_to(error)
            raise
        return x

    def adds_residual(self) -> bool:
        """Whether the last layer does; a class derived from this one may have its own forward."""
        return type(self) is Sequential and bool(self.layers) and self.layers[-1].adds_residual()

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send dy back through all layers, the last one first.

        With ``input_grad=False`` it ends at the first layer that has parameters, which then leaves
        out its own dx.
        """
        first = 0 if input_grad else self._first_with_parameters()
        index = first
        try:
            for index in reversed(range(first, len(self.layers))):
                dx = self.layers[index].backward(dy, input_grad=input_grad or index > first)
                if dx is None:
                    break
                dy = dx
        except Exception as error:
            self.named_errors(str(index)).add_to(error)
            raise
        for layer in self.layers[:first]:
            layer.release()
        return dy if input_grad else None

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the last layer's output shape, without the batch axis."""
        return self._flow(input_shape)[1]

    def input_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each layer's x: the output shape of the one before it."""
        return self._flow(input_shape)[0]

    def _fuse(self) -> None:
        super()._fuse()
        layers: list[Layer] = []
        for layer in self.layers:
            one = fused(layers[-1], layer) if layers else None
            if one:
                layers[-1] = one
            else:
                layers.append(layer)
        Sequential.__init__(self, layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __repr__(self) -> str:
        return list_text("Sequential", self.layers)

    def _first_with_parameters(self) -> int:
        for index, layer in enumerate(self.layers):
            if layer.parameters():
                return index
        return len(self.layers)

    def _flow(
        self, input_shape: tuple[int, ...]
    ) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
        """Shapes of each layer's x, and of the last one's y."""
        shapes, shape = {}, tuple(input_shape)
        for name, layer in self._children.items():
            shapes[name] = shape
            with self.named_errors(name):
                shape = layer.output_shape(shape)
        return shapes, shape
