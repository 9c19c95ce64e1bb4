"""Files that are kept during a training: checkpoints to go on from, and the best weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.callbacks.callback import Callback
from rot180.callbacks.monitor import Monitor, expect_figure
from rot180.geometry import positive_int
from rot180.io import PathLike, model_tensors, save_weights
from rot180.optim import ExponentialMovingAverage
from rot180.training.checkpoint import (
    checkpoint_path,
    checkpoints_in,
    read_checkpoint,
    remove_abandoned,
)

if TYPE_CHECKING:
    from rot180.training.trainer import Trainer


class Checkpoints(Callback):
    """Writes checkpoints into a folder and keeps the last ones, for `Trainer.resume`.

    One is written every so many steps or epochs, and when Ctrl-C ends the training. None is
    written of a model with a NaN or an infinity in it. The files are called
    ``checkpoint-000000120.safetensors`` after 120 steps. Each appears under its name when it is
    whole and on the disk; only then is the oldest one removed.

    Parameters
    ----------
    folder
        Made if it does not exist.
    every_steps
        Optimizer steps from one checkpoint to the next.
    every_epochs
        Epochs from one checkpoint to the next; 1 if neither of the two is given.
    keep
        How many checkpoints stay in the folder; None keeps all.

    Raises
    ------
    ValueError
        If an option is out of range. In `fit`, if the folder has checkpoints of later steps than
        the training begins with, which it would mix up with its own.
    OSError
        If a file cannot be written; the checkpoints before it are untouched.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, rot180
    >>> from rot180.callbacks import Checkpoints
    >>> def train(folder, epochs):
    ...     model = rot180.Sequential([rot180.Linear(2, 1, rng=np.random.default_rng(0))])
    ...     adam = rot180.optim.Adam(model.parameters())
    ...     trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
    ...     trainer.resume(folder, missing_ok=True)
    ...     x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    ...     return trainer.fit(x, y, epochs=epochs, callbacks=[Checkpoints(folder)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     stopped = train(folder, epochs=2)  # what it has done by the time it is killed
    ...     resumed = train(folder, epochs=5)
    ...     resumed["loss"][:2] == stopped["loss"], resumed.epochs
    (True, 5)
    """

    last = True

    def __init__(
        self,
        folder: PathLike,
        *,
        every_steps: int | None = None,
        every_epochs: int | None = None,
        keep: int | None = 3,
    ) -> None:
        self.folder = Path(folder)
        if every_steps is None and every_epochs is None:
            every_epochs = 1
        for name, number in (
            ("every_steps", every_steps),
            ("every_epochs", every_epochs),
            ("keep", keep),
        ):
            if number is not None:
                positive_int(name, number)
        self.every_steps = every_steps
        self.every_epochs = every_epochs
        self.keep = keep

    def on_train_begin(self, trainer: Trainer) -> None:
        """Make the folder, and see that it is this training's."""
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(self.folder)
        now = trainer.optimizer.step_count
        for step, path in checkpoints_in(self.folder).items():
            if step > now and _loads(path):
                raise ValueError(
                    f"{path} was written after {step} steps, and this training begins after {now}: "
                    f"call trainer.resume({str(self.folder)!r}) first to go on from there, or "
                    "give it a folder of its own"
                )

    def on_train_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Write a checkpoint every so many steps."""
        if self.every_steps and trainer.optimizer.step_count % self.every_steps == 0:
            self._write(trainer)

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Write a checkpoint every so many epochs."""
        if self.every_epochs and epoch % self.every_epochs == 0:
            self._write(trainer)

    def on_interrupt(self, trainer: Trainer) -> None:
        """Write a checkpoint before the training ends."""
        self._write(trainer)

    def _write(self, trainer: Trainer) -> None:
        if not all(np.isfinite(array).all() for array in model_tensors(trainer.model).values()):
            return
        step = trainer.optimizer.step_count
        trainer.save_checkpoint(checkpoint_path(self.folder, step))
        if self.keep is not None:
            older = [path for at, path in checkpoints_in(self.folder).items() if at <= step]
            for path in older[: -self.keep]:
                path.unlink(missing_ok=True)


class BestCheckpoint(Callback):
    """Keeps the weights of the best epoch so far in a file, for `rot180.io.load_weights`.

    Parameters
    ----------
    path
        The file, replaced whenever the figure has become better.
    monitor
        The figure, by its name in the history.
    mode
        ``"min"`` or ``"max"``: what is better. ``"auto"`` is ``"max"`` for accuracies and
        ``"min"`` for losses and errors.
    average
        Keep the averaged weights instead of the model's own, see `MovingAverage`.
    metadata
        Strings to keep beside the weights.

    Raises
    ------
    ValueError
        If `mode` is unknown; in `fit`, if the training has no such figure.
    OSError
        If the file cannot be written; one that was there before is untouched.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([rot180.Linear(2, 1)])
    >>> adam = rot180.optim.Adam(model.parameters())
    >>> trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
    >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "best.safetensors"
    ...     best = rot180.callbacks.BestCheckpoint(path, "loss")
    ...     history = trainer.fit(x, y, epochs=2, callbacks=[best])
    ...     rot180.io.load_weights(path, model)
    """

    def __init__(
        self,
        path: PathLike,
        monitor: str = "val_loss",
        *,
        mode: str = "auto",
        average: ExponentialMovingAverage | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        self.path = Path(path)
        self.average = average
        self.metadata = dict(metadata or {})
        self._monitor = Monitor(monitor, mode)

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget an earlier training."""
        expect_figure(self._monitor.name, trainer.history)
        self._monitor.best = None

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the weights if the figure is better than ever before."""
        if self._monitor.improved(logs):
            with nullcontext() if self.average is None else self.average.applied():
                save_weights(self.path, trainer.model, self.metadata)

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure."""
        return self._monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._monitor.load_state_dict(state)


def _loads(path: Path) -> bool:
    try:
        read_checkpoint(path)
    except (ValueError, OSError):
        return False
    return True
