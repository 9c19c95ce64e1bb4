"""The callbacks of one training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rot180.callbacks.callback import Callback


class CallbackList:
    """Callbacks in the order in which they are called: those that come last at the end.

    Raises
    ------
    TypeError
        If an entry is not a callback.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        for index, callback in enumerate(callbacks):
            if not isinstance(callback, Callback):
                hint = f": write {callback.__name__}()" if isinstance(callback, type) else ""
                raise TypeError(f"callbacks[{index}] is {callback!r}, expected a Callback{hint}")
        self._callbacks = sorted(callbacks, key=lambda callback: callback.last)

    def hooks(self, name: str) -> list[Callable[..., None]]:
        """Return the methods of that name that do something, so that others cost nothing."""
        empty = getattr(Callback, name)
        return [
            getattr(callback, name)
            for callback in self._callbacks
            if getattr(type(callback), name) is not empty
        ]

    def call(self, name: str, *arguments: object) -> None:
        """Call the methods of that name."""
        for hook in self.hooks(name):
            hook(*arguments)

    def state_dict(self) -> dict[str, Any]:
        """Return the states of the callbacks that have one, by the names of their classes."""
        states = {name: callback.state_dict() for name, callback in self._named().items()}
        return {name: state for name, state in states.items() if state}

    def load_state_dict(self, states: Mapping[str, Any]) -> None:
        """Give the callbacks their states back.

        Raises
        ------
        ValueError
            If a state belongs to none of them, or is not what it should be.
        """
        named = self._named()
        for name, state in states.items():
            if name not in named or not isinstance(state, Mapping):
                raise ValueError(
                    f"there is a state of {name[:80]!r}, which is not among the callbacks: "
                    "pass those that the training had"
                )
            try:
                named[name].load_state_dict(state)
            except (TypeError, ValueError, KeyError) as error:
                raise ValueError(f"the state of {name}: {error}") from error

    def _named(self) -> dict[str, Callback]:
        """Callbacks by class, with #2, #3 after those of a class that is there several times."""
        count: Counter[str] = Counter()
        named = {}
        for callback in self._callbacks:
            name = type(callback).__name__
            count[name] += 1
            named[name if count[name] == 1 else f"{name}#{count[name]}"] = callback
        return named
