"""Learning rates that fall by a factor now and then."""

from __future__ import annotations

from collections.abc import Sequence

from rot180.arguments import positive_number
from rot180.geometry import positive_int
from rot180.optim.optimizer import Optimizer
from rot180.optim.schedules.schedule import CountedSchedule


class StepLR(CountedSchedule):
    """Falls at equal distances: base_lr * gamma ** (count // step_size).

    Parameters
    ----------
    optimizer
        Its groups' learning rates are the first ones.
    step_size
        Epochs, or steps, at one rate.
    gamma
        Greater than 0.
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
    >>> schedule = rot180.optim.schedules.StepLR(sgd, step_size=2, gamma=0.5)
    >>> [schedule.lr_at(1.0, epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, *, per: str = "epoch"
    ) -> None:
        self.step_size = positive_int("step_size", step_size)
        self.gamma = positive_number("gamma", gamma)
        super().__init__(optimizer, per)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        return base_lr * self.gamma ** (count // self.step_size)


class MultiStepLR(CountedSchedule):
    """Falls at given milestones: base_lr * gamma ** (the number of those that are reached).

    Parameters
    ----------
    optimizer
        Its groups' learning rates are the first ones.
    milestones
        Epochs, or steps, after which the rate falls; one that is there twice counts twice.
    gamma
        Greater than 0.
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
    >>> schedule = rot180.optim.schedules.MultiStepLR(sgd, [2, 3], gamma=0.5)
    >>> [schedule.lr_at(1.0, epoch) for epoch in range(5)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Sequence[int],
        gamma: float = 0.1,
        *,
        per: str = "epoch",
    ) -> None:
        if not isinstance(milestones, list | tuple):
            raise TypeError(f"milestones must be a list of int, got {milestones!r}")
        self.milestones = tuple(
            positive_int(f"milestones[{i}]", milestone) for i, milestone in enumerate(milestones)
        )
        self.gamma = positive_number("gamma", gamma)
        super().__init__(optimizer, per)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        return base_lr * self.gamma ** sum(count >= milestone for milestone in self.milestones)


class ExponentialLR(CountedSchedule):
    """Falls each time: base_lr * gamma ** count.

    Parameters
    ----------
    optimizer
        Its groups' learning rates are the first ones.
    gamma
        Greater than 0.
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
    >>> schedule = rot180.optim.schedules.ExponentialLR(sgd, gamma=0.5)
    >>> [schedule.lr_at(1.0, epoch) for epoch in range(4)]
    [1.0, 0.5, 0.25, 0.125]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, *, per: str = "epoch") -> None:
        self.gamma = positive_number("gamma", gamma)
        super().__init__(optimizer, per)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        return base_lr * self.gamma**count
