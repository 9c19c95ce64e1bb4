"""Learning rates that fall when the training gets no better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from rot180.arguments import NumberOrMany, number_for_each, positive_number, real_number
from rot180.geometry import non_negative_int
from rot180.optim.optimizer import Optimizer
from rot180.optim.schedules.schedule import Schedule, rates_in
from rot180.optim.state import check_writer, checked_count


class ReduceLROnPlateau(Schedule):
    """lr *= factor when a metric has not become better for more than `patience` epochs.

    Parameters
    ----------
    optimizer
        Its groups' learning rates are the first ones.
    mode
        ``"min"`` or ``"max"``: what is better.
    factor
        Greater than 0 and less than 1.
    patience
        Epochs without improvement that are let pass, at least 0.
    threshold, threshold_mode
        How much better counts: ``"rel"``, than best * (1 - threshold), or with mode ``"max"``
        (1 + threshold); ``"abs"``, than best - threshold, or with mode ``"max"`` + threshold.
    cooldown
        Epochs after a reduction in which nothing counts as bad, at least 0.
    min_lr
        The lowest rate, or a list with one for each group.
    eps
        A change of no more than this is not made.

    Attributes
    ----------
    best : float or None
        The best metric so far; None before the first finite one.

    Raises
    ------
    ValueError, TypeError
        If an option is out of its range.

    Examples
    --------
    >>> import rot180
    >>> sgd = rot180.optim.SGD(rot180.Linear(2, 1).parameters(), lr=1.0)
    >>> schedule = rot180.optim.schedules.ReduceLROnPlateau(sgd, factor=0.5, patience=1)
    >>> for loss in (0.9, 0.8, 0.81, 0.82):
    ...     schedule.step(loss)
    ...     print(sgd.lr)
    1.0
    1.0
    1.0
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: NumberOrMany = 0.0,
        eps: float = 1e-8,
    ) -> None:
        super().__init__(optimizer, "epoch")
        for name, value, choices in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in choices:
                raise ValueError(f"{name}={value!r} is unknown: expected {' or '.join(choices)}")
        self.mode = mode
        self.factor = positive_number("factor", factor)
        if self.factor >= 1:
            raise ValueError(f"factor must be less than 1, got {factor}")
        self.patience = non_negative_int("patience", patience)
        self.threshold = real_number("threshold", threshold)
        self.threshold_mode = threshold_mode
        self.cooldown = non_negative_int("cooldown", cooldown)
        self.min_lrs = number_for_each("min_lr", min_lr, len(optimizer.groups), "group")
        self.eps = real_number("eps", eps)
        self.best: float | None = None
        self._bad_epochs = 0
        self._cooling = 0

    def step(self, metric: float | None = None) -> None:
        """Take notice of an epoch's metric, and lower the learning rates if it is time.

        Parameters
        ----------
        metric
            A number; NaN and infinities are never better.

        Raises
        ------
        TypeError
            If it is not a number.
        """
        if metric is None:
            raise TypeError("ReduceLROnPlateau.step needs the epoch's metric, got None")
        number = float(metric)
        if self._is_better(number):
            self.best = number
            self._bad_epochs = 0
        else:
            self._bad_epochs += 1
        if self._cooling:
            self._cooling -= 1
            self._bad_epochs = 0
        if self._bad_epochs > self.patience:
            self._reduce()
            self._cooling = self.cooldown
            self._bad_epochs = 0

    def state_dict(self) -> dict[str, Any]:
        """Return ``"best"``, ``"bad_epochs"``, ``"cooling"`` and the groups' ``"lrs"``."""
        return {
            "schedule": type(self).__name__,
            "best": self.best,
            "bad_epochs": self._bad_epochs,
            "cooling": self._cooling,
            "lrs": [group["lr"] for group in self.optimizer.groups],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned, and set the learning rates.

        Raises
        ------
        ValueError, TypeError
            If the state is another schedule's, or of another number of groups, or damaged.
        """
        check_writer(state, "schedule", type(self).__name__)
        best = state.get("best")
        if best is not None:
            best = real_number("the state's 'best'", best, smallest=-math.inf)
        bad_epochs, cooling = checked_count(state, "bad_epochs"), checked_count(state, "cooling")
        lrs = rates_in(state, "lrs", self.optimizer)
        self.best, self._bad_epochs, self._cooling = best, bad_epochs, cooling
        for group, lr in zip(self.optimizer.groups, lrs, strict=True):
            group["lr"] = lr

    def _is_better(self, metric: float) -> bool:
        if self.best is None or not math.isfinite(metric):
            return math.isfinite(metric)
        sign = 1 if self.mode == "max" else -1
        margin = self.threshold * (self.best if self.threshold_mode == "rel" else 1)
        return sign * metric > sign * (self.best + sign * margin)

    def _reduce(self) -> None:
        for group, lowest in zip(self.optimizer.groups, self.min_lrs, strict=True):
            lr = max(group["lr"] * self.factor, lowest)
            if group["lr"] - lr > self.eps:
                group["lr"] = lr
