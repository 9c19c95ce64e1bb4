"""Calling a user's function: which parameters it has, and what it returned."""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rot180.diagnose.convolution import GRADIENTS, Array

# Names under which each argument is known, in small letters and without underscores.
NAMES = {
    "x": ("x", "input", "inputs", "image", "images", "img", "xin", "aprev", "inp", "data", "a"),
    "w": ("w", "weight", "weights", "kernel", "kernels", "filter", "filters", "wt", "k"),
    "dy": (
        *("dy", "dout", "grad", "delta", "deltas", "gradoutput", "outputgradient", "gradout"),
        *("dz", "g", "upstream", "gradient", "dldy", "outputgrad", "doutput", "gradients", "d"),
    ),
    "stride": ("stride", "strides", "s"),
    "padding": ("padding", "pad", "pads", "p"),
    "dilation": ("dilation", "dilations"),
    "groups": ("groups", "group"),
    "bias": ("bias", "b", "biases"),
    "y": ("y", "out", "output", "yout", "saved"),
    "z": ("z", "preactivation", "linear"),
    "activation": ("activation", "act", "activationname"),
    "input_shape": ("inputshape", "xshape", "insize", "inputsize"),
    "kernel_size": ("kernelsize", "ksize", "kernelshape", "filtersize"),
}
RESULTS = {
    "dx": ("dx", "x", "gradinput", "gradx", "dinput", "dldx", "inputgradient"),
    "dw": ("dw", "w", "gradweight", "gradw", "dweight", "dweights", "dkernel", "dldw"),
    "db": ("db", "b", "gradbias", "gradb", "dbias", "dldb"),
}


# Where a user's own code is not.
LIBRARIES = (str(Path(np.__file__).parent), str(Path(__file__).parents[1]))


class UnusableError(Exception):
    """A function that cannot be judged, with what to do about it."""


class RaisedError(UnusableError):
    """A function that raised an exception; `refused` where it did so by a statement of its own."""

    def __init__(self, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        theirs = [frame for frame in frames if not frame.filename.startswith(LIBRARIES)]
        line = (theirs[-1].line or "").strip() if theirs else ""
        self.refused = isinstance(error, NotImplementedError | AssertionError) or (
            line.startswith("raise ") and theirs[-1] is frames[-1]
        )
        where = f" in line {theirs[-1].lineno}: {line}" if line else ""
        message = " ".join(str(error).split())[:300]
        super().__init__(f"raised {type(error).__name__}{': ' * bool(message)}{message}{where}")


@dataclass(frozen=True)
class Function:
    """A user's function, and by which name it takes each argument.

    Attributes
    ----------
    call : the function
    parameters : for each argument of NAMES that it takes, the parameter's name
    positional : arguments that it does not take by name
    rest : whether it takes any keyword, ``**options``
    """

    call: Callable[..., Any]
    parameters: Mapping[str, str]
    positional: tuple[str, ...] = ()
    rest: bool = False

    def takes(self, argument: str) -> bool:
        """Whether the function can be given this argument."""
        return argument in self.parameters or (
            self.rest and argument in ("stride", "padding", "dilation", "groups")
        )

    def __call__(self, arguments: Mapping[str, Any]) -> tuple[Any, list[str]]:
        """Call it with those of the arguments that it takes, copied.

        Returns what it returned, and the names of the parameters that it changed in place.

        Raises
        ------
        RaisedError
            If it raises anything.
        """
        copies = {
            name: value.copy() if isinstance(value, np.ndarray) else value
            for name, value in arguments.items()
            if self.takes(name)
        }
        args = [copies[name] for name in self.positional]
        named = {
            self.parameters.get(name, name): value
            for name, value in copies.items()
            if name not in self.positional
        }
        try:
            result = self.call(*args, **named)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise RaisedError(error) from None
        changed = [
            self.parameters.get(name, name)
            for name, value in copies.items()
            if isinstance(value, np.ndarray) and not np.array_equal(value, arguments[name])
        ]
        return result, changed


def understand(
    call: Any,
    what: str,
    needed: Sequence[str],
    names: Mapping[str, Sequence[str]] = NAMES,
) -> Function:
    """Find out by which names a function takes its arguments; the last of `needed` it must.

    Raises
    ------
    UnusableError
        If it is no function, or if a parameter without a default has a name that is not known.
    """
    if not callable(call):
        raise UnusableError(f"the {what} is a {type(call).__name__}, expected a function")
    name = getattr(call, "__qualname__", type(call).__name__)
    is_class = isinstance(inspect.unwrap(call), type)
    try:
        parameters = inspect.signature(call).parameters.values()
    except (TypeError, ValueError):
        raise UnusableError(
            f"{name} does not tell its parameters: wrap it, "
            f"def {what}({', '.join(needed)}): return {name}(...)"
        ) from None
    found: dict[str, str] = {}
    positional, unknown, rest = [], [], False
    for parameter in parameters:
        if parameter.kind is parameter.VAR_KEYWORD:
            rest = True
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            continue
        plain = parameter.name.lower().replace("_", "")
        argument = next((name for name, known in names.items() if plain in known), None)
        if argument is None or argument in found:
            if parameter.default is parameter.empty:
                unknown.append(parameter.name)
            continue
        found[argument] = parameter.name
        if parameter.kind is parameter.POSITIONAL_ONLY:
            positional.append(argument)
    without_object = is_class and (unknown or needed[-1] not in found)
    if without_object or "self" in unknown:
        kind = "class" if is_class else "method, and needs an object"
        raise UnusableError(
            f"{name} is a {kind}: write a function "
            f"{what}({', '.join(needed)}) beside the class that makes one, gives it its arrays, "
            "calls what must come before, and returns what it computes; then name that function"
        )
    if unknown:
        known = ", ".join(f"{name} ({', '.join(names[name][:4])})" for name in names)
        raise UnusableError(
            f"{name} has the parameter{'s' * (len(unknown) > 1)} {', '.join(unknown)}, and what is "
            f"meant is not known: rename, or wrap it in a function with some of these: {known}"
        )
    if needed[-1] not in found:
        raise UnusableError(
            f"{name} takes no {needed[-1]}: it must have a parameter of one of the names "
            f"{', '.join(names[needed[-1]][:6])}"
        )
    return Function(call, found, tuple(positional), rest)


def gradients(result: Any, returns: Sequence[str]) -> dict[str, Any]:
    """Name what a backward returned: a dict, a tuple in the order of `returns`, or attributes.

    Raises
    ------
    UnusableError
        If it is something else, or has more entries than `returns`.
    """
    order = ", ".join(returns)
    if isinstance(result, Mapping):
        named = {}
        for key, value in result.items():
            plain = str(key).lower().replace("_", "")
            for name in GRADIENTS:
                if plain in RESULTS[name]:
                    named[name] = value
        if not named:
            raise UnusableError(
                f"returns a dict with the keys {', '.join(map(repr, result))}: "
                "expected some of 'dx', 'dw', 'db'"
            )
    elif any(hasattr(result, name) for name in GRADIENTS):
        named = {name: getattr(result, name, None) for name in GRADIENTS}
    elif isinstance(result, tuple) or (
        isinstance(result, list) and any(isinstance(entry, np.ndarray) for entry in result)
    ):
        if len(result) > len(returns):
            raise UnusableError(
                f"returns {len(result)} results: expected at most {len(returns)}, "
                f"in the order {order} (None for what it does not compute)"
            )
        named = dict(zip(returns, result, strict=False))
    elif result is None:
        raise UnusableError(f"returns None: expected ({order}), perhaps its return is missing")
    else:
        named = {returns[0]: result}
    named = {name: value for name, value in named.items() if value is not None}
    if not named:
        raise UnusableError(f"returns None for every gradient: expected some of ({order})")
    return named


def number_array(name: str, value: Any) -> tuple[Array, str | None]:
    """Return a result as float64, its dtype's name beside it; None where it was no array.

    Raises
    ------
    UnusableError
        If it does not hold real numbers.
    """
    is_array = isinstance(value, np.ndarray | np.generic)
    try:
        array = np.asarray(value)
    except Exception as error:
        raise UnusableError(
            f"returns {name} as {type(value).__name__}, which is no array: {error}"
        ) from None
    if array.dtype.kind not in "biuf":
        raise UnusableError(
            f"returns {name} as {type(value).__name__} of dtype {array.dtype}: "
            "expected a NumPy array of real numbers"
        )
    return array.astype(np.float64), array.dtype.name if is_array else None
