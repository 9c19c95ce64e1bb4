"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from rot180.data.image_data import ImageData

# The split is a property of the data set, the same for every run: runs with different seeds can
# then be compared, and nothing that was trained on is ever counted as held out.
SPLIT_SEED = 0


def load_digits() -> ImageData:
    """Load the 1797 handwritten digits of 8x8 pixels that come with scikit-learn.

    A quarter is held out (450 images, each digit in proportion), always the same one. The grey
    values 0..16 of the data set are divided by 16: bright strokes on a dark ground.

    Returns
    -------
    ImageData
        ``x_train`` (1347, 8, 8, 1), ``x_test`` (450, 8, 8, 1), and their labels 0..9.

    Raises
    ------
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> import rot180
    >>> digits = rot180.data.load_digits()
    >>> digits.x_train.shape, digits.x_test.shape
    ((1347, 8, 8, 1), (450, 8, 8, 1))
    >>> digits.y_test[:5].tolist()
    [2, 0, 4, 9, 4]
    """
    datasets, model_selection = _scikit_learn()
    bunch = datasets.load_digits()
    x_train, x_test, y_train, y_test = model_selection.train_test_split(
        (bunch.images / 16).astype(np.float32)[..., np.newaxis],
        bunch.target.astype(np.int64),
        test_size=0.25,
        stratify=bunch.target,
        random_state=SPLIT_SEED,
    )
    return ImageData(x_train, y_train, x_test, y_test, tuple("0123456789"))


def _scikit_learn() -> tuple[Any, Any]:
    try:
        from sklearn import datasets, model_selection
    except ImportError as error:
        raise ImportError(
            'the digits come with scikit-learn: pip install "rot180[train]"'
        ) from error
    return datasets, model_selection
