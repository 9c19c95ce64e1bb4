"""Optimizer steps, in place: each updates one tensor, or all of a model's in one call."""

from __future__ import annotations

from collections.abc import Iterator

from rot180 import _core
from rot180.arguments import (
    FLOAT32,
    FLOAT64,
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
    """One step of Adam (Kingma & Ba 2015, Algorithm 1), in place.

    m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g*g;
    param -= lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps).

    Parameters
    ----------
    param, grad, m, v : arrays of one shape and dtype, or sequences of as many arrays
        param, m and v are updated. m and v belong to the parameter: zero at first, kept for ever.
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
    number = positive_int("step", step)
    beta1, beta2 = adam_betas(betas)
    for params, grads, ms, vs in _by_dtype(matching_tensors(param=param, grad=grad, m=m, v=v)):
        _core.adam_step(
            params,
            grads,
            ms,
            vs,
            number,
            real_number("lr", lr),
            beta1,
            beta2,
            real_number("eps", eps),
            real_number("weight_decay", weight_decay),
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
    lr, momentum = real_number("lr", lr), real_number("momentum", momentum)
    weight_decay = real_number("weight_decay", weight_decay)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs a momentum greater than 0, got momentum=0")
    if (velocity is None) != (momentum == 0):
        raise ValueError(
            f"velocity is {'None' if velocity is None else 'given'} with momentum={momentum}: "
            "expected it with momentum only, zeros like param that are kept from step to step"
        )
    tensors = {"param": param, "grad": grad}
    if velocity is not None:
        tensors["velocity"] = velocity
    for params, grads, *velocities in _by_dtype(matching_tensors(**tensors)):
        _core.sgd_step(
            params,
            grads,
            velocities[0] if velocities else [],
            lr,
            momentum,
            bool(nesterov),
            weight_decay,
            bool(decoupled),
        )


def _by_dtype(rows: list[tuple[FloatArray, ...]]) -> Iterator[list[list[FloatArray]]]:
    """The tensors of each dtype, as one list for each argument: a kernel call takes one dtype."""
    for dtype in (FLOAT32, FLOAT64):
        chosen = [row for row in rows if row[0].dtype == dtype]
        if chosen:
            yield [list(column) for column in zip(*chosen, strict=True)]
