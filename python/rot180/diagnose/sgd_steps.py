"""Gradient descent, with or without momentum, with any of the mistakes that people make in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.adam_steps import ADDED, DECAY_WAYS, SHARED_BY
from rot180.diagnose.candidates import RIGHT, Names, Way, Ways
from rot180.diagnose.diagnosis import Mistake

_PAGE = "adam-and-backprop"
_VELOCITY = "velocity = momentum * velocity + g"
_UPDATE = "param -= lr * velocity"
_NESTEROV = "param -= lr * (g + momentum * velocity)"

RECREATED = Mistake(
    "M24",
    "the velocity is made anew at every step, or momentum is not used",
    "The velocity is a sum over all steps so far, and begins as zeros once, before the first one. "
    "Made anew it is the last gradient, and momentum does nothing.",
    "velocity = np.zeros_like(param)  # once, before the first step",
    _PAGE,
)
SHARED = Mistake(
    "M25",
    "the velocity is not shaped like the parameter",
    "Each element of the parameter has a velocity of its own. Shaped like the output, or with an "
    "axis less, it mixes the gradients of several elements.",
    "velocity = np.zeros_like(param)",
    _PAGE,
)
DAMPENED = Mistake(
    "other",
    "the gradient is multiplied by 1 - momentum",
    "Momentum adds the gradient as it is: velocity = momentum*velocity + g. Averaged instead, "
    "every step is 1 - momentum times as long, as if lr were smaller.",
    _VELOCITY,
    _PAGE,
)
LR_TWICE = Mistake(
    "other",
    "lr is multiplied in twice",
    "lr belongs in the velocity (Keras) or in the update (PyTorch). In both, steps shrink by "
    "another factor lr.",
    f"{_VELOCITY}; {_UPDATE}",
    _PAGE,
)
LR_MISSING = Mistake(
    "other",
    "lr is missing",
    "The step is lr times the velocity. Without lr it is as long as the gradient.",
    _UPDATE,
    _PAGE,
)
NOT_NESTEROV = Mistake(
    "other",
    "Nesterov's momentum was meant, and plain momentum is used",
    "Nesterov's step looks ahead: it takes the gradient and momentum times the new velocity. Plain "
    "momentum takes the velocity alone.",
    _NESTEROV,
    _PAGE,
)
NESTEROV = Mistake(
    "other",
    "plain momentum was meant, and Nesterov's is used",
    "Plain momentum steps by the velocity. Nesterov's adds the gradient to momentum times the new "
    "velocity.",
    _UPDATE,
    _PAGE,
)
UPDATED_LATE = Mistake(
    "other",
    "the step takes the velocity of the step before",
    "The velocity has to take up the gradient before the step is made. Updated after it, the first "
    "step is 0 and every gradient counts one step late.",
    f"{_VELOCITY}; {_UPDATE}",
    _PAGE,
)
NEGATIVE_MOMENTUM = Mistake(
    "other",
    "momentum has the wrong sign",
    "The velocity keeps its direction: momentum*velocity and the gradient are added. With the "
    "wrong sign each step works against the one before.",
    _VELOCITY,
    _PAGE,
)

_WAYS = {
    "added": Way("sign", ADDED),
    "no lr": Way("lr", LR_MISSING),
    "lr twice": Way("lr", LR_TWICE),
}
_MOMENTUM_WAYS = {
    "anew": Way("state", RECREATED),
    "late": Way("state", UPDATED_LATE),
    "dampened": Way("scale", DAMPENED),
    "negative momentum": Way("momentum", NEGATIVE_MOMENTUM),
    **{f"{how} of {what}": Way("pool", SHARED) for what in SHARED_BY for how in ("mean", "sum")},
}


@dataclass(frozen=True)
class Sgd:
    """What gradient descent is asked to do, and what it does where ways are gone that are wrong.

    `lrs` has an lr for each step; where they differ, PyTorch's form of momentum and Keras's do.
    """

    lrs: tuple[float, ...]
    momentum: float
    nesterov: bool
    weight_decay: float
    decoupled: bool

    def ways(self) -> Ways:
        """Return the mistakes that show with these options."""
        ways = dict(_WAYS)
        if self.momentum:
            other = NOT_NESTEROV if self.nesterov else NESTEROV
            ways["other momentum"] = Way("nesterov", other)
            ways.update(_MOMENTUM_WAYS)
        if self.weight_decay:
            ways.update(DECAY_WAYS)
            del ways["decoupled" if self.decoupled else "coupled"]
        return ways

    def variants(self) -> list[Names]:
        """Return what is right in more than one form: where lr is, and when decay comes."""
        forms = [RIGHT]
        if self.momentum and len(set(self.lrs)) > 1:
            forms = [frozenset({"PyTorch's momentum"}), frozenset({"Keras's momentum"})]
        if not (self.weight_decay and self.decoupled):
            return forms
        return [form | last for last in (RIGHT, {"decay last"}) for form in forms]

    def with_other_options(self) -> Iterator[tuple[str, Sgd]]:
        """Yield it with other momenta that are often written into a step, and what these are."""
        for momentum in (0.5, 0.9, 0.95, 0.99):
            if self.momentum not in (0, momentum):
                yield f"momentum={momentum:g}", replace(self, momentum=momentum)

    def path(
        self,
        params: Sequence[FloatArray],
        gradients: Sequence[Sequence[FloatArray]],
        names: Names,
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield each tensor after each step, with what rounding may do to it.

        Each step is rounded a few times, at the size of the entry and of the longest step so far.
        """
        tensors: list[FloatArray] = [p.astype(np.float64) for p in params]
        velocities = [np.zeros_like(p) for p in tensors]
        longest = [np.zeros_like(p) for p in tensors]
        rounding = [np.zeros_like(p) for p in tensors]
        for lr, grads in zip(self.lrs, gradients, strict=True):
            for i, (p, g) in enumerate(zip(tensors, grads, strict=True)):
                tensors[i], velocities[i] = self._step(
                    p, g.astype(np.float64), velocities[i], lr, names
                )
                longest[i] = np.maximum(longest[i], np.abs(tensors[i] - p))
                rounding[i] = rounding[i] + np.abs(p) + np.abs(tensors[i]) + 16 * longest[i]
                yield tensors[i], rounding[i]

    def _step(
        self, p: FloatArray, g: FloatArray, velocity: FloatArray, lr: float, names: Names
    ) -> tuple[FloatArray, FloatArray]:
        meant = "decoupled" if self.decoupled else "coupled"
        decay = next((name for name in DECAY_WAYS if name in names), meant)
        rate = self.weight_decay
        if decay.endswith("growing"):
            rate = -rate
        if "coupled" in decay.split():
            g = g + rate * p
        start = p
        in_velocity, in_update = (lr, 1.0) if "Keras's momentum" in names else (1.0, lr)
        if "lr twice" in names:
            in_velocity = in_update = lr
        elif "no lr" in names:
            in_velocity = in_update = 1.0
        g = in_velocity * g
        if self.momentum:
            g, velocity = self._with_momentum(g, velocity, names)
        step = -in_update * g if "added" in names else in_update * g
        if "decoupled" in decay.split() or decay == "decay without lr":
            base = p - step if "decay last" in names else start
            step = step + rate * (1.0 if decay == "decay without lr" else lr) * base
        return p - step, velocity

    def _with_momentum(
        self, g: FloatArray, velocity: FloatArray, names: Names
    ) -> tuple[FloatArray, FloatArray]:
        """Return what takes the gradient's place, and the velocity."""
        momentum = -self.momentum if "negative momentum" in names else self.momentum
        before = velocity
        if "anew" in names:
            velocity = np.zeros_like(velocity)
        shared = g
        for what, axes in SHARED_BY.items():
            if f"mean of {what}" in names:
                shared = np.mean(g, axis=axes(g.ndim), keepdims=True)
            elif f"sum of {what}" in names:
                shared = np.sum(g, axis=axes(g.ndim), keepdims=True)
        scale = 1 - self.momentum if "dampened" in names else 1.0
        velocity = momentum * velocity + scale * shared
        used = before if "late" in names else velocity
        if self.nesterov != ("other momentum" in names):
            return g + momentum * used, velocity
        return used, velocity
