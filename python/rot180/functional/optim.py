"""Optimizer steps, in place: each updates one tensor, or all of a model's in one call."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from rot180 import _core
from rot180.functional.arrays import FloatArray, float_array, writable_in_place

OneOrMany: TypeAlias = FloatArray | Sequence[FloatArray]


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
    """One step of Adam (Kingma & Ba 2015, Algorithm 1), in place.

    m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g*g;
    param -= lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps).

    Parameters
    ----------
    param, grad, m, v : arrays of one shape and dtype, or sequences of as many arrays
        param, m and v are updated. m and v belong to the parameter: zero at the start, kept for ever.
    step : int
        The number of this step, from 1; one for the whole model.
    lr, betas, eps : float
        Step size, decay of m and v, and what keeps the division finite.
    weight_decay : float
        Coupled: weight_decay * param is added to the gradient (L2). With `decoupled`,
        lr * weight_decay * param is taken off the parameter first (AdamW).
    eps_hat : bool
        Add eps to sqrt(v) before the correction, as Keras and ONNX do.

    Raises
    ------
    ValueError, TypeError
        Shapes, dtypes or options do not fit; an array to be updated is read-only or not contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import adam_step
    >>> p, m, v = np.ones(2), np.zeros(2), np.zeros(2)
    >>> adam_step(p, np.array([0.5, -4.0]), m, v, step=1, lr=0.1)
    >>> p.round(6).tolist()
    [0.9, 1.1]
    """
    step = operator.index(step)
    if step < 1:
        raise ValueError(f"step is {step}, expected 1 or more: the first step is number 1")
    beta1, beta2 = betas
    for name, beta in (("betas[0]", beta1), ("betas[1]", beta2)):
        if not 0 <= beta < 1:
            raise ValueError(f"{name} is {beta}, expected at least 0 and less than 1")
    for name, value in (("lr", lr), ("eps", eps), ("weight_decay", weight_decay)):
        _check_not_negative(name, value)
    params, grads = _tensors(param, grad, m=m, v=v)
    ms, vs = _as_list(m), _as_list(v)
    for chosen in _by_dtype(params):
        _core.adam_step(
            [params[i] for i in chosen],
            [grads[i] for i in chosen],
            [ms[i] for i in chosen],
            [vs[i] for i in chosen],
            step,
            lr,
            beta1,
            beta2,
            eps,
            weight_decay,
            bool(decoupled),
            bool(eps_hat),
        )


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
    """One step of stochastic gradient descent, in place.

    velocity = momentum*velocity + g;  param -= lr*velocity, or lr*(g + momentum*velocity) with
    Nesterov's momentum, or lr*g without any.

    Parameters
    ----------
    param, grad : arrays of one shape and dtype, or sequences of as many arrays
    velocity : as param
        Required with momentum and updated; zero at the start.
    lr : float
        Step size.
    momentum : float
    nesterov : bool
        Needs momentum.
    weight_decay, decoupled
        As in `adam_step`.

    Raises
    ------
    ValueError, TypeError
        Shapes, dtypes or options do not fit; an array to be updated is read-only or not contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import sgd_step
    >>> p, velocity = np.ones(1), np.zeros(1)
    >>> for _ in range(2):
    ...     sgd_step(p, np.ones(1), velocity, lr=0.1, momentum=0.5)
    >>> p.round(6).tolist()
    [0.75]
    """
    for name, value in (("lr", lr), ("momentum", momentum), ("weight_decay", weight_decay)):
        _check_not_negative(name, value)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs momentum > 0")
    if (velocity is None) != (momentum == 0):
        raise ValueError(
            f"momentum is {momentum} and velocity is {'None' if velocity is None else 'given'}: "
            "expected a velocity exactly when there is momentum"
        )
    if velocity is None:
        params, grads = _tensors(param, grad)
        velocities = []
    else:
        params, grads = _tensors(param, grad, velocity=velocity)
        velocities = _as_list(velocity)
    for chosen in _by_dtype(params):
        _core.sgd_step(
            [params[i] for i in chosen],
            [grads[i] for i in chosen],
            [velocities[i] for i in chosen] if velocities else [],
            lr,
            momentum,
            bool(nesterov),
            weight_decay,
            bool(decoupled),
        )


def _as_list(arrays: OneOrMany) -> list[FloatArray]:
    return [arrays] if isinstance(arrays, np.ndarray) else list(arrays)


def _tensors(
    param: OneOrMany, grad: OneOrMany, **states: OneOrMany
) -> tuple[list[FloatArray], list[FloatArray]]:
    """Parameters and gradients as lists, checked against one another and against the states."""
    params, grads = _as_list(param), _as_list(grad)
    many = not isinstance(param, np.ndarray)
    for name, arrays in (("grad", grads), *((n, _as_list(s)) for n, s in states.items())):
        if len(arrays) != len(params):
            raise ValueError(f"{name} has {len(arrays)} arrays, param has {len(params)}")
    for i, tensor in enumerate(params):
        suffix = f"[{i}]" if many else ""
        writable_in_place(f"param{suffix}", tensor)
        grads[i] = float_array(f"grad{suffix}", grads[i])
        _check_like(f"grad{suffix}", grads[i], tensor)
        for name, arrays in states.items():
            state = _as_list(arrays)[i]
            writable_in_place(f"{name}{suffix}", state)
            _check_like(f"{name}{suffix}", state, tensor)
    return params, grads


def _check_like(name: str, array: FloatArray, param: FloatArray) -> None:
    if array.shape != param.shape:
        raise ValueError(f"{name} has shape {array.shape}, expected {param.shape} as its parameter")
    if array.dtype != param.dtype:
        raise TypeError(f"{name} is {array.dtype}, expected {param.dtype} as its parameter")


def _by_dtype(params: list[FloatArray]) -> list[list[int]]:
    """Indices of the tensors of each dtype: one kernel call takes one dtype."""
    groups: dict[Any, list[int]] = {}
    for i, tensor in enumerate(params):
        groups.setdefault(tensor.dtype, []).append(i)
    return list(groups.values())


def _check_not_negative(name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ValueError(f"{name} is {value}, expected a finite number of at least 0")
