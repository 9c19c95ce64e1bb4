"""Ending a training that gets no better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rot180.callbacks.callback import Callback
from rot180.callbacks.monitor import Monitor, expect_figure
from rot180.geometry import positive_int
from rot180.io import model_tensors

if TYPE_CHECKING:
    from rot180.training.trainer import Trainer


class EarlyStopping(Callback):
    """Ends the training when a figure has not become better for some epochs.

    Parameters
    ----------
    monitor
        The figure, by its name in the history.
    patience
        Epochs without improvement after which the training ends.
    min_delta
        A change of no more than this is none.
    mode
        ``"min"`` or ``"max"``: what is better. ``"auto"`` is ``"max"`` for accuracies and
        ``"min"`` for losses and errors.
    restore_best_weights
        When the training ends, early or not, give the model back the parameters and buffers of its
        best epoch.

    Attributes
    ----------
    best_epoch : int
        0 before the first one.

    Raises
    ------
    ValueError
        If an option is out of range; in `fit`, if the training has no such figure.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> x = np.zeros((4, 2))  # nothing to learn
    >>> model = rot180.Sequential([rot180.Linear(2, 1, dtype=np.float64)])
    >>> sgd = rot180.optim.SGD(model.parameters(), lr=0.1)
    >>> trainer = rot180.Trainer(model, sgd, rot180.losses.MeanSquaredError())
    >>> stop = rot180.callbacks.EarlyStopping("loss", patience=2)
    >>> trainer.fit(x, np.zeros((4, 1)), epochs=100, callbacks=[stop]).epochs
    3
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        patience: int = 1,
        *,
        min_delta: float = 0.0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ) -> None:
        self._monitor = Monitor(monitor, mode, min_delta)
        self.patience = positive_int("patience", patience)
        self.restore_best_weights = restore_best_weights
        self.best_epoch = 0
        self._weights: dict[str, npt.NDArray[Any]] = {}

    def on_train_begin(self, trainer: Trainer) -> None:
        """Forget an earlier training."""
        expect_figure(self._monitor.name, trainer.history)
        self._monitor.best = None
        self.best_epoch = 0
        self._weights = {}

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Compare the figure with the best one."""
        if self._monitor.improved(logs):
            self.best_epoch = epoch
            if self.restore_best_weights:
                self._keep(trainer)
        elif epoch - self.best_epoch >= self.patience:
            trainer.stop_training = True

    def on_train_end(self, trainer: Trainer) -> None:
        """Give the model its best weights back, if so asked."""
        own = model_tensors(trainer.model)
        for name, weights in self._weights.items():
            np.copyto(own[name], weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the best figure, its epoch, and its weights if they are kept."""
        return {
            **self._monitor.state_dict(),
            "best_epoch": self.best_epoch,
            "weights": self._weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self._monitor.load_state_dict(state)
        self.best_epoch = int(state["best_epoch"])
        self._weights = dict(state["weights"])

    def _keep(self, trainer: Trainer) -> None:
        self._weights = {name: array.copy() for name, array in model_tensors(trainer.model).items()}
