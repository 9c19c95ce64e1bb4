"""Data sets, ready for a network: images (N, H, W, C) and their labels, in batches."""

from __future__ import annotations

from rot180.data.ahead import batches_ahead
from rot180.data.dataset import Dataset
from rot180.data.digits import load_digits
from rot180.data.image_data import ImageData

__all__ = ["Dataset", "ImageData", "batches_ahead", "load_digits"]
