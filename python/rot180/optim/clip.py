"""Clipping gradients, by value and by norm, in place."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable

import numpy as np

from rot180 import functional
from rot180.arguments import positive_number
from rot180.layers import Parameter


def clip_grad_value(parameters: Iterable[Parameter], limit: float) -> None:
    """Clip every entry of every gradient to [-limit, limit].

    Parameters
    ----------
    parameters
        For example ``model.parameters()``.
    limit
        Greater than 0.

    Raises
    ------
    ValueError
        If `limit` is not a positive number.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.Parameter(np.zeros(3), "weight")
    >>> w.accumulate(np.array([-3.0, 0.5, 3.0]))
    >>> rot180.optim.clip_grad_value([w], 1.0)
    >>> w.grad.tolist()
    [-1.0, 0.5, 1.0]
    """
    positive_number("limit", limit)
    for parameter in parameters:
        np.clip(parameter.grad, -limit, limit, out=parameter.grad)


def clip_grad_norm(parameters: Iterable[Parameter], max_norm: float) -> float:
    """Scale all gradients together so that their Euclidean norm is at most `max_norm`.

    With the norm taken over all entries of all gradients: g *= max_norm / norm where norm is
    greater than max_norm, and no change otherwise. The direction of the step stays.

    Parameters
    ----------
    parameters
        For example ``model.parameters()``.
    max_norm
        Greater than 0.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        If `max_norm` is not a positive number, or a gradient is not finite: names the first
        parameter. Gradients are then left as they are.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> w = rot180.Parameter(np.zeros(2), "weight")
    >>> w.accumulate(np.array([3.0, 4.0]))
    >>> rot180.optim.clip_grad_norm([w], 1.0)
    5.0
    >>> w.grad.round(6).tolist()
    [0.6, 0.8]
    """
    parameters = list(parameters)
    norm = functional.clip_grad_norm([parameter.grad for parameter in parameters], max_norm)
    if not math.isfinite(norm):
        _blame(parameters)
    return norm


def _blame(parameters: list[Parameter]) -> None:
    """Raise the error that names the first parameter whose gradient is not finite."""
    for parameter in parameters:
        norm = functional.clip_grad_norm(parameter.grad, sys.float_info.max)  # clips nothing
        if not math.isfinite(norm):
            raise ValueError(
                f"the gradient of {parameter.name} has norm {norm}: it cannot be clipped. "
                "Check the input for NaN and inf, and lower the learning rate"
            )
