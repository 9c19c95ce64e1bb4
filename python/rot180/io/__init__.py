"""Files: weights as safetensors, every file written whole or not at all. Loading runs no code."""

from __future__ import annotations

from rot180.io.atomic import PathLike, atomic_write
from rot180.io.header import LARGEST_HEADER
from rot180.io.tensors import open_tensors, write_tensors
from rot180.io.weights import (
    CHECKPOINT_FORMAT,
    check_tensors,
    load_weights,
    model_tensors,
    read_metadata,
    save_weights,
)

__all__ = [
    "CHECKPOINT_FORMAT",
    "LARGEST_HEADER",
    "PathLike",
    "atomic_write",
    "check_tensors",
    "load_weights",
    "model_tensors",
    "open_tensors",
    "read_metadata",
    "save_weights",
    "write_tensors",
]
