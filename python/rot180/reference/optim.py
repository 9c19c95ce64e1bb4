"""Optimizer steps and what goes with them, in place, on one tensor or on a sequence of tensors."""

from __future__ import annotations

import math

import numpy as np

from rot180.arguments import (
    FloatArray,
    NumberOrMany,
    OneOrMany,
    adam_betas,
    expect_state,
    matching_tensors,
    number_for_each,
    positive_number,
    real_number,
    without_none,
)
from rot180.geometry import positive_int


def adam_step(
    param: OneOrMany,
    grad: OneOrMany,
    m: OneOrMany,
    v: OneOrMany,
    *,
    step: int,
    lr: NumberOrMany = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: NumberOrMany = 0.0,
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
    lr : float, or one for each tensor
    betas, eps : (b1, b2), float
    weight_decay : float, or one for each tensor
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
    eps = real_number("eps", eps)
    beta1, beta2 = adam_betas(betas)
    lrs = number_for_each("lr", lr, len(tensors))
    decays = number_for_each("weight_decay", weight_decay, len(tensors))
    correction1, correction2 = 1 - beta1**step, 1 - beta2**step
    for (p, g, first, second), lr, decay in zip(tensors, lrs, decays, strict=True):
        g = _decayed(p, g, lr, decay, decoupled)
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
    lr: NumberOrMany,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: NumberOrMany = 0.0,
    decoupled: bool = False,
) -> None:
    """Stochastic gradient descent as PyTorch defines it; changes param and velocity.

    | ``velocity = momentum*velocity + g``
    | ``p = p - lr*velocity``, or with nesterov ``p = p - lr*(g + momentum*velocity)``

    Parameters
    ----------
    param, grad, velocity : float32 or float64, one array each or equally long sequences of arrays
        velocity has the shape of param and begins as zeros; it is needed with momentum only.
    lr : float, or one for each tensor
    momentum : float
    nesterov : bool
    weight_decay : float, or one for each tensor
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
    momentum = real_number("momentum", momentum)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs a momentum greater than 0, got momentum=0")
    expect_state("velocity", velocity, "momentum", momentum)
    rows = matching_tensors(**without_none(param=param, grad=grad, velocity=velocity))
    lrs = number_for_each("lr", lr, len(rows))
    decays = number_for_each("weight_decay", weight_decay, len(rows))
    for (p, g, *moving), lr, decay in zip(rows, lrs, decays, strict=True):
        g = _decayed(p, g, lr, decay, decoupled)
        if moving:
            moving[0][...] = momentum * moving[0] + g
            g = g + momentum * moving[0] if nesterov else moving[0]
        p -= lr * g


def rmsprop_step(
    param: OneOrMany,
    grad: OneOrMany,
    v: OneOrMany,
    m: OneOrMany | None = None,
    velocity: OneOrMany | None = None,
    *,
    lr: NumberOrMany = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    centered: bool = False,
    weight_decay: NumberOrMany = 0.0,
    decoupled: bool = False,
) -> None:
    """RMSprop (Tieleman & Hinton 2012) as PyTorch defines it; changes param, v, m and velocity.

    | ``v = alpha*v + (1-alpha)*g*g``
    | ``p = p - lr * g / (sqrt(v) + eps)``

    Centered (Graves 2013), ``m = alpha*m + (1-alpha)*g`` and ``v - m*m`` takes the place of v under
    the root, never less than 0. With momentum, ``velocity = momentum*velocity + g / (...)`` and
    ``p = p - lr*velocity``.

    Parameters
    ----------
    param, grad, v : float32 or float64, one array each or equally long sequences of arrays
        v has the shape of param and begins as zeros.
    m, velocity : as v
        Needed if centered, and with momentum, only.
    lr : float, or one for each tensor
    alpha, eps, momentum : float
    centered : bool
    weight_decay : float, or one for each tensor
        Coupled: ``g = g + weight_decay*p`` first. Decoupled: ``p = p - lr*weight_decay*p`` first.
    decoupled : bool

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value; nothing has changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import rmsprop_step
    >>> param, v = np.ones(2), np.zeros(2)
    >>> rmsprop_step(param, np.array([0.5, -8.0]), v, lr=0.1, alpha=0.75)
    >>> param.round(6).tolist()
    [0.8, 1.2]
    """
    alpha = real_number("alpha", alpha, below=1.0)
    eps, momentum = real_number("eps", eps), real_number("momentum", momentum)
    expect_state("m", m, "centered", centered)
    expect_state("velocity", velocity, "momentum", momentum)
    tensors = without_none(param=param, grad=grad, v=v, m=m, velocity=velocity)
    rows = matching_tensors(**tensors)
    lrs = number_for_each("lr", lr, len(rows))
    decays = number_for_each("weight_decay", weight_decay, len(rows))
    for row, lr, decay in zip(rows, lrs, decays, strict=True):
        named = dict(zip(tensors, row, strict=True))
        p, second = named["param"], named["v"]
        g = _decayed(p, named["grad"], lr, decay, decoupled)
        second[...] = alpha * second + (1 - alpha) * g * g
        variance = second
        if centered:
            first = named["m"]
            first[...] = alpha * first + (1 - alpha) * g
            variance = np.maximum(second - first * first, 0)
        g = g / (np.sqrt(variance) + eps)
        if momentum:
            moving = named["velocity"]
            moving[...] = momentum * moving + g
            g = moving
        p -= lr * g


def ema_step(average: OneOrMany, param: OneOrMany, *, decay: float) -> None:
    """Exponential moving average: ``average = decay*average + (1-decay)*param``.

    Written as ``average + (1-decay) * (param - average)``, which is exact where the two are equal.

    Parameters
    ----------
    average, param : float32 or float64, one array each or equally long sequences of arrays
        average changes.
    decay : float
        At least 0 and less than 1.

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype, shape or value; nothing has changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import ema_step
    >>> average = np.array([0.0, 4.0])
    >>> ema_step(average, np.array([8.0, 4.0]), decay=0.75)
    >>> average.tolist()
    [2.0, 4.0]
    """
    decay = real_number("decay", decay, below=1.0)
    for mean, p in matching_tensors("param", average=average, param=param):
        mean += (1 - decay) * (p - mean)


def clip_grad_norm(grad: OneOrMany, max_norm: float) -> float:
    """Scale gradients together so that their Euclidean norm is at most max_norm; changes grad.

    | ``norm = sqrt(sum of g*g over all arrays)``, in float64
    | ``g = g * max_norm / norm``, if norm > max_norm

    Parameters
    ----------
    grad : float32 or float64, one array or a sequence of arrays
    max_norm : float
        Greater than 0.

    Returns
    -------
    float
        The norm before. If it is NaN or infinite, the gradients are left as they are.

    Raises
    ------
    TypeError, ValueError
        Naming the argument of the wrong dtype or value; nothing has changed then.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.reference import clip_grad_norm
    >>> grads = [np.array([3.0]), np.array([[0.0, -4.0]])]
    >>> clip_grad_norm(grads, 2.5)
    5.0
    >>> [grad.tolist() for grad in grads]
    [[1.5], [[0.0, -2.0]]]
    """
    max_norm = positive_number("max_norm", max_norm)
    grads = [g for (g,) in matching_tensors(None, grad=grad)]
    norms = [math.sqrt(float(np.sum(np.square(g, dtype=np.float64)))) for g in grads]
    norm = math.hypot(*norms)
    if max_norm < norm < math.inf:
        for g in grads:
            g[...] = g.astype(np.float64) * (max_norm / norm)
    return norm


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
