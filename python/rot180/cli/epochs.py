"""What ``rot180 train`` does around each epoch: progress, files."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rot180 import io
from rot180.callbacks import Callback
from rot180.training.trainer import Trainer

# Drawn after the last epoch.
PICTURES = ("curves.png", "confusion.png")


class EpochKeeper(Callback):
    """Shows the progress, and after each epoch prints a line and saves the weights and figures.

    A training that goes on from a checkpoint must have the same settings as before.
    """

    def __init__(
        self,
        out: Path,
        metadata: Mapping[str, str],
        settings: Mapping[str, str],
        epochs: int,
        steps: int,
    ) -> None:
        from tqdm import tqdm

        self.weights = out / "weights.safetensors"
        self.table = out / "history.csv"
        self._metadata = metadata
        self._settings = dict(settings)
        self._epochs = epochs
        self._saved_epochs = 0
        # disable=None: only on a terminal.
        self._bar = tqdm(total=steps, unit="step", leave=False, disable=None)
        self._width = max(5, len(f"{epochs}/{epochs}"))
        self._print(f"{'epoch':<{self._width}}    loss  accuracy  val loss  val accuracy  seconds")

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        """Take over what a checkpoint held of the progress."""
        self._bar.update(trainer.optimizer.step_count - self._bar.n)

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
        io.save_weights(self.weights, trainer.model, self._metadata)
        trainer.history.to_csv(self.table)
        self._saved_epochs = epoch
        number = f"{epoch}/{self._epochs}"
        self._print(
            f"{number:>{self._width}}"
            f"  {_loss(logs['loss']):>6}  {100 * logs['accuracy']:6.2f} %"
            f"  {_loss(logs['val_loss']):>8}  {100 * logs['val_accuracy']:10.2f} %"
            f"  {logs['seconds']:7.2f}"
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the settings and what has been saved."""
        return {"settings": self._settings, "saved_epochs": self._saved_epochs}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned.

        Raises
        ------
        ValueError
            If the settings were others.
        """
        before = state["settings"]
        for name, now in self._settings.items():
            if before.get(name) != now:
                option = name if name == "kind" else f"--{name.replace('_', '-')}"
                raise ValueError(
                    f"--resume goes on with {option} {before.get(name)}, got {option} {now}"
                )
        self._saved_epochs = state["saved_epochs"]

    def kept(self) -> str:
        """Say what of this run is on the disk."""
        if not self._saved_epochs:
            return "no weights were saved before the end of the first epoch"
        return f"{self.weights} holds the weights after epoch {self._saved_epochs}"

    def close(self) -> None:
        """Take the bar away, so that the terminal is as it was."""
        self._bar.close()

    def _print(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)
        sys.stdout.flush()


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if loss < 10 else f"{loss:.3g}"
