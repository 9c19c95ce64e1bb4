"""What can be done at each moment of a training: stop early, keep checkpoints, write logs."""

from __future__ import annotations

from rot180.callbacks.callback import Callback
from rot180.callbacks.checkpoints import BestCheckpoint, Checkpoints
from rot180.callbacks.early_stopping import EarlyStopping
from rot180.callbacks.logs import CSVLogger, LivePlot, TensorBoard

__all__ = [
    "BestCheckpoint",
    "CSVLogger",
    "Callback",
    "Checkpoints",
    "EarlyStopping",
    "LivePlot",
    "TensorBoard",
]
