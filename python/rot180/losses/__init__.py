"""Losses: the last step of the forward pass and the first of the backward pass."""

from __future__ import annotations

from rot180.losses.cross_entropy import BinaryCrossEntropy, CrossEntropy
from rot180.losses.difference import Huber, MeanAbsoluteError, MeanSquaredError
from rot180.losses.loss import Loss

__all__ = [
    "BinaryCrossEntropy",
    "CrossEntropy",
    "Huber",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
]
