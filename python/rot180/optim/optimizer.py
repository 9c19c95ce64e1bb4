"""What every optimizer does: clip, step, save its state and take it back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from rot180.arguments import FloatArray, positive_number, real_number
from rot180.layers import Parameter
from rot180.optim.clip import clip_grad_norm, clip_grad_value
from rot180.optim.groups import (
    Parameters,
    described_groups,
    described_options,
    groups_of_one_call,
    joined_options,
    make_groups,
)
from rot180.optim.state import (
    check_arrays,
    check_known,
    check_writer,
    checked_count,
    copied,
    copy_into,
    different_names,
)

# The arrays of each kind, such as "m", one for each parameter.
State: TypeAlias = dict[str, list[FloatArray]]


class Optimizer(ABC):
    """Changes parameters by their gradients, all of them in one call.

    Parameters may come in groups with options of their own, as in PyTorch: a list of dicts such as
    ``{"parameters": [...], "lr": 1e-4}``. What a group leaves out is as for the whole optimizer.
    Groups that differ in lr and weight_decay alone still make one call.

    Attributes
    ----------
    groups : list of dict
        For each group its ``"parameters"`` and, by name, all of its options, which may be changed
        between steps. Without groups, there is one.
    parameters : list of Parameter
        Those of all groups, one group after the other.
    step_count : int
        Steps taken so far, counted once for the whole model.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> layer = rot180.Linear(3, 2)
    >>> groups = [
    ...     {"parameters": [layer.weight], "weight_decay": 0.1},
    ...     {"parameters": [layer.bias], "lr": 2.0},
    ... ]
    >>> sgd = rot180.optim.SGD(groups, lr=1.0)
    >>> [(group["lr"], group["weight_decay"]) for group in sgd.groups]
    [(1.0, 0.1), (2.0, 0.0)]
    """

    def __init__(
        self,
        parameters: Parameters,
        options: Mapping[str, Any],
        *,
        clip_value: float | None,
        clip_norm: float | None,
    ) -> None:
        for name, limit in (("clip_value", clip_value), ("clip_norm", clip_norm)):
            if limit is not None:
                positive_number(name, limit)
        self.clip_value = clip_value
        self.clip_norm = clip_norm
        self.groups = make_groups(parameters, options, self._checked)
        self.parameters: list[Parameter] = [p for group in self.groups for p in group["parameters"]]
        self.step_count = 0
        self._names = different_names(self.parameters)
        self._states: list[State] = []  # one for each group
        for group in self.groups:
            values = [parameter.value for parameter in group["parameters"]]
            self._states.append({k: [*map(np.zeros_like, values)] for k in self._kinds(group)})

    @property
    def lr(self) -> float:
        """Learning rate of the first group; assigning sets that of every group.

        Assigning raises ValueError where groups have different ones: change ``groups[i]["lr"]``,
        or leave it to a schedule, which scales each from where it began.
        """
        lr: float = self.groups[0]["lr"]
        return lr

    @lr.setter
    def lr(self, lr: float) -> None:
        lr = real_number("lr", lr)
        if any(group["lr"] != self.lr for group in self.groups):
            found = ", ".join(f"{group['lr']:g}" for group in self.groups)
            raise ValueError(
                f"the groups have different learning rates, {found}: set groups[i]['lr'], "
                "or use a schedule of rot180.optim.schedules"
            )
        for group in self.groups:
            group["lr"] = lr

    def zero_grad(self) -> None:
        """Forget all gradients: call it before each backward."""
        for parameter in self.parameters:
            parameter.zero_grad()

    def step(self) -> None:
        """Clip the gradients if so asked (by value, then by norm) and change the parameters once.

        The norm is that of all groups together. A parameter without a gradient counts as one whose
        gradient is zero.

        Raises
        ------
        ValueError
            If `clip_norm` is given and a gradient is not finite: nothing is changed then.
        """
        if self.clip_value is not None:
            clip_grad_value(self.parameters, self.clip_value)
        if self.clip_norm is not None:
            clip_grad_norm(self.parameters, self.clip_norm)
        for members in groups_of_one_call(self.groups):
            groups = [self.groups[i] for i in members]
            parameters = [parameter for group in groups for parameter in group["parameters"]]
            self._update(
                [parameter.value for parameter in parameters],
                [parameter.grad for parameter in parameters],
                self._joined_state(members),
                self.step_count + 1,
                joined_options(groups),
            )
        self.step_count += 1

    @abstractmethod
    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return all options of a group, or raise an error if one is out of its range."""

    @abstractmethod
    def _kinds(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the arrays that are kept for each parameter of a group."""

    @abstractmethod
    def _update(
        self,
        values: list[FloatArray],
        grads: list[FloatArray],
        state: State,
        step: int,
        options: dict[str, Any],
    ) -> None:
        """Change the values and the state, in place, by the gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of what the optimizer remembers, enough to go on to the same bits.

        Returns
        -------
        dict
            ``"optimizer"``: the class's name; ``"step"``: steps taken; ``"groups"``: for each group
            the names of its parameters and its options; and for each kind of state (``"m"`` and
            ``"v"``, or ``"velocity"``) a dict from parameter name to array. All but the arrays can
            be written as JSON. Clipping is not in it.
        """
        kinds = {kind: copied(arrays) for kind, arrays in self._arrays_by_name().items()}
        return {
            "optimizer": type(self).__name__,
            "step": self.step_count,
            "groups": described_groups(self.groups, self._names),
            **kinds,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned. All is checked before anything changes.

        That includes the options of the groups, which may have changed during the training: to go
        on with another lr, assign it after loading.

        Raises
        ------
        ValueError, TypeError
            If the state is another optimizer's or of other groups, or an array is missing, unknown,
            or of another shape or dtype: names it.
        """
        name, own = type(self).__name__, self._arrays_by_name()
        check_writer(state, "optimizer", name)
        step = checked_count(state, "step")
        check_known(state, ("optimizer", "step", "groups", *own), name)
        for kind, arrays in own.items():
            check_arrays(kind, state.get(kind), arrays)
        described = described_groups(self.groups, self._names)
        options = described_options(state.get("groups"), described, self._checked)
        for i, (group, loaded) in enumerate(zip(self.groups, options, strict=True)):
            if self._kinds(loaded) != self._kinds(group):
                raise ValueError(
                    f"the state's groups[{i}] asks for other kinds of state than this {name} "
                    "keeps: build it with the same options"
                )
        for kind, arrays in own.items():
            copy_into(arrays, state[kind])
        for group, loaded in zip(self.groups, options, strict=True):
            group.update(loaded)
        self.step_count = step

    def _joined_state(self, members: list[int]) -> State:
        first, *others = (self._states[i] for i in members)
        if not others:
            return first
        return {
            kind: [*arrays, *(array for state in others for array in state[kind])]
            for kind, arrays in first.items()
        }

    def _arrays(self, kind: str) -> list[FloatArray]:
        """Return what is kept of one kind, for all groups."""
        return [array for state in self._states for array in state.get(kind, ())]

    def _arrays_by_name(self) -> dict[str, dict[str, FloatArray]]:
        """Return for each kind of state its arrays by parameter name."""
        found: dict[str, dict[str, FloatArray]] = {}
        names = iter(self._names)
        for group, state in zip(self.groups, self._states, strict=True):
            own = [next(names) for _ in group["parameters"]]
            for kind, arrays in state.items():
                found.setdefault(kind, {}).update(zip(own, arrays, strict=True))
        return found
