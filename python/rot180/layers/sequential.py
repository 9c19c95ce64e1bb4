"""Layers one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rot180.arguments import FloatArray
from rot180.layers.layer import Layer, Parameter


class Sequential(Layer):
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
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                hint = f": write {layer.__name__}()" if isinstance(layer, type) else ""
                raise TypeError(f"layers[{index}] is {layer!r}, expected a layer{hint}")
        self._check_each_once()
        for name, parameter in self.named_parameters().items():
            parameter.name = name

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute the last layer's y from the first layer's x."""
        for index, layer in enumerate(self.layers):
            with _naming(index, layer):
                x = layer.forward(x, training)
        return x

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Send dy back through all layers, the last one first.

        With ``input_grad=False`` it ends at the first layer that has parameters, which then leaves
        out its own dx.
        """
        first = 0 if input_grad else self._first_with_parameters()
        for index in reversed(range(first, len(self.layers))):
            layer = self.layers[index]
            with _naming(index, layer):
                dx = layer.backward(dy, input_grad=input_grad or index > first)
            if dx is None:
                break
            dy = dx
        for layer in self.layers[:first]:
            layer.release()
        return dy if input_grad else None

    def parameters(self) -> list[Parameter]:
        """Return the parameters of all layers, in order."""
        return [parameter for layer in self.layers for parameter in layer.parameters()]

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name: the layer's index, then ``"weight"`` or ``"bias"``."""
        return {
            f"{index}.{name}": parameter
            for index, layer in enumerate(self.layers)
            for name, parameter in layer.named_parameters().items()
        }

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the last layer's output shape, without the batch axis."""
        shape = tuple(input_shape)
        for index, layer in enumerate(self.layers):
            with _naming(index, layer):
                shape = layer.output_shape(shape)
        return shape

    def release(self) -> None:
        """Drop what every layer has saved."""
        for layer in self.layers:
            layer.release()

    def summary(self, input_shape: tuple[int, ...]) -> str:
        """Return a table: for each layer its output shape, without the batch axis, and parameters.

        Parameters
        ----------
        input_shape
            Shape of one sample, (H, W, C) or (C,).

        Raises
        ------
        ValueError
            If a layer does not fit the output of the one before it: names the layer.
        """
        values = [parameter.value for parameter in self.parameters()]
        total_bytes = sum(value.nbytes for value in values)
        rows = [
            ("", "layer", "output shape", "parameters"),
            ("", "input", str(tuple(input_shape)), ""),
            *self._summary_rows("", tuple(input_shape)),
            ("", f"total: {total_bytes:,} bytes", "", f"{sum(value.size for value in values):,}"),
        ]
        index, layer, shape, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(
            f"{a:<{index}}  {b:<{layer}}  {c:<{shape}}  {d:>10}".rstrip() for a, b, c, d in rows
        )

    def _summary_rows(
        self, prefix: str, shape: tuple[int, ...]
    ) -> Iterator[tuple[str, str, str, str]]:
        for index, layer in enumerate(self.layers):
            with _naming(index, layer):
                before, shape = shape, layer.output_shape(shape)
            if isinstance(layer, Sequential):
                yield from layer._summary_rows(f"{prefix}{index}.", before)
            else:
                count = sum(parameter.value.size for parameter in layer.parameters())
                yield f"{prefix}{index}", repr(layer), str(shape), f"{count:,}"

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __repr__(self) -> str:
        lines = [f"    {layer!r},".replace("\n", "\n    ") for layer in self.layers]
        return "\n".join(["Sequential([", *lines, "])"])

    def _first_with_parameters(self) -> int:
        for index, layer in enumerate(self.layers):
            if layer.parameters():
                return index
        return len(self.layers)

    def _check_each_once(self) -> None:
        places: dict[int, str] = {}
        for place, layer in self._leaves(""):
            if id(layer) in places:
                raise ValueError(
                    f"layers {places[id(layer)]} and {place} are the same {layer!r}: "
                    "make a layer for each place"
                )
            places[id(layer)] = place

    def _leaves(self, prefix: str) -> Iterator[tuple[str, Layer]]:
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Sequential):
                yield from layer._leaves(f"{prefix}{index}.")
            else:
                yield f"{prefix}{index}", layer


@contextmanager
def _naming(index: int, layer: Layer) -> Iterator[None]:
    """Put the layer's index and what it is before the message of an error that it raises."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        name = "Sequential" if isinstance(layer, Sequential) else repr(layer)
        error.args = (f"layer {index}, {name}: {error}",)
        raise
