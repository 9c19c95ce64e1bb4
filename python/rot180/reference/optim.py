"""Optimizer steps, in place, on one tensor or on a sequence of tensors."""

from __future__ import annotations

import math

import numpy as np

from rot180.arguments import (
    FloatArray,
    OneOrMany,
    adam_betas,
    matching_tensors,
    real_number,
)
from rot180.geometry import positive_int


def adam_step(
    param: OneOrMany,
    grad: OneOrMany,
    m: OneOrMany,
    v: OneOrMany,
    *,
    step: int,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    eps_hat: bool = False,
) -> None:
    """Adam (Kingma & Ba 2015, Algorithm 1), element by element; changes param, m and v.

    | ``m = b1*m + (1-b1)*g``
    | ``v = b2*v + (1-b2)*g*g``
    | ``p = p - lr * (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)``

    Parameters
    ----------
    param, grad, m, v : float32 or float64, one array each or equally long sequences of arrays
        m and v have the shape of param and begin as zeros.
    step : int
        t, which counts the steps of the optimizer from 1: one count for all tensors.
    lr, betas, eps : float, (b1, b2), float
    weight_decay : float
        Coupled: ``g = g + weight_decay*p`` first. Decoupled (AdamW, Loshchilov & Hutter 2019):
        ``p = p - lr*weight_decay*p`` first.
    decoupled : bool
    eps_hat : bool
        Add eps before the correction, as Keras and ONNX do:
        ``p = p - lr * sqrt(1 - b2^t) / (1 - b1^t) * m / (sqrt(v) + eps)``

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value; nothing has changed then.

    Examples
    --------
    The first step has the length lr, whatever the gradient:

    >>> import numpy as np
    >>> from rot180.reference import adam_step
    >>> param, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> adam_step(param, np.array([0.5, -8.0]), m, v, step=1, lr=0.125)
    >>> param.round(6).tolist()
    [0.875, 1.125]
    """
    tensors = matching_tensors(param=param, grad=grad, m=m, v=v)
    step = positive_int("step", step)
    lr, eps = real_number("lr", lr), real_number("eps", eps)
    beta1, beta2 = adam_betas(betas)
    weight_decay = real_number("weight_decay", weight_decay)
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    for p, g, first, second in tensors:
        g = _decayed(p, g, lr, weight_decay, decoupled)
        first[...] = beta1 * first + (1 - beta1) * g
        second[...] = beta2 * second + (1 - beta2) * g * g
        if eps_hat:
            p -= lr * math.sqrt(correction2) / correction1 * first / (np.sqrt(second) + eps)
        else:
            p -= lr * (first / correction1) / (np.sqrt(second / correction2) + eps)


def sgd_step(
    param: OneOrMany,
    grad: OneOrMany,
    velocity: OneOrMany | None = None,
    *,
    lr: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> None:
    """Stochastic gradient descent as PyTorch defines it; changes param and velocity.

    | ``velocity = momentum*velocity + g``
    | ``p = p - lr*velocity``, or with nesterov ``p = p - lr*(g + momentum*velocity)``

    Parameters
    ----------
    param, grad, velocity : float32 or float64, one array each or equally long sequences of arrays
        velocity has the shape of param and begins as zeros; it is needed with momentum only.
    lr, momentum : float
    nesterov : bool
    weight_decay : float
        Coupled: ``g = g + weight_decay*p`` first. Decoupled: ``p = p - lr*weight_decay*p`` first.
    decoupled : bool

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value; nothing has changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import sgd_step
    >>> param, velocity = np.ones(2), np.zeros(2)
    >>> for _ in range(2):
    ...     sgd_step(param, np.array([0.5, -1.0]), velocity, lr=0.5, momentum=0.5)
    >>> param.tolist()
    [0.375, 2.25]
    """
    lr, momentum = real_number("lr", lr), real_number("momentum", momentum)
    weight_decay = real_number("weight_decay", weight_decay)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs a momentum greater than 0, got momentum=0")
    if (velocity is None) != (momentum == 0):
        raise ValueError(
            f"velocity is {'None' if velocity is None else 'given'} with momentum={momentum}: "
            "expected it with momentum only, zeros like param that are kept from step to step"
        )
    if velocity is None:
        for p, g in matching_tensors(param=param, grad=grad):
            p -= lr * _decayed(p, g, lr, weight_decay, decoupled)
        return
    for p, g, moving in matching_tensors(param=param, grad=grad, velocity=velocity):
        g = _decayed(p, g, lr, weight_decay, decoupled)
        moving[...] = momentum * moving + g
        p -= lr * (g + momentum * moving if nesterov else moving)


def _decayed(
    p: FloatArray, g: FloatArray, lr: float, weight_decay: float, decoupled: bool
) -> FloatArray:
    """Return the gradient with coupled decay added, or decay p itself and return it as it is."""
    if weight_decay == 0:
        return g
    if decoupled:
        p -= lr * weight_decay * p
        return g
    return g + weight_decay * p
