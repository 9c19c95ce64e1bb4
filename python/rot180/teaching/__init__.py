"""The pieces that a derivation of the backward pass is made of, each with its worked example."""

from __future__ import annotations

from rot180.teaching import loops
from rot180.teaching.correlation import (
    convolve2d,
    correlate2d,
    full_mode_size,
    interleave_zeros,
    rot180,
)
from rot180.teaching.matrices import col2im, conv_matrix, im2col

__all__ = [
    "col2im",
    "conv_matrix",
    "convolve2d",
    "correlate2d",
    "full_mode_size",
    "im2col",
    "interleave_zeros",
    "loops",
    "rot180",
]
