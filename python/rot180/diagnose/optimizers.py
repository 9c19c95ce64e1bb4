"""Names the mistake in an optimizer's step: Adam, and gradient descent with momentum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from rot180.arguments import FloatArray, adam_betas, positive_number, real_number
from rot180.diagnose import adam_steps, sgd_steps
from rot180.diagnose.adam_layer_steps import AdamLayer
from rot180.diagnose.adam_steps import Adam
from rot180.diagnose.callables import RaisedError, UnusableError
from rot180.diagnose.candidates import (
    RIGHT,
    Names,
    Ways,
    different,
    explanations,
    mistakes,
    reproduces,
)
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake
from rot180.diagnose.sgd_steps import Sgd
from rot180.diagnose.stepping import Function, Trajectory, is_step, takes, trajectory
from rot180.geometry import IntOrPair, Padding, conv2d_geometry

_NOTES = {
    "epsilon hat": "eps is added before the correction (epsilon hat, as Keras and ONNX do): a "
    "variant of Adam, not a mistake",
    "PyTorch's momentum": "momentum in PyTorch's form: the velocity is a sum of gradients, and lr "
    "multiplies it in the update",
    "Keras's momentum": "momentum in Keras's form: the velocity is a sum of steps, which hold the "
    "lr of their time",
}
_STEPS = 6
_SHAPES = ((3, 2, 5, 4), (4,), (2, 3))


def adam(
    fn: Function,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    epsilon_hat: bool = False,
) -> Diagnosis:
    """Say whether a step of Adam is right, and which mistake it has if it is not.

    Three tensors go six steps, in float64 and in float32. Their gradients are near 1, near
    sqrt(eps) and near eps, since most mistakes show in some of them only.

    Parameters
    ----------
    fn : callable
        One of these; arguments are told apart by their names, and may be fewer.

        - ``step(param, grad, m, v, t, lr, beta1, beta2, eps)`` of one tensor, which returns
          ``(param, m, v)`` or changes them in place. m and v begin as zeros, t counts from 1.
        - ``Adam(params, lr=...)``, a class or a function that returns an object or a function:
          its ``step(grads)``, ``step()``, ``update(params, grads)`` or call is called once for all
          tensors. They are lists of arrays; if that fails, dicts of arrays; then a list of
          `rot180.Parameter`; then one array, with an object for each.
    lr, betas, eps, weight_decay
        The values that fn is given, or that are written in it.
    decoupled : bool
        Whether weight decay is meant to be decoupled (AdamW).
    epsilon_hat : bool
        Whether eps is meant to be added before the correction, as Keras and ONNX do. Otherwise
        either is right, and a note says that it was found.

    Returns
    -------
    Diagnosis
        One finding, of ``"param"``.

    Raises
    ------
    TypeError, ValueError
        Naming the option that is no number, or out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> def step(param, grad, m, v, t, lr, beta1, beta2, eps):
    ...     m[:] = beta1 * m + (1 - beta1) * grad
    ...     v[:] = beta2 * v + (1 - beta2) * grad**2
    ...     param -= lr * m / (np.sqrt(v) + eps)
    >>> [mistake.name for mistake in diagnose.adam(step).mistakes]
    ['the bias correction is missing']
    """
    asked = _asked(lr, betas, eps, weight_decay, decoupled, epsilon_hat)
    options = _options(asked)
    runs = []
    for dtype in (np.float64, np.float32):
        probe = _Probe.of(dtype, lr, (1.0, math.sqrt(eps), eps))
        try:
            went = probe.run(fn, [options] * _STEPS, ("m", "v"))
        except BaseException as error:
            return _unusable(fn, error)
        runs.append(_Run(asked, probe.params, probe.gradients, went))
    return _judge(runs, adam_steps.SHARED)


def adam_trajectory(
    params: Sequence[Any],
    gradients: Sequence[Any],
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    epsilon_hat: bool = False,
) -> Diagnosis:
    """Say as `adam` does whether recorded steps of Adam are right: those of any program.

    What the gradients do not show cannot be told: to tell where eps is takes some that are about
    as small as eps.

    Parameters
    ----------
    params : sequence of arrays, or of lists of arrays
        The parameter before the first step and after each one; of several tensors, a list each.
    gradients : sequence, one shorter than params
        The gradient of each step.
    lr, betas, eps, weight_decay, decoupled, epsilon_hat
        As in `adam`.

    Returns
    -------
    Diagnosis
        One finding, of ``"param"``.

    Raises
    ------
    TypeError, ValueError
        Naming the option or the array that is none, or of a wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> param, grad = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    >>> step = 1e-3 * grad / (np.abs(grad) + 1e-8)
    >>> went = [param, param + step, param + 2 * step]
    >>> [mistake.name for mistake in diagnose.adam_trajectory(went, [grad, grad]).mistakes]
    ['the step is added instead of subtracted']
    """
    asked = _asked(lr, betas, eps, weight_decay, decoupled, epsilon_hat)
    places, grads = _recorded("params", params), _recorded("gradients", gradients)
    if len(places) != len(grads) + 1:
        raise ValueError(
            f"params holds {len(places)} places and gradients {len(grads)}, expected one place "
            "before the first step and one after each"
        )
    shapes = [p.shape for p in places[0]]
    for name, rows in (("params", places), ("gradients", grads)):
        for number, row in enumerate(rows):
            if [array.shape for array in row] != shapes:
                raise ValueError(
                    f"{name}[{number}] has shapes {[array.shape for array in row]}, expected "
                    f"{shapes} as params[0]"
                )
    return _judge([_Run(asked, places[0], grads, Trajectory(places[1:]))], adam_steps.SHARED)


def adam_layer(
    fn: Function,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    epsilon_hat: bool = False,
    stride: IntOrPair = 1,
    padding: Padding = 0,
    layout: str = "NHWC",
    weight_layout: str = "HWIO",
) -> Diagnosis:
    """Say whether a convolution updates its weights and bias by Adam rightly.

    The layer is given delta, and has to form the gradients itself. This is where Adam is met
    applied to delta in place of them.

    Parameters
    ----------
    fn : callable
        ``layer(x, w, b, dy, state, t)``, which returns ``(w, b)`` or changes them in place. state
        is a dict, empty at first, for what the layer keeps between steps. t counts from 1.
    lr, betas, eps, weight_decay, decoupled, epsilon_hat
        As in `adam`; written in the layer.
    stride, padding
        As in `rot180.functional.conv2d`; written in the layer.
    layout, weight_layout : str
        Of x and dy, ``"NHWC"`` or ``"NCHW"``; of w, ``"HWIO"`` or ``"OIHW"``.

    Returns
    -------
    Diagnosis
        One finding, of ``"w and b"``.

    Raises
    ------
    TypeError, ValueError
        Naming the option that is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose, reference
    >>> def layer(x, w, b, dy, state, t):
    ...     m = state["m"] = 0.9 * state.get("m", 0) + 0.1 * dy
    ...     v = state["v"] = 0.999 * state.get("v", 0) + 0.001 * dy**2
    ...     step = 1e-3 * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    ...     w -= reference.conv2d_grad_weight(x, step, w.shape[:2])
    ...     b -= step.sum(axis=(0, 1, 2))
    >>> [mistake.code for mistake in diagnose.adam_layer(layer).mistakes]
    ['M26']
    """
    asked = _asked(lr, betas, eps, weight_decay, decoupled, epsilon_hat)
    activations = _axes("layout", layout, {"NHWC": (0, 1, 2, 3), "NCHW": (0, 3, 1, 2)})
    weights = _axes("weight_layout", weight_layout, {"HWIO": (0, 1, 2, 3), "OIHW": (3, 2, 0, 1)})
    runs = []
    layer, w_and_b = _layer_probe(asked, {"stride": stride, "padding": padding})
    for dtype in (np.float64, np.float32):
        params: list[FloatArray] = [p.astype(dtype) for p in w_and_b]
        went = Trajectory()
        w, b = params[0].transpose(weights).copy(), params[1].copy()
        state: dict[str, Any] = {}
        try:
            for t, (x, dy) in enumerate(zip(layer.xs, layer.dys, strict=True), 1):
                images, delta = (a.transpose(activations).astype(dtype) for a in (x, dy))
                with np.errstate(all="ignore"):
                    back = fn(images, w, b, delta, state, t)
                if back is not None:
                    w, b = (_float_array("what the layer returns", one) for one in back)
                back_w = w.transpose(np.argsort(weights)) if w.ndim == 4 else w
                went.steps.append([back_w.copy(), b.copy()])
        except BaseException as error:
            return _unusable(fn, error)
        went.state.append({n: a for n, a in state.items() if _shaped_like_output(a, layer)})
        runs.append(_Run(layer, params, layer.gradients(params[0].shape[:2]), went))
    return _judge(runs, adam_steps.SHARED, "w and b")


def sgd(
    fn: Function,
    *,
    lr: float = 0.01,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    decoupled: bool = False,
) -> Diagnosis:
    """Say whether a step of gradient descent is right, and which mistake it has if it is not.

    Where fn is a function of one tensor that takes lr, lr changes on the way: then PyTorch's form
    of momentum and Keras's are not the same, and a note says which it is. Both are right.

    Parameters
    ----------
    fn : callable
        ``step(param, grad, velocity, lr, momentum)`` of one tensor, which returns
        ``(param, velocity)`` or changes them in place; or what makes an object, as in `adam`.
    lr, momentum, weight_decay
        The values that fn is given, or that are written in it.
    nesterov : bool
        Whether Nesterov's momentum is meant.
    decoupled : bool
        Whether weight decay is meant to be taken from the weights instead of put in the gradient.

    Returns
    -------
    Diagnosis
        One finding, of ``"param"``.

    Raises
    ------
    TypeError, ValueError
        Naming the option that is no number, or out of range.

    Examples
    --------
    >>> from rot180 import diagnose
    >>> def step(param, grad, velocity, lr, momentum):
    ...     velocity[:] = momentum * velocity + (1 - momentum) * grad
    ...     param -= lr * velocity
    >>> [mistake.name for mistake in diagnose.sgd(step, momentum=0.9).mistakes]
    ['the gradient is multiplied by 1 - momentum']
    """
    momentum = real_number("momentum", momentum)
    if nesterov and momentum == 0:
        raise ValueError("nesterov=True needs a momentum greater than 0, got momentum=0")
    state = ("velocity",)
    options = {
        "lr": positive_number("lr", lr),
        "momentum": momentum,
        "weight_decay": real_number("weight_decay", weight_decay),
    }
    steps = [options] * _STEPS
    if is_step(fn, ("param", "grad", *state, "t", *options)) and takes(fn, "lr"):
        steps = [{**options, "lr": lr / 2 ** (i // 2)} for i in range(_STEPS)]
    asked = Sgd(tuple(s["lr"] for s in steps), momentum, nesterov, weight_decay, decoupled)
    runs = []
    for dtype in (np.float64, np.float32):
        probe = _Probe.of(dtype, lr, (1.0,))
        try:
            went = probe.run(fn, steps, state)
        except BaseException as error:
            return _unusable(fn, error)
        runs.append(_Run(asked, probe.params, probe.gradients, went))
    return _judge(runs, sgd_steps.SHARED)


class _Model(Protocol):
    """An optimizer, right or with mistakes."""

    def ways(self) -> Ways: ...

    def variants(self) -> list[Names]: ...

    def with_other_options(self) -> Iterator[tuple[str, _Model]]: ...

    def path(
        self,
        params: Sequence[FloatArray],
        gradients: Sequence[Sequence[FloatArray]],
        names: Names,
    ) -> Iterator[tuple[FloatArray, FloatArray]]: ...


@dataclass(frozen=True)
class _Probe:
    """Where tensors begin, and the gradients of each step, such that mistakes show."""

    params: list[FloatArray]
    gradients: list[list[FloatArray]]

    @classmethod
    def of(cls, dtype: type, lr: float, scales: Sequence[float]) -> _Probe:
        """Gradients near each scale in turn; near the last of several, the tensors begin at 0.

        So weight decay adds nothing to them in the first step. One entry never has a gradient,
        and some have none in one step, in which m and v go on.
        """
        rng = np.random.default_rng(180)
        params: list[FloatArray] = []
        sizes: list[FloatArray] = []
        for shape in _SHAPES:
            turn = rng.permutation(np.arange(math.prod(shape)) % len(scales)).reshape(shape)
            size = np.array(scales)[turn]
            size.flat[1] = 0
            sizes.append(size)
            p = rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape)
            params.append(np.where(turn > 1, 0, p).astype(dtype))
        params[0].flat[::5] *= dtype(lr)
        gradients: list[list[FloatArray]] = []
        for step in range(_STEPS):
            signs = [rng.choice([-1.0, 1.0], size.shape, p=[0.3, 0.7]) for size in sizes]
            grads = [size * rng.uniform(0.5, 1.5, size.shape) for size in sizes]
            gradients.append([(s * g).astype(dtype) for s, g in zip(signs, grads, strict=True)])
            if step == 3:
                for g in gradients[-1]:
                    g.flat[::3] = 0
        return cls(params, gradients)

    def run(
        self, fn: Function, options: Sequence[dict[str, Any]], state: tuple[str, ...]
    ) -> Trajectory:
        with np.errstate(all="ignore"):
            return trajectory(fn, self.params, self.gradients, options, state)


@dataclass(frozen=True)
class _Run:
    """Where the user's optimizer went from these tensors by these gradients."""

    model: _Model
    params: Sequence[FloatArray]
    gradients: Sequence[Sequence[FloatArray]]
    went: Trajectory

    @property
    def found(self) -> list[FloatArray]:
        return [tensor for tensors in self.went.steps for tensor in tensors]

    def path(self, names: Names) -> Iterator[tuple[FloatArray, FloatArray]]:
        return self.model.path(self.params, self.gradients, names)

    def explained(self, found: Sequence[FloatArray]) -> list[Names]:
        return explanations(self.path, self.model.ways(), found, variants=self.model.variants())


def _judge(runs: Sequence[_Run], shared: Mistake, array: str = "param") -> Diagnosis:
    """Find what reproduces where the optimizer went, in the first dtype in which it is wrong."""
    notes: dict[str, None] = {}  # each once, in order
    for run in runs:
        explained, coarse = run.explained(run.found), False
        if not explained and run.found[0].dtype == np.float64:
            explained = run.explained([place.astype(np.float32) for place in run.found])
            coarse = bool(explained)
        made, *others = [mistakes(run.model.ways(), names) for names in explained] or [()]
        right = bool(explained) and not made
        if right and coarse:
            notes[f"{array} is right to single precision only, which is no mistake"] = None
        seen = explained[0] if explained else RIGHT
        notes.update((note, None) for name, note in _NOTES.items() if name in seen)
        if not right:
            break
    facts = () if right else (*_right_with(run, bool(explained)), *_facts(run))
    if not explained and (shape := _wrong_state(run)):
        made, facts = (shared,), (shape, *facts)
    if not right and run is not runs[0]:
        before, dtype = (one.params[0].dtype for one in (runs[0], run))
        facts = (f"right in {before}, wrong in {dtype}", *facts)
    return Diagnosis((Finding(array, right, made, facts, tuple(others)),), notes=tuple(notes))


def _right_with(run: _Run, explained: bool) -> Iterator[str]:
    """Say which other option would make it right."""
    for what, model in run.model.with_other_options():
        other = replace(run, model=model)
        if any(reproduces(other.path, variant, run.found) for variant in model.variants()):
            yield f"right with {what}" + (", as well" if explained else "")


class _Difference(NamedTuple):
    """The first tensor that is not where a right optimizer would have it."""

    number: int  # of all tensors of all steps
    expected: FloatArray
    wrong: NDArray[np.bool_]
    ratio: float | None  # of what it moved by, where that is the same in all wrong entries


def _first_difference(run: _Run, variant: Names) -> _Difference | None:
    starts: list[FloatArray] = list(run.params)
    for number, (array, (expected, rounding)) in enumerate(
        zip(run.found, run.path(variant), strict=True)
    ):
        if array.shape != expected.shape:
            return _Difference(number, expected, np.ones(expected.shape, np.bool_), None)
        wrong = different(array, expected, rounding)
        start = starts[number % len(starts)]
        if wrong.any():
            with np.errstate(all="ignore"):
                ratios = (array - start)[wrong] / (expected - start)[wrong]
                same = np.ptp(ratios) <= 1e-3 * abs(ratios[0]) < np.inf
            return _Difference(number, expected, wrong, float(ratios[0]) if same else None)
        starts[number % len(starts)] = expected
    return None


def _facts(run: _Run) -> Iterator[str]:
    """Say what is known of where the optimizer went, beside the right variant that tells most."""
    count = len(run.params)
    found = [_first_difference(run, variant) for variant in run.model.variants()]
    seen = [one for one in found if one is not None]
    if not seen:
        return
    first = max(seen, key=lambda one: (one.ratio is not None, one.number))
    step, tensor = divmod(first.number, count)
    array, expected = run.found[first.number], first.expected
    start = run.found[first.number - count] if step else run.params[tensor]
    where = f"tensor {tensor} of shape {expected.shape}"
    starts = [p for _ in run.gradients for p in run.params]
    if all(np.array_equal(p, q) for p, q in zip(run.found, starts, strict=True)):
        yield "the parameters never change: a step must change them in place, or return them"
    elif array.shape != expected.shape:
        yield f"after step {step + 1}, {where} has shape {array.shape}"
        return
    if step:
        yield f"right up to step {step}, wrong from step {step + 1} on"
    if first.ratio:
        yield f"the step is {first.ratio:.4g} times as long as it should be"
    g, tiny = run.gradients[step][tensor], np.finfo(start.dtype).tiny
    with np.errstate(all="ignore"):
        error = np.abs(array - expected) / (np.abs(expected - start) + tiny)
    error[~first.wrong] = -1
    at = tuple(int(i) for i in np.unravel_index(np.argmax(error), error.shape))
    yield (
        f"after step {step + 1}, {where} has at {list(at)} {array[at]:.9g} where "
        f"{expected[at]:.9g} was expected; it was {start[at]:.9g}, its gradient {g[at]:.9g}; "
        f"{np.count_nonzero(first.wrong)} of {first.wrong.size} entries are wrong"
    )


def _wrong_state(run: _Run) -> str | None:
    """Say which state has another shape than the parameter."""
    for p, state in zip(run.params, run.went.state, strict=False):
        for name, array in state.items():
            if array.shape != p.shape:
                return f"{name} has shape {array.shape}, the parameter {p.shape}"
    return None


def _layer_probe(asked: Adam, options: dict[str, Any]) -> tuple[AdamLayer, list[FloatArray]]:
    """Small integers, times a power of two for each filter: dw and db are exact in any order.

    The gradients of the filters are near 1, sqrt(eps) and eps; the last filter has none.
    """
    rng = np.random.default_rng(180)
    scales = 2.0 ** np.round([0, math.log2(asked.eps) / 2, math.log2(asked.eps), -np.inf])
    kernel_shape = (2, 3, 3, len(scales))
    geometry = conv2d_geometry((2, 5, 6, 3), kernel_shape, **options)
    xs, dys = [], []
    for _ in range(_STEPS):
        xs.append(rng.integers(-3, 4, geometry.input_shape).astype(np.float64))
        dys.append(rng.integers(-3, 4, geometry.output_shape) * scales)
    w, b = rng.uniform(-1, 1, kernel_shape), rng.uniform(-1, 1, len(scales))
    return AdamLayer(asked, xs, dys, options), [w, b]


def _shaped_like_output(value: Any, layer: AdamLayer) -> bool:
    shape = layer.dys[0].shape
    return isinstance(value, np.ndarray) and value.shape in (shape, shape[1:])


def _asked(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    decoupled: bool,
    epsilon_hat: bool,
) -> Adam:
    lr, eps = positive_number("lr", lr), positive_number("eps", eps)
    weight_decay = real_number("weight_decay", weight_decay)
    return Adam(lr, *adam_betas(betas), eps, weight_decay, decoupled, epsilon_hat)


def _options(asked: Adam) -> dict[str, Any]:
    return {
        "lr": asked.lr,
        "beta1": asked.beta1,
        "beta2": asked.beta2,
        "betas": (asked.beta1, asked.beta2),
        "eps": asked.eps,
        "weight_decay": asked.weight_decay,
    }


def _axes(name: str, layout: str, known: dict[str, tuple[int, ...]]) -> tuple[int, ...]:
    if layout not in known:
        raise ValueError(f"{name} is {layout!r}, expected one of {', '.join(known)}")
    return known[layout]


def _recorded(name: str, rows: Sequence[Any]) -> list[list[FloatArray]]:
    """Return lists of arrays, one for each tensor."""
    if not len(rows):
        raise ValueError(f"{name} is empty, expected an array for each step")
    return [
        [_float_array(name, one) for one in (row if isinstance(row, (list, tuple)) else [row])]
        for row in rows
    ]


def _float_array(name: str, value: npt.ArrayLike) -> FloatArray:
    array: FloatArray = np.asarray(value)
    if array.dtype.kind != "f":
        raise TypeError(f"{name} must hold arrays of floats, got dtype {array.dtype}")
    return array


def _unusable(fn: Callable[..., Any], error: BaseException) -> Diagnosis:
    """Say why a function cannot be judged; Ctrl-C is not one of the reasons."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    name = getattr(fn, "__qualname__", type(fn).__name__)
    what = error if isinstance(error, UnusableError) else RaisedError(error)
    return Diagnosis((), f"{name} {what}")
