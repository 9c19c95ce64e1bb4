"""Augmentations: each changes images as it says, by the generator it is given and nothing else."""

from __future__ import annotations

import time

import numpy as np
import pytest

import rot180
from rot180.data import (
    Augmentation,
    Cutout,
    Dataset,
    Normalise,
    RandomAffine,
    RandomCrop,
    RandomFlip,
    RandomShift,
)

RANDOM = [
    RandomFlip(),
    RandomCrop((5, 4)),
    RandomCrop((7, 6), padding=3),
    RandomShift(2),
    RandomAffine(degrees=20.0, shift=1.5, zoom=0.2),
    Cutout(3),
]
ALL = [*RANDOM, Normalise(0.4, 0.3), Normalise([0.1, 0.2], [0.3, 0.4])]
SHAPE = (200, 7, 6, 2)


def batch(dtype=np.float32, shape=SHAPE):
    """Images without zeros, each pixel another number."""
    return (
        np.random.default_rng(0)
        .permutation(np.arange(1.0, 1 + np.prod(shape)))
        .reshape(shape)
        .astype(dtype)
    )


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("augmentation", ALL, ids=repr)
class TestAll:
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_dtype_layout_and_determinism(self, augmentation, dtype):
        one, again = (augmentation(batch(dtype), generator(7)) for _ in range(2))
        np.testing.assert_array_equal(one, again)
        assert one.dtype == dtype
        assert one.flags.c_contiguous
        assert len(one) == SHAPE[0]

    def test_nothing_but_the_generator_decides(self, augmentation):
        np.random.seed(1)  # noqa: NPY002
        one = augmentation(batch(), generator(7))
        np.random.seed(2)  # noqa: NPY002
        rng = generator(7)
        rng.random(3)
        np.testing.assert_array_equal(augmentation(batch(), generator(7)), one)
        if augmentation in RANDOM:
            assert (augmentation(batch(), rng) != one).any()

    def test_the_same_for_float32_and_float64(self, augmentation):
        one, other = (augmentation(batch(dtype), generator(7)) for dtype in (np.float32, float))
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-3)

    def test_batches_of_one_and_of_none(self, augmentation):
        shape = augmentation(batch(), generator()).shape[1:]
        for count in (0, 1):
            for rng in (None, generator()):
                assert augmentation(batch()[:count], rng).shape == (count, *shape)

    def test_repr_evaluates_back(self, augmentation):
        same = eval(repr(augmentation), {"np": np, **vars(rot180.data)})
        assert repr(same) == repr(augmentation)
        np.testing.assert_array_equal(
            same(batch(), generator(3)), augmentation(batch(), generator(3))
        )

    def test_other_shapes_are_refused(self, augmentation):
        for x in (batch()[0], batch()[..., 0]):
            with pytest.raises(ValueError, match=r"takes images \(N, H, W, C\), got shape"):
                augmentation(x, generator())


@pytest.mark.parametrize(
    "augmentation",
    [
        RandomFlip(),
        RandomCrop(32, padding=4),
        RandomShift(4),
        RandomAffine(degrees=15, shift=2, zoom=0.1),
        Cutout(8),
        Normalise([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
    ],
    ids=repr,
)
def test_a_batch_of_small_colour_images_takes_a_millisecond_or_so(augmentation):
    x = batch(shape=(128, 32, 32, 3))
    seconds = []
    for seed in range(10):
        start = time.perf_counter()
        augmentation(x, generator(seed))
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.01  # ten times what it is on a machine with nothing else to do


@pytest.mark.parametrize("augmentation", RANDOM, ids=repr)
def test_evaluation_is_on_what_the_files_hold(augmentation):
    x = batch()
    found = augmentation(x.copy(), None)
    _, height, width, _ = found.shape
    top, left = (7 - height) // 2, (6 - width) // 2
    np.testing.assert_array_equal(found, x[:, top : top + height, left : left + width])


def test_flip_mirrors_about_half_of_the_images():
    x = batch()
    y = RandomFlip()(x.copy(), generator())
    flipped = (y == x[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 70 <= flipped.sum() <= 130
    np.testing.assert_array_equal(y[~flipped], x[~flipped])
    np.testing.assert_array_equal(RandomFlip(0)(x.copy(), generator()), x)
    np.testing.assert_array_equal(RandomFlip(1)(x.copy(), generator()), x[:, :, ::-1])


def places(x, y, padding):
    """Where in x, with zeros around it, each image of y was cut out."""
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))
    height, width = y.shape[1:3]
    found = []
    for image, window in zip(padded, y, strict=True):
        rooms = (image.shape[0] - height + 1, image.shape[1] - width + 1)
        (place,) = (
            (top, left)
            for top, left in np.ndindex(rooms)
            if (image[top : top + height, left : left + width] == window).all()
        )
        found.append(place)
    return np.array(found)


@pytest.mark.parametrize(
    ("augmentation", "padding", "rooms"),
    [
        (RandomCrop((5, 4)), 0, (3, 3)),
        (RandomCrop((7, 3)), 0, (1, 4)),
        (RandomCrop((7, 6), padding=2), 2, (5, 5)),
        (RandomCrop(6, padding=1), 1, (4, 3)),
        (RandomShift(2), 2, (5, 5)),
        (RandomShift(0), 0, (1, 1)),
    ],
    ids=repr,
)
def test_windows_are_everywhere_equally_often(augmentation, padding, rooms):
    x = batch(shape=(600, 7, 6, 2))
    found = places(x, augmentation(x.copy(), generator()), padding)
    counts = np.zeros(rooms, int)
    np.add.at(counts, tuple(found.T), 1)
    expected = 600 / np.prod(rooms)
    assert (np.abs(counts - expected) <= 5 * np.sqrt(expected)).all()


def test_a_window_that_does_not_fit():
    with pytest.raises(ValueError, match=r"RandomCrop\(size=\(9, 4\), padding=0\) does not fit in"):
        RandomCrop((9, 4))(batch(), generator())
    with pytest.raises(ValueError, match=r"does not fit into images of \(7, 6\) pixels"):
        RandomCrop((9, 9), 1)(batch(), None)


def spot(i, j, shape=(41, 31)):
    """A small bright spot at (i, j)."""
    rows, columns = np.indices(shape)
    return np.exp(-((rows - i) ** 2 + (columns - j) ** 2) / 8)[np.newaxis, ..., np.newaxis]


def middle(image):
    rows, columns = np.indices(image.shape[:2])
    share = image[..., 0] / image.sum()
    return np.array([(rows * share).sum(), (columns * share).sum()])


def polar(augmentation, offset):
    """Angle and distance from the middle of a spot that was to the right of it, in many draws."""
    x = spot(20, 15 + offset).repeat(300, axis=0)
    found = np.array([middle(image) for image in augmentation(x, generator())]) - [20, 15]
    return np.degrees(np.arctan2(found[:, 0], found[:, 1])), np.hypot(*found.T)


def test_affine_turns_by_up_to_so_many_degrees_both_ways():
    angles, distances = polar(RandomAffine(degrees=30), 8)
    assert -30.5 < angles.min() < -27
    assert 27 < angles.max() < 30.5
    np.testing.assert_allclose(distances, 8, atol=0.05)
    assert abs(angles.mean()) < 4


def test_affine_moves_by_up_to_so_many_pixels_both_ways():
    x = spot(20, 15).repeat(300, axis=0)
    y = RandomAffine(shift=3.5)(x, generator())
    moved = np.array([middle(image) for image in y]) - [20, 15]
    for axis in range(2):
        assert -3.55 < moved[:, axis].min() < -3.3
        assert 3.3 < moved[:, axis].max() < 3.55
    assert abs(np.corrcoef(moved.T)[0, 1]) < 0.2


def test_affine_zooms_by_up_to_a_share_both_ways():
    angles, distances = polar(RandomAffine(zoom=0.25), 8)
    np.testing.assert_allclose(angles, 0, atol=0.5)
    assert 8 / 1.26 < distances.min() < 8 / 1.23
    assert 8 * 1.23 < distances.max() < 8 * 1.26


def test_affine_without_anything_changes_nothing():
    np.testing.assert_array_equal(RandomAffine()(batch(), generator()), batch())


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_cutout_blanks_one_square_that_may_lie_partly_outside(size):
    x = batch()
    y = Cutout(size)(x.copy(), generator())
    blank = (y == 0).all(axis=-1)
    np.testing.assert_array_equal(y[~blank], x[~blank])
    for image in blank:
        rows, columns = np.flatnonzero(image.any(1)), np.flatnonzero(image.any(0))
        assert image.sum() == len(rows) * len(columns)  # a rectangle
        for found, extent in ((rows, 7), (columns, 6)):
            assert len(found) <= size
            assert len(found) == min(size, extent) or found[0] == 0 or found[-1] == extent - 1
    reached = blank.mean(axis=0)
    assert reached.min() > 0
    if size == 1:
        assert (blank.sum(axis=(1, 2)) == 1).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalise(dtype):
    x = batch(dtype)
    mean, std = [30.0, 90.0], [2.0, 0.5]
    for rng in (None, generator()):
        y = Normalise(mean, std)(x.copy(), rng)
        np.testing.assert_allclose(y, (x - np.array(mean)) / np.array(std), rtol=1e-6)
        y = Normalise(5, 2)(x.copy(), rng)
        np.testing.assert_allclose(y, (x - 5) / 2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_normalise_by_the_data(dtype):
    rng = generator()
    x = (rng.random((2500, 3, 4, 2)) * [250, 30] + [0, 100]).astype(dtype)
    normalise = Normalise.of(x)
    dataset = Dataset(x, np.zeros(len(x)), [normalise])
    y, _ = dataset.batch(slice(None))
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2), dtype=float), 0, atol=1e-6)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2), dtype=float), 1, rtol=1e-5)
    again, _ = dataset.batch(slice(None))
    np.testing.assert_array_equal(y, again)
    assert Normalise.of(np.full((2, 2, 2, 1), 0.25)).std == [1.0]


def test_they_follow_one_another_in_a_data_set():
    x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3)).astype(np.uint8)
    augmentations = [RandomCrop(6), RandomFlip(), Normalise(0.5, 0.25), Cutout(2)]
    dataset = Dataset(x, np.arange(20), augmentations)
    rng = generator(5)
    expected = x[[3, 9]].astype(np.float32) / np.float32(255)
    for augmentation in augmentations:
        expected = augmentation(expected, rng)
    np.testing.assert_array_equal(dataset.batch([3, 9], generator(5))[0], expected)
    plain, _ = dataset.batch([3, 9])
    middle_of_it = x[[3, 9], 1:7, 1:7].astype(np.float32) / np.float32(255)
    np.testing.assert_allclose(plain, (middle_of_it - 0.5) / 0.25, atol=1e-6)
    assert dataset.input_shape == (6, 6, 3)
    assert "RandomFlip(probability=0.5)" in repr(dataset)


def test_one_of_your_own():
    class Invert(Augmentation):
        def augmented(self, x, rng):
            return 1 - x

    x = np.zeros((1, 2, 2, 1))
    assert Invert()(x, generator()).all()
    assert not Invert()(x, None).any()
    assert repr(Invert()) == "Invert()"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: RandomFlip(-0.1), ValueError, "probability"),
        (lambda: RandomFlip(1.1), ValueError, "probability"),
        (lambda: RandomFlip("often"), TypeError, "probability must be a number"),
        (lambda: RandomCrop(0), ValueError, "size"),
        (lambda: RandomCrop((1, 2, 3)), ValueError, "size"),
        (lambda: RandomCrop(3, -1), ValueError, "padding"),
        (lambda: RandomShift(-1), ValueError, "pixels"),
        (lambda: RandomShift(0.5), TypeError, "pixels"),
        (lambda: RandomAffine(-1), ValueError, "degrees"),
        (lambda: RandomAffine(shift=-1), ValueError, "shift"),
        (lambda: RandomAffine(zoom=np.nan), ValueError, "zoom"),
        (lambda: Cutout(0), ValueError, "size"),
        (lambda: Normalise([0, 0], [1]), ValueError, "mean has 2 numbers and std has 1"),
        (lambda: Normalise(0, 0), ValueError, "std must be above 0"),
        (lambda: Normalise(np.nan, 1), ValueError, "mean must be finite"),
        (lambda: Normalise(0, [[1]]), TypeError, "std must be a number for each channel"),
        (lambda: Normalise("a", 1), TypeError, "mean must be a number for each channel"),
        (lambda: Normalise([1, 2, 3], [1, 1, 1])(batch(), None), ValueError, "images have 2"),
        (lambda: Normalise.of(batch()[0]), ValueError, r"x has shape \(7, 6, 2\)"),
        (lambda: Normalise.of(batch()[:0]), ValueError, r"x has shape \(0, 7, 6, 2\)"),
    ],
)
def test_wrong_arguments(make, error, words):
    with pytest.raises(error, match=words):
        make()
