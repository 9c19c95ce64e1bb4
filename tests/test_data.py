"""The data sets: shapes, ranges, and a split that nothing leaks through."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sklearn import datasets

from rot180.data import load_digits


def test_shapes_dtypes_and_range():
    digits = load_digits()
    assert digits.x_train.shape == (1347, 8, 8, 1)
    assert digits.x_test.shape == (450, 8, 8, 1)
    assert digits.y_train.shape == (1347,)
    assert digits.y_test.shape == (450,)
    for x, y in ((digits.x_train, digits.y_train), (digits.x_test, digits.y_test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.min() == 0
        assert x.max() == 1
        assert set(y.tolist()) == set(range(10))
    assert digits.class_names == tuple("0123456789")


def test_every_image_is_in_exactly_one_part_with_its_label():
    digits = load_digits()
    bunch = datasets.load_digits()

    def rows(x, y):
        return sorted(map(tuple, np.column_stack([x.reshape(len(x), -1), y]).tolist()))

    both = rows(
        np.concatenate([digits.x_train, digits.x_test]),
        np.concatenate([digits.y_train, digits.y_test]),
    )
    assert both == rows(bunch.images / 16, bunch.target)


def test_each_digit_is_held_out_in_proportion():
    digits = load_digits()
    held_out = np.bincount(digits.y_test)
    total = held_out + np.bincount(digits.y_train)
    assert np.abs(held_out - total / 4).max() <= 1


def test_the_split_is_the_same_whatever_the_global_seed():
    np.random.seed(1)  # noqa: NPY002
    first = load_digits()
    np.random.seed(2)  # noqa: NPY002
    second = load_digits()
    for a, b in zip(first[:4], second[:4], strict=True):
        np.testing.assert_array_equal(a, b)


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r'pip install "rot180\[train\]"'):
        load_digits()
