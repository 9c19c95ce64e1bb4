"""What every reader returns: a data set in two parts."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class ImageData(NamedTuple):
    """A data set in two parts: one to train on, one held out to be tested on.

    Images are float32 (N, H, W, C) from 0 to 1, labels int64 (N,), and ``class_names[label]`` says
    what a label means.
    """

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
