"""Learning rates along a cosine."""

from __future__ import annotations

import math

from rot180.arguments import real_number
from rot180.geometry import positive_int
from rot180.optim.optimizer import Optimizer
from rot180.optim.schedules.schedule import CountedSchedule


class CosineAnnealingLR(CountedSchedule):
    """Falls along a cosine: eta_min + (base_lr - eta_min) * (1 + cos(pi * count / T_max)) / 2.

    Loshchilov & Hutter (2017), "SGDR: stochastic gradient descent with warm restarts", without the
    restarts: after T_max it rises again as it fell, as PyTorch's does.

    Parameters
    ----------
    optimizer
        Its groups' learning rates are the first ones.
    T_max
        Epochs, or steps, until the rate is at its lowest: how long the training is.
    eta_min
        The lowest rate, of every group; at least 0.
    per
        ``"epoch"`` or ``"step"``: what is counted.

    Raises
    ------
    ValueError, TypeError
        If an option is out of its range.

    Examples
    --------
    >>> import rot180
    >>> sgd = rot180.optim.SGD(rot180.Linear(2, 1).parameters(), lr=1.0)
    >>> schedule = rot180.optim.schedules.CosineAnnealingLR(sgd, T_max=4)
    >>> [round(schedule.lr_at(1.0, epoch), 4) for epoch in range(5)]
    [1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803 - PyTorch's name
        eta_min: float = 0.0,
        *,
        per: str = "epoch",
    ) -> None:
        self.T_max = positive_int("T_max", T_max)
        self.eta_min = real_number("eta_min", eta_min)
        super().__init__(optimizer, per)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        share = (1 + math.cos(math.pi * count / self.T_max)) / 2
        return self.eta_min + (base_lr - self.eta_min) * share
