"""Names the mistake in the backward pass of an activation: dx = dy * g'(z), a = g(z)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.arguments import FloatArray, real_number
from rot180.diagnose.candidates import RIGHT, Names, Way, Ways
from rot180.diagnose.diagnosis import Diagnosis, Mistake
from rot180.diagnose.judging import Gradient, Probe, judge

_NAMES = {
    "z": ("z", "x", "input", "inputs", "preactivation", "xin", "linear", "cache"),
    "a": ("a", "y", "out", "output", "outputs", "saved", "activation", "yout", "s"),
    "dy": (
        *("dy", "da", "dout", "grad", "delta", "deltas", "gradoutput", "gradout", "g", "upstream"),
        *("gradient", "dldy", "dlda", "outputgrad", "d"),
    ),
}
_PAGE = "activation-derivative"


@dataclass(frozen=True)
class _Activation:
    """g, g' at z, and g' from a = g(z) where it can be had from a alone; as NumPy, for people."""

    g: Callable[[FloatArray], FloatArray]
    of_z: Callable[[FloatArray], FloatArray]
    line: str
    of_a: Callable[[FloatArray], FloatArray] | None = None


def _sigmoid(z: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-z)))


def _normal(z: FloatArray) -> FloatArray:
    """How much of the normal distribution lies below z."""
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return np.asarray((1 + erf(z / math.sqrt(2))) / 2)


def _gelu_tanh(z: FloatArray) -> FloatArray:
    return np.asarray(np.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))


def _gelu_tanh_slope(z: FloatArray) -> FloatArray:
    t = _gelu_tanh(z)
    inner = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * z**2)
    return (1 + t) / 2 + z / 2 * (1 - t**2) * inner


def _activations(slope: float) -> dict[str, _Activation]:
    return {
        "relu": _Activation(
            lambda z: np.maximum(z, 0),
            lambda z: np.where(z > 0, 1.0, 0.0),
            "dx = dy * (z > 0)",
            lambda a: np.where(a > 0, 1.0, 0.0),
        ),
        "leaky_relu": _Activation(
            lambda z: np.where(z > 0, z, slope * z),
            lambda z: np.where(z > 0, 1.0, slope),
            "dx = np.where(z > 0, dy, negative_slope * dy)",
            lambda a: np.where(a > 0, 1.0, slope),
        ),
        "elu": _Activation(
            lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))),
            lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0))),
            "dx = dy * np.where(a > 0, 1, a + 1)  # a = elu(z)",
            lambda a: np.where(a > 0, 1.0, a + 1),
        ),
        "sigmoid": _Activation(
            _sigmoid,
            lambda z: _sigmoid(z) * _sigmoid(-z),
            "dx = dy * a * (1 - a)  # a = sigmoid(z)",
            lambda a: a * (1 - a),
        ),
        "tanh": _Activation(
            np.tanh,
            lambda z: 1 - np.tanh(z) ** 2,
            "dx = dy * (1 - a**2)  # a = tanh(z)",
            lambda a: 1 - a**2,
        ),
        "silu": _Activation(
            lambda z: z * _sigmoid(z),
            lambda z: _sigmoid(z) * (1 + z * _sigmoid(-z)),
            "s = sigmoid(z); dx = dy * s * (1 + z * (1 - s))",
        ),
        "gelu": _Activation(
            lambda z: z * _normal(z),
            lambda z: _normal(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi),
            "dx = dy * (Phi(z) + z * np.exp(-z**2 / 2) / np.sqrt(2 * np.pi))",
        ),
    }


NAMES = tuple(_activations(0.01))


def activation_backward(
    fn: Callable[..., Any], name: str, *, negative_slope: float = 0.01
) -> Diagnosis:
    """Say whether the backward pass of an activation is right, or which mistake it has.

    Parameters
    ----------
    fn : callable
        ``backward(dy, z)``, ``backward(dy, a)`` or with both: z is the input of the activation,
        also called x, and a its output, also called y or out. Returns dx.
    name : str
        "relu", "leaky_relu", "elu" (alpha 1), "sigmoid", "tanh", "silu" or "gelu" (of either form).
    negative_slope : float
        Of leaky_relu.

    Returns
    -------
    Diagnosis
        One finding, of ``"dx"``.

    Raises
    ------
    ValueError, TypeError
        If there is no such activation, or negative_slope is no number.

    Examples
    --------
    >>> from rot180 import diagnose
    >>> def backward(dy, z):
    ...     return dy * z * (1 - z)
    >>> diagnose.activation_backward(backward, "sigmoid").mistakes[0].name
    "the derivative's formula for the output a is used with z"
    """
    known = _activations(real_number("negative_slope", negative_slope))
    if name not in known:
        raise ValueError(f"name is {name!r}, expected one of {', '.join(known)}")
    activation = known[name]

    def make(given: Mapping[str, Any], names: Names) -> tuple[FloatArray, FloatArray]:
        dx = _dx(activation, given, names)
        # exp and tanh are right to an epsilon of z, and 1 - a to one of 1.
        return dx, 32 * np.abs(given["dy"]) * (1 + np.abs(given["z"]))

    def term(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
        dy, z = float(given["dy"][at]), float(given["z"][at])
        place = ",".join(map(str, at))
        slope = float(activation.of_z(np.array(z)))
        return f"dy[{place}]*g'(z[{place}]) = ({dy:g})*g'({z:g}) = ({dy:g})*({slope:.6g})"

    gelu = name == "gelu"
    gradient = Gradient(
        "dx",
        _ways(name, activation),
        make,
        term,
        [RIGHT, frozenset({"tanh form"})] if gelu else [RIGHT],
        {"tanh form": "gelu by its approximation with tanh, which is no mistake"},
    )
    return judge(fn, _NAMES, ("z", "dy"), _probes(activation, gelu), [gradient])


def _probes(activation: _Activation, gelu: bool) -> list[Probe]:
    rng = np.random.default_rng(180)
    z = rng.uniform(0.2, 2.5, (3, 4)) * rng.choice([-1.0, 1.0], (3, 4))
    at_zero = np.array([[0.0, 1.5, -0.5], [0.0, -1.25, 0.75]])
    probes = []
    for shows, place in (("numbers of either sign", z), ("numbers with 0 among them", at_zero)):
        dy = rng.uniform(0.5, 1.5, place.shape) * rng.choice([-1.0, 1.0], place.shape)
        dy.flat[0] = 1.25
        arguments = {"z": place, "a": activation.g(place), "dy": dy}
        probes.append(Probe(shows, arguments))
    return probes


def _ways(name: str, activation: _Activation) -> Ways:
    line = activation.line
    formula = line.partition("#")[0].partition("=")[2].strip()

    def mistake(what: str, reason: str) -> Mistake:
        return Mistake("M19", what, reason, line, _PAGE)

    chain = "By the chain rule dL/dz = dL/da * g'(z)."
    at_z = (
        "The derivative is that at z, what went into g. At a or at dy it is the slope of another "
        "place."
    )
    ways = {
        "missing": mistake(
            "the derivative is missing",
            f"{chain} Without g' the activation counts as the identity.",
        ),
        "twice": mistake("the derivative is applied twice", f"{chain} g' appears in it once."),
        "g for the derivative": mistake(
            "the activation itself is taken in place of its derivative",
            f"{chain} That is the slope of g, not its value.",
        ),
        "at a": mistake("the derivative is taken at a = g(z) instead of at z", at_z),
        "at dy": mistake("the derivative is taken at dy instead of at z", at_z),
        "dy missing": mistake(
            "dy is missing", f"{chain} g' alone is not the gradient of the loss."
        ),
    }
    made = {key: Way("slope", value) for key, value in ways.items()}
    made["dy missing"] = Way("dy", ways["dy missing"])
    if activation.of_a is not None and name in ("sigmoid", "tanh", "elu"):
        made["formula of a at z"] = Way(
            "slope",
            mistake(
                "the derivative's formula for the output a is used with z",
                f"The formula {formula} holds for a = g(z). Give it the saved output.",
            ),
        )
    if name in ("sigmoid", "tanh"):
        made["half of it"] = Way(
            "slope",
            mistake(
                "the derivative lacks a factor" if name == "sigmoid" else "a is not squared",
                f"{chain} For {name} that is {formula}.",
            ),
        )
    if name in ("relu", "leaky_relu"):
        made["1 at 0"] = Way(
            "zero",
            mistake(
                "the derivative at 0 is 1",
                "At 0 there is no derivative, and by convention it is that of the left side. Zeros "
                "are no rarity: padding and pixels of earlier ReLUs are exactly 0.",
            ),
        )
        made["half at 0"] = Way(
            "zero",
            mistake(
                "the derivative at 0 is between those of the two sides",
                "At 0 there is no derivative, and by convention it is that of the left side.",
            ),
        )
    if name == "leaky_relu":
        left = "Left of 0 the activation has the slope negative_slope, and so has the gradient."
        made["no slope"] = Way("left", mistake("the slope left of 0 is missing", left))
        made["slope everywhere"] = Way("left", mistake("the slope holds on both sides", left))
    negative = Mistake(
        "M10",
        "the sign is wrong",
        "A gradient points to where the loss grows; the optimizer subtracts it. Turned round here, "
        "it is added in effect.",
        line,
        "adam-and-backprop",
    )
    return {**made, "negative": Way("sign", negative)}


def _dx(activation: _Activation, given: Mapping[str, Any], names: Names) -> FloatArray:
    z, dy = given["z"].astype(np.float64), given["dy"].astype(np.float64)
    of_z = _gelu_tanh_slope if "tanh form" in names else activation.of_z
    g = activation.g
    if "tanh form" in names:
        g = _gelu
    if "no slope" in names:
        of_z = _activations(0.0)["leaky_relu"].of_z
    elif "slope everywhere" in names:
        left = float(activation.of_z(np.array(-1.0)))

        def of_z(z: FloatArray) -> FloatArray:
            return np.full_like(z, left)

    a = g(z)
    slope = of_z(z)
    if "at a" in names:
        slope = of_z(a)
    elif "at dy" in names:
        slope = of_z(dy)
    elif "formula of a at z" in names and activation.of_a is not None:
        slope = activation.of_a(z)
    elif "half of it" in names:
        slope = 1 - a
    elif "g for the derivative" in names:
        slope = a
    elif "missing" in names:
        slope = np.ones_like(z)
    if "1 at 0" in names:
        slope = np.where(z == 0, 1.0, slope)
    elif "half at 0" in names:
        slope = np.where(z == 0, (of_z(np.array(1.0)) + of_z(np.array(-1.0))) / 2, slope)
    if "twice" in names:
        slope = slope**2
    dx = slope * (1.0 if "dy missing" in names else dy)
    return -dx if "negative" in names else dx


def _gelu(z: FloatArray) -> FloatArray:
    return z * (1 + _gelu_tanh(z)) / 2
