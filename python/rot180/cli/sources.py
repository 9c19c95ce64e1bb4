"""What ``rot180 train`` can be told to train on, and what it does where nothing else is said."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from rot180 import data
from rot180.cli.parser import UsageError
from rot180.data import ImageData


class Source(NamedTuple):
    """A kind of data."""

    what: str
    needs: str  # what --data must be, "" if there is nothing to point at
    load: Callable[..., ImageData]
    model: str
    lr: float  # for Adam
    epochs: int
    augment: tuple[str, ...]  # names of AUGMENTATIONS
    normalised: bool
    pictures: str  # how predict makes such images of picture files, a key of `images.READERS`


SOURCES = {
    "digits": Source(
        "scikit-learn's handwritten digits, 8x8",
        "",
        data.load_digits,
        model="digits_cnn",
        lr=0.003,
        epochs=30,
        augment=("affine",),
        normalised=False,
        pictures="digits",
    ),
    "mnist": Source(
        "MNIST, handwritten digits, 28x28",
        "the folder with train-images-idx3-ubyte and so on, with or without .gz",
        data.load_mnist,
        model="mnist_cnn",
        lr=0.001,
        epochs=10,
        augment=("affine",),
        normalised=False,
        pictures="mnist",
    ),
    "fashion_mnist": Source(
        "Fashion-MNIST, clothes, 28x28",
        "the folder with train-images-idx3-ubyte and so on, with or without .gz",
        data.load_fashion_mnist,
        model="mnist_cnn",
        lr=0.001,
        epochs=10,
        augment=("flip", "crop"),
        normalised=False,
        pictures="picture",
    ),
    "cifar10": Source(
        "CIFAR-10, colour images, 32x32",
        "the folder with data_batch_1.bin and so on, or cifar-10-binary.tar.gz",
        data.load_cifar10,
        model="vgg_small",
        lr=0.001,
        epochs=30,
        augment=("flip", "crop"),
        normalised=True,
        pictures="picture",
    ),
    "cifar100": Source(
        "CIFAR-100, colour images, 32x32",
        "the folder with train.bin and test.bin, or cifar-100-binary.tar.gz",
        data.load_cifar100,
        model="vgg_small",
        lr=0.001,
        epochs=30,
        augment=("flip", "crop"),
        normalised=True,
        pictures="picture",
    ),
    "folder": Source(
        "pictures of your own",
        "the folder with a folder of pictures for each class, or with train/ and test/ of these",
        data.load_image_folder,
        model="resnet20",
        lr=0.001,
        epochs=30,
        augment=("flip", "crop"),
        normalised=True,
        pictures="picture",
    ),
    "npz": Source(
        "arrays of your own",
        "the .npz file with x_train, y_train, x_test and y_test",
        data.load_npz,
        model="mnist_cnn",
        lr=0.001,
        epochs=30,
        augment=(),
        normalised=True,
        pictures="picture",
    ),
}


def load(arguments: argparse.Namespace) -> ImageData:
    """Load what the command line names.

    Raises
    ------
    UsageError
        If --data is missing, or an option does not belong to this kind of data.
    OSError, ValueError, ImportError
        As from the loading function.
    """
    kind: str = arguments.kind
    source = SOURCES[kind]
    path: Path | None = arguments.data
    if kind != "folder" and arguments.size is not None:
        raise UsageError(f"--size is for folder: the images of {kind} keep their size")
    if path is None:
        if source.needs:
            raise UsageError(f"{kind} needs --data PATH, {source.needs}")
        return source.load()
    if not source.needs:
        raise UsageError(f"{kind} come with scikit-learn: leave --data away")
    if kind == "folder":
        return data.load_image_folder(path, arguments.size)
    return source.load(path)


# Made for the (H, W, C) of the images.
AUGMENTATIONS: dict[str, Callable[[tuple[int, ...]], data.Augmentation]] = {
    "flip": lambda shape: data.RandomFlip(),
    "crop": lambda shape: data.RandomCrop(shape[:2], padding=max(1, min(shape[:2]) // 8)),
    "shift": lambda shape: data.RandomShift(max(1, min(shape[:2]) // 8)),
    "affine": lambda shape: data.RandomAffine(degrees=10, shift=min(shape[:2]) / 16, zoom=0.1),
    "cutout": lambda shape: data.Cutout(max(1, min(shape[:2]) // 4)),
}
