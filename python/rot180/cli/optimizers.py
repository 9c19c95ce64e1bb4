"""The optimizers and learning rate schedules that ``rot180 train`` offers, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from rot180 import optim
from rot180.layers import Parameter
from rot180.optim import Optimizer, schedules
from rot180.optim.schedules import Schedule


class Recipe(NamedTuple):
    """An optimizer, and where its usual learning rate and weight decay are."""

    make: Callable[[list[Parameter], float, float], Optimizer]  # of lr and weight decay
    lr: float  # as a multiple of Adam's
    weight_decay: float


OPTIMIZERS = {
    "adam": Recipe(lambda p, lr, decay: optim.Adam(p, lr, weight_decay=decay), 1, 0.0),
    "adamw": Recipe(lambda p, lr, decay: optim.AdamW(p, lr, weight_decay=decay), 1, 0.01),
    "sgd": Recipe(
        lambda p, lr, decay: optim.SGD(p, lr, momentum=0.9, nesterov=True, weight_decay=decay),
        20,
        0.0,
    ),
    "rmsprop": Recipe(lambda p, lr, decay: optim.RMSprop(p, lr, weight_decay=decay), 0.3, 0.0),
}

# Made of the optimizer, the epochs, and the steps of an epoch.
SCHEDULES: dict[str, Callable[[Optimizer, int, int], Schedule]] = {
    "linear": lambda o, epochs, steps: schedules.LinearLR(o, 1, 0, epochs),
    "cosine": lambda o, epochs, steps: schedules.CosineAnnealingLR(o, epochs * steps, per="step"),
    "one_cycle": lambda o, epochs, steps: schedules.OneCycleLR(
        o, total_steps=epochs * steps, cycle_momentum=False
    ),
    "step": lambda o, epochs, steps: schedules.MultiStepLR(
        o, [max(1, epochs // 2), max(1, 3 * epochs // 4)]
    ),
    "plateau": lambda o, epochs, steps: schedules.ReduceLROnPlateau(o, patience=3),
    "constant": lambda o, epochs, steps: schedules.LinearLR(o, 1, 1),
}
