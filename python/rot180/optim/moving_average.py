"""Averages of weights, which often predict better than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from rot180 import functional
from rot180.arguments import FloatArray, real_number
from rot180.layers import Layer, Parameter
from rot180.optim.groups import checked_parameters
from rot180.optim.state import (
    check_arrays,
    check_known,
    check_writer,
    checked_count,
    copied,
    copy_into,
    different_names,
)


class ExponentialMovingAverage:
    """Keeps an average of a model's weights over the last steps, 1 / (1 - decay) or so of them.

    For each parameter, after each step: ``average = decay * average + (1 - decay) * parameter``,
    beginning with the parameter as it is (Polyak & Juditsky, 1992; with this decay Tarvainen &
    Valpola, 2017). Buffers, such as the running statistics of batch normalisation, are copied.

    Parameters
    ----------
    source
        A model, or a list of parameters.
    decay
        In [0, 1).

    Attributes
    ----------
    averages : dict of array
        By the parameters' names.
    buffers : dict of array
        Copies of the model's buffers by name; {} without a model.
    update_count : int
        Calls of `update` so far.

    Raises
    ------
    ValueError, TypeError
        If `decay` is out of its range, or there are no parameters, or one is there twice.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> model = rot180.Linear(1, 1, bias=False, dtype=np.float64)
    >>> model.weight.value[...] = 0.0
    >>> average = rot180.optim.ExponentialMovingAverage(model, decay=0.75)
    >>> model.weight.value[...] = 8.0  # as steps of an optimizer would
    >>> average.update()
    >>> with average.applied():
    ...     print(model.weight.value.item())
    2.0
    >>> model.weight.value.item()
    8.0
    """

    def __init__(self, source: Layer | Iterable[Parameter], decay: float = 0.999) -> None:
        self.decay = real_number("decay", decay, below=1.0)
        model = source if isinstance(source, Layer) else None
        given = source.parameters() if isinstance(source, Layer) else source
        self.parameters = checked_parameters("parameters", given, set())
        self._values = [parameter.value for parameter in self.parameters]
        self._model_buffers = model.named_buffers() if model else {}
        names = different_names(self.parameters)
        self.averages = copied(dict(zip(names, self._values, strict=True)))
        self.buffers = copied(self._model_buffers)
        self.update_count = 0
        self._is_applied = False

    def update(self) -> None:
        """Take the parameters into the averages, and copy the buffers; call it after each step.

        Raises
        ------
        RuntimeError
            Inside `applied`, where the parameters are the averages.
        """
        self._expect_not_applied("update()")
        functional.ema_step(list(self.averages.values()), self._values, decay=self.decay)
        copy_into(self.buffers, self._model_buffers)
        self.update_count += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Give the model its averages for as long as the block runs, and then its own weights back.

        For evaluating and for saving the weights. What is trained in between is lost.

        Raises
        ------
        RuntimeError
            Inside another `applied` of the same averages.
        """
        self._expect_not_applied("applied()")
        own = [*self._values, *self._model_buffers.values()]
        averages = [*self.averages.values(), *self.buffers.values()]
        kept = [array.copy() for array in own]
        self._is_applied = True
        try:
            _copy_each(averages, own)
            yield
        finally:
            _copy_each(kept, own)
            self._is_applied = False

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of the averages, enough to go on to the same bits.

        Returns
        -------
        dict
            ``"average"``: the class's name; ``"step"``: calls of `update`; ``"averages"`` and
            ``"buffers"``: dicts from name to array. decay is not in it: build the new one with it.
        """
        return {
            "average": type(self).__name__,
            "step": self.update_count,
            "averages": copied(self.averages),
            "buffers": copied(self.buffers),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over a state that `state_dict` returned. All is checked before anything changes.

        Raises
        ------
        ValueError, TypeError
            If the state is something else's, or an array is missing, unknown, or of another shape
            or dtype: names it.
        """
        name = type(self).__name__
        check_writer(state, "average", name)
        check_known(state, ("average", "step", "averages", "buffers"), name)
        step = checked_count(state, "step")
        check_arrays("averages", state.get("averages"), self.averages)
        check_arrays("buffers", state.get("buffers"), self.buffers)
        copy_into(self.averages, state["averages"])
        copy_into(self.buffers, state["buffers"])
        self.update_count = step

    def _expect_not_applied(self, call: str) -> None:
        if self._is_applied:
            raise RuntimeError(f"{call} inside applied(): the parameters are the averages there")


def _copy_each(sources: list[FloatArray], targets: list[FloatArray]) -> None:
    for source, target in zip(sources, targets, strict=True):
        np.copyto(target, source)
