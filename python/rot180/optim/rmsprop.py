"""RMSprop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rot180 import functional
from rot180.arguments import FloatArray, positive_number, real_number
from rot180.optim.groups import Parameters
from rot180.optim.optimizer import Optimizer, State


class RMSprop(Optimizer):
    """RMSprop as PyTorch defines it: Tieleman & Hinton (2012), Lecture 6.5.

    For each entry p with gradient g::

        v = alpha v + (1 - alpha) g**2
        p -= lr * g / (sqrt(v) + eps)                               without momentum
        velocity = momentum * velocity + g / (sqrt(v) + eps);  p -= lr * velocity     with momentum

    Centered (Graves, 2013, "Generating sequences with recurrent neural networks"), the gradient's
    variance takes the place of v: m = alpha m + (1 - alpha) g, and v - m**2 under the root.

    Parameters
    ----------
    parameters
        For example ``model.parameters()``; each of them once. Or groups with options of their own:
        see `Optimizer`.
    lr
        Learning rate, at least 0.
    alpha
        In [0, 1).
    eps
        Greater than 0.
    weight_decay
        At least 0. Coupled (the default): g += weight_decay * p, which is L2 regularisation.
    momentum
        In [0, 1).
    centered
        See above. Where a gradient hardly changes, its variance is near 0 and steps grow long.
    decoupled
        p -= lr * weight_decay * p instead, before the update.
    clip_value, clip_norm
        Clip the gradients before each step, see `clip_grad_value` and `clip_grad_norm`.

    Attributes
    ----------
    v : list of array
        One for each parameter, of its shape and dtype.
    m, velocity : list of array
        One for each parameter of the groups that are centered, and that have momentum.

    Raises
    ------
    ValueError
        If an option is out of its range, or `parameters` is empty or has one twice.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> p = rot180.Parameter(np.array([1.0, -1.0]), "weight")
    >>> rmsprop = rot180.optim.RMSprop([p], lr=0.1, alpha=0.75)
    >>> p.accumulate(np.array([0.5, -20.0]))
    >>> rmsprop.step()  # the first step is lr / sqrt(1 - alpha), whatever the size of the gradient
    >>> p.value.round(6).tolist()
    [0.8, -0.8]
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        decoupled: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "decoupled": decoupled,
        }
        super().__init__(parameters, options, clip_value=clip_value, clip_norm=clip_norm)

    @property
    def v(self) -> list[FloatArray]:  # noqa: D102 - one of the class's attributes
        return self._arrays("v")

    @property
    def m(self) -> list[FloatArray]:  # noqa: D102
        return self._arrays("m")

    @property
    def velocity(self) -> list[FloatArray]:  # noqa: D102
        return self._arrays("velocity")

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "lr": real_number("lr", options["lr"]),
            "alpha": real_number("alpha", options["alpha"], below=1.0),
            "eps": positive_number("eps", options["eps"]),
            "weight_decay": real_number("weight_decay", options["weight_decay"]),
            "momentum": real_number("momentum", options["momentum"], below=1.0),
            "centered": bool(options["centered"]),
            "decoupled": bool(options["decoupled"]),
        }

    def _kinds(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        m = ("m",) if options["centered"] else ()
        velocity = ("velocity",) if options["momentum"] else ()
        return ("v", *m, *velocity)

    def _update(
        self,
        values: list[FloatArray],
        grads: list[FloatArray],
        state: State,
        step: int,
        options: dict[str, Any],
    ) -> None:
        m, velocity = state.get("m"), state.get("velocity")
        functional.rmsprop_step(values, grads, state["v"], m, velocity, **options)
