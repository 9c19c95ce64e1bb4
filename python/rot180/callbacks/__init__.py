"""What can be done at each moment of a training: schedules, stopping, checkpoints, logs."""

from __future__ import annotations

from rot180.callbacks.callback import Callback
from rot180.callbacks.checkpoints import BestCheckpoint, Checkpoints
from rot180.callbacks.early_stopping import EarlyStopping
from rot180.callbacks.logs import CSVLogger, LivePlot, TensorBoard
from rot180.callbacks.optimization import LearningRateSchedule, MovingAverage

__all__ = [
    "BestCheckpoint",
    "CSVLogger",
    "Callback",
    "Checkpoints",
    "EarlyStopping",
    "LearningRateSchedule",
    "LivePlot",
    "MovingAverage",
    "TensorBoard",
]
