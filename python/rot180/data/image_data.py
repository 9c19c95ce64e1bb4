"""What every reader returns: a data set in two parts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class ImageData(NamedTuple):
    """A data set in two parts: one to train on, one held out to be tested on.

    Images are (N, H, W, C), uint8 where the files have bytes and float32 elsewhere: a `Dataset`
    makes float32 from 0 to 1 of bytes, a batch at a time. Labels are int64 (N,), and
    ``class_names[label]`` says what a label means.
    """

    x_train: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.uint8] | npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    class_names: tuple[str, ...]


def numbered(classes: int) -> tuple[str, ...]:
    """Names of classes that have none: ``"0"``, ``"1"``, ..."""
    return tuple(map(str, range(classes)))


def checked_labels(
    name: str, labels: npt.NDArray[Any], images: int, classes: int
) -> npt.NDArray[np.int64]:
    """Return the labels of that many images as int64, or say what is wrong with the file `name`.

    Raises
    ------
    ValueError
        If there are more or fewer of them, or one is not from 0 to ``classes - 1``.
    """
    if labels.shape != (images,):
        raise ValueError(
            f"{name} has labels of shape {labels.shape}, expected {images}: one for each image"
        )
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if wrong.size:
        first = int(wrong[0])
        raise ValueError(
            f"{name} has the label {labels[first]} at index {first}, expected 0 to {classes - 1}"
        )
    return labels.astype(np.int64)
