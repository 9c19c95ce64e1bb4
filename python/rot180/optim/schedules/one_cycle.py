"""One cycle of the learning rate, up and down."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from rot180.arguments import NumberOrMany, number_for_each, positive_number, real_number
from rot180.geometry import positive_int
from rot180.optim.optimizer import Optimizer
from rot180.optim.schedules.schedule import CountedSchedule


class OneCycleLR(CountedSchedule):
    """Up to max_lr and down to almost nothing, while the momentum goes down and up again.

    Smith & Topin (2018), "Super-convergence: very fast training of neural networks using large
    learning rates". The rate goes from max_lr / div_factor to max_lr within pct_start of the steps,
    then to max_lr / div_factor / final_div_factor; in three phases back to where it began first.

    Parameters
    ----------
    optimizer
        Any; one without ``momentum`` and ``betas`` needs ``cycle_momentum=False``.
    max_lr
        The highest rate, or a list with one for each group; None takes the groups' own.
    total_steps
        Steps in the whole training: the batches of an epoch times the epochs.
    pct_start
        Share of the steps on the way up, from 0 to 1.
    anneal_strategy
        ``"cos"`` or ``"linear"``: the curve between.
    cycle_momentum
        Whether to let ``momentum``, or the first of ``betas``, go from max_momentum to
        base_momentum and back.
    base_momentum, max_momentum
        Greater than 0 and less than 1.
    div_factor, final_div_factor
        Greater than 0.
    three_phase
        Come down as one went up, and only then on to almost nothing.
    per
        ``"step"`` or ``"epoch"``: what is counted.

    Raises
    ------
    ValueError, TypeError
        If an option is out of its range, or the optimizer has no momentum to cycle. In `step`: more
        than total_steps have been taken.

    Examples
    --------
    >>> import rot180
    >>> adam = rot180.optim.Adam(rot180.Linear(2, 1).parameters())
    >>> schedule = rot180.optim.schedules.OneCycleLR(adam, max_lr=1.0, total_steps=10)
    >>> [round(schedule.lr_at(1.0, step), 2) for step in range(10)]
    [0.04, 0.52, 1.0, 0.95, 0.81, 0.61, 0.39, 0.19, 0.05, 0.0]
    """

    can_be_warmed_up = False

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: NumberOrMany | None = None,
        *,
        total_steps: int,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float = 0.85,
        max_momentum: float = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        per: str = "step",
    ) -> None:
        self.total_steps = positive_int("total_steps", total_steps)
        self.pct_start = real_number("pct_start", pct_start)
        if self.pct_start > 1:
            raise ValueError(f"pct_start must be at most 1, got {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ValueError(
                f'anneal_strategy={anneal_strategy!r} is unknown: expected "cos" or "linear"'
            )
        self.anneal_strategy = anneal_strategy
        for name, momentum in (("base_momentum", base_momentum), ("max_momentum", max_momentum)):
            if real_number(name, momentum, below=1.0) == 0:
                raise ValueError(f"{name} must be greater than 0, got {momentum}")
        self.base_momentum, self.max_momentum = float(base_momentum), float(max_momentum)
        self.div_factor = positive_number("div_factor", div_factor)
        self.final_div_factor = positive_number("final_div_factor", final_div_factor)
        self.three_phase = bool(three_phase)
        self.cycle_momentum = bool(cycle_momentum)
        if self.three_phase and self.pct_start > 0.5:
            raise ValueError(f"three_phase=True needs pct_start of at most 0.5, got {pct_start}")
        if self.cycle_momentum and not all(map(_has_momentum, optimizer.groups)):
            raise ValueError(
                "cycle_momentum=True needs an optimizer with momentum: build it with momentum "
                f"greater than 0, such as {self.max_momentum:g}, or pass cycle_momentum=False"
            )
        if max_lr is not None:
            max_lr = number_for_each("max_lr", max_lr, len(optimizer.groups), "group")
        super().__init__(optimizer, per, max_lr)

    def lr_at(self, base_lr: float, count: int) -> float:
        """Return the learning rate after `count` calls of `step`; base_lr is the highest."""
        first = base_lr / self.div_factor
        last = first / self.final_div_factor
        return self._between([first, base_lr, *[first] * self.three_phase, last], count)

    def momentum_at(self, count: int) -> float:
        """Return the momentum after `count` calls of `step`."""
        most, least = self.max_momentum, self.base_momentum
        return self._between([most, least, most, *[most] * self.three_phase], count)

    def _between(self, values: list[float], count: int) -> float:
        """Return where the curve through these values is, one for each end of a phase."""
        if count > self.total_steps:
            raise ValueError(
                f"step was called {count} times, expected at most total_steps={self.total_steps}"
            )
        begin = 0.0
        for (first, last), end in zip(pairwise(values), self._ends(), strict=True):
            if count <= end:
                share = (count - begin) / (end - begin) if end > begin else 1.0
                if self.anneal_strategy == "linear":
                    return first + (last - first) * share
                return last + (first - last) * (1 + math.cos(math.pi * share)) / 2
            begin = end
        return values[-1]  # after the last step

    def _ends(self) -> list[float]:
        """Return the step at which each phase ends."""
        rise, last = self.pct_start * self.total_steps - 1, self.total_steps - 1.0
        return [rise, 2 * rise, last] if self.three_phase else [rise, last]

    def _set(self) -> None:
        super()._set()
        if not self.cycle_momentum:
            return
        momentum = self.momentum_at(self.count)
        for group in self.optimizer.groups:
            if "betas" in group:
                group["betas"] = (momentum, group["betas"][1])
            else:
                group["momentum"] = momentum


def _has_momentum(group: Mapping[str, Any]) -> bool:
    return "betas" in group or bool(group.get("momentum"))
