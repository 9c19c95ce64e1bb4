"""What happens around each step of the optimizer: schedules, and averages of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from rot180.callbacks.callback import Callback
from rot180.callbacks.monitor import expect_figure
from rot180.optim import ExponentialMovingAverage
from rot180.optim.schedules import ReduceLROnPlateau, Schedule

if TYPE_CHECKING:
    from rot180.training.trainer import Trainer


class LearningRateSchedule(Callback):
    """Lets a schedule of `rot180.optim.schedules` step, after each step or each epoch.

    Parameters
    ----------
    schedule
        Built with the optimizer of the training. When it is to step, it says itself.
    monitor
        The figure that `ReduceLROnPlateau` looks at, by its name in the history; no other schedule
        needs one.

    Raises
    ------
    TypeError
        If `schedule` is something else.
    ValueError
        If `ReduceLROnPlateau` is given without `monitor`; in `fit`, if the schedule is of another
        optimizer, or the training has no such figure.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([rot180.Linear(2, 1)])
    >>> sgd = rot180.optim.SGD(model.parameters(), lr=0.1)
    >>> trainer = rot180.Trainer(model, sgd, rot180.losses.MeanSquaredError())
    >>> schedule = rot180.optim.schedules.StepLR(sgd, step_size=2, gamma=0.5)
    >>> callback = rot180.callbacks.LearningRateSchedule(schedule)
    >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    >>> history = trainer.fit(x, y, epochs=2, callbacks=[callback])
    >>> sgd.lr
    0.05
    """

    def __init__(self, schedule: Schedule, monitor: str | None = None) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(
                f"schedule is {type(schedule).__name__}, expected one of rot180.optim.schedules"
            )
        if monitor is None and isinstance(schedule, ReduceLROnPlateau):
            raise ValueError(
                'ReduceLROnPlateau looks at a figure of each epoch: pass monitor="val_loss"'
            )
        self.schedule = schedule
        self.monitor = monitor

    def on_train_begin(self, trainer: Trainer) -> None:
        """See that the schedule belongs to this training."""
        if self.schedule.optimizer is not trainer.optimizer:
            raise ValueError(
                "the schedule is of another optimizer than the trainer: build it with that one"
            )
        if self.monitor is not None:
            expect_figure(self.monitor, trainer.history)

    def on_train_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Step, if the schedule counts steps."""
        if self.schedule.per == "step":
            self.schedule.step()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        """Step, if the schedule counts epochs."""
        if self.schedule.per == "epoch":
            self.schedule.step(None if self.monitor is None else logs[self.monitor])

    def state_dict(self) -> dict[str, Any]:
        """Return the schedule's state."""
        return self.schedule.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.schedule.load_state_dict(state)


class MovingAverage(Callback):
    """Takes the weights into an average after each step, and validates with the average.

    The ``val_`` figures are those of the averaged weights. The training goes on with the model's
    own; after it, ``average.applied()`` gives the model the averaged ones.

    Parameters
    ----------
    average
        Built with the model of the training.

    Raises
    ------
    TypeError
        If `average` is something else.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.Sequential([rot180.Linear(2, 1)])
    >>> sgd = rot180.optim.SGD(model.parameters(), lr=0.1)
    >>> trainer = rot180.Trainer(model, sgd, rot180.losses.MeanSquaredError())
    >>> average = rot180.optim.ExponentialMovingAverage(model, decay=0.9)
    >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
    >>> callbacks = [rot180.callbacks.MovingAverage(average)]
    >>> history = trainer.fit(x, y, epochs=2, validation_data=(x, y), callbacks=callbacks)
    >>> with average.applied():
    ...     trainer.evaluate(x, y)["loss"] == history["val_loss"][-1]
    True
    """

    def __init__(self, average: ExponentialMovingAverage) -> None:
        if not isinstance(average, ExponentialMovingAverage):
            raise TypeError(
                f"average is {type(average).__name__}, expected "
                "rot180.optim.ExponentialMovingAverage"
            )
        self.average = average
        self._applied = ExitStack()

    def on_train_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        """Take the weights into the average."""
        self.average.update()

    def on_test_begin(self, trainer: Trainer) -> None:
        """Give the model its averaged weights."""
        self._applied.enter_context(self.average.applied())

    def on_test_end(self, trainer: Trainer) -> None:
        """Give the model its own weights back."""
        self._applied.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the averages."""
        return self.average.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned."""
        self.average.load_state_dict(state)
