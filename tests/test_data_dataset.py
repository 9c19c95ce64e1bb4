"""A data set hands out the samples that were asked for, as floats, and says what is wrong."""

from __future__ import annotations

import numpy as np
import pytest

from rot180 import memory
from rot180.data import Dataset

RNG = np.random.default_rng(0)
FLOATS = RNG.normal(size=(20, 3, 2, 1)).astype(np.float32)
BYTES = RNG.integers(0, 256, (20, 4, 3, 3), dtype=np.uint8)
LABELS = np.arange(20) * 10
CHOSEN = np.array([7, 0, 19, 7])


def noise(x, rng):
    """Changes its batch in place, and is left out where nothing may be random."""
    if rng is not None:
        x += rng.normal(size=x.shape).astype(x.dtype)
    return x


def halve(x, rng):
    x *= 0.5
    return x


def crop(x, rng):
    return x[:, 1:]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("indices", [CHOSEN, CHOSEN.astype(np.uint8), CHOSEN.tolist(), [], [3]])
def test_floats_are_gathered_in_the_order_asked_for(dtype, indices):
    x, y = Dataset(FLOATS.astype(dtype), LABELS).batch(indices)
    assert x.dtype == dtype
    rows = np.asarray(indices, np.intp)
    np.testing.assert_array_equal(x, FLOATS[rows])
    np.testing.assert_array_equal(y, LABELS[rows])


@pytest.mark.parametrize("indices", [CHOSEN, slice(4, 9), slice(None, None, -3), slice(5, 5)])
def test_bytes_become_float32_from_0_to_1(indices):
    x, y = Dataset(BYTES, LABELS).batch(indices)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, BYTES[indices].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(y, LABELS[indices])
    assert Dataset(np.array([0, 255], np.uint8), [0, 1]).batch([0, 1])[0].tolist() == [0, 1]


def test_targets_may_be_images():
    x, y = Dataset(FLOATS, FLOATS).batch(CHOSEN)
    np.testing.assert_array_equal(x, FLOATS[CHOSEN])
    np.testing.assert_array_equal(y, FLOATS[CHOSEN])


@pytest.mark.parametrize("indices", [CHOSEN, slice(4, 9)])
@pytest.mark.parametrize("images", [FLOATS, BYTES])
def test_a_batch_may_be_its_own_target(images, indices):
    x, y = Dataset(images, augmentations=[noise]).batch(indices, np.random.default_rng(3))
    expected, _ = Dataset(images, LABELS, [noise]).batch(indices, np.random.default_rng(3))
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, expected)
    plain, target = Dataset(images).batch(indices)
    np.testing.assert_array_equal(target, plain)


def test_nothing_is_copied_before_it_must_be():
    dataset = Dataset(FLOATS, LABELS)
    x, y = dataset.batch(slice(2, 5))
    assert np.shares_memory(x, FLOATS)
    assert np.shares_memory(y, LABELS)


@pytest.mark.parametrize("indices", [CHOSEN, slice(4, 9)])
@pytest.mark.parametrize("images", [FLOATS, BYTES])
def test_augmentations_change_the_batch_and_not_the_data(images, indices):
    before = images.copy()
    dataset = Dataset(images, LABELS, [noise, halve, crop])
    plain, _ = Dataset(images, LABELS).batch(indices)
    x, y = dataset.batch(indices, np.random.default_rng(3))
    expected = crop(halve(noise(plain.copy(), np.random.default_rng(3)), None), None)
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, LABELS[indices])
    np.testing.assert_array_equal(dataset.batch(indices)[0], plain[:, 1:] * np.float32(0.5))
    np.testing.assert_array_equal(images, before)


def test_input_shape_is_that_of_what_the_network_gets():
    assert Dataset(BYTES, LABELS).input_shape == (4, 3, 3)
    assert Dataset(BYTES, LABELS, [crop]).input_shape == (3, 3, 3)
    assert Dataset(np.ones((5, 2)), np.ones(5)).input_shape == (2,)


@pytest.mark.parametrize(
    "odd",
    [
        FLOATS[:, ::-1],
        FLOATS[::2],
        np.asfortranarray(FLOATS),
        FLOATS.astype(">f4"),
        np.broadcast_to(FLOATS[:1], FLOATS.shape),
        FLOATS.tolist(),
    ],
)
def test_arrays_of_any_layout(odd):
    x, _ = Dataset(odd, LABELS[: len(odd)]).batch([5, 1])
    np.testing.assert_array_equal(x, np.asarray(odd)[[5, 1]])
    assert x.flags.c_contiguous
    assert x.dtype is np.dtype(x.dtype.char), "native, and known at first sight"


def test_large_batches_come_from_the_pool():
    dataset = Dataset(np.zeros((64, 32, 32, 3), np.float32), np.zeros(64, int))
    before = memory.stats()["in_use"]
    x, _ = dataset.batch(np.arange(64))
    assert memory.stats()["in_use"] >= before + x.nbytes


def test_length_and_repr():
    dataset = Dataset(BYTES, LABELS, [crop])
    assert len(dataset) == 20
    assert repr(dataset).startswith("Dataset(20 samples of shape (4, 3, 3), uint8, augmentations=[")


@pytest.mark.parametrize(
    ("x", "y", "error", "words"),
    [
        (FLOATS, LABELS[:19], ValueError, "x has 20 samples and y has 19"),
        (FLOATS[:0], LABELS[:0], ValueError, r"x has shape \(0, 3, 2, 1\): expected at least one"),
        (np.float32(1), LABELS, ValueError, r"x has shape \(\)"),
        (FLOATS, 1, ValueError, r"y has shape \(\)"),
        (FLOATS.astype(str), LABELS, TypeError, "x has dtype <U32, expected numbers"),
        (FLOATS, LABELS.astype(object), TypeError, "y has dtype object, expected numbers"),
        ([[1, 2], [3]], [0, 1], TypeError, "x must be an array of numbers"),
    ],
)
def test_data_that_cannot_be_right(x, y, error, words):
    with pytest.raises(error, match=words):
        Dataset(x, y)


@pytest.mark.parametrize(
    ("indices", "error", "words"),
    [
        ([3, 20, 21], ValueError, r"indices\[1\] is 20, expected 0 to 19"),
        ([3, 4, -1], ValueError, r"indices\[2\] is -1, expected 0 to 19"),
        (np.array([2**63], np.uint64), ValueError, r"indices\[0\] is 9223372036854775808"),
        ([[1]], ValueError, r"indices has shape \(1, 1\), expected one axis"),
        (3, ValueError, r"indices has shape \(\)"),
        ([1.0], TypeError, "indices has dtype float64, expected integers"),
        (np.ones(20, bool), TypeError, "indices has dtype bool"),
    ],
)
def test_indices_that_cannot_be_right(indices, error, words):
    with pytest.raises(error, match=words):
        Dataset(FLOATS, LABELS).batch(indices)
