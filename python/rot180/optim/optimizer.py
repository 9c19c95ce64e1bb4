"""What every optimizer does: clip, step, save its state and take it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from rot180.arguments import FloatArray, real_number
from rot180.layers import Parameter
from rot180.optim.clip import check_positive, clip_grad_norm, clip_grad_value


class Optimizer(ABC):
    """Changes parameters by their gradients, all of them in one call.

    Attributes
    ----------
    parameters : list of Parameter
    lr : float
        May be changed between steps.
    step_count : int
        Steps taken so far, counted once for the whole model.
    """

    # Names of the arrays that are kept for each parameter, as attributes of the optimizer.
    state_names: tuple[str, ...] = ()

    def __init__(
        self,
        parameters: Iterable[Parameter],
        lr: float,
        *,
        clip_value: float | None,
        clip_norm: float | None,
    ) -> None:
        self.parameters = list(parameters)
        self.lr = real_number("lr", lr)
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.step_count = 0
        for name, limit in (("clip_value", clip_value), ("clip_norm", clip_norm)):
            if limit is not None:
                check_positive(name, limit)
        _check_parameters(self.parameters)
        self._names = _different_names(self.parameters)

    def zero_grad(self) -> None:
        """Forget all gradients: call it before each backward."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Clip the gradients if so asked (by value, then by norm) and change the parameters once.

        A parameter without a gradient counts as one whose gradient is zero.

        Raises
        ------
        ValueError
            If `clip_norm` is given and a gradient is not finite: nothing is changed then.
        """
        if self.clip_value is not None:
            clip_grad_value(self.parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm(self.parameters, self.clip_norm)
        values = [parameter.value for parameter in self.parameters]
        grads = [parameter.grad for parameter in self.parameters]
        self._update(values, grads, self.step_count + 1)
        self.step_count += 1

    @abstractmethod
    def _update(self, values: list[FloatArray], grads: list[FloatArray], step: int) -> None:
        """Change the values, in place, by the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of what the optimizer remembers, enough to go on to the same bits.

        Returns
        -------
        dict
            ``"optimizer"``: the class's name; ``"step"``: steps taken; and for each kind of state
            (``"m"`` and ``"v"``, or ``"velocity"``) a dict from parameter name to array. Options
            such as lr are not in it: build the new optimizer with the same ones.
        """
        state: dict[str, Any] = {"optimizer": type(self).__name__, "step": self.step_count}
        for kind in self.state_names:
            arrays = getattr(self, kind)
            state[kind] = {
                name: array.copy() for name, array in zip(self._names, arrays, strict=True)
            }
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned. All is checked before anything changes.

        Raises
        ------
        ValueError, TypeError
            If the state is another optimizer's, or an array is missing, unknown, or of another
            shape or dtype: names it.
        """
        kind_of_optimizer = type(self).__name__
        if state.get("optimizer") != kind_of_optimizer:
            raise ValueError(
                f"the state is of optimizer {state.get('optimizer')!r}, "
                f"expected {kind_of_optimizer!r}"
            )
        step = state.get("step")
        if not isinstance(step, int | np.integer) or isinstance(step, bool) or step < 0:
            raise ValueError(f"the state's 'step' is {step!r}, expected an int of at least 0")
        unknown = [kind for kind in state if kind not in ("optimizer", "step", *self.state_names)]
        if unknown:
            raise ValueError(
                f"the state has {unknown[0]!r}, which this {kind_of_optimizer} does not keep: "
                "build it with the same options"
            )
        for kind in self.state_names:
            self._check_state(kind, state.get(kind))
        for kind in self.state_names:
            for name, array in zip(self._names, getattr(self, kind), strict=True):
                np.copyto(array, state[kind][name])
        self.step_count = int(step)

    def _check_state(self, kind: str, arrays: Any) -> None:
        if not isinstance(arrays, Mapping):
            raise ValueError(f"the state misses {kind!r}, a dict from parameter name to array")
        for name, own in zip(self._names, getattr(self, kind), strict=True):
            if name not in arrays:
                raise ValueError(f"the state misses {kind!r} of {name!r}")
            found = arrays[name]
            if not isinstance(found, np.ndarray) or found.dtype != own.dtype:
                what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
                raise TypeError(f"the state's {kind!r} of {name!r} is {what}, expected {own.dtype}")
            if found.shape != own.shape:
                raise ValueError(
                    f"the state's {kind!r} of {name!r} has shape {found.shape}, "
                    f"expected {own.shape}, the parameter's"
                )
        unknown = [name for name in arrays if name not in self._names]
        if unknown:
            raise ValueError(
                f"the state has {kind!r} of {unknown[0]!r}, which is no parameter of this optimizer"
            )

    def _zeros(self) -> list[FloatArray]:
        """One array of zeros for each parameter, of its shape and dtype."""
        return [np.zeros_like(parameter.value) for parameter in self.parameters]


def _check_parameters(parameters: list[Parameter]) -> None:
    if not parameters:
        raise ValueError("parameters is empty: pass model.parameters()")
    seen: set[int] = set()
    for position, parameter in enumerate(parameters):
        if not isinstance(parameter, Parameter):
            raise TypeError(
                f"parameters[{position}] is {type(parameter).__name__}, expected Parameter: "
                "pass model.parameters()"
            )
        if id(parameter) in seen:
            raise ValueError(f"parameters[{position}], {parameter!r}, is there twice")
        seen.add(id(parameter))


def _different_names(parameters: list[Parameter]) -> list[str]:
    """Parameters' names, with #2, #3 after those that came before: layers outside a Sequential."""
    count: Counter[str] = Counter()
    names = []
    for parameter in parameters:
        count[parameter.name] += 1
        number = count[parameter.name]
        names.append(parameter.name if number == 1 else f"{parameter.name}#{number}")
    return names
