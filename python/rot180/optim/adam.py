"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rot180 import functional
from rot180.arguments import FloatArray, adam_betas, positive_number, real_number
from rot180.optim.groups import Parameters
from rot180.optim.optimizer import Optimizer, State


class Adam(Optimizer):
    """Adam: Kingma & Ba (2015), "Adam: a method for stochastic optimization", Algorithm 1.

    For each entry p with gradient g, at step t = 1, 2, ... (one t for the whole model)::

        m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g**2
        p -= lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    Parameters
    ----------
    parameters
        For example ``model.parameters()``; each of them once. Or groups with options of their own:
        see `Optimizer`.
    lr
        Learning rate, at least 0.
    betas
        (b1, b2), each in [0, 1).
    eps
        Greater than 0.
    weight_decay
        At least 0. Coupled (the default): g += weight_decay * p.
    decoupled
        AdamW: p -= lr * weight_decay * p instead, before the update (Loshchilov & Hutter, 2019).
    eps_hat
        Add eps before the bias correction, as Keras and ONNX do.
    clip_value, clip_norm
        Clip the gradients before each step, see `clip_grad_value` and `clip_grad_norm`.

    Attributes
    ----------
    m, v : list of array
        One for each parameter, of its shape and dtype.

    Raises
    ------
    ValueError
        If an option is out of its range, or `parameters` is empty or has one twice.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> p = rot180.Parameter(np.array([1.0, -1.0]), "weight")
    >>> adam = rot180.optim.Adam([p], lr=0.1)
    >>> p.accumulate(np.array([0.5, -20.0]))
    >>> adam.step()  # the first step is lr, whatever the size of the gradient
    >>> p.value.round(6).tolist()
    [0.9, -0.9]
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
        eps_hat: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        options = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "decoupled": decoupled,
            "eps_hat": eps_hat,
        }
        super().__init__(parameters, options, clip_value=clip_value, clip_norm=clip_norm)

    @property
    def m(self) -> list[FloatArray]:  # noqa: D102 - one of the class's attributes
        return self._arrays("m")

    @property
    def v(self) -> list[FloatArray]:  # noqa: D102
        return self._arrays("v")

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "lr": real_number("lr", options["lr"]),
            "betas": adam_betas(options["betas"]),
            "eps": positive_number("eps", options["eps"]),
            "weight_decay": real_number("weight_decay", options["weight_decay"]),
            "decoupled": bool(options["decoupled"]),
            "eps_hat": bool(options["eps_hat"]),
        }

    def _kinds(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        return ("m", "v")

    def _update(
        self,
        values: list[FloatArray],
        grads: list[FloatArray],
        state: State,
        step: int,
        options: dict[str, Any],
    ) -> None:
        functional.adam_step(values, grads, state["m"], state["v"], step=step, **options)


class AdamW(Adam):
    """Adam with decoupled weight decay: ``Adam(..., decoupled=True)``, with PyTorch's default.

    Loshchilov & Hutter (2019), "Decoupled weight decay regularization". Each step first takes
    lr * weight_decay * p off the parameter, then is that of `Adam`.

    Parameters
    ----------
    parameters, lr, betas, eps, eps_hat, clip_value, clip_norm
        As in `Adam`.
    weight_decay
        At least 0.

    Attributes
    ----------
    m, v : list of array
        One for each parameter, of its shape and dtype.

    Raises
    ------
    ValueError, TypeError
        As in `Adam`.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> p = rot180.Parameter(np.array([1.0]), "weight")
    >>> adamw = rot180.optim.AdamW([p], lr=0.1, weight_decay=0.5)
    >>> adamw.step()  # no gradient: the decay alone
    >>> p.value.tolist()
    [0.95]
    """

    def __init__(
        self,
        parameters: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        eps_hat: bool = False,
        clip_value: float | None = None,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(
            parameters,
            lr,
            betas,
            eps,
            weight_decay,
            decoupled=True,
            eps_hat=eps_hat,
            clip_value=clip_value,
            clip_norm=clip_norm,
        )
