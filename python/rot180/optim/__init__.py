"""Optimizers, gradient clipping, schedules of the learning rate, averages of weights."""

from __future__ import annotations

from rot180.optim import schedules
from rot180.optim.adam import Adam, AdamW
from rot180.optim.clip import clip_grad_norm, clip_grad_value
from rot180.optim.moving_average import ExponentialMovingAverage
from rot180.optim.optimizer import Optimizer
from rot180.optim.rmsprop import RMSprop
from rot180.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "ExponentialMovingAverage",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
    "clip_grad_value",
    "schedules",
]
