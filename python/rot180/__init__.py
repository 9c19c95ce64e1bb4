"""rot180 trains convolutional networks on a CPU, with NumPy arrays in and out.

Layers and training are here; the functions they are made of in `rot180.functional`, and the same
functions in plain NumPy, to be read, in `rot180.reference`.

Each name is imported at its first use, so that `import rot180` takes a few milliseconds.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from rot180 import _core

if TYPE_CHECKING:
    from rot180 import (
        callbacks,
        data,
        diagnose,
        explainer,
        functional,
        init,
        io,
        layers,
        losses,
        memory,
        metrics,
        models,
        optim,
        reference,
    )
    from rot180.explainer import explain
    from rot180.gradient_check import gradcheck
    from rot180.history import History
    from rot180.layers import (
        ELU,
        GELU,
        AdaptiveAvgPool2d,
        AvgPool2d,
        BatchNorm2d,
        Concat,
        Container,
        Conv2d,
        ConvTranspose2d,
        Dropout,
        Flatten,
        GlobalAvgPool2d,
        GroupNorm,
        Identity,
        Layer,
        LayerNorm,
        LeakyReLU,
        Linear,
        MaxPool2d,
        Parameter,
        ReLU,
        ReLU6,
        Reshape,
        Residual,
        Sequential,
        Sigmoid,
        SiLU,
        Softmax,
        Tanh,
        Upsample,
        ZeroPad2d,
    )
    from rot180.runtime import (
        algorithm,
        build_info,
        get_num_threads,
        instruction_set,
        set_algorithm,
        set_instruction_set,
        set_num_threads,
    )
    from rot180.teaching import loops
    from rot180.teaching.correlation import (
        convolve2d,
        correlate2d,
        full_mode_size,
        interleave_zeros,
        rot180,
    )
    from rot180.teaching.matrices import (
        col2im,
        conv_matrix,
        im2col,
    )
    from rot180.training import checkpoint
    from rot180.training.trainer import Trainer

__version__ = _core.version()

__all__ = [
    "ELU",
    "GELU",
    "AdaptiveAvgPool2d",
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Container",
    "Conv2d",
    "ConvTranspose2d",
    "Dropout",
    "Flatten",
    "GlobalAvgPool2d",
    "GroupNorm",
    "History",
    "Identity",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "MaxPool2d",
    "Parameter",
    "ReLU",
    "ReLU6",
    "Reshape",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Trainer",
    "Upsample",
    "ZeroPad2d",
    "algorithm",
    "build_info",
    "callbacks",
    "checkpoint",
    "col2im",
    "conv_matrix",
    "convolve2d",
    "correlate2d",
    "data",
    "diagnose",
    "explain",
    "explainer",
    "full_mode_size",
    "functional",
    "get_num_threads",
    "gradcheck",
    "im2col",
    "init",
    "instruction_set",
    "interleave_zeros",
    "io",
    "layers",
    "loops",
    "losses",
    "memory",
    "metrics",
    "models",
    "optim",
    "reference",
    "rot180",
    "set_algorithm",
    "set_instruction_set",
    "set_num_threads",
]

# Where they are: modules by themselves, and modules that hold the others, the lightest first.
_MODULES = (
    "callbacks",
    "data",
    "diagnose",
    "explainer",
    "functional",
    "init",
    "io",
    "layers",
    "losses",
    "memory",
    "metrics",
    "models",
    "optim",
    "reference",
    "training.checkpoint",
)
_HOMES = (
    "runtime",
    "layers",
    "history",
    "training.trainer",
    "teaching",
    "explainer",
    "gradient_check",
)


def __getattr__(name: str) -> Any:
    for path in _MODULES:
        if name == path.rpartition(".")[2]:
            return importlib.import_module(f"rot180.{path}")
    if name in __all__:
        for home in _HOMES:
            module = importlib.import_module(f"rot180.{home}")
            if hasattr(module, name):
                globals()[name] = getattr(module, name)
                return globals()[name]
    raise AttributeError(f"module 'rot180' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
