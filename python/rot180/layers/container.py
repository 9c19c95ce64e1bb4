"""What every layer that is made of layers does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import TypeVar

import numpy as np

from rot180.arguments import FloatArray
from rot180.layers.layer import Layer, Parameter

Kept = TypeVar("Kept")
Model = TypeVar("Model", bound="Container")


class Container(Layer):
    """A layer made of layers: it hands on what they hold, each under its name and a dot.

    A container of your own passes its layers by name and defines `forward`, `backward` and
    `output_shape`. Inside `named_errors`, an error says which layer raised it.

    Parameters
    ----------
    children
        The layers by name, each of them once.

    Raises
    ------
    TypeError
        If one of them is not a layer.
    ValueError
        If a layer is there twice: it would keep the second input only.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> class Scaled(rot180.Container):  # y = 3 f(x)
    ...     def __init__(self, f):
    ...         super().__init__({"f": f})
    ...         self.f = f
    ...
    ...     def forward(self, x, training=False):
    ...         with self.named_errors("f"):
    ...             return 3 * self.f.forward(x, training)
    ...
    ...     def backward(self, dy, *, input_grad=True):
    ...         with self.named_errors("f"):
    ...             return self.f.backward(3 * dy, input_grad=input_grad)
    ...
    ...     def output_shape(self, input_shape):
    ...         return self.f.output_shape(input_shape)
    >>> list(Scaled(rot180.Linear(4, 2)).named_parameters())
    ['f.weight', 'f.bias']
    """

    def __init__(self, children: Mapping[str, Layer]) -> None:
        self._children = dict(children)
        for name, layer in self._children.items():
            if not isinstance(layer, Layer):
                hint = f": write {layer.__name__}()" if isinstance(layer, type) else ""
                raise TypeError(f"layer {name} is {layer!r}, expected a layer{hint}")
        self._named_errors = {
            name: NamedErrors(name, layer) for name, layer in self._children.items()
        }
        self._check_each_once()
        self._name_parameters()

    def children(self) -> dict[str, Layer]:
        """Return the layers by name."""
        return dict(self._children)

    def parameters(self) -> list[Parameter]:
        """Return the parameters of all layers, in order."""
        return [parameter for layer in self._children.values() for parameter in layer.parameters()]

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name: the layer's, then ``"weight"`` or ``"bias"``."""
        return self._named(lambda layer: layer.named_parameters())

    def named_buffers(self) -> dict[str, FloatArray]:
        """Return what the layers keep with the weights, named as `named_parameters` does."""
        return self._named(lambda layer: layer.named_buffers())

    def named_generators(self) -> dict[str, np.random.Generator]:
        """Return the random generators of the layers, named as `named_parameters` does."""
        return self._named(lambda layer: layer.named_generators())

    def release(self) -> None:
        """Drop what every layer has saved."""
        super().release()
        for layer in self._children.values():
            layer.release()

    def fuse(self: Model) -> Model:
        """Return a copy for inference, with fewer layers; this model stays as it is.

        Wherever one follows the other in a `Sequential`, however deep, a `BatchNorm2d` is folded
        into the `Conv2d` or `ConvTranspose2d` before it, and an activation into the layer before
        it that can apply it. y is what ``forward(x)`` returned before, within rounding.

        The copy is an ordinary model, with weights and names of its own: fuse after the weights are
        loaded, not before. It can be trained, but no longer normalises.

        Examples
        --------
        >>> import rot180
        >>> layers = [rot180.Conv2d(3, 8, 3, bias=False), rot180.BatchNorm2d(8), rot180.ReLU()]
        >>> rot180.Sequential(layers).fuse()
        Sequential([
            Conv2d(3, 8, 3, activation='relu'),
        ])
        """
        model = copy.deepcopy(self)
        model.release()
        model.zero_grad()
        model._fuse()
        model._name_parameters()
        return model

    def _fuse(self) -> None:
        """Fuse what can be, inside the layers that this one is made of."""
        for layer in self._children.values():
            if isinstance(layer, Container):
                layer._fuse()

    def leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """Go through the layers that are made of no others, with their names from the top."""
        for name, layer in self._children.items():
            if isinstance(layer, Container):
                yield from layer.leaves(f"{prefix}{name}.")
            else:
                yield f"{prefix}{name}", layer

    def input_shapes(self, input_shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
        """Return the shape of each layer's x, without the batch axis: `input_shape` for all."""
        return dict.fromkeys(self._children, tuple(input_shape))

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
        name, layer, shape, _ = (max(map(len, column)) for column in zip(*rows, strict=True))
        return "\n".join(
            f"{a:<{name}}  {b:<{layer}}  {c:<{shape}}  {d:>10}".rstrip() for a, b, c, d in rows
        )

    def named_errors(self, name: str) -> NamedErrors:
        """Put a layer's name and what it is before the message of an error that it raises."""
        return self._named_errors[name]

    def _summary_rows(
        self, prefix: str, input_shape: tuple[int, ...]
    ) -> Iterator[tuple[str, str, str, str]]:
        shapes = self.input_shapes(input_shape)
        for name, layer in self._children.items():
            with self.named_errors(name):
                shape = layer.output_shape(shapes[name])
            if isinstance(layer, Container):
                yield f"{prefix}{name}", type(layer).__name__, str(shape), ""
                yield from layer._summary_rows(f"{prefix}{name}.", shapes[name])
            else:
                count = sum(parameter.value.size for parameter in layer.parameters())
                yield f"{prefix}{name}", repr(layer), str(shape), f"{count:,}"

    def _named(self, kept: Callable[[Layer], Mapping[str, Kept]]) -> dict[str, Kept]:
        return {
            f"{prefix}.{name}": value
            for prefix, layer in self._children.items()
            for name, value in kept(layer).items()
        }

    def _name_parameters(self) -> None:
        for name, parameter in self.named_parameters().items():
            parameter.name = name

    def _check_each_once(self) -> None:
        places: dict[int, str] = {}
        for place, layer in self.leaves():
            if id(layer) in places:
                raise ValueError(
                    f"layers {places[id(layer)]} and {place} are the same {layer!r}: "
                    "make a layer for each place"
                )
            places[id(layer)] = place


class NamedErrors:
    """A context that puts a layer's name and what it is before the message of an error in it."""

    def __init__(self, name: str, layer: Layer) -> None:
        self._name = name
        self._layer = layer

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.add_to(error)

    def add_to(self, error: BaseException) -> None:
        """Put them before the message of one error."""
        if isinstance(error, TypeError | ValueError | RuntimeError):
            layer = self._layer
            what = type(layer).__name__ if isinstance(layer, Container) else repr(layer)
            error.args = (f"layer {self._name}, {what}: {error}",)
