"""Learning rates along a straight line, alone and before another schedule."""

from __future__ import annotations

from rot180.arguments import real_number
from rot180.geometry import positive_int
from rot180.optim.optimizer import Optimizer
from rot180.optim.schedules.schedule import CountedSchedule


class LinearLR(CountedSchedule):
    """Goes straight from start_factor * base_lr to end_factor * base_lr, and stays there.

    Parameters
    ----------
    optimizer
        Its groups' learning rates are those of a factor of 1.
    start_factor, end_factor
        At least 0. From 1 to 0 is a linear decay.
    total_iters
        Epochs, or steps, on the way.
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
    >>> schedule = rot180.optim.schedules.LinearLR(sgd, 1.0, 0.0, total_iters=4)
    >>> [schedule.lr_at(1.0, epoch) for epoch in range(6)]
    [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        *,
        per: str = "epoch",
    ) -> None:
        self.start_factor = real_number("start_factor", start_factor)
        self.end_factor = real_number("end_factor", end_factor)
        self.total_iters = positive_int("total_iters", total_iters)
        super().__init__(optimizer, per)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        return base_lr * _factor(self.start_factor, self.end_factor, self.total_iters, count)


class LinearWarmup(CountedSchedule):
    """Rises straight to where another schedule begins, then does as that one.

    factor * schedule.lr_at(base_lr, 0), with a factor from start_factor to 1 for so many epochs or
    steps, then schedule.lr_at(base_lr, count - warmup). It is PyTorch's
    ``SequentialLR([LinearLR(total_iters=warmup), schedule], [warmup])``.

    Parameters
    ----------
    schedule
        Call the warm-up's `step` only, not this one's.
    warmup
        Epochs or steps, whichever the schedule counts.
    start_factor
        At least 0.

    Raises
    ------
    ValueError, TypeError
        If an option is out of its range, or the schedule does not follow from a count alone
        (`ReduceLROnPlateau`), or has a warm-up of its own (`OneCycleLR`).

    Examples
    --------
    >>> import rot180
    >>> from rot180.optim.schedules import CosineAnnealingLR, LinearWarmup
    >>> sgd = rot180.optim.SGD(rot180.Linear(2, 1).parameters(), lr=1.0)
    >>> cosine = CosineAnnealingLR(sgd, T_max=2, per="step")
    >>> schedule = LinearWarmup(cosine, 4, start_factor=0.0)
    >>> [schedule.lr_at(1.0, step) for step in range(7)]
    [0.0, 0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(self, schedule: CountedSchedule, warmup: int, start_factor: float = 1 / 3) -> None:
        if not isinstance(schedule, CountedSchedule) or not schedule.can_be_warmed_up:
            raise TypeError(
                f"schedule is {type(schedule).__name__}, expected one that follows from its count "
                "alone and has no warm-up of its own, such as CosineAnnealingLR"
            )
        self.schedule = schedule
        self.warmup = positive_int("warmup", warmup)
        self.start_factor = real_number("start_factor", start_factor)
        super().__init__(schedule.optimizer, schedule.per, schedule.base_lrs)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`."""
        after = max(0, count - self.warmup)
        factor = _factor(self.start_factor, 1.0, self.warmup, count)
        return factor * self.schedule.lr_at(base_lr, after)


def _factor(start: float, end: float, steps: int, count: int) -> float:
    return start + (end - start) * min(count, steps) / steps
