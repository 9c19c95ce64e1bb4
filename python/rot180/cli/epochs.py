"""What ``rot180 train`` does around each epoch: learning rate, progress, files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from rot180 import io
from rot180.callbacks import Callback
from rot180.history import History
from rot180.layers import Sequential
from rot180.trainer import Trainer

# Drawn after the last epoch.
PICTURES = ("curves.png", "confusion.png")


class LinearDecay(Callback):
    """Let the learning rate fall evenly towards 0, a step each epoch."""

    def __init__(self, lr: float, epochs: int) -> None:
        self.lr = lr
        self.epochs = epochs

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Set the rate of this epoch."""
        trainer.optimizer.lr = self.lr * (1 - (epoch - 1) / self.epochs)


class EpochKeeper(Callback):
    """Shows the progress, and after each epoch prints a line and saves the weights and figures."""

    def __init__(
        self, out: Path, model: Sequential, metadata: Mapping[str, str], epochs: int, steps: int
    ) -> None:
        from tqdm import tqdm

        self.weights = out / "weights.safetensors"
        self.table = out / "history.csv"
        self.history = History()
        self._model = model
        self._metadata = metadata
        self._epochs = epochs
        # disable=None: only on a terminal.
        self._bar = tqdm(total=steps, unit="step", leave=False, disable=None)
        self._width = max(5, len(f"{epochs}/{epochs}"))
        self._print(f"{'epoch':<{self._width}}    loss  accuracy  val loss  val accuracy  seconds")

    def on_train_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Move the bar."""
        self._bar.update()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Save the weights, then the figures, then print the line that says so."""
        if epoch == 1:  # pictures of an earlier run would not belong to these weights
            for name in PICTURES:
                (self.weights.parent / name).unlink(missing_ok=True)
        io.save_weights(self.weights, self._model, self._metadata)
        self.history.append(logs)
        self.history.to_csv(self.table)
        number = f"{epoch}/{self._epochs}"
        self._print(
            f"{number:>{self._width}}"
            f"  {_loss(logs['loss']):>6}  {100 * logs['accuracy']:6.2f} %"
            f"  {_loss(logs['val_loss']):>8}  {100 * logs['val_accuracy']:10.2f} %"
            f"  {logs['seconds']:7.2f}"
        )

    def kept(self) -> str:
        """Say what of this run is on the disk."""
        if not self.history.epochs:
            return "nothing was saved before the end of the first epoch"
        return f"{self.weights} holds the weights after epoch {self.history.epochs}"

    def close(self) -> None:
        """Take the bar away, so that the terminal is as it was."""
        self._bar.close()

    def _print(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)
        sys.stdout.flush()


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if loss < 10 else f"{loss:.3g}"
