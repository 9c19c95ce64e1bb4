"""What every layer is: forward, backward, and the parameters that are trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, float_dtype


class Layer(ABC):
    """A function of a batch that knows how to send a gradient back through itself.

    ``y = layer.forward(x, training=True)`` saves what the backward pass needs. Then
    ``dx = layer.backward(dy)`` takes dy = dL/dy, adds dL/dparameter to the ``grad`` of each
    parameter, and returns dx = dL/dx. x is a batch (N, ...); layers that take images also take one
    image (H, W, C), as `rot180.functional` does, up to `Flatten` and `Linear`, which need the batch
    axis. x and y are kept without a copy: change neither in place between forward and backward.

    A layer of your own defines `forward`, `backward`, `output_shape`, and of `parameters`,
    `named_buffers` and `named_generators` those that it has; one made of layers is a `Container`:

    Examples
    --------
    >>> import numpy as np, rot180
    >>> class Square(rot180.Layer):
    ...     def forward(self, x, training=False):
    ...         if training:
    ...             self._save(x)
    ...         return x * x
    ...
    ...     def backward(self, dy, *, input_grad=True):
    ...         (x,) = self._take_saved()
    ...         return 2 * x * dy if input_grad else None
    ...
    ...     def output_shape(self, input_shape):
    ...         return input_shape
    >>> square = Square()
    >>> square.forward(np.array([[3.0, -4.0]]), training=True).tolist()
    [[9.0, 16.0]]
    >>> square.backward(np.ones((1, 2))).tolist()
    [[6.0, -8.0]]
    """

    _saved: tuple[Any, ...] | None = None

    @abstractmethod
    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y. With ``training=True``, also save what `backward` needs.

        Parameters
        ----------
        x
            A batch, (N, ...). A layer with parameters takes their dtype only.
        training
            False saves nothing.
        """

    @abstractmethod
    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add the gradients of the parameters to their ``grad`` and compute dx.

        Releases what ``forward(x, training=True)`` saved: each backward needs its own forward.

        Parameters
        ----------
        dy
            dL/dy, shaped like y.
        input_grad
            False returns None and leaves out the work for dx, which the first layer of a network
            need not do.

        Raises
        ------
        RuntimeError
            If there was no ``forward(x, training=True)`` before.
        """

    @abstractmethod
    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of y for that shape of x, both without the batch axis."""

    def adds_residual(self) -> bool:
        """Whether `forward` takes ``residual`` and ``activation`` and returns g(y + residual)."""
        return False

    def children(self) -> dict[str, Layer]:
        """Return the layers that this one is made of, by name; {} if it is made of none."""
        return {}

    def parameters(self) -> list[Parameter]:
        """Return the arrays that are trained, in a fixed order."""
        return []

    def named_parameters(self) -> dict[str, Parameter]:
        """Return the parameters by name: ``"weight"``, ``"bias"``."""
        return {parameter.local_name: parameter for parameter in self.parameters()}

    def named_buffers(self) -> dict[str, FloatArray]:
        """Return the arrays that are kept with the weights but not trained: running means.

        They change in place, so that each stays the same array.
        """
        return {}

    def named_generators(self) -> dict[str, np.random.Generator]:
        """Return the random generators that ``forward(x, training=True)`` draws from."""
        return {}

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def release(self) -> None:
        """Drop what ``forward(x, training=True)`` saved, where no backward will follow."""
        self._saved = None

    def _save(self, *needed: Any) -> None:
        self._saved = needed

    def _take_saved(self) -> tuple[Any, ...]:
        saved, self._saved = self._saved, None
        if saved is None:
            raise RuntimeError(
                "backward(dy) needs what forward(x, training=True) saves: call it first, "
                "once before each backward"
            )
        return saved


class Parameter:
    """An array that is trained, together with its gradient.

    Parameters
    ----------
    value
        The first value, float32 or float64; copied.
    name
        ``"weight"`` or ``"bias"``; a `Container` puts the layer's name before it: ``"0.weight"``.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.Parameter(np.ones(2), "weight")
    >>> w.grad.tolist()
    [0.0, 0.0]
    >>> w.accumulate(np.array([1.0, 2.0]))
    >>> w.accumulate(np.array([10.0, 20.0]))
    >>> w.grad.tolist()
    [11.0, 22.0]
    """

    def __init__(self, value: npt.ArrayLike, name: str) -> None:
        self.name = name
        self._value: FloatArray = np.array(value, order="C")
        self._grad: FloatArray | None = None
        float_dtype(self._value.dtype)

    @property
    def value(self) -> FloatArray:
        """The array itself; assigning copies into it, so it keeps its shape, dtype and identity."""
        return self._value

    @value.setter
    def value(self, value: FloatArray) -> None:
        self._check("value", value)
        np.copyto(self._value, value)

    @property
    def grad(self) -> FloatArray:
        """Gradient dL/dvalue, summed since the last `zero_grad`; zeros if nothing came since."""
        if self._grad is None:
            self._grad = np.zeros_like(self._value)
        return self._grad

    @grad.setter
    def grad(self, gradient: FloatArray) -> None:
        self._check("grad", gradient)
        np.copyto(self.grad, gradient)

    def accumulate(self, gradient: FloatArray) -> None:
        """Add a gradient. The first one after `zero_grad` is kept without a copy: give it away."""
        if self._grad is None and _is_like(gradient, self._value):
            self._grad = gradient  # the usual case, told apart in haste
            return
        self._check("gradient", gradient)
        if self._grad is None:
            self._grad = np.require(gradient, self._value.dtype, ["C", "A", "W"])
        else:
            self._grad += gradient

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self._grad = None

    @property
    def local_name(self) -> str:
        """The name without the prefix that a `Container` has put before it."""
        return self.name.rpartition(".")[2]

    def __repr__(self) -> str:
        return f"Parameter({self.name!r}, shape={self._value.shape}, dtype={self._value.dtype})"

    def _check(self, what: str, array: FloatArray) -> None:
        if not isinstance(array, np.ndarray) or not np.can_cast(
            array.dtype, self._value.dtype, casting="equiv"
        ):
            found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise TypeError(
                f"{self.name}: {what} must be an array of dtype {self._value.dtype}, got {found}"
            )
        if array.shape != self._value.shape:
            raise ValueError(
                f"{self.name}: {what} must have shape {self._value.shape}, got {array.shape}"
            )


def _is_like(array: FloatArray, value: FloatArray) -> bool:
    """Whether the array has the value's shape and dtype and can be changed where it lies."""
    return (
        type(array) is np.ndarray
        and array.dtype is value.dtype
        and array.shape == value.shape
        and array.flags.carray
    )


def image_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (H, W, C) as given to `output_shape`, or raise ValueError if it is no such shape."""
    if len(input_shape) != 3:
        hint = ": leave out the batch axis" if len(input_shape) == 4 else ""
        raise ValueError(f"input_shape is {tuple(input_shape)}, expected (H, W, C){hint}")
    height, width, channels = input_shape
    return height, width, channels


def list_text(name: str, layers: Iterable[Layer]) -> str:
    """Write ``name([layers])``, a line each."""
    lines = [f"    {layer!r},".replace("\n", "\n    ") for layer in layers]
    return "\n".join([f"{name}([", *lines, "])"])


def call_text(name: str, *arguments: object, **options: tuple[object, object]) -> str:
    """Write ``name(arguments, option=value)``; an option is (value, default), left out if equal."""
    shown = [repr(argument) for argument in arguments]
    shown += [f"{key}={value!r}" for key, (value, default) in options.items() if value != default]
    return f"{name}({', '.join(shown)})"
