"""A step of Adam, in rot180 and in PyTorch: on one large tensor, where memory is the limit, and on
LeNet-5's ten small ones, where the call is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.variant import Variant

MODELS = {
    "10M": [10_000_000],
    "lenet5": [150, 6, 2400, 16, 48000, 120, 10080, 84, 840, 10],
}
NETS = {"adam": [f"adam {model}" for model in MODELS]}
STEPS_BEFORE = 9  # the first step's size is lr, whatever the gradient: a later one says more


@dataclass(frozen=True)
class AdamStep:
    """One step of Adam over all parameters of a model."""

    model: str

    passes = ("step",)
    memory_bound = True
    flops = 0  # not the limit, so not counted

    @classmethod
    def parse(cls, text: str) -> AdamStep:
        """Read a name such as ``adam lenet5``."""
        model = text.removeprefix("adam ")
        if model not in MODELS:
            raise ValueError(f"{text!r}: expected one of {NETS['adam']}")
        return cls(model)

    def __str__(self) -> str:
        return f"adam {self.model}"

    @property
    def elements(self) -> int:
        """Numbers that pass to and from memory: p, g, m and v are read, p, m and v written."""
        return 7 * sum(MODELS[self.model])


def operands(row: AdamStep, dtype: str) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
    """The same parameters, gradients and moments in every process."""
    rng = np.random.default_rng(0)
    param, grad, m, v = (
        [rng.standard_normal(size, np.float32).astype(dtype) for size in MODELS[row.model]]
        for _ in range(4)
    )
    return param, grad, m, [np.square(array) for array in v]


def rot180_variants(row: AdamStep, which: str, dtype: str) -> dict[str, Variant]:
    """The step as a user of rot180 takes it."""
    import rot180

    values, grads, m, v = operands(row, dtype)
    parameters = [rot180.Parameter(value, "weight") for value in values]
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.accumulate(grad)
    adam = rot180.optim.Adam(parameters)
    adam.step_count = STEPS_BEFORE
    for own, start in zip(adam.m + adam.v, m + v, strict=True):
        np.copyto(own, start)
    return {
        "": Variant(adam.step, lambda _: [p.value for p in parameters] + adam.m + adam.v),
    }


def torch_variants(row: AdamStep, which: str, dtype: str) -> dict[str, Variant]:
    """The step in PyTorch: one kernel for all, one for each operation, or as it comes."""
    return {
        "fused": _torch_variant(row, dtype, fused=True),
        "foreach": _torch_variant(row, dtype, foreach=True),
        "default": _torch_variant(row, dtype),
    }


def _torch_variant(row: AdamStep, dtype: str, **options: bool) -> Variant:
    import torch

    values, grads, m, v = ([torch.from_numpy(a) for a in arrays] for arrays in operands(row, dtype))
    for value, grad in zip(values, grads, strict=True):
        value.grad = grad
    adam = torch.optim.Adam(values, **options)
    for value, first, second in zip(values, m, v, strict=True):
        step = torch.tensor(float(STEPS_BEFORE))
        adam.state[value] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
    return Variant(adam.step, lambda _: [tensor.numpy() for tensor in values + m + v])
