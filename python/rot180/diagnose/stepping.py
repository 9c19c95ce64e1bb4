"""Drives an optimizer, in whichever of the usual ways it is written, and records where it goes.

Written as a function of one tensor, it is called for each tensor at each step, and this module
keeps the state; written as an object, it is made once, and keeps its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.callables import UnusableError
from rot180.layers.layer import Parameter

Function: TypeAlias = Callable[..., Any]

# What the arguments of a step are called by those who write one.
ALIASES = {
    "param": "param params parameter parameters p w weight weights theta x value values",
    "grad": "grad grads gradient gradients g dw dp dtheta dparam dparams dweight d_w",
    "m": "m m_t exp_avg mean first first_moment moment1 m1",
    "v": "v v_t exp_avg_sq var second second_moment moment2 v1",
    "velocity": "velocity v vel buf buffer momentum_buffer m",
    "t": "t step timestep time_step iteration step_count steps",
    "lr": "lr learning_rate alpha eta step_size rate",
    "beta1": "beta1 beta_1 b1",
    "beta2": "beta2 beta_2 b2",
    "betas": "betas",
    "eps": "eps epsilon",
    "momentum": "momentum mu beta gamma",
    "weight_decay": "weight_decay wd decay l2 lambda_ lam",
}
_METHODS = ("step", "update")
# What an object may raise that wants its tensors presented in another way.
_NOT_SO = (TypeError, AttributeError, KeyError, IndexError, ValueError, UnusableError)


@dataclass
class Trajectory:
    """Where the tensors were after each step, and what was seen of the state on the way."""

    steps: list[list[FloatArray]] = field(default_factory=list)
    state: list[dict[str, FloatArray]] = field(default_factory=list)


def trajectory(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Sequence[Mapping[str, Any]],
    state: tuple[str, ...],
) -> Trajectory:
    """Let the optimizer take its steps.

    Parameters
    ----------
    fn
        A function of one tensor's step, or what makes an object with ``step`` or ``update``.
    params
        Where the tensors begin; copied.
    gradients
        For each step, a gradient for each tensor.
    options
        For each step, the values of ``"lr"`` and the like, for the arguments of these names.
    state
        What a function of one tensor keeps between steps: ``("m", "v")``.

    Raises
    ------
    UnusableError
        If it returns what is no array, or cannot be called.
    Exception
        Whatever it raises itself, presented with its tensors in the first way.
    """
    order = ("param", "grad", *state, "t", *options[0])
    if is_step(fn, order):
        return _by_function(arranged(fn, order), params, gradients, options, state)
    return _by_object(fn, params, gradients, options[0])


def arranged(fn: Function, order: Sequence[str]) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function of named values that calls fn with those that it takes.

    By the names of its arguments where all that it needs are known; else in the given order.
    """
    arguments = _arguments(fn)
    if arguments is None:
        return lambda values: fn(*(values[name] for name in order))
    meant = {name: quantity(name, order) for name in arguments}
    needed = [name for name, argument in arguments.items() if argument.default is argument.empty]
    known = [meant[name] for name in meant if meant[name] is not None]
    if any(meant[name] is None for name in needed) or len(set(known)) < len(known):
        meant = dict(zip(needed, order, strict=False))

    def call(values: Mapping[str, Any]) -> Any:
        by_position, by_name = [], {}
        for name, argument in arguments.items():
            what = meant.get(name)
            if what is None or what not in values:
                continue
            if argument.kind is argument.POSITIONAL_ONLY:
                by_position.append(values[what])
            else:
                by_name[name] = values[what]
        return fn(*by_position, **by_name)

    return call


def quantity(name: str, among: Sequence[str]) -> str | None:
    """Return which of these quantities an argument of that name stands for."""
    name = name.lower()
    return next((what for what in among if name in ALIASES[what].split()), None)


def takes(fn: Function, what: str) -> bool:
    """Whether fn, or what makes it, has an argument for this quantity."""
    return any(quantity(name, (what,)) for name in _arguments(fn) or ())


def _arguments(fn: Function) -> dict[str, inspect.Parameter] | None:
    """Return the arguments of fn by name; None where they cannot be known."""
    try:
        arguments = inspect.signature(fn).parameters
    except (TypeError, ValueError):
        return None
    kinds = {argument.kind for argument in arguments.values()}
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return None
    return {
        name: argument
        for name, argument in arguments.items()
        if argument.kind is not inspect.Parameter.VAR_KEYWORD
    }


def is_step(fn: Function, order: Sequence[str]) -> bool:
    """Whether fn takes one step itself: it has a gradient among its arguments, or many of them."""
    arguments = _arguments(fn)
    if inspect.isclass(inspect.unwrap(fn)):
        return False
    if arguments is None:
        return True
    needed = [name for name, argument in arguments.items() if argument.default is argument.empty]
    return len(needed) > 3 or any(quantity(name, order) == "grad" for name in arguments)


def _by_function(
    call: Callable[[Mapping[str, Any]], Any],
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Sequence[Mapping[str, Any]],
    state: tuple[str, ...],
) -> Trajectory:
    made = Trajectory(state=[{name: np.zeros_like(p) for name in state} for p in params])
    tensors = [p.copy() for p in params]
    for step, (grads, values) in enumerate(zip(gradients, options, strict=True), 1):
        for i, (kept, g) in enumerate(zip(made.state, grads, strict=True)):
            given = {**values, **kept, "param": tensors[i], "grad": g.copy(), "t": step}
            back = call(given)
            if isinstance(back, (tuple, list)):
                tensors[i] = _array(back[0])
                kept.update(zip(state, map(_array, back[1:]), strict=False))
            elif back is not None:
                tensors[i] = _array(back)
        made.steps.append([tensor.copy() for tensor in tensors])
    return made


def _by_object(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Mapping[str, Any],
) -> Trajectory:
    """Present the tensors in each way that an object may want them, until one does not fail."""
    first: Exception | None = None
    for present in (_listed, _keyed, _as_parameters, _one_by_one):
        try:
            made = Trajectory()
            present(fn, params, gradients, options, made)
        except _NOT_SO as error:
            first = first or error
        else:
            return made
    assert first is not None
    raise first


def _listed(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Mapping[str, Any],
    made: Trajectory,
) -> None:
    tensors = [p.copy() for p in params]
    step = _object(fn, tensors, options)
    for t, grads in enumerate(gradients, 1):
        back = step({"param": tensors, "grad": [g.copy() for g in grads], "t": t})
        if isinstance(back, (tuple, list)) and len(back) == len(tensors):
            tensors[:] = [_array(one) for one in back]
        made.steps.append([_array(tensor).copy() for tensor in tensors])


def _keyed(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Mapping[str, Any],
    made: Trajectory,
) -> None:
    tensors: dict[str, FloatArray] = {f"w{i}": p.copy() for i, p in enumerate(params)}
    step = _object(fn, tensors, options)
    for t, grads in enumerate(gradients, 1):
        named = {name: g.copy() for name, g in zip(tensors, grads, strict=True)}
        back = step({"param": tensors, "grad": named, "t": t})
        if isinstance(back, dict) and back.keys() == tensors.keys():
            tensors.update({name: _array(back[name]) for name in tensors})
        made.steps.append([_array(tensor).copy() for tensor in tensors.values()])


def _as_parameters(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Mapping[str, Any],
    made: Trajectory,
) -> None:
    tensors = [Parameter(p, f"{i}.weight") for i, p in enumerate(params)]
    step = _object(fn, tensors, options)
    for t, grads in enumerate(gradients, 1):
        for tensor, g in zip(tensors, grads, strict=True):
            tensor.grad = g
        step({"param": tensors, "t": t})
        made.steps.append([tensor.value.copy() for tensor in tensors])


def _one_by_one(
    fn: Function,
    params: Sequence[FloatArray],
    gradients: Sequence[Sequence[FloatArray]],
    options: Mapping[str, Any],
    made: Trajectory,
) -> None:
    tensors = [p.copy() for p in params]
    steps = [_object(fn, tensor, options) for tensor in tensors]
    for t, grads in enumerate(gradients, 1):
        for i, (step, g) in enumerate(zip(steps, grads, strict=True)):
            back = step({"param": tensors[i], "grad": g.copy(), "t": t})
            if back is not None:
                tensors[i] = _array(back)
        made.steps.append([tensor.copy() for tensor in tensors])


def _object(
    fn: Function, tensors: Any, options: Mapping[str, Any]
) -> Callable[[Mapping[str, Any]], Any]:
    """Make the object and return its step, as a function of named values."""
    has_tensors = bool(_arguments(fn)) and not all(
        quantity(name, tuple(options)) for name in _arguments(fn) or ()
    )
    order = ("param", *options) if has_tensors else tuple(options)
    made = arranged(fn, order)({"param": tensors, **options})
    method = next((getattr(made, name) for name in _METHODS if hasattr(made, name)), made)
    if not callable(method):
        raise UnusableError(
            f"returns a {type(made).__name__}, which can neither step nor update nor be called"
        )
    arguments = _arguments(method)
    takes_tensors = arguments is None or any(quantity(name, ("param",)) for name in arguments)
    return arranged(method, ("param", "grad", "t") if takes_tensors else ("grad", "t"))


def _array(value: Any) -> FloatArray:
    """Return a value that came back, if it is an array of real numbers."""
    if not isinstance(value, (np.ndarray, np.floating)):
        raise UnusableError(f"returns a {type(value).__name__} where an array was expected")
    array: FloatArray = np.asarray(value)
    if array.dtype.kind != "f":
        raise UnusableError(f"returns an array of dtype {array.dtype}, expected floats")
    return array
