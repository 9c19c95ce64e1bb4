"""A few parameters and the gradients that drive an optimizer over them."""

from __future__ import annotations

from typing import Any

import numpy as np

import rot180
from rot180.optim import Optimizer

SHAPES = [(3, 2, 4, 5), (5,), (7, 3), (1,)]
LR = 0.01


def start_values(dtype: Any = np.float64) -> list[np.ndarray]:
    """Return the first value of each parameter."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def gradients(step: int, dtype: Any = np.float64) -> list[np.ndarray]:
    """Gradients of a step: of different sizes, and changing sign now and then."""
    rng = np.random.default_rng(1000 + step)
    return [
        (rng.normal(1, 2, shape) * 10.0 ** (i - 1)).astype(dtype) for i, shape in enumerate(SHAPES)
    ]


def parameters(dtype: Any = np.float64) -> list[rot180.Parameter]:
    """Return the parameters, named "0.weight" and on."""
    return [rot180.Parameter(value, f"{i}.weight") for i, value in enumerate(start_values(dtype))]


def take_steps(optimizer: Optimizer, first: int, last: int, dtype: Any = np.float64) -> None:
    """Take the steps first to last, each parameter with the gradient of its number."""
    for step in range(first, last + 1):
        optimizer.zero_grad()
        of_step = gradients(step, dtype)
        for parameter in optimizer.parameters:
            parameter.accumulate(of_step[int(parameter.name[0])])
        optimizer.step()
