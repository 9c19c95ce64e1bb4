"""What a callback of `Trainer.fit` may do: one empty method for each moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rot180.training.trainer import Trainer


class Callback:
    """Base of all callbacks: override the moments that you need.

    Epochs and batches count from 1. `logs` maps names to numbers, as in `rot180.History`. A
    callback that sets ``trainer.stop_training = True`` ends the training after the epoch.

    One that keeps something from one moment to the next defines `state_dict` and
    `load_state_dict` too, so that a training that is resumed from a checkpoint goes on with it.

    Examples
    --------
    >>> import rot180
    >>> class HalveEveryTen(rot180.callbacks.Callback):
    ...     def on_epoch_end(self, trainer, epoch, logs):
    ...         if epoch % 10 == 0:
    ...             trainer.optimizer.lr /= 2
    """

    # Whether it comes after all others at each moment, so that it sees what they have done.
    last = False

    def on_train_begin(self, trainer: Trainer) -> None:
        """Run before the first epoch, when the data have been checked.

        In a training that is resumed, before the callback gets its state back.
        """

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Run before the first batch of an epoch."""

    def on_train_batch_begin(self, trainer: Trainer, epoch: int, batch: int) -> None:
        """Run before each batch."""

    def on_train_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Run after each optimizer step; `logs` holds the means over the epoch so far."""

    def on_test_begin(self, trainer: Trainer) -> None:
        """Run before the validation of an epoch."""

    def on_test_end(self, trainer: Trainer) -> None:
        """Run after the validation of an epoch, also when an error ends it."""

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Run after validation; `logs` is the epoch's entry in the history."""

    def on_train_end(self, trainer: Trainer) -> None:
        """Run after the last epoch; not after an error or Ctrl-C."""

    def on_interrupt(self, trainer: Trainer) -> None:
        """Run when Ctrl-C is about to end the training, after the step that was under way."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must keep: arrays, numbers, strings, and dicts of them."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; raise ValueError if it is something else."""
