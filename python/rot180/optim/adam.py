"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable

from rot180 import functional
from rot180.arguments import FloatArray, adam_betas, real_number
from rot180.layers import Parameter
from rot180.optim.clip import check_positive
from rot180.optim.optimizer import Optimizer


class Adam(Optimizer):
    """Adam: Kingma & Ba (2015), "Adam: a method for stochastic optimization", Algorithm 1.

    For each entry p with gradient g, at step t = 1, 2, ... (one t for the whole model)::

        m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g**2
        p -= lr * (m / (1 - b1**t)) / (sqrt(v / (1 - b2**t)) + eps)

    Parameters
    ----------
    parameters
        For example ``model.parameters()``; each of them once.
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

    state_names = ("m", "v")

    def __init__(
        self,
        parameters: Iterable[Parameter],
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
        super().__init__(parameters, lr, clip_value=clip_value, clip_norm=clip_norm)
        check_positive("eps", eps)
        self.betas = adam_betas(betas)
        self.eps = eps
        self.weight_decay = real_number("weight_decay", weight_decay)
        self.decoupled = decoupled
        self.eps_hat = eps_hat
        self.m = self._zeros()
        self.v = self._zeros()

    def _update(self, values: list[FloatArray], grads: list[FloatArray], step: int) -> None:
        functional.adam_step(
            values,
            grads,
            self.m,
            self.v,
            step=step,
            lr=self.lr,
            betas=self.betas,
            eps=self.eps,
            weight_decay=self.weight_decay,
            decoupled=self.decoupled,
            eps_hat=self.eps_hat,
        )
