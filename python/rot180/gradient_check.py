"""Compares the gradients of a backward pass with differences of its forward pass."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import positive_number
from rot180.geometry import positive_int

Array: TypeAlias = npt.NDArray[Any]

_EPS = float(np.finfo(np.float64).eps)
# Where rounding of f, about eps*f, and the third derivative's share, about h*h, weigh the same.
_STEP = 2.0**-17
# Beyond the inverse of this, the step grows with the entry: it must not drown in its rounding.
_LARGE = 2.0**-12
# A difference that does not fit is taken again with a quarter of the step, so many times at most:
# that brings steep functions to rest, and leaves kinks near by outside.
_QUARTERS = 6
# How many epsilons of its largest sum a forward pass may be off.
_ROUNDINGS = 16.0


class GradcheckError(AssertionError):
    """A gradient is wrong, or could not be checked; `result` has the details."""

    def __init__(self, result: GradcheckResult) -> None:
        super().__init__(str(result))
        self.result = result


@dataclass(frozen=True)
class Entry:
    """One entry of a gradient: what differences of the forward give, and what backward gave.

    `left` and `right` are the slopes on both sides; they are not the same at a kink, such as 0 of
    a ReLU or two equal numbers of a maximum, where no derivative exists.
    """

    index: tuple[int, ...]
    expected: float
    got: float
    left: float
    right: float


@dataclass(frozen=True)
class ArrayCheck:
    """What was found of one gradient.

    Attributes
    ----------
    name : "dx", or the parameter's name, "weight"
    size, checked : how many entries it has, and how many were compared
    error : the largest difference, relative to the larger of the two
    wrong : entries that differ by more than the tolerance
    kinks : entries that could not be compared, as the forward has a kink there
    zero : whether backward and differences are zero in all entries compared
    problem : why nothing could be compared; None if it could
    """

    name: str
    size: int = 0
    checked: int = 0
    error: float = 0.0
    wrong: tuple[Entry, ...] = ()
    kinks: tuple[Entry, ...] = ()
    zero: bool = False
    problem: str | None = None

    @property
    def right(self) -> bool:
        """Whether entries were compared, and none is wrong."""
        return self.problem is None and self.checked > len(self.kinks) and not self.wrong

    def __str__(self) -> str:
        if self.problem is not None:
            return f"{self.name}: {self.problem}"
        lines = []
        compared = self.checked - len(self.kinks)
        if self.wrong:
            worst = self.wrong[0]
            place = f"{self.name}[{', '.join(map(str, worst.index))}]"
            lines.append(
                f"{place}: expected {worst.expected:.9g}, got {worst.got:.9g}; "
                f"{len(self.wrong)} of {compared} entries compared are wrong"
            )
        elif compared:
            zero = ", all of them zero" if self.zero else ""
            lines.append(
                f"{self.name}: right in {compared} entries{zero}, of {self.size}; "
                f"relative error {self.error:.1e}"
            )
        if self.kinks:
            kink = self.kinks[0]
            place = f"{self.name}[{', '.join(map(str, kink.index))}]"
            lines.append(
                f"{place}: at a kink, with slope {kink.left:.4g} on the left and {kink.right:.4g} "
                f"on the right; {len(self.kinks)} such entries were not compared: move the input"
            )
        return "\n".join(lines)


@dataclass(frozen=True)
class GradcheckResult:
    """What `gradcheck` found, one `ArrayCheck` for each gradient; true if all are right."""

    checks: tuple[ArrayCheck, ...]

    @property
    def right(self) -> bool:
        """Whether every gradient is right, and not all are zero."""
        return all(check.right for check in self.checks) and not self.zero

    @property
    def zero(self) -> bool:
        """Whether all gradients are zero everywhere, so that nothing was shown."""
        return all(check.zero for check in self.checks)

    def __bool__(self) -> bool:
        return self.right

    def __str__(self) -> str:
        lines = [str(check) for check in self.checks]
        if self.zero:
            lines.append(
                "all gradients are zero, and so are all differences: this shows nothing. Take "
                "other inputs, such as random numbers"
            )
        return "\n".join(lines)


def gradcheck(
    target: Any,
    *inputs: npt.ArrayLike,
    tolerance: float = 1e-6,
    entries: int = 100,
    seed: int = 0,
    raise_exception: bool = True,
) -> GradcheckResult:
    """Check a backward pass against central differences of its forward pass, in float64.

    The loss is ``sum(y * r)`` with random numbers r, so ``backward`` is given dy = r. Each entry of
    each input and parameter in turn is moved by a step h to both sides:

    ``dL/dx[i] = (L(x[i] + h) - L(x[i] - h)) / (2*h)``

    A layer is copied first, its arrays made float64, and stays as it is. Random numbers, such as
    dropout's, are drawn alike in every forward.

    Parameters
    ----------
    target
        One of these:

        - a layer or a model: ``forward(x)`` and ``backward(dy)``, which returns dx. Parameters are
          what ``parameters()`` returns, with ``value`` and ``grad``; or ``params`` and ``grads``,
          both dicts or both lists; or attributes such as ``w`` and ``dw``. ``training=True`` is
          passed to a forward that takes it.
        - a loss: ``forward(prediction, target)`` returns a number, and ``backward()`` dprediction.
        - two functions, ``(forward, backward)``: ``y = forward(*inputs)``, and
          ``backward(dy, *inputs)``, which returns a gradient for each input that is floating, in
          their order, None for those that it does not compute. Where an argument of backward is
          called dy, dout, delta or the like, dy goes there.
    *inputs
        What forward takes: floating arrays are checked; whole numbers, such as labels, are passed
        on as they are.
    tolerance
        How far an entry may be off, as a share of the larger of the two values, besides the
        rounding of the difference.
    entries
        How many entries of each array are checked: all of a smaller array; of a larger one the
        first, the last, and others at random, half of them where the gradient is not zero.
    seed
        Of r and of the entries.
    raise_exception
        False returns the result, whatever it is.

    Returns
    -------
    GradcheckResult
        True in a condition if all is right; `str` tells each array's result. At a kink, such as 0
        of a ReLU, no derivative exists: such entries are counted and told, but not compared, unless
        the gradient lies outside the slopes on both sides, which is wrong anyhow.

    Raises
    ------
    GradcheckError
        An AssertionError: a gradient is wrong, has a wrong shape or is NaN; no entry of an array
        could be compared; or all gradients are zero, which would show nothing. The message names
        array, index, expected and got.
    TypeError, ValueError
        If target is nothing of the above, or its forward gives two results for one input.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rng = np.random.default_rng(0)
    >>> layer = rot180.Conv2d(2, 3, 3, stride=2, rng=rng)
    >>> result = rot180.gradcheck(layer, rng.normal(size=(2, 7, 6, 2)))
    >>> result.right, [check.name for check in result.checks]
    (True, ['dx', 'weight', 'bias'])
    >>> square = lambda x: x**2, lambda dy, x: dy * x
    >>> rot180.gradcheck(square, np.array([1.0, 3.0]))
    Traceback (most recent call last):
    ...
    rot180.gradient_check.GradcheckError: dx[0]: expected -2.27392337, got -1.13696169; 2 of 2 ...
    """
    positive_number("tolerance", tolerance)
    positive_int("entries", entries)
    rng = np.random.default_rng(seed)
    arrays = [_as_float64(value) for value in inputs]
    passes = _passes(target, arrays)
    y = passes.forward(arrays)
    if not np.array_equal(y, passes.forward(arrays), equal_nan=True):
        raise ValueError(
            "forward gives another result for the same input: give its random numbers a fixed "
            "seed, or leave them out, to check it"
        )
    r = rng.uniform(0.5, 1.5, y.shape) * rng.choice([-1.0, 1.0], y.shape)
    if y.ndim == 0 and not passes.wants_dy:
        r = np.ones(())

    def terms() -> Array:
        return np.asarray(passes.forward(arrays) * r)

    here = terms()
    gradients = passes.backward(arrays, r)
    checks = tuple(
        _check(name, value, gradient, terms, here, tolerance, entries, rng)
        for name, value, gradient in gradients
    )
    if not checks:
        raise TypeError(
            "there is no gradient to check: backward returns None, and there are no parameters"
        )
    result = GradcheckResult(checks)
    if raise_exception and not result:
        raise GradcheckError(result)
    return result


@dataclass(frozen=True)
class _Passes:
    """Forward and backward of whatever is checked.

    `backward` returns each gradient with its name and the array that it belongs to, which `forward`
    reads, so that moving an entry of the array moves the result.
    """

    forward: Callable[[list[Array]], Array]
    backward: Callable[[list[Array], Array], list[tuple[str, Array, Any]]]
    wants_dy: bool = True


def _passes(target: Any, arrays: Sequence[Array]) -> _Passes:
    if isinstance(target, (tuple, list)) and len(target) == 2 and all(map(callable, target)):
        return _function_passes(*target)
    if not (hasattr(target, "forward") and hasattr(target, "backward")):
        raise TypeError(
            f"target is a {type(target).__name__}, expected an object with forward and backward, "
            "or two functions (forward, backward)"
        )
    return _object_passes(_in_float64(target))


def _function_passes(forward: Callable[..., Any], backward: Callable[..., Any]) -> _Passes:
    names = _input_names(forward)
    dy_name = next((name for name in _input_names(backward) if name.lower() in _DY_NAMES), None)

    def run_backward(arrays: list[Array], dy: Array) -> list[tuple[str, Array, Any]]:
        copies = [array.copy() for array in arrays]
        given = list(_input_names(backward))
        at = given.index(dy_name) if dy_name in given else 0
        back = backward(*copies[:at], dy.copy(), *copies[at:])
        return _of_inputs(names, arrays, back)

    return _Passes(lambda arrays: _result(forward(*_copies(arrays))), run_backward)


_DY_NAMES = ("dy", "dout", "grad", "delta", "grad_output", "dz", "upstream", "d_out", "gradient")


def _object_passes(target: Any) -> _Passes:
    names = _input_names(target.forward)
    takes_training = "training" in inspect.signature(target.forward).parameters
    options = {"training": True} if takes_training else {}
    generators = _generators(target)
    states = [copy.deepcopy(generator.bit_generator.state) for generator in generators]
    wants_dy = bool(_needed(target.backward))

    def run_forward(arrays: list[Array]) -> Array:
        for generator, state in zip(generators, states, strict=True):
            generator.bit_generator.state = state
        return _result(target.forward(*_copies(arrays), **options))

    def run_backward(arrays: list[Array], dy: Array) -> list[tuple[str, Array, Any]]:
        if hasattr(target, "zero_grad"):
            target.zero_grad()
        back = target.backward(dy.copy()) if wants_dy or dy.ndim else target.backward()
        of_inputs = _of_inputs(names, arrays, back)
        if back is None and arrays and arrays[0].dtype.kind == "f":
            of_inputs = [(f"d{names[0]}", arrays[0], None)]  # its return may have been forgotten
        return [*of_inputs, *_parameters(target)]

    return _Passes(run_forward, run_backward, wants_dy)


def _of_inputs(
    names: Sequence[str], arrays: Sequence[Array], back: Any
) -> list[tuple[str, Array, Any]]:
    """Name the gradients that backward returned, one for each floating input."""
    floating = [i for i, array in enumerate(arrays) if array.dtype.kind == "f"]
    if not isinstance(back, (tuple, list)) or len(floating) == 1 != len(back):
        back = (back,)
    several = len(back) == 1 and isinstance(back[0], (tuple, list)) and _holds_arrays(back[0])
    if several or len(back) > len(floating):
        count = len(back[0] if several else back)
        raise ValueError(
            f"backward returns {count} gradients, and there are {len(floating)} floating inputs: "
            "those of a layer's parameters belong in its attributes, dw beside w"
        )
    called = [names[i] if i < len(names) else f"input{i}" for i in floating]
    return [
        (f"d{name}", arrays[i], gradient)
        for name, i, gradient in zip(called, floating, back, strict=False)
        if gradient is not None
    ]


def _holds_arrays(gradients: Sequence[Any]) -> bool:
    """Whether these are several gradients, and not the rows of one."""
    arrays = [isinstance(one, np.ndarray) for one in gradients]
    return any(arrays) and len({np.shape(one) for one in gradients if one is not None}) > 1


def _parameters(target: Any) -> Iterator[tuple[str, Array, Any]]:
    """Yield the name, the array and the gradient of each parameter."""
    if hasattr(target, "parameters"):
        held = target.parameters
        held = held() if callable(held) else held
        for i, parameter in enumerate(held.values() if isinstance(held, Mapping) else held):
            yield getattr(parameter, "name", f"parameter{i}"), parameter.value, parameter.grad
    elif hasattr(target, "params") and hasattr(target, "grads"):
        params, grads = target.params, target.grads
        keys = params if isinstance(params, Mapping) else range(len(params))
        for key in keys:
            gradient = grads.get(key) if isinstance(grads, Mapping) else grads[key]
            yield (key if isinstance(key, str) else f"params[{key}]"), params[key], gradient
    else:
        for name, value in list(vars(target).items()):
            if isinstance(value, np.ndarray) and hasattr(target, f"d{name}"):
                yield name, value, getattr(target, f"d{name}")


def _check(
    name: str,
    value: Array,
    gradient: Any,
    terms: Callable[[], Array],
    here: Array,
    tolerance: float,
    entries: int,
    rng: np.random.Generator,
) -> ArrayCheck:
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return ArrayCheck(name, problem=f"is no float64 array, but {type(value).__name__}")
    got = np.asarray(gradient)
    if got.dtype.kind not in "fiu":
        what = "is None" if gradient is None else f"is no array of numbers: {got!r}"
        return ArrayCheck(name, value.size, problem=f"the gradient {what}")
    if got.shape != value.shape:
        return ArrayCheck(
            name, value.size, problem=f"the gradient has shape {got.shape}, expected {value.shape}"
        )
    if not value.size:
        return ArrayCheck(name, problem="it is empty, which shows nothing")
    got = got.astype(np.float64)
    wrong, kinks, error, zero = [], [], 0.0, True
    chosen = _chosen(got, entries, rng)
    for flat in chosen:
        index = tuple(int(i) for i in np.unravel_index(flat, value.shape))
        entry, kind = _compare(value, index, float(got[index]), terms, here, tolerance)
        zero = zero and entry.got == 0 and kind == "right"
        if kind == "kink":
            kinks.append(entry)
            continue
        if kind == "wrong":
            wrong.append(entry)
        larger = max(abs(entry.expected), abs(entry.got))
        error = max(error, abs(entry.expected - entry.got) / larger if larger else 0.0)
    problem = None
    if len(kinks) == len(chosen):
        problem = f"each of the {len(chosen)} entries is at a kink of the forward: move the input"
    return ArrayCheck(
        name, value.size, len(chosen), error, tuple(wrong), tuple(kinks), zero, problem
    )


def _compare(
    value: Array,
    index: tuple[int, ...],
    got: float,
    terms: Callable[[], Array],
    here: Array,
    tolerance: float,
) -> tuple[Entry, str]:
    """Compare one entry; say "right", "wrong" or "kink".

    The error of a central difference falls to a sixteenth with each quarter of the step, so
    ``(16*shorter - longer) / 15`` is free of its first term.
    """
    step = _STEP * max(1.0, abs(float(value[index])) * _LARGE)
    before = entry = None
    for _ in range(_QUARTERS):
        before = entry
        left, right, noise = _slopes(value, index, step, terms, here)
        entry, step = Entry(index, (left + right) / 2, got, left, right), step / 4
        if _fits(entry.expected, got, tolerance, noise):
            return entry, "right"
        if before is None:
            continue
        change, jump = entry.expected - before.expected, right - left
        limit = entry.expected + change / 15
        if _fits(limit, got, tolerance, 2 * noise):
            return Entry(index, limit, got, left, right), "right"
        # Where no kinks are near, a quarter of the step leaves a quarter of the jump; what then
        # differs by much more than a shorter step can mend is wrong.
        quarter = (before.right - before.left) / 4
        smooth = abs(jump - quarter) <= 8 * noise + abs(quarter) / 8
        if smooth and not abs(before.expected - got) <= 4 * max(abs(change), abs(jump)):
            return entry, "wrong"
    assert before is not None
    assert entry is not None
    # A smooth forward's slopes come together as the step shrinks; those at a kink do not.
    jump = abs(jump)
    if jump <= 8 * noise:
        return entry, "wrong"
    room = noise + tolerance * max(abs(left), abs(right))
    if abs(left - before.left) > 2 * room or abs(right - before.right) > 2 * room:
        room += jump  # kinks everywhere: shorter steps would still bring out others
    return entry, "kink" if min(left, right) - room <= got <= max(left, right) + room else "wrong"


def _fits(expected: float, got: float, tolerance: float, noise: float) -> bool:
    return abs(expected - got) <= noise + tolerance * max(abs(expected), abs(got))


def _slopes(
    value: Array, index: tuple[int, ...], step: float, terms: Callable[[], Array], here: Array
) -> tuple[float, float, float]:
    """Return the slopes to the left and to the right, and what rounding may do to them.

    A term that moves was rounded all the way through the forward; one that stays may have moved by
    less than its own epsilon.
    """
    start = value[index]
    try:
        value[index] = start + step
        above, ahead = terms(), float(value[index] - start)
        value[index] = start - step
        below, behind = terms(), float(start - value[index])
    finally:
        value[index] = start
    moved = above != below
    sizes = np.maximum(np.abs(above), np.abs(below))
    size = float(_ROUNDINGS * sizes[moved].sum() + sizes.sum())
    return (
        float((here - below).sum()) / behind,
        float((above - here).sum()) / ahead,
        _EPS * size / step,
    )


def _chosen(gradient: Array, entries: int, rng: np.random.Generator) -> list[int]:
    """Choose entries of a large gradient: the ends, and of the others as many not zero as zero."""
    if gradient.size <= entries:
        return list(range(gradient.size))
    chosen = [0, gradient.size - 1][:entries]
    nonzero = rng.permutation(np.flatnonzero(gradient))[: entries // 2]
    others = rng.permutation(gradient.size)
    return list(dict.fromkeys(map(int, [*chosen, *nonzero, *others])))[:entries]


def _as_float64(value: npt.ArrayLike) -> Array:
    """Return a copy, float64 if it is floating."""
    array: Array = np.array(value)
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _copies(arrays: Sequence[Array]) -> list[Array]:
    """Return copies, so that a forward may change its inputs."""
    return [array.copy() for array in arrays]


def _result(y: Any) -> Array:
    array: Array = np.asarray(y)
    if array.dtype.kind != "f":
        what = f"{type(y).__name__} of dtype {array.dtype}"
        raise TypeError(f"forward returns {what}, expected floats: are the inputs floats?")
    if array.dtype != np.float64:
        raise TypeError(
            f"forward returns {array.dtype} for float64 inputs, and differences of it drown in "
            "rounding: compute in the dtype of the input"
        )
    return array


def _needed(fn: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments without which fn cannot be called."""
    return [
        argument.name
        for argument in inspect.signature(fn).parameters.values()
        if argument.default is argument.empty
        and argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
    ]


def _input_names(fn: Callable[..., Any]) -> list[str]:
    try:
        return [
            argument.name
            for argument in inspect.signature(fn).parameters.values()
            if argument.kind in (argument.POSITIONAL_ONLY, argument.POSITIONAL_OR_KEYWORD)
        ]
    except (TypeError, ValueError):
        return []


def _in_float64(target: Any) -> Any:
    """Return a copy of an object, with every float32 array in it made float64."""
    copied = copy.deepcopy(target)
    seen: set[int] = set()

    def changed(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.astype(np.float64) if value.dtype == np.float32 else value
        if id(value) in seen or isinstance(value, (type, np.random.Generator)):
            return value
        seen.add(id(value))
        if isinstance(value, dict):
            for key in value:
                value[key] = changed(value[key])
        elif isinstance(value, list):
            value[:] = [changed(one) for one in value]
        elif type(value) is tuple:
            return tuple(changed(one) for one in value)
        elif hasattr(value, "__dict__"):
            changed(vars(value))
        return value

    changed(copied)
    return copied


def _generators(target: Any) -> list[np.random.Generator]:
    """Return the random generators anywhere in an object."""
    found: list[np.random.Generator] = []
    seen: set[int] = set()

    def look(value: Any) -> None:
        if id(value) in seen or isinstance(value, (type, np.ndarray)):
            return
        seen.add(id(value))
        if isinstance(value, np.random.Generator):
            found.append(value)
        elif isinstance(value, Mapping):
            for one in value.values():
                look(one)
        elif isinstance(value, (list, tuple)):
            for one in value:
                look(one)
        elif hasattr(value, "__dict__"):
            look(vars(value))

    look(target)
    return found
