"""What the command can judge: the function that judges each kind, imported when it is asked for."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable

from rot180.diagnose.diagnosis import Diagnosis

# The judge of each kind takes the user's function first, and options by their names.
KINDS = {
    "conv2d": "rot180.diagnose.conv2d:conv2d_backward",
    "linear": "rot180.diagnose.dense:linear_backward",
    "activation": "rot180.diagnose.activations:activation_backward",
    "max_pool2d": "rot180.diagnose.pooling:max_pool2d_backward",
    "avg_pool2d": "rot180.diagnose.pooling:avg_pool2d_backward",
    "softmax_cross_entropy": "rot180.diagnose.losses:softmax_cross_entropy_backward",
    "adam": "rot180.diagnose.optimizers:adam",
    "adam_layer": "rot180.diagnose.optimizers:adam_layer",
    "sgd": "rot180.diagnose.optimizers:sgd",
}


def judge_of(kind: str) -> Callable[..., Diagnosis]:
    """Return the function that judges a kind."""
    module, name = KINDS[kind].split(":")
    judge: Callable[..., Diagnosis] = getattr(importlib.import_module(module), name)
    return judge


def options_of(kind: str) -> list[str]:
    """Return the options that the judge of a kind takes."""
    return list(inspect.signature(judge_of(kind)).parameters)[1:]
