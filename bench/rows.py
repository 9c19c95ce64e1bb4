"""All that is measured, by name: convolutions and optimizer steps."""

from __future__ import annotations

from bench import optim, shapes
from bench.optim import AdamStep
from bench.shapes import Shape

Row = Shape | AdamStep

NETS = shapes.NETS | optim.NETS
PASSES = Shape.passes + AdamStep.passes


def parse(name: str) -> Row:
    """Read a row's name: ``n8 h56 w56 c64 k64 r3 s3 p1`` or ``adam lenet5``."""
    return AdamStep.parse(name) if name.startswith("adam ") else Shape.parse(name)
