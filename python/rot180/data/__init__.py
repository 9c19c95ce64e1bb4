"""Data sets, ready for a network: images (N, H, W, C) and their labels, in batches."""

from __future__ import annotations

from rot180.data.ahead import batches_ahead
from rot180.data.augmentations import (
    Augmentation,
    Cutout,
    Normalise,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomShift,
)
from rot180.data.cifar import load_cifar10, load_cifar100
from rot180.data.dataset import Dataset
from rot180.data.digits import load_digits
from rot180.data.idx import load_fashion_mnist, load_mnist, read_idx
from rot180.data.image_data import ImageData
from rot180.data.image_folder import load_image_folder
from rot180.data.npz import load_npz

__all__ = [
    "Augmentation",
    "Cutout",
    "Dataset",
    "ImageData",
    "Normalise",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "batches_ahead",
    "load_cifar10",
    "load_cifar100",
    "load_digits",
    "load_fashion_mnist",
    "load_image_folder",
    "load_mnist",
    "load_npz",
    "read_idx",
]
