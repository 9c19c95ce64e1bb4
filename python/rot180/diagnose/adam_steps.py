"""Adam's step with any of the mistakes that people make in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.candidates import RIGHT, Names, Way, Ways
from rot180.diagnose.diagnosis import Mistake

_PAGE = "adam-and-backprop"
_M = "m = beta1 * m + (1 - beta1) * g"
_V = "v = beta2 * v + (1 - beta2) * g * g"
_UPDATE = "param -= lr * (m / (1 - beta1**t)) / (np.sqrt(v / (1 - beta2**t)) + eps)"
_UPDATE_EPS_HAT = "param -= lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(v) + eps)"

ADDED = Mistake(
    "M10",
    "the step is added instead of subtracted",
    "The gradient points to where the loss grows. Going along it makes the loss larger at every "
    "step.",
    "param -= step",
    _PAGE,
)
RECREATED = Mistake(
    "M24",
    "m or v is made anew at every step",
    "m and v are averages over all steps so far, and begin as zeros once, before the first one. "
    "Made anew they hold the last gradient alone, so nothing is averaged.",
    "m, v = np.zeros_like(param), np.zeros_like(param)  # once, before the first step",
    _PAGE,
)
SHARED = Mistake(
    "M25",
    "m and v are not shaped like the parameter",
    "Adam works element by element: each element of the parameter has an m and a v of its own. "
    "Shaped like the output, or with an axis less, they mix the gradients of several elements.",
    "m, v = np.zeros_like(param), np.zeros_like(param)",
    _PAGE,
)
UNCORRECTED = Mistake(
    "M27",
    "the bias correction is missing",
    "m and v begin as zeros, so at step t they have only 1 - beta**t of their size. Without the "
    "division by it the first steps have a wrong length.",
    _UPDATE,
    _PAGE,
)
MULTIPLIED = Mistake(
    "M27",
    "m or v is multiplied by 1 - beta**t instead of divided by it",
    "m and v begin as zeros, so at step t they have only 1 - beta**t of their size. The division "
    "restores it; the multiplication makes them smaller still.",
    _UPDATE,
    _PAGE,
)
STORED = Mistake(
    "M27",
    "the corrected m or v is stored and used at the next step",
    "The correction belongs to the step, not to the state: m and v go on uncorrected. Stored, the "
    "next step corrects what was corrected before.",
    "m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)  # m and v stay as they are",
    _PAGE,
)
T_PER_TENSOR = Mistake(
    "M28",
    "t advances with every tensor instead of with every step",
    "t counts the steps of the optimizer, one count for all tensors. Advanced per tensor it is too "
    "large, so the bias correction ends too soon, and differs from tensor to tensor.",
    "t += 1  # once, before the loop over the tensors",
    _PAGE,
)
T_CONSTANT = Mistake(
    "M28",
    "t never advances",
    "t counts the steps of the optimizer. Where it stays 1, every step is corrected like the first "
    "one: m is multiplied by 1/(1-beta1) for ever.",
    "t += 1  # at every step",
    _PAGE,
)
T_LATE = Mistake(
    "M28",
    "t is one too large: the first step must have t = 1",
    "At the first step m is (1-beta1)*g, which 1 - beta1**1 corrects. With t one too large the "
    "correction is too small; t + 1 is right where the caller counts from 0.",
    "for t in range(1, steps + 1):",
    _PAGE,
)
T_EARLY = Mistake(
    "M28",
    "t begins at 0: the first step must have t = 1",
    "At t = 0 the correction 1 - beta**0 is 0, and the first step divides by it. t counts from 1.",
    "t += 1  # before the step, so that the first one has t = 1",
    _PAGE,
)
EPS_INSIDE = Mistake(
    "M29",
    "eps is inside the root",
    "The root makes an eps of 1e-8 one of 1e-4, so every element with gradients below that takes "
    "steps that are too short. Algorithm 1 adds eps to the root.",
    _UPDATE,
    _PAGE,
)
EPS_MISSING = Mistake(
    "M29",
    "eps is missing",
    "An element whose gradients were all zero has v = 0. Without eps its step is 0/0, so it is NaN "
    "from then on.",
    _UPDATE,
    _PAGE,
)
EPS_NOT_HAT = Mistake(
    "M29",
    "eps is added after the correction where epsilon hat was meant",
    "Keras and ONNX add eps to the root of the uncorrected v, the paper to that of the corrected "
    "one. The two differ where gradients are as small as eps.",
    _UPDATE_EPS_HAT,
    _PAGE,
)
COUPLED = Mistake(
    "M30",
    "weight decay is coupled where decoupled was meant",
    "Added to the gradient, the decay goes through m and v and is divided by the root of v, so "
    "weights with large gradients hardly decay. Decoupled (AdamW) it shrinks each weight by the "
    "same share.",
    "param -= lr * weight_decay * param  # before the step; g stays as it is",
    _PAGE,
)
DECOUPLED = Mistake(
    "M30",
    "weight decay is decoupled where coupled was meant",
    "L2 regularisation is part of the loss, so its gradient weight_decay*param belongs in g. "
    "Taken from the weights beside the step, it is AdamW's decay.",
    "g = g + weight_decay * param  # before m and v",
    _PAGE,
)
NO_DECAY = Mistake(
    "M30",
    "weight decay is missing",
    "With weight_decay > 0 each step also makes the weights smaller. Here nothing does.",
    "param -= lr * weight_decay * param  # decoupled; coupled: g = g + weight_decay * param",
    _PAGE,
)
DECAY_WITHOUT_LR = Mistake(
    "M30",
    "weight decay is not multiplied by lr",
    "A step of length lr shrinks each weight by lr*weight_decay of itself. Without lr the weights "
    "vanish within a few steps.",
    "param -= lr * weight_decay * param",
    _PAGE,
)
DECAY_GROWS = Mistake(
    "M30",
    "weight decay makes the weights larger",
    "Decay is subtracted from the weights, so they shrink. Here its sign is wrong.",
    "param -= lr * weight_decay * param  # decoupled; coupled: g = g + weight_decay * param",
    _PAGE,
)
BETAS_EXCHANGED = Mistake(
    "other",
    "beta1 and beta2 are exchanged",
    "beta1 is for m, the average of the gradients, and beta2 for v, the average of their squares. "
    "The squares need the longer memory.",
    f"{_M}; {_V}",
    _PAGE,
)
M_UNSCALED = Mistake(
    "other",
    "m or v lacks the factor 1 - beta",
    "An average weighs the new gradient by 1 - beta. Without it m grows to 1/(1-beta1) times the "
    "gradient, and v to 1/(1-beta2) times its square.",
    f"{_M}; {_V}",
    _PAGE,
)
NO_ROOT = Mistake(
    "other",
    "the root of v is missing",
    "v is an average of squares, and the root brings it to the size of a gradient. Without it the "
    "step grows as the gradients shrink.",
    _UPDATE,
    _PAGE,
)
NOT_SQUARED = Mistake(
    "other",
    "v averages the gradients' absolute values instead of their squares",
    "v must hold g*g, whose root has the size of a gradient. The root of |g| has not.",
    _V,
    _PAGE,
)
V_OF_M = Mistake(
    "other",
    "v averages the squares of m instead of those of the gradient",
    "v tells how large the gradients are, whatever their sign. m*m is small where they alternate.",
    _V,
    _PAGE,
)
G_FOR_M = Mistake(
    "other",
    "the step takes the last gradient instead of m",
    "Adam's step is the average gradient m over the root of v. With g in place of m it is RMSprop.",
    _UPDATE,
    _PAGE,
)
LR_MISSING = Mistake(
    "other",
    "lr is missing or fixed",
    "Each element's step is about as long as lr. Without lr it is about 1.",
    _UPDATE,
    _PAGE,
)

# The elements whose moments are one, where moments are not shaped like the parameter.
SHARED_BY: dict[str, Callable[[int], tuple[int, ...]]] = {
    "an output channel": lambda ndim: tuple(range(ndim - 1)),
    "a row of the first axis": lambda ndim: tuple(range(1, ndim)),
    "a tap and output channel": lambda ndim: (ndim - 2,) if ndim > 1 else (),
    "a tap and input channel": lambda ndim: (ndim - 1,),
    "a tensor": lambda ndim: tuple(range(ndim)),
}
# For each such way: which elements, whether their gradients are averaged or summed, and whether v
# takes the square of that or that of the squares.
_POOLS = {
    f"{how} of {what}, {order}": (what, reduce, order == "squared after")
    for what in SHARED_BY
    for how, reduce in (("mean", np.mean), ("sum", np.sum))
    for order in ("squared after", "squared before")
}

_ADAM_WAYS: dict[str, Way] = {
    "added": Way("sign", ADDED),
    "m, v and t anew": Way("state", RECREATED),
    "m and v anew": Way("state", RECREATED),
    "m anew": Way("state", RECREATED),
    "v anew": Way("state", RECREATED),
    "g for m": Way("numerator", G_FOR_M),
    "neither corrected": Way("correction", UNCORRECTED),
    "m uncorrected": Way("correction", UNCORRECTED),
    "v uncorrected": Way("correction", UNCORRECTED),
    "both multiplied": Way("correction", MULTIPLIED),
    "m multiplied": Way("correction", MULTIPLIED),
    "v multiplied": Way("correction", MULTIPLIED),
    "both stored": Way("stored", STORED),
    "m stored": Way("stored", STORED),
    "v stored": Way("stored", STORED),
    "t per tensor": Way("t", T_PER_TENSOR),
    "t constant": Way("t", T_CONSTANT),
    "t late": Way("t", T_LATE),
    "t early": Way("t", T_EARLY),
    "eps inside": Way("eps", EPS_INSIDE),
    "eps inside, uncorrected": Way("eps", EPS_INSIDE),
    "eps missing": Way("eps", EPS_MISSING),
    "no root": Way("eps", NO_ROOT),
    "betas exchanged": Way("betas", BETAS_EXCHANGED),
    "m unscaled": Way("scale", M_UNSCALED),
    "v unscaled": Way("scale", M_UNSCALED),
    "both unscaled": Way("scale", M_UNSCALED),
    "not squared": Way("square", NOT_SQUARED),
    "square of m": Way("square", V_OF_M),
    "no lr": Way("lr", LR_MISSING),
    "tap and output channel in turn": Way("pool", SHARED),
    **{name: Way("pool", SHARED) for name in _POOLS},
}
DECAY_WAYS = {
    "coupled": Way("decay", COUPLED),
    "decoupled": Way("decay", DECOUPLED),
    "no decay": Way("decay", NO_DECAY),
    "decay without lr": Way("decay", DECAY_WITHOUT_LR),
    "coupled growing": Way("decay", DECAY_GROWS),
    "decoupled growing": Way("decay", DECAY_GROWS),
}


@dataclass(frozen=True)
class Adam:
    """What Adam is asked to do, and what it does where ways are gone that are wrong."""

    lr: float
    beta1: float
    beta2: float
    eps: float
    weight_decay: float
    decoupled: bool
    epsilon_hat: bool

    def ways(self) -> Ways:
        """Return the mistakes that show with these options."""
        ways = dict(_ADAM_WAYS)
        if self.epsilon_hat:
            ways["eps after the correction"] = Way("eps", EPS_NOT_HAT)
        if self.weight_decay:
            ways.update(DECAY_WAYS)
            del ways["decoupled" if self.decoupled else "coupled"]
        return ways

    def variants(self) -> list[Names]:
        """Return what is right in more than one form: where eps is, and when decay comes."""
        hats = [RIGHT] if self.epsilon_hat else [RIGHT, frozenset({"epsilon hat"})]
        if not (self.weight_decay and self.decoupled):
            return hats
        return [hat | last for last in (RIGHT, {"decay last"}) for hat in hats]

    def with_other_options(self) -> Iterator[tuple[str, Adam]]:
        """Yield it with other values that are often written into an Adam, and what these are."""
        for eps in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12):
            if eps != self.eps:
                yield f"eps={eps:g}", replace(self, eps=eps)
        for beta1, beta2 in ((0.9, 0.99), (0.9, 0.95), (0.9, 0.98), (0.5, 0.999), (0.9, 0.999)):
            if (beta1, beta2) != (self.beta1, self.beta2):
                yield f"betas=({beta1}, {beta2})", replace(self, beta1=beta1, beta2=beta2)
        for lr in (1e-4, 1e-3, 1e-2, 0.1):
            if lr != self.lr:
                yield f"lr={lr:g}", replace(self, lr=lr)

    def step(
        self,
        p: FloatArray,
        g: FloatArray,
        m: FloatArray,
        v: FloatArray,
        t: int,
        names: Names,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the parameter, m and v after a step in which these ways are gone."""
        beta1, beta2 = self.beta1, self.beta2
        if "betas exchanged" in names:
            beta1, beta2 = beta2, beta1
        decay, lr = self._decay(names), 1.0 if "no lr" in names else self.lr
        start = p
        if decay == "coupled":
            g = g + self.weight_decay * p
        elif decay == "coupled growing":
            g = g - self.weight_decay * p

        if names & {"m, v and t anew", "m and v anew", "m anew"}:
            m = np.zeros_like(m)
        if names & {"m, v and t anew", "m and v anew", "v anew"}:
            v = np.zeros_like(v)
        m, v = self._moments(g, m, v, beta1, beta2, names)

        with np.errstate(all="ignore"):
            rest1 = 1 - beta1 ** np.float64(t)
            rest2 = 1 - beta2 ** np.float64(t)
            m_hat = _corrected("m", m, rest1, names)
            v_hat = _corrected("v", v, rest2, names)
            numerator = g if "g for m" in names else m_hat
            length = lr * numerator / self._root(v, v_hat, rest2, names)
        step = -length if "added" in names else length
        if decay in ("decoupled", "decoupled growing", "decay without lr"):
            base = p - step if "decay last" in names else start
            rate = self.weight_decay * (1.0 if decay == "decay without lr" else self.lr)
            step = step + (-rate if decay == "decoupled growing" else rate) * base
        if names & {"both stored", "m stored"}:
            m = m_hat
        if names & {"both stored", "v stored"}:
            v = v_hat
        return p - step, m, v

    def _decay(self, names: Names) -> str | None:
        if self.weight_decay == 0:
            return None
        meant = "decoupled" if self.decoupled else "coupled"
        return next((name for name in DECAY_WAYS if name in names), meant)

    def _moments(
        self,
        g: FloatArray,
        m: FloatArray,
        v: FloatArray,
        beta1: float,
        beta2: float,
        names: Names,
    ) -> tuple[FloatArray, FloatArray]:
        new1 = 1.0 if names & {"m unscaled", "both unscaled"} else 1 - beta1
        new2 = 1.0 if names & {"v unscaled", "both unscaled"} else 1 - beta2
        if "tap and output channel in turn" in names and g.ndim > 1:
            return _in_turn(g, m, v, (beta1, new1), (beta2, new2))
        first, square = g, np.abs(g) if "not squared" in names else g * g
        for elements, reduce, squared_after in (_POOLS[name] for name in names if name in _POOLS):
            axes = SHARED_BY[elements](g.ndim)
            first = np.asarray(reduce(g, axis=axes, keepdims=True))
            if squared_after:
                square = np.abs(first) if "not squared" in names else first * first
            else:
                square = np.asarray(reduce(square, axis=axes, keepdims=True))
        m = beta1 * m + new1 * first
        if "square of m" in names:
            square = m * m
        return m, beta2 * v + new2 * square

    def _root(self, v: FloatArray, v_hat: FloatArray, rest: float, names: Names) -> FloatArray:
        """What the step is divided by."""
        corrected = not names & {"neither corrected", "v uncorrected"}
        if "no root" in names:
            return v_hat + self.eps
        if "eps missing" in names:
            return np.asarray(np.sqrt(v_hat))
        hat = self.epsilon_hat and "eps after the correction" not in names
        hat = corrected and (hat or "epsilon hat" in names)
        if "eps inside, uncorrected" in names or (hat and "eps inside" in names):
            return np.asarray(np.sqrt((v + self.eps) / rest))
        if "eps inside" in names:
            return np.asarray(np.sqrt(v_hat + self.eps))
        return np.sqrt(v_hat) + (self.eps / math.sqrt(rest) if hat and rest > 0 else self.eps)

    def path(
        self,
        params: Sequence[FloatArray],
        gradients: Sequence[Sequence[FloatArray]],
        names: Names,
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Yield each tensor after each step, with what rounding may do to it.

        Each step is rounded at the size of the entry, and at that of the longest step so far: by
        the dozen operations of the formula, and 1/(1-beta) times where 1 - beta and 1 - beta**t
        are formed in the dtype of the tensors.
        """
        amplified = 16 + 2 / (1 - self.beta1) + 2 / (1 - self.beta2)
        tensors: list[FloatArray] = [p.astype(np.float64) for p in params]
        zeros: list[FloatArray] = [np.zeros(p.shape) for p in params]
        moments = list(zip(zeros, zeros, strict=True))
        longest, rounding = list(zeros), list(zeros)
        for number, grads in enumerate(gradients, 1):
            for i, (p, g) in enumerate(zip(tensors, grads, strict=True)):
                t = _count(number, i, len(tensors), names)
                tensors[i], *state = self.step(p, g.astype(np.float64), *moments[i], t, names)
                moments[i] = (state[0], state[1])
                longest[i] = np.maximum(longest[i], np.abs(tensors[i] - p))
                rounding[i] = rounding[i] + np.abs(p) + np.abs(tensors[i]) + amplified * longest[i]
                yield tensors[i], rounding[i]


def _corrected(moment: str, value: FloatArray, rest: float, names: Names) -> FloatArray:
    if names & {"neither corrected", f"{moment} uncorrected"}:
        return value
    if names & {"both multiplied", f"{moment} multiplied"}:
        return value * rest
    return value / rest


def _count(step: int, tensor: int, tensors: int, names: Names) -> int:
    """Return t, or what stands in its place."""
    if names & {"t constant", "m, v and t anew"}:
        return 1
    if "t per tensor" in names:
        return (step - 1) * tensors + tensor + 1
    return step + ("t late" in names) - ("t early" in names)


def _in_turn(
    g: FloatArray,
    m: FloatArray,
    v: FloatArray,
    first: tuple[float, float],
    second: tuple[float, float],
) -> tuple[FloatArray, FloatArray]:
    """Moments without the axis of input channels, which all channels update one after the other."""
    ms, vs = np.empty_like(g), np.empty_like(g)
    running1, running2 = m[..., -1, :], v[..., -1, :]
    for c in range(g.shape[-2]):
        running1 = first[0] * running1 + first[1] * g[..., c, :]
        running2 = second[0] * running2 + second[1] * g[..., c, :] ** 2
        ms[..., c, :], vs[..., c, :] = running1, running2
    return ms, vs
