"""Stochastic gradient descent, plain or with momentum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rot180 import functional
from rot180.arguments import FloatArray, real_number
from rot180.optim.groups import Parameters
from rot180.optim.optimizer import Optimizer, State


class SGD(Optimizer):
    """Stochastic gradient descent; momentum as PyTorch defines it.

    For each entry p with gradient g::

        p -= lr * g                                                 without momentum
        velocity = momentum * velocity + g;  p -= lr * velocity     with momentum
        velocity likewise;  p -= lr * (g + momentum * velocity)     with nesterov

    Parameters
    ----------
    parameters
        For example ``model.parameters()``; each of them once. Or groups with options of their own:
        see `Optimizer`.
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
        One for each parameter of the groups that have momentum, of its shape and dtype.

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
        parameters: Parameters,
        lr: float,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
            "decoupled": decoupled,
        }
        super().__init__(parameters, options, clip_value=clip_value, clip_norm=clip_norm)

    @property
    def velocity(self) -> list[FloatArray]:  # noqa: D102 - one of the class's attributes
        return self._arrays("velocity")

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        momentum = real_number("momentum", options["momentum"], below=1.0)
        if options["nesterov"] and not momentum:
            raise ValueError("nesterov=True needs momentum greater than 0")
        return {
            "lr": real_number("lr", options["lr"]),
            "momentum": momentum,
            "nesterov": bool(options["nesterov"]),
            "weight_decay": real_number("weight_decay", options["weight_decay"]),
            "decoupled": bool(options["decoupled"]),
        }

    def _kinds(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("velocity",) if options["momentum"] else ()

    def _update(
        self,
        values: list[FloatArray],
        grads: list[FloatArray],
        state: State,
        step: int,
        options: dict[str, Any],
    ) -> None:
        functional.sgd_step(values, grads, state.get("velocity"), **options)
