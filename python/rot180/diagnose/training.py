"""Names the mistake in a training step: gradients that are scaled, kept or added wrongly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, positive_number
from rot180.diagnose.callables import RaisedError, UnusableError
from rot180.diagnose.candidates import RIGHT, Names, Way, different, explanations, mistakes
from rot180.diagnose.diagnosis import Diagnosis, Finding, Mistake

_STEPS = 3
# Entries of each parameter whose gradient is measured.
_ENTRIES = 24
_STEP = 2.0**-17
# Central differences are right to about 1e-9 of the largest gradient; kinks near by are rare.
_PRECISION = 1e-6

ADDED = Mistake(
    "M10",
    "the gradient is added instead of subtracted",
    "The gradient points to where the loss grows. Going along it makes the loss larger at every "
    "step.",
    "param -= lr * grad",
    "adam-and-backprop",
)
DIVIDED_TWICE = Mistake(
    "M8",
    "the gradient is divided by the batch once too often",
    "The loss is a mean, so its derivative dy has the factor 1/N, and all gradients have it "
    "through dy. Divided again, in a layer or in the step, they are N times too small.",
    "param -= lr * grad  # and dw = x.T @ dy, without / N",
    "softmax-delta",
)
NOT_DIVIDED = Mistake(
    "M8",
    "the gradient is not divided by the batch although the loss is a mean",
    "The loss is a mean over the batch, so its gradient has the factor 1/N. Without it the step "
    "grows with the batch, as if lr were N times larger.",
    "dy = (softmax(logits) - onehot) / len(logits)",
    "softmax-delta",
)
NOT_ZEROED = Mistake(
    "M21",
    "gradients are not zeroed between steps",
    "Backward adds to grad, so that several batches can share a step. Unless it is zeroed, every "
    "step goes along the sum of all gradients so far.",
    "optimizer.zero_grad(); loss.backward(); optimizer.step()",
    "adam-and-backprop",
)
OVERWRITTEN = Mistake(
    "M21",
    "one image of the batch overwrites the gradients of the others",
    "Every image adds its share to the gradient. With = in place of += in the loop over images, "
    "the last one alone counts.",
    "dw += np.outer(x[n], dy[n])  # in the loop over n, from zeros",
    "vectorise",
)
STALE = Mistake(
    "M21",
    "the step is made with the gradient of the batch before",
    "The step must come after backward. Before it, grad still holds what the last batch left "
    "there, zeros at first.",
    "loss.backward(); optimizer.step()",
    "adam-and-backprop",
)
LR_MISSING = Mistake(
    "other",
    "lr is missing",
    "The step is lr times the gradient.",
    "param -= lr * grad",
    "adam-and-backprop",
)
LR_TWICE = Mistake(
    "other",
    "lr is multiplied in twice",
    "The step is lr times the gradient, once.",
    "param -= lr * grad",
    "adam-and-backprop",
)
NEVER = Mistake(
    "other",
    "the parameter never changes",
    "Every parameter has a gradient and takes the step. This one is not among those that are "
    "updated, or a copy of it is.",
    "for param, grad in zip(params, grads): param -= lr * grad",
    "adam-and-backprop",
)

_WAYS = {
    "added": Way("sign", ADDED),
    "divided": Way("batch", DIVIDED_TWICE),
    "multiplied": Way("batch", NOT_DIVIDED),
    "not zeroed": Way("history", NOT_ZEROED),
    "stale": Way("history", STALE),
    "last image": Way("images", OVERWRITTEN),
    "first image": Way("images", OVERWRITTEN),
    "no lr": Way("lr", LR_MISSING),
    "lr twice": Way("lr", LR_TWICE),
    "never": Way("never", NEVER),
}


def training_step(
    make: Callable[[], Any], x: npt.ArrayLike, y: npt.ArrayLike, *, lr: float
) -> Diagnosis:
    """Say whether a step of plain gradient descent goes along the gradient of its own loss.

    Three steps are made, on all examples, all but one, and all but two. Before each, the gradient
    of the loss is measured by central differences, for some entries of each parameter; the step has
    to be -lr times that. So this needs to know nothing of the network.

    Parameters
    ----------
    make : callable
        Returns a new model, without arguments. The model has

        - ``loss(x, y)``, which returns the loss of a batch, a mean over its examples;
        - ``step(x, y)``, which makes one step, without momentum and the like;
        - ``params``, a list or a dict of float64 arrays that step changes in place or replaces; or
          ``parameters()``, a list of objects with ``value``, such as a `rot180.Layer` has.
    x, y
        At least 4 examples, as loss and step take them, along the first axis.
    lr : float
        The learning rate that step uses.

    Returns
    -------
    Diagnosis
        A finding for each parameter.

    Raises
    ------
    ValueError, TypeError
        If there are fewer than 4 examples, x and y differ in length, or lr is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180 import diagnose
    >>> class Line:
    ...     def __init__(self):
    ...         self.params, self.grad = [np.array([0.5, -0.5])], 0
    ...
    ...     def loss(self, x, y):
    ...         return np.mean((x @ self.params[0] - y) ** 2)
    ...
    ...     def step(self, x, y):
    ...         self.grad += 2 * x.T @ (x @ self.params[0] - y) / len(x)
    ...         self.params[0] -= 0.1 * self.grad
    >>> rng = np.random.default_rng(0)
    >>> found = diagnose.training_step(Line, rng.normal(size=(6, 2)), rng.normal(size=6), lr=0.1)
    >>> found.mistakes[0].name
    'gradients are not zeroed between steps'
    """
    lr = positive_number("lr", lr)
    examples, targets = np.asarray(x), np.asarray(y)
    if len(examples) != len(targets):
        raise ValueError(f"x has {len(examples)} examples and y {len(targets)}")
    if len(examples) < _STEPS + 1:
        raise ValueError(f"x has {len(examples)} examples, expected at least {_STEPS + 1}")
    try:
        steps = _run(_Model(_called(make)), examples, targets)
    except UnusableError as problem:
        return Diagnosis((), f"{getattr(make, '__qualname__', type(make).__name__)} {problem}")
    return Diagnosis(tuple(_finding(name, [step[name] for step in steps], lr) for name in steps[0]))


@dataclass(frozen=True)
class _Model:
    """A user's model; what it raises becomes an `UnusableError`."""

    held: Any

    def params(self) -> dict[str, FloatArray]:
        """Return the arrays that are trained, by name."""
        if hasattr(self.held, "parameters"):
            parameters = self.held.parameters()
            named = {
                getattr(parameter, "name", f"params[{i}]"): parameter.value
                for i, parameter in enumerate(parameters)
            }
        elif hasattr(self.held, "params"):
            params = self.held.params
            named = (
                {str(key): value for key, value in params.items()}
                if isinstance(params, Mapping)
                else {f"params[{i}]": value for i, value in enumerate(params)}
            )
        else:
            raise UnusableError("returns a model with neither params nor parameters()")
        for name, value in named.items():
            if not isinstance(value, np.ndarray) or value.dtype != np.float64:
                kind = getattr(value, "dtype", type(value).__name__)
                raise UnusableError(
                    f"returns a model whose {name} is of {kind}, expected a float64 array: "
                    "differences of a loss in float32 drown in its rounding"
                )
        if not named:
            raise UnusableError("returns a model without parameters")
        return named

    def loss(self, x: Any, y: Any) -> float:
        """Return the loss of a batch."""
        loss = _called(self._method("loss"), x.copy(), y.copy())
        if np.ndim(loss) or not isinstance(loss, (int, float, np.number, np.ndarray)):
            raise UnusableError(f"returns a model whose loss is {loss!r:.60}, expected a number")
        return float(loss)

    def step(self, x: Any, y: Any) -> None:
        """Let the model take a step."""
        _called(self._method("step"), x.copy(), y.copy())

    def _method(self, name: str) -> Callable[..., Any]:
        if not callable(getattr(self.held, name, None)):
            raise UnusableError(f"returns a {type(self.held).__name__} that has no {name}(x, y)")
        method: Callable[..., Any] = getattr(self.held, name)
        return method

    def gradient(self, name: str, entries: Sequence[int], x: Any, y: Any) -> FloatArray:
        """Measure the derivative of the loss by some entries of a parameter."""
        value = self.params()[name]
        slopes = []
        for at in (np.unravel_index(entry, value.shape) for entry in entries):
            start = value[at]
            step = _STEP * max(1.0, abs(float(start)))
            losses = []
            for moved in (start + step, start - step):
                value[at] = moved
                losses.append(self.loss(x, y))
            value[at] = start
            slopes.append((losses[0] - losses[1]) / (2 * step))
        return np.array(slopes)


@dataclass(frozen=True)
class _Step:
    """What one step did to some entries of a parameter, and gradients that it may have used.

    `gradient` is the right one; `first` and `last` are those of one example alone; `left` is that
    of the same batch after the step.
    """

    index: list[tuple[int, ...]]
    batch: int
    before: FloatArray
    after: FloatArray
    gradient: FloatArray
    first: FloatArray
    last: FloatArray
    left: FloatArray


def _called(fn: Callable[..., Any], *given: Any) -> Any:
    try:
        with np.errstate(all="ignore"):
            return fn(*given)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise RaisedError(error) from None


def _run(model: _Model, x: Any, y: Any) -> list[dict[str, _Step]]:
    rng = np.random.default_rng(180)
    chosen = {
        name: sorted(map(int, rng.permutation(value.size)[:_ENTRIES]))
        for name, value in model.params().items()
    }
    steps = []
    for number in range(_STEPS):
        batch = x[number:], y[number:]
        measured = {
            name: (
                model.gradient(name, entries, *batch),
                model.gradient(name, entries, batch[0][:1], batch[1][:1]),
                model.gradient(name, entries, batch[0][-1:], batch[1][-1:]),
            )
            for name, entries in chosen.items()
        }
        before = {name: value.copy() for name, value in model.params().items()}
        model.step(*batch)
        after = model.params()
        made = {}
        for name, entries in chosen.items():
            value = before[name]
            index = [tuple(map(int, np.unravel_index(entry, value.shape))) for entry in entries]
            moved = value.ravel()[entries], after[name].ravel()[entries].copy()
            left = model.gradient(name, entries, *batch)
            made[name] = _Step(index, len(batch[0]), *moved, *measured[name], left)
        steps.append(made)
    return steps


def _moves(
    steps: Sequence[_Step], lr: float, names: Names
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Yield where each step should have led, with what measuring and rounding may do to it."""
    held = before = np.zeros_like(steps[0].gradient)
    for step in steps:
        gradient = step.gradient
        if "last image" in names:
            gradient = step.last / step.batch
        elif "first image" in names:
            gradient = step.first / step.batch
        if "divided" in names:
            gradient = gradient / step.batch
        elif "multiplied" in names:
            gradient = gradient * step.batch
        held = held + gradient if "not zeroed" in names else gradient
        used, before = (before if "stale" in names else held), step.left
        rate = 1.0 if "no lr" in names else lr**2 if "lr twice" in names else lr
        rate = 0.0 if "never" in names else -rate if "added" in names else rate
        largest = float(np.abs(rate * used).max())
        rounding = 4 * np.abs(step.before) + _PRECISION / np.finfo(np.float64).eps * largest
        yield step.before - rate * used, rounding


def _finding(name: str, steps: Sequence[_Step], lr: float) -> Finding:
    found = [step.after for step in steps]
    told = explanations(lambda names: _moves(steps, lr, names), _WAYS, found)
    if not any(step.gradient.any() for step in steps):
        return Finding(name, False, (), ("the loss does not depend on it",))
    made, *others = [mistakes(_WAYS, names) for names in told] or [()]
    if told and not made:
        return Finding(name, True)
    return Finding(name, False, made, tuple(_facts(name, steps, lr)), tuple(others))


def _facts(name: str, steps: Sequence[_Step], lr: float) -> Iterator[str]:
    moves = zip(steps, _moves(steps, lr, RIGHT), strict=True)
    for number, (step, (expected, rounding)) in enumerate(moves, 1):
        wrong = different(step.after, expected, rounding)
        if not wrong.any():
            continue
        if number > 1:
            yield f"right up to step {number - 1}, wrong from step {number} on"
        with np.errstate(all="ignore"):
            ratios = ((step.after - step.before) / (expected - step.before))[wrong]
        if np.isfinite(ratios).all() and np.ptp(ratios) <= 1e-3 * abs(ratios[0]):
            yield f"the step is {ratios[0]:.4g} times as long as it should be"
        at = int(np.argmax(wrong))
        yield (
            f"step {number} of {step.batch} examples moves {name}{list(step.index[at])} by "
            f"{step.after[at] - step.before[at]:.6g} where -lr*grad = "
            f"{expected[at] - step.before[at]:.6g} was expected, grad {step.gradient[at]:.6g}"
        )
        return
