"""What a checkpoint holds of a training, and how it is taken over."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rot180.callbacks.callback_list import CallbackList
from rot180.history import History
from rot180.io import check_tensors, model_tensors
from rot180.layers import Layer
from rot180.optim import Optimizer
from rot180.training.checkpoint import State, read_checkpoint
from rot180.training.position import Position


def training_state(
    model: Layer,
    optimizer: Optimizer,
    position: Position,
    history: History,
    callbacks: CallbackList,
    stop_training: bool,
) -> State:
    """Return all that a training needs to go on to the same bits."""
    generators = model.named_generators()
    return {
        "model": model_tensors(model),
        "optimizer": optimizer.state_dict(),
        "generators": {name: rng.bit_generator.state for name, rng in generators.items()},
        "position": position.state_dict(),
        "history": history.state_dict(),
        "callbacks": callbacks.state_dict(),
        "stop_training": stop_training,
    }


class Resumed(NamedTuple):
    """What `Trainer.fit` takes over from a checkpoint, when model and optimizer have theirs."""

    path: Path
    position: Position
    history: History
    callbacks: dict[str, Any]
    stop_training: bool

    @classmethod
    def take_over(cls, path: Path, model: Layer, optimizer: Optimizer) -> Resumed:
        """Read a checkpoint, check all of it, and give model and optimizer what is theirs.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, or of another model or optimizer. Nothing has changed then.
        """
        state = read_checkpoint(path)
        own, generators = model_tensors(model), model.named_generators()
        arrays = _section(path, state, "model")
        if not all(isinstance(array, np.ndarray) for array in arrays.values()):
            raise ValueError(f"{path} is damaged: the model has something else than arrays")
        check_tensors(path, arrays, own)
        generator_states = _section(path, state, "generators")
        history = History()
        try:
            _check_generators(generator_states, generators)
            position = Position.from_state_dict(_section(path, state, "position"))
            history.load_state_dict(_section(path, state, "history"))
            callbacks = _section(path, state, "callbacks")
            optimizer.load_state_dict(_section(path, state, "optimizer"))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: {error}") from error
        for name, array in own.items():
            np.copyto(array, arrays[name])
        for name, generator in generators.items():
            generator.bit_generator.state = generator_states[name]
        return cls(path, position, history, callbacks, state.get("stop_training") is True)

    def expect(self, position: Position, history: History, epochs: int) -> None:
        """Refuse to go on with other data or options than those before.

        Raises
        ------
        ValueError
            If `fit` was called in another way: names the path and what differs.
        """
        try:
            self.position.expect(position)
            if set(self.history) != set(history):
                raise ValueError(
                    f"its history has {list(self.history)}, this fit would have {list(history)}: "
                    "pass validation data and metrics as then"
                )
            if self.position.epoch > epochs + 1:
                raise ValueError(
                    f"it has {self.position.epoch - 1} epochs behind it, this fit has "
                    f"epochs={epochs}"
                )
        except ValueError as error:
            error.args = (f"{self.path}: {error}",)
            raise


def _section(path: Path, state: State, name: str) -> dict[str, Any]:
    section = state.get(name)
    if not isinstance(section, dict):
        raise ValueError(f"{path} misses {name!r}: it is no checkpoint of a training")
    return section


def _check_generators(
    states: Mapping[str, Any], generators: Mapping[str, np.random.Generator]
) -> None:
    if states.keys() != generators.keys():
        raise ValueError(
            f"it has the states of the random generators {sorted(states)}, the model has "
            f"{sorted(generators)}: it was saved from another model"
        )
    for name, generator in generators.items():
        trial = type(generator.bit_generator)()
        try:
            trial.state = states[name]
        except Exception as error:  # NumPy takes the state apart without looking at it first
            raise ValueError(f"the state of the random generator {name}: {error}") from error
