"""Which of the figures of an epoch is the best so far."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from rot180.arguments import real_number


class Monitor:
    """Follows one figure and tells when it is better than ever before.

    Parameters
    ----------
    name
        Of the figure, as in the history: ``"val_loss"``.
    mode
        ``"min"`` or ``"max"``: what is better. ``"auto"`` is ``"max"`` for accuracies and
        ``"min"`` for losses and errors.
    min_delta
        A change of no more than this is none.

    Attributes
    ----------
    best : float or None
        None before the first epoch.

    Raises
    ------
    ValueError
        If `mode` is another one, or ``"auto"`` cannot tell.

    Examples
    --------
    >>> from rot180.callbacks.monitor import Monitor
    >>> monitor = Monitor("val_accuracy")
    >>> [monitor.improved({"val_accuracy": figure}) for figure in (0.5, 0.7, 0.6)]
    [True, True, False]
    """

    def __init__(self, name: str, mode: str = "auto", min_delta: float = 0.0) -> None:
        self.name = name
        self.mode = _mode(name) if mode == "auto" else mode
        if self.mode not in ("min", "max"):
            raise ValueError(f'mode={mode!r} is unknown: expected "auto", "min" or "max"')
        self.min_delta = real_number("min_delta", min_delta)
        self.best: float | None = None

    def improved(self, logs: Mapping[str, float]) -> bool:
        """Whether this epoch's figure is the best so far; NaN never is."""
        figure = logs[self.name]
        if math.isnan(figure):
            return False
        if self.best is not None:
            gain = self.best - figure if self.mode == "min" else figure - self.best
            if not gain > self.min_delta:
                return False
        self.best = float(figure)
        return True

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep."""
        return {"best": self.best}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        best = state["best"]
        self.best = None if best is None else float(best)


def expect_figure(name: str, names: Iterable[str]) -> None:
    """Raise ValueError unless a figure is one that the training will have."""
    found = list(names)
    if name not in found:
        hint = ": pass validation_data to fit" if name.startswith("val_") else ""
        raise ValueError(f"monitor={name!r} is not among the figures {found}{hint}")


def _mode(name: str) -> str:
    if name.endswith("accuracy"):
        return "max"
    if name.endswith(("loss", "error")):
        return "min"
    raise ValueError(f'whether {name!r} is better small or large is not known: pass mode="min"')
