"""Schedules of the learning rate, named and computed as PyTorch's.

Each scales the groups of an optimizer from where they began; use one schedule an optimizer. Call
its `step` after each optimizer step, or after each epoch, as its ``per`` says.
"""

from __future__ import annotations

from rot180.optim.schedules.cosine import CosineAnnealingLR
from rot180.optim.schedules.linear import LinearLR, LinearWarmup
from rot180.optim.schedules.one_cycle import OneCycleLR
from rot180.optim.schedules.plateau import ReduceLROnPlateau
from rot180.optim.schedules.schedule import CountedSchedule, Schedule
from rot180.optim.schedules.steps import ExponentialLR, MultiStepLR, StepLR

__all__ = [
    "CosineAnnealingLR",
    "CountedSchedule",
    "ExponentialLR",
    "LinearLR",
    "LinearWarmup",
    "MultiStepLR",
    "OneCycleLR",
    "ReduceLROnPlateau",
    "Schedule",
    "StepLR",
]
