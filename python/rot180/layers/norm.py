"""Normalisation layers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import (
    FloatArray,
    check_activation,
    expect_shape,
    float_dtype,
    real_number,
    running_momentum,
)
from rot180.geometry import positive_int
from rot180.layers.layer import Layer, Parameter, call_text, image_shape


class BatchNorm2d(Layer):
    """y = g((x - mean) / sqrt(var + eps) * weight + bias), channel by channel, for x (N, H, W, C).

    In training, mean and variance are the batch's own, and the running ones move towards them; else
    they are the running ones. Formulas in `rot180.functional.batch_norm_training`.

    Parameters
    ----------
    num_features
        C.
    eps
        Keeps a channel without variance from a division by zero.
    momentum
        The share of the batch in the running statistics, as in PyTorch; in TensorFlow and Keras it
        is the share that stays, 1 - momentum.
    affine
        Whether there are a weight, ones at first, and a bias, zeros at first.
    activation
        g, computed in the same pass; as in `Conv2d`.
    dtype
        float32 or float64.

    Attributes
    ----------
    weight, bias : Parameter or None
        (C,).
    running_mean, running_var : array
        (C,); zeros and ones at first. The variance is the unbiased one, as in PyTorch. They are
        buffers: kept with the weights, not trained.

    Raises
    ------
    ValueError, TypeError
        If an argument is wrong. In training, if there is one pixel alone: N * H * W = 1.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> norm = rot180.BatchNorm2d(1, activation="relu", dtype=np.float64)
    >>> x = np.array([1.0, 2.0, 3.0, 6.0]).reshape(1, 2, 2, 1)
    >>> norm.forward(x, training=True).round(2).ravel().tolist()
    [0.0, 0.0, 0.0, 1.6]
    >>> norm.running_mean.round(2).tolist(), norm.running_var.round(2).tolist()
    ([0.3], [1.37])
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        activation: str | None = None,
        dtype: npt.DTypeLike = np.float32,
    ) -> None:
        self.num_features = positive_int("num_features", num_features)
        self.eps = real_number("eps", eps)
        self.momentum = running_momentum(momentum)
        self.activation = check_activation(activation)

        dtype = float_dtype(dtype)
        self.weight = Parameter(np.ones(self.num_features, dtype), "weight") if affine else None
        self.bias = Parameter(np.zeros(self.num_features, dtype), "bias") if affine else None
        self.running_mean: FloatArray = np.zeros(self.num_features, dtype)
        self.running_var: FloatArray = np.ones(self.num_features, dtype)

    def forward(
        self,
        x: FloatArray,
        training: bool = False,
        *,
        residual: FloatArray | None = None,
        activation: str | None = None,
    ) -> FloatArray:
        """Compute y, of x's shape.

        A `Residual` that ends with this layer gives what is added to y and the activation after
        the sum, so that both are done in the same pass. Its `backward` begins with theirs.
        """
        self._check_channels(x)
        if self.activation and (residual is not None or activation):
            raise ValueError(
                f"the layer has activation={self.activation!r}, and a residual and its activation "
                "come after a norm without one: give the activation to Residual instead"
            )
        activation = activation or self.activation
        if not training:
            return functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                *self._affine(),
                eps=self.eps,
                residual=residual,
                activation=activation,
            )
        y, mean, inv_std = functional.batch_norm_training(
            x,
            *self._affine(),
            running_mean=self.running_mean,
            running_var=self.running_var,
            momentum=self.momentum,
            eps=self.eps,
            residual=residual,
            activation=activation,
        )
        self._save(x, mean, inv_std)
        return y

    def adds_residual(self) -> bool:
        """Whether `forward` takes a residual: if no activation comes between.

        A class derived from this one may have a forward of its own.
        """
        return type(self) is BatchNorm2d and self.activation is None

    def backward(self, dy: FloatArray, *, input_grad: bool = True) -> FloatArray | None:
        """Add dw and db to the parameters' ``grad`` and return dx, of x's shape."""
        x, mean, inv_std = self._take_saved()
        expect_shape("dy", dy, x.shape, "the shape of y")
        arguments = (mean, inv_std, *self._affine())
        dw, db = np.empty_like(mean), np.empty_like(mean)
        dx = None
        if input_grad:
            dx = functional.batch_norm_grad_input(
                dy, x, *arguments, activation=self.activation, weight_out=dw, bias_out=db
            )
        else:
            dw = functional.batch_norm_grad_weight(
                x, dy, *arguments, activation=self.activation, bias_out=db
            )
        if self.weight and self.bias:
            self.weight.accumulate(dw)
            self.bias.accumulate(db)
        return dx

    def parameters(self) -> list[Parameter]:
        """Return the weight and the bias, if there are any."""
        return [self.weight, self.bias] if self.weight and self.bias else []

    def named_buffers(self) -> dict[str, FloatArray]:
        """Return the running statistics."""
        return {"running_mean": self.running_mean, "running_var": self.running_var}

    def output_shape(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return `input_shape`, (H, W, C)."""
        shape = image_shape(input_shape)
        if shape[2] != self.num_features:
            raise ValueError(
                f"input_shape is {shape}, expected (H, W, {self.num_features}): "
                f"num_features={self.num_features}"
            )
        return shape

    def __repr__(self) -> str:
        return call_text(
            "BatchNorm2d",
            self.num_features,
            eps=(self.eps, 1e-5),
            momentum=(self.momentum, 0.1),
            affine=(self.weight is not None, True),
            activation=(self.activation, None),
        )

    def _affine(self) -> tuple[FloatArray | None, FloatArray | None]:
        return (
            self.weight.value if self.weight else None,
            self.bias.value if self.bias else None,
        )

    def _check_channels(self, x: FloatArray) -> None:
        if x.ndim not in (3, 4) or x.shape[-1] != self.num_features:
            nchw = x.ndim == 4 and x.shape[1] == self.num_features
            raise ValueError(
                f"x has shape {x.shape}, expected (N, H, W, {self.num_features}) "
                f"or one image (H, W, {self.num_features})"
                + (": x looks like NCHW, pass numpy.moveaxis(x, 1, -1)" if nchw else "")
            )
