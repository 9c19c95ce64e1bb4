"""What every schedule does: step, save its state and take it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

from rot180.arguments import number_for_each
from rot180.optim.optimizer import Optimizer
from rot180.optim.state import check_writer, checked_count

PERS = ("epoch", "step")


class Schedule(ABC):
    """Changes an optimizer's learning rates in the course of a training.

    Attributes
    ----------
    optimizer : Optimizer
    per : str
        When `step` is to be called: ``"step"``, after each step of the optimizer, or ``"epoch"``,
        after each epoch.
    """

    def __init__(self, optimizer: Optimizer, per: str) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"optimizer is {type(optimizer).__name__}, expected one of rot180.optim"
            )
        if per not in PERS:
            raise ValueError(f'per={per!r} is unknown: expected "epoch" or "step"')
        self.optimizer = optimizer
        self.per = per

    @abstractmethod
    def step(self, metric: float | None = None) -> None:
        """Set the learning rates of the step, or the epoch, that comes next.

        Parameters
        ----------
        metric
            What `ReduceLROnPlateau` watches; no other schedule looks at it.
        """

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what the schedule remembers, to be written as JSON.

        Its options are not in it: build the new schedule with the same ones.
        """

    @abstractmethod
    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned, and set the learning rates.

        Raises
        ------
        ValueError, TypeError
            If the state is another schedule's, or of another number of groups, or damaged.
        """


class CountedSchedule(Schedule):
    """A schedule whose learning rates follow from the number of its steps alone.

    One of your own defines `lr_at`, and calls this ``__init__`` at the end of its own.

    Parameters
    ----------
    optimizer
        Its groups' learning rates are set at once, to those of a count of 0.
    per
        ``"epoch"`` or ``"step"``.
    base_lrs
        For each group the learning rate that `lr_at` starts from; None takes those that it has.

    Attributes
    ----------
    base_lrs : list of float
    count : int
        Calls of `step` so far.

    Examples
    --------
    >>> import rot180
    >>> from rot180.optim.schedules import CountedSchedule
    >>> class InverseSquareRoot(CountedSchedule):
    ...     def lr_at(self, base_lr, count):
    ...         return base_lr / (1 + count) ** 0.5
    >>> sgd = rot180.optim.SGD(rot180.Linear(2, 1).parameters(), lr=6.0)
    >>> schedule = InverseSquareRoot(sgd)
    >>> for _ in range(3):
    ...     schedule.step()
    >>> sgd.lr
    3.0
    """

    # Whether LinearWarmup may come before it.
    can_be_warmed_up = True

    def __init__(
        self, optimizer: Optimizer, per: str = "epoch", base_lrs: Sequence[float] | None = None
    ) -> None:
        super().__init__(optimizer, per)
        if base_lrs is None:
            base_lrs = [group["lr"] for group in optimizer.groups]
        self.base_lrs = list(base_lrs)
        self.count = 0
        self._set()

    @abstractmethod
    def lr_at(self, base_lr: float, count: int) -> float:
        """Return a group's learning rate after `count` calls of `step`: a function of these two."""

    def step(self, metric: float | None = None) -> None:
        """Set the learning rates of the step, or the epoch, that comes next."""
        self.count += 1
        self._set()

    def state_dict(self) -> dict[str, Any]:
        """Return ``"schedule"``, the class's name, ``"count"`` and ``"base_lrs"``."""
        return {
            "schedule": type(self).__name__,
            "count": self.count,
            "base_lrs": list(self.base_lrs),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned, and set the learning rates.

        Raises
        ------
        ValueError, TypeError
            If the state is another schedule's, or of another number of groups, or damaged.
        """
        check_writer(state, "schedule", type(self).__name__)
        count, base_lrs = checked_count(state, "count"), rates_in(state, "base_lrs", self.optimizer)
        self.count, self.base_lrs = count, base_lrs
        self._set()

    def _set(self) -> None:
        for group, base_lr in zip(self.optimizer.groups, self.base_lrs, strict=True):
            group["lr"] = self.lr_at(base_lr, self.count)


def rates_in(state: Mapping[str, Any], name: str, optimizer: Optimizer) -> list[float]:
    """Return a state's learning rates, one for each group of the optimizer."""
    found = state.get(name)
    if not isinstance(found, list | tuple):
        raise ValueError(f"the state's {name!r} is {found!r}, expected a list of numbers")
    return number_for_each(f"the state's {name!r}", found, len(optimizer.groups), "group")
