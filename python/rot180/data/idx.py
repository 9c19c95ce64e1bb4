"""IDX files, in which MNIST comes, and the data sets that are made like it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.data.files import open_data
from rot180.data.image_data import ImageData, checked_labels, numbered
from rot180.io import PathLike

# What the third byte of a file says of its numbers, which lie with the highest byte first.
DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_AXES = 8

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def load_mnist(folder: PathLike, class_names: Sequence[str] = numbered(10)) -> ImageData:
    """Load MNIST, or a data set in the same four files, from a folder.

    The files are ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte`` and the same with
    ``t10k`` instead of ``train``; with or without ``.gz`` at the end, and with a dot instead of the
    second hyphen, as some have it.

    Parameters
    ----------
    folder
        Where the files are.
    class_names
        What the labels 0, 1, ... mean.

    Returns
    -------
    ImageData
        For MNIST, ``x_train`` (60000, 28, 28, 1) and ``x_test`` (10000, 28, 28, 1) of bright
        strokes on a dark ground, uint8, and their labels.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged or does not fit the others: names it.

    Examples
    --------
    >>> import rot180
    >>> mnist = rot180.data.load_mnist("mnist")  # doctest: +SKIP
    >>> mnist.x_train.shape  # doctest: +SKIP
    (60000, 28, 28, 1)
    """
    names = tuple(class_names)
    x_train, y_train = _part(Path(folder), "train", len(names))
    x_test, y_test = _part(Path(folder), "t10k", len(names))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise ValueError(
            f"{folder}: the images of train have the shape {x_train.shape[1:]} and those of t10k "
            f"{x_test.shape[1:]}, expected the same"
        )
    return ImageData(x_train, y_train, x_test, y_test, names)


def load_fashion_mnist(folder: PathLike) -> ImageData:
    """Load Fashion-MNIST, whose files have the names and the shapes of MNIST's.

    Parameters
    ----------
    folder
        Where the files are.

    Returns
    -------
    ImageData
        As from `load_mnist`, with ten kinds of clothes instead of digits.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_mnist` does.
    """
    return load_mnist(folder, FASHION_MNIST_CLASSES)


def read_idx(path: PathLike) -> npt.NDArray[Any]:
    """Read an IDX file, gzipped or not, as an array of its shape.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is something else, cut off, or longer than it says: names the path.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from rot180.data import read_idx
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "labels-idx1-ubyte"
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1]))
    ...     read_idx(path)
    array([7, 2, 1], dtype=uint8)
    """
    with open_data(path) as file:
        start = file.read(4)
        if start[:2] != b"\0\0" or start[2] not in DTYPES or not 1 <= start[3] <= MOST_AXES:
            raise ValueError(
                f"{path} is not an IDX file: it begins with the bytes {start.hex(' ')}, "
                "expected 00 00, a type and a number of axes"
            )
        shape = struct.unpack(f">{start[3]}I", file.read(4 * start[3]))
        array = file.array(shape, np.dtype(DTYPES[start[2]]))
        file.expect_end()
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _part(
    folder: Path, part: str, classes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    images_path = _find(folder, f"{part}-images", 3)
    labels_path = _find(folder, f"{part}-labels", 1)
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.ndim != 3 or images.dtype != np.uint8 or not images.size:
        raise ValueError(
            f"{images_path} has shape {images.shape} and dtype {images.dtype}, "
            "expected images (N, H, W) of uint8"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"{labels_path} has dtype {labels.dtype}, expected integers")
    return images[..., np.newaxis], checked_labels(str(labels_path), labels, len(images), classes)


def _find(folder: Path, name: str, axes: int) -> Path:
    for separator in "-.":
        path = folder / f"{name}{separator}idx{axes}-ubyte"
        for candidate in (path, path.with_name(f"{path.name}.gz")):
            if candidate.exists():
                return candidate
    raise FileNotFoundError(f"{folder}: there is no {name}-idx{axes}-ubyte, with or without .gz")
