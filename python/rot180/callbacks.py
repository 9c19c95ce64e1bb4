"""What a callback of `Trainer.fit` may do: one empty method for each moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rot180.trainer import Trainer


class Callback:
    """Base of all callbacks: override the moments that you need.

    Epochs and batches count from 1. `logs` maps names to numbers, as in `rot180.History`.

    Examples
    --------
    >>> import rot180
    >>> class HalveEveryTen(rot180.callbacks.Callback):
    ...     def on_epoch_end(self, trainer, epoch, logs):
    ...         if epoch % 10 == 0:
    ...             trainer.optimizer.lr /= 2
    """

    def on_train_begin(self, trainer: Trainer) -> None:
        """Run before the first epoch, when the data have been checked."""

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Run before the first batch of an epoch."""

    def on_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Run after each optimizer step; `logs` holds the means over the epoch so far."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Run after validation; `logs` is the epoch's entry in the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """Run after the last epoch; not after an error or Ctrl-C."""
