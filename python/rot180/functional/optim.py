"""Optimizer steps and what goes with them, in place, on one tensor or on many in one call."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from rot180 import _core
from rot180.arguments import (
    FLOAT32,
    FLOAT64,
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
    """One step of Adam (Kingma & Ba 2015, Algorithm 1), in place.

    m = b1*m + (1-b1)*g;  v = b2*v + (1-b2)*g*g;
    param -= lr * (m / (1 - b1^step)) / (sqrt(v / (1 - b2^step)) + eps).

    Parameters
    ----------
    param, grad, m, v : arrays of one shape and dtype, or sequences of as many arrays
        param, m and v are updated. m and v belong to the parameter: zero at first, kept for ever.
    step : int
        The number of this step, from 1; one for the whole model.
    lr : float or sequence of float
        Step size: one for all tensors, or one for each.
    betas, eps : (float, float), float
        Decay of m and v, and what keeps the division finite.
    weight_decay : float or sequence of float
        Coupled: weight_decay * param is added to the gradient (L2). With `decoupled`,
        lr * weight_decay * param is taken off the parameter first (AdamW). One for all tensors, or
        one for each.
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
    eps = real_number("eps", eps)
    options = (number, beta1, beta2, eps, bool(decoupled), bool(eps_hat))

    def call(param: Any, grad: Any, m: Any, v: Any, lr: Any, weight_decay: Any) -> None:
        _core.adam_step(param, grad, m, v, lr, weight_decay, *options)

    _call({"param": param, "grad": grad, "m": m, "v": v}, lr, weight_decay, call)


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
    """One step of stochastic gradient descent, in place.

    velocity = momentum*velocity + g;  param -= lr*velocity, or lr*(g + momentum*velocity) with
    Nesterov's momentum, or lr*g without any.

    Parameters
    ----------
    param, grad : arrays of one shape and dtype, or sequences of as many arrays
    velocity : as param
        Required with momentum and updated; zero at the start.
    momentum : float
    nesterov : bool
        Needs momentum.
    lr, weight_decay, decoupled
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
    momentum = real_number("momentum", momentum)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs a momentum greater than 0, got momentum=0")
    expect_state("velocity", velocity, "momentum", momentum)
    options = (momentum, bool(nesterov), bool(decoupled))

    def call(param: Any, grad: Any, lr: Any, weight_decay: Any, velocity: Any = ()) -> None:
        _core.sgd_step(param, grad, velocity, lr, weight_decay, *options)

    tensors = without_none(param=param, grad=grad, velocity=velocity)
    _call(tensors, lr, weight_decay, call)


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
    """One step of RMSprop (Tieleman & Hinton 2012) as PyTorch defines it, in place.

    v = alpha*v + (1-alpha)*g*g;  param -= lr * g / (sqrt(v) + eps).
    Centered (Graves 2013): m = alpha*m + (1-alpha)*g, and v - m*m instead of v under the root.
    With momentum: velocity = momentum*velocity + g / (sqrt(v) + eps);  param -= lr*velocity.

    Parameters
    ----------
    param, grad, v : arrays of one shape and dtype, or sequences of as many arrays
        param and v are updated. v belongs to the parameter: zero at first, kept for ever.
    m : as param
        Required if `centered` and updated; zero at the start.
    velocity : as param
        Required with momentum and updated; zero at the start.
    alpha, eps, momentum : float
        Decay of v and m, what keeps the division finite, and decay of velocity.
    centered : bool
    lr, weight_decay, decoupled
        As in `adam_step`.

    Raises
    ------
    ValueError, TypeError
        Shapes, dtypes or options do not fit; an array to be updated is read-only or not contiguous.

    Examples
    --------
    The first step has the length lr / sqrt(1 - alpha), whatever the gradient:

    >>> import numpy as np
    >>> from rot180.functional import rmsprop_step
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
    options = (alpha, eps, momentum, bool(decoupled))

    def call(
        param: Any, grad: Any, v: Any, lr: Any, weight_decay: Any, m: Any = (), velocity: Any = ()
    ) -> None:
        _core.rmsprop_step(param, grad, v, m, velocity, lr, weight_decay, *options)

    _call(tensors, lr, weight_decay, call)


def ema_step(average: OneOrMany, param: OneOrMany, *, decay: float) -> None:
    """Move an exponential moving average towards its parameter, in place.

    average += (1 - decay) * (param - average), which is decay*average + (1-decay)*param, and leaves
    an average that equals its parameter as it is.

    Parameters
    ----------
    average, param : arrays of one shape and dtype, or sequences of as many arrays
        average is updated.
    decay : float
        At least 0 and less than 1.

    Raises
    ------
    ValueError, TypeError
        Shapes, dtypes or decay do not fit; an average is read-only or not contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import ema_step
    >>> average = np.array([0.0, 4.0])
    >>> ema_step(average, np.array([8.0, 4.0]), decay=0.75)
    >>> average.tolist()
    [2.0, 4.0]
    """
    decay = real_number("decay", decay, below=1.0)
    rows = matching_tensors("param", average=average, param=param)
    for averages, params in _columns_by_dtype(rows):
        _core.ema_step(averages, params, decay)


def clip_grad_norm(grad: OneOrMany, max_norm: float) -> float:
    """Scale gradients together, in place, so that their Euclidean norm is at most max_norm.

    norm = sqrt(sum of g*g over all entries of all arrays), in float64;
    g *= max_norm / norm where norm > max_norm. The same bits for any number of threads.

    Parameters
    ----------
    grad : array, or sequence of arrays
        float32 or float64.
    max_norm : float
        Greater than 0.

    Returns
    -------
    float
        The norm before. If it is NaN or infinite, the gradients are left as they are.

    Raises
    ------
    ValueError, TypeError
        max_norm is not a positive number; a gradient is read-only or not contiguous.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.functional import clip_grad_norm
    >>> grads = [np.array([3.0]), np.array([[0.0, -4.0]])]
    >>> clip_grad_norm(grads, 2.5)
    5.0
    >>> [grad.tolist() for grad in grads]
    [[1.5], [[0.0, -2.0]]]
    """
    max_norm = positive_number("max_norm", max_norm)
    lists = [grads for (grads,) in _columns_by_dtype(matching_tensors(None, grad=grad))]
    squares = [square for grads in lists for square in _core.sums_of_squares(grads)]
    norm = math.hypot(*map(math.sqrt, squares))
    if max_norm < norm < math.inf:
        for grads in lists:
            _core.scale(grads, max_norm / norm)
    return norm


def _call(
    tensors: dict[str, OneOrMany],
    lr: NumberOrMany,
    weight_decay: NumberOrMany,
    call: Callable[..., None],
) -> None:
    """Call a kernel with all tensors, those of each dtype in a call of their own.

    `call` takes lists by the tensors' names, and lists of lr and weight_decay.
    """
    lists = list(tensors.values())
    if _have_the_same_shapes(lists):
        # Mostly a kernel can take them as they are. The core looks at all of them before it writes;
        # if it refuses, what follows mends them, or says what is wrong.
        with suppress(TypeError, ValueError):
            lrs = number_for_each("lr", lr, len(lists[0]))
            decays = number_for_each("weight_decay", weight_decay, len(lists[0]))
            return call(**tensors, lr=lrs, weight_decay=decays)
    rows = matching_tensors(**tensors)
    lrs = number_for_each("lr", lr, len(rows))
    decays = number_for_each("weight_decay", weight_decay, len(rows))
    names = [*tensors, "lr", "weight_decay"]
    options = zip(rows, lrs, decays, strict=True)
    for columns in _columns_by_dtype([(*row, *numbers) for row, *numbers in options]):
        call(**dict(zip(names, columns, strict=True)))
    return None


def _have_the_same_shapes(lists: list[Any]) -> bool:
    """Whether all are lists, and of arrays that have the shapes of those in the first one."""
    if not all(type(arrays) is list for arrays in lists):
        return False
    try:
        shapes = [array.shape for array in lists[0]]
        return all([array.shape for array in arrays] == shapes for arrays in lists[1:])
    except AttributeError:
        return False


def _columns_by_dtype(rows: list[tuple[Any, ...]]) -> Iterator[list[list[Any]]]:
    """The tensors of each dtype, as one list for each argument: a kernel call takes one dtype."""
    for dtype in (FLOAT32, FLOAT64):
        chosen = [row for row in rows if row[0].dtype == dtype]
        if chosen:
            yield [list(column) for column in zip(*chosen, strict=True)]
