"""Figures of a training written down as it goes: a table, TensorBoard, a picture."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rot180.arguments import real_number
from rot180.callbacks.callback import Callback
from rot180.io import PathLike
from rot180.training.progress import in_notebook

if TYPE_CHECKING:
    from rot180.training.trainer import Trainer


class CSVLogger(Callback):
    """Keeps the history in a CSV file, with a row more after every epoch.

    The file is replaced each time, so that it is whole at any moment; in a training that is
    resumed it holds the epochs before as well.

    Parameters
    ----------
    path
        The file, see `rot180.History.to_csv`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([rot180.Linear(2, 1)])
    >>> adam = rot180.optim.Adam(model.parameters())
    >>> trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
    >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "log.csv"
    ...     log = rot180.callbacks.CSVLogger(path)
    ...     history = trainer.fit(x, y, epochs=2, callbacks=[log])
    ...     path.read_text().splitlines()[0]
    'epoch,loss,seconds'
    """

    def __init__(self, path: PathLike) -> None:
        self.path = Path(path)

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the table anew."""
        trainer.history.to_csv(self.path)


class TensorBoard(Callback):
    """Writes the figures of every epoch and the learning rate of its last step for TensorBoard.

    Look at them with ``tensorboard --logdir FOLDER``. A figure and its ``val_`` twin share a
    chart. In a training that is resumed, later epochs that were written before are hidden.

    Parameters
    ----------
    folder
        Where the event files go; made if it does not exist.

    Raises
    ------
    ImportError
        In `fit`, if tensorboardX is not installed.

    Examples
    --------
    >>> import rot180
    >>> board = rot180.callbacks.TensorBoard("run/board")  # one of fit's callbacks
    """

    def __init__(self, folder: PathLike) -> None:
        self.folder = Path(folder)
        self._writers: dict[str, Any] = {}
        self._make_writer: Any = None
        self._lr = 0.0

    def on_train_begin(self, trainer: Trainer) -> None:
        """See that tensorboardX is there before the training rather than after an epoch."""
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise ImportError(
                'TensorBoard needs tensorboardX: pip install "rot180[tensorboard]"'
            ) from error
        self._make_writer = SummaryWriter
        self._lr = trainer.optimizer.lr

    def on_train_batch_begin(self, trainer: Trainer, epoch: int, batch: int) -> None:
        """Note the learning rate before a schedule changes it."""
        self._lr = trainer.optimizer.lr

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Write the epoch's figures to the disk."""
        for name, figure in logs.items():
            held_out = name.startswith("val_")
            writer = self._writer("validation" if held_out else "training", epoch)
            writer.add_scalar(name[len("val_") :] if held_out else name, figure, epoch)
        self._writer("training", epoch).add_scalar("learning_rate", self._lr, epoch)
        for writer in self._writers.values():
            writer.flush()

    def on_train_end(self, trainer: Trainer) -> None:
        """Close the files."""
        self._close()

    def on_interrupt(self, trainer: Trainer) -> None:
        """Close the files."""
        self._close()

    def _writer(self, run: str, epoch: int) -> Any:
        if run not in self._writers:
            # Files are named after the second: with the epoch too, none overwrites another one.
            self._writers[run] = self._make_writer(
                str(self.folder / run), purge_step=epoch, filename_suffix=f".{epoch}"
            )
        return self._writers[run]

    def _close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers = {}


class LivePlot(Callback):
    """A picture of the curves that is drawn anew as the training goes; in a notebook, in place.

    Parameters
    ----------
    path
        The PNG file, replaced each time, see `rot180.History.plot`.
    every_seconds
        It is drawn after an epoch if the last time was so long ago, and at the end.

    Raises
    ------
    ImportError
        In `fit`, if Matplotlib is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([rot180.Linear(2, 1)])
    >>> adam = rot180.optim.Adam(model.parameters())
    >>> trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
    >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "curves.png"
    ...     plot = rot180.callbacks.LivePlot(path)
    ...     history = trainer.fit(x, y, epochs=2, callbacks=[plot])
    ...     path.exists()
    True
    """

    def __init__(self, path: PathLike = "curves.png", every_seconds: float = 2.0) -> None:
        self.path = Path(path)
        self.every_seconds = real_number("every_seconds", every_seconds)
        self._drawn = 0
        self._time = 0.0
        self._display: Any = None

    def on_train_begin(self, trainer: Trainer) -> None:
        """Begin a picture of its own in a notebook."""
        self._drawn = 0
        self._display = None

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Draw the curves, unless it was done just now."""
        if not self._drawn or time.monotonic() - self._time >= self.every_seconds:
            self._draw(trainer)

    def on_train_end(self, trainer: Trainer) -> None:
        """Draw the last epochs too."""
        self._draw(trainer)

    def on_interrupt(self, trainer: Trainer) -> None:
        """Draw the last epochs too."""
        self._draw(trainer)

    def _draw(self, trainer: Trainer) -> None:
        epochs = trainer.history.epochs
        if epochs == self._drawn:
            return
        trainer.history.plot(self.path)
        self._drawn, self._time = epochs, time.monotonic()
        if in_notebook():
            from IPython.display import Image, display

            picture = Image(filename=str(self.path))
            if self._display is None:
                self._display = display(picture, display_id=True)
            else:
                self._display.update(picture)
