"""A training step of a network of the zoo, in rot180 and in PyTorch: forward, loss, backward and
optimizer, from the same weights on the same batch.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from bench.variant import Variant

# So small that every step finds the network as the first one did, and does the same work.
LEARNING_RATE = 1e-6

# The network and the step whose NumPy code has a published time.
PUBLISHED = "step blog_cnn n512 sgd"

_NAME = re.compile(r"step (?P<net>\w+) n(?P<n>[1-9]\d{0,5})(?P<sgd> sgd)?")


@dataclass(frozen=True)
class TrainingStep:
    """One step of a network, with Adam or SGD, on n images."""

    net: str
    n: int
    optimizer: str = "adam"

    @classmethod
    def parse(cls, text: str) -> TrainingStep:
        """Read a name such as ``step lenet5 n128`` or ``step blog_cnn n512 sgd``."""
        match = _NAME.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r}: expected one such as 'step lenet5 n128'")
        return cls(match["net"], int(match["n"]), "sgd" if match["sgd"] else "adam")

    def __str__(self) -> str:
        return f"step {self.net} n{self.n}" + (" sgd" if self.optimizer == "sgd" else "")


def network(row: TrainingStep, dtype: str) -> tuple[Any, Any, Any]:
    """The same network, images and targets in every process. float64 has the numbers of float32.

    Biases and the weights of normalisations are not left at zero and one, where some gradients are
    zero but for rounding.
    """
    from rot180 import models

    model = models.build(row.net, rng=0)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        if parameter.value.ndim == 1:
            parameter.value += rng.normal(scale=0.2, size=parameter.value.shape).astype(np.float32)
    x = rng.random((row.n, *models.input_shape(row.net)), np.float32)
    *pixels, classes = model.output_shape(x.shape[1:])
    target = x.astype(dtype) if _copies(row) else rng.integers(classes, size=(row.n, *pixels))
    if dtype != "float32":
        same = models.build(row.net, dtype=dtype)
        for parameter, start in zip(same.parameters(), model.parameters(), strict=True):
            parameter.value = start.value.astype(dtype)
        model = same
    return model, x.astype(dtype), target


def _copies(row: TrainingStep) -> bool:
    """Whether the network's targets are its images; else they are labels, of each or its pixels."""
    return row.net == "autoencoder"


def rot180_variant(row: TrainingStep, dtype: str) -> Variant:
    """The step as a user of rot180 writes it."""
    from rot180 import losses, optim

    model, x, target = network(row, dtype)
    loss = losses.MeanSquaredError() if _copies(row) else losses.CrossEntropy()
    optimizer = (optim.SGD if row.optimizer == "sgd" else optim.Adam)(
        model.parameters(), LEARNING_RATE
    )

    def step() -> float:
        value = loss.forward(model.forward(x, training=True), target)
        optimizer.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        optimizer.step()
        return value

    def arrays(value: float) -> list[Any]:
        grads = [parameter.grad for parameter in model.parameters()]
        return [np.array(value), *grads, *model.named_buffers().values()]

    return Variant(step, arrays)


def torch_variant(row: TrainingStep, dtype: str, layout: str, fused: bool) -> Variant:
    """The step as a user of PyTorch writes it."""
    import torch
    from torch.nn import functional

    from bench.torch_models import Twin

    model, x, target = network(row, dtype)
    memory_format = getattr(torch, layout)
    twin = Twin(model, x.shape[1:], memory_format)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
    targets = images.clone() if _copies(row) else torch.from_numpy(target)
    loss = functional.mse_loss if _copies(row) else functional.cross_entropy
    optimizer = (torch.optim.SGD if row.optimizer == "sgd" else torch.optim.Adam)(
        twin.module.parameters(), lr=LEARNING_RATE, fused=fused
    )

    def step() -> Any:
        with torch.enable_grad():
            value = loss(twin.module(images), targets)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        return value.item()

    return Variant(step, lambda value: [np.array(value), *twin.gradients(), *twin.buffers()])


# Who wants the best of PyTorch tries these.
VARIANTS: dict[str, dict[str, Callable[[TrainingStep, str], Variant]]] = {
    "rot180": {"": rot180_variant},
    "torch": {
        f"{name}, {optimizer}": partial(torch_variant, layout=layout, fused=fused)
        for name, layout in (("NCHW", "contiguous_format"), ("channels_last", "channels_last"))
        for optimizer, fused in (("fused", True), ("plain", False))
    },
}


def rot180_variants(row: TrainingStep, which: str, dtype: str) -> dict[str, Variant]:
    """The step in rot180."""
    return {name: make(row, dtype) for name, make in VARIANTS["rot180"].items()}


def torch_variants(row: TrainingStep, which: str, dtype: str) -> dict[str, Variant]:
    """The step in PyTorch, with both layouts, and with one kernel for the optimizer or many."""
    return {name: make(row, dtype) for name, make in VARIANTS["torch"].items()}
