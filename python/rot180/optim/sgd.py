"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from collections.abc import Iterable

from rot180 import functional
from rot180.arguments import FloatArray, real_number
from rot180.layers import Parameter
from rot180.optim.optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent; momentum as PyTorch defines it.

    For each entry p with gradient g::

        p -= lr * g                                                 without momentum
        velocity = momentum * velocity + g;  p -= lr * velocity     with momentum
        velocity likewise;  p -= lr * (g + momentum * velocity)     with nesterov

    Parameters
    ----------
    parameters
        For example ``model.parameters()``; each of them once.
    lr
        Learning rate, at least 0.
    momentum
        In [0, 1).
    nesterov
        Needs momentum greater than 0.
    weight_decay
        At least 0. Coupled (the default): g += weight_decay * p, which is L2 regularisation.
    decoupled
        p -= lr * weight_decay * p instead, before the update.
    clip_value, clip_norm
        Clip the gradients before each step, see `clip_grad_value` and `clip_grad_norm`.

    Attributes
    ----------
    velocity : list of array
        One for each parameter, of its shape and dtype; none without momentum.

    Raises
    ------
    ValueError
        If an option is out of its range, or `parameters` is empty or has one twice.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> p = rot180.Parameter(np.array([1.0]), "weight")
    >>> sgd = rot180.optim.SGD([p], lr=0.5, momentum=0.5)
    >>> p.accumulate(np.array([1.0]))
    >>> sgd.step(); p.value.tolist()
    [0.5]
    >>> sgd.step(); p.value.tolist()  # velocity = 0.5 * 1 + 1
    [-0.25]
    """

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(parameters, lr, clip_value=clip_value, clip_norm=clip_norm)
        self.momentum = real_number("momentum", momentum, below=1.0)
        if nesterov and not momentum:
            raise ValueError("nesterov=True needs momentum greater than 0")
        self.nesterov = nesterov
        self.weight_decay = real_number("weight_decay", weight_decay)
        self.decoupled = decoupled
        self.state_names = ("velocity",) if momentum else ()
        self.velocity = self._zeros() if momentum else []

    def _update(self, values: list[FloatArray], grads: list[FloatArray], step: int) -> None:
        functional.sgd_step(
            values,
            grads,
            self.velocity if self.momentum else None,
            lr=self.lr,
            momentum=self.momentum,
            nesterov=self.nesterov,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
        )
