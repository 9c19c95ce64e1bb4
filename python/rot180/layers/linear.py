"""The fully connected layer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import FloatArray, check_activation, expect_shape, float_dtype
from rot180.geometry import positive_int
from rot180.init import Initializer, default_initializer, initial_weight
from rot180.layers.layer import Layer, Parameter, call_text


class Linear(Layer):
    """y = g(x @ weight + bias), for batches x (N, C) to y (N, K).

    Parameters
    ----------
    in_features, out_features
        C and K.
    bias, activation, initializer, rng, dtype
        As in `Conv2d`.

    Attributes
    ----------
    weight : Parameter
        (C, K).
    bias : Parameter or None
        (K,).

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> linear = rot180.Linear(3, 2)
    >>> linear.weight.value = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    >>> linear.forward(np.array([[1, 2, 3]], np.float32), training=True).tolist()
    [[4.0, 5.0]]
    >>> linear.backward(np.array([[1, 10]], np.float32)).tolist()
    [[1.0, 10.0, 11.0]]
    >>> linear.weight.grad.tolist()
    [[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        activation: str | None = None,
        initializer: Initializer | None = None,
        rng: np.random.Generator | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.in_features = positive_int("in_features", in_features)
        self.out_features = positive_int("out_features", out_features)
        self.activation = check_activation(activation)

        dtype = float_dtype(dtype)
        shape = (self.in_features, self.out_features)
        initializer = initializer or default_initializer(self.activation)
        self.weight = Parameter(initial_weight(initializer, shape, rng, dtype), "weight")
        self.bias = Parameter(np.zeros(self.out_features, dtype), "bias") if bias else None

    def forward(self, x: FloatArray, training: bool = False) -> FloatArray:
        """Compute y (N, K) from x (N, C)."""
        y = functional.linear(
            x,
            self.weight.value,
            self.bias.value if self.bias else None,
            activation=self.activation,
        )
        if training:
            self._save(x, y.shape, y if self.activation else None)
        return y

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add dw and db to the parameters' ``grad`` and return dx (N, C)."""
        x, output_shape, y = self._take_saved()
        expect_shape("dy", dy, output_shape, "the shape of y")
        db = np.empty_like(self.bias.value) if self.bias else None
        dw = functional.linear_grad_weight(x, dy, activation=self.activation, y=y, bias_out=db)
        self.weight.accumulate(dw)
        if self.bias and db is not None:
            self.bias.accumulate(db)
        if not input_grad:
            return None
        return functional.linear_grad_input(dy, self.weight.value, activation=self.activation, y=y)

    def parameters(self) -> list[Parameter]:
        """Return the weight, and the bias if there is one."""
        return [self.weight, self.bias] if self.bias else [self.weight]

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return (K,) for x of shape (C,)."""
        if tuple(input_shape) != (self.in_features,):
            hint = ": put Flatten() before Linear" if len(input_shape) == 3 else ""
            raise ValueError(
                f"input_shape is {tuple(input_shape)}, expected ({self.in_features},){hint}"
            )
        return (self.out_features,)

    def __repr__(self) -> str:
        return call_text(
            "Linear",
            self.in_features,
            self.out_features,
            bias=(self.bias is not None, True),
            activation=(self.activation, None),
        )
