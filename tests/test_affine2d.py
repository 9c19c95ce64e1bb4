"""Images turned, moved and scaled: the kernel against `reference`, and both against known ones."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from rot180 import functional, reference

RNG = np.random.default_rng(0)
SHAPES = [(0, 4, 4, 1), (2, 0, 3, 1), (1, 1, 1, 1), (3, 5, 8, 1), (2, 7, 4, 2), (2, 6, 6, 3)]
BOTH = [functional.affine2d, reference.affine2d]

IDENTITY = [[1, 0, 0], [0, 1, 0]]


def matrices(count, size=0.5):
    turn = np.eye(2) + size * RNG.normal(size=(count, 2, 2))
    return np.concatenate([turn, RNG.normal(0, 1.5, (count, 2, 1))], axis=2)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [*SHAPES, (2, 5, 4, 17)])
def test_the_kernel_computes_what_the_reference_does(shape, dtype):
    x = RNG.normal(size=shape).astype(dtype)
    for size in (0.0, 0.5, 3.0):
        m = matrices(len(x), size)
        y = functional.affine2d(x, m)
        assert y.dtype == dtype
        expected = reference.affine2d(x.astype(np.float64), m)
        tolerance = 8 * np.finfo(dtype).eps * np.abs(x).max(initial=0)
        np.testing.assert_allclose(y, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("affine2d", BOTH)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", SHAPES)
def test_whole_pixels_are_copied_as_they_are(shape, dtype, affine2d):
    x = RNG.normal(size=shape).astype(dtype)
    _, height, width, _ = shape
    np.testing.assert_array_equal(affine2d(x, IDENTITY), x)
    mirrored = affine2d(x, [[1, 0, 0], [0, -1, width - 1]])
    np.testing.assert_array_equal(mirrored, x[:, :, ::-1])
    turned = affine2d(x, [[-1, 0, height - 1], [0, -1, width - 1]])
    np.testing.assert_array_equal(turned, x[:, ::-1, ::-1])
    moved = affine2d(x, [[1, 0, 2], [0, 1, -1]])
    expected = np.pad(x, ((0, 0), (0, 2), (1, 0), (0, 0)))[:, 2:, :width]
    np.testing.assert_array_equal(moved, expected)
    np.testing.assert_array_equal(affine2d(x, [[1, 0, height], [0, 1, 0]]), 0 * x)
    np.testing.assert_array_equal(affine2d(x, [[1, 0, 0], [0, 1, -width]]), 0 * x)


@pytest.mark.parametrize("affine2d", BOTH)
def test_a_quarter_turn(affine2d):
    x = RNG.normal(size=(2, 5, 5, 2))
    # The turn is counterclockwise: the top row is what was the right column.
    turned = affine2d(x, [[0, 1, 0], [-1, 0, 4]])
    np.testing.assert_array_equal(turned, np.rot90(x, axes=(1, 2)))


@pytest.mark.parametrize("affine2d", BOTH)
def test_between_pixels_lines_are_straight(affine2d):
    i, j = np.indices((9, 7))
    plane = (3 * i - 2 * j + 1.0)[..., np.newaxis]
    m = np.array([[0.5, 0.1, 1.2], [-0.2, 0.4, 2.6]])
    r, s = (row[0] * i + row[1] * j + row[2] for row in m)
    expected = 3 * r - 2 * s + 1
    np.testing.assert_allclose(affine2d(plane, m)[..., 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("affine2d", BOTH)
def test_the_border_fades_out_over_a_pixel(affine2d):
    x = np.ones((3, 3, 1))
    for distance in (0.0, 0.25, 0.75, 1.0, 2.0):
        y = affine2d(x, [[1, 0, -distance], [0, 1, 0]])
        assert y[0, 1, 0] == max(0, 1 - distance)
        y = affine2d(x, [[1, 0, 0], [0, 1, distance]])
        assert y[1, 2, 0] == max(0, 1 - distance)


@pytest.mark.parametrize("affine2d", BOTH)
@pytest.mark.parametrize("far", [1e300, -1e300, 2.0**63, -(2.0**63)])
def test_places_that_are_nowhere_are_zero(affine2d, far):
    x = np.ones((1, 4, 4, 1), np.float32)
    for row in range(2):
        for column in range(3):
            m = np.array(IDENTITY, float)
            m[row, column] = far
            # Where i or j is 0, so is what it is multiplied by.
            assert affine2d(x, m).sum() == (4 if column < 2 else 0)


@pytest.mark.parametrize("affine2d", BOTH)
def test_one_matrix_for_each_image_or_one_for_all(affine2d):
    x = RNG.normal(size=(3, 6, 5, 2))
    m = matrices(3)
    y = affine2d(x, m)
    for n in range(3):
        np.testing.assert_array_equal(affine2d(x[n], m[n]), y[n])
        np.testing.assert_array_equal(affine2d(x, m[n])[n], y[n])


@pytest.mark.parametrize("affine2d", BOTH)
def test_arrays_of_any_layout(affine2d):
    x = RNG.normal(size=(3, 6, 5, 2))
    m = matrices(3)
    expected = affine2d(x, m)
    odd = np.asfortranarray(x)[:, ::-1].astype(">f8")
    np.testing.assert_array_equal(affine2d(odd[:, ::-1], np.asfortranarray(m)), expected)
    np.testing.assert_array_equal(affine2d(x, m[:, :, ::-1].astype(">f8")[:, :, ::-1]), expected)


@pytest.mark.parametrize("affine2d", BOTH)
@pytest.mark.parametrize(
    ("x", "m", "error", "words"),
    [
        (np.zeros((2, 4, 4, 1)), np.zeros((3, 2, 3)), ValueError, r"matrix has shape \(3, 2, 3\)"),
        (np.zeros((2, 4, 4, 1)), np.zeros((3, 3)), ValueError, r"expected \(2, 2, 3\)"),
        (np.zeros((2, 4, 4, 1)), np.zeros((2, 3), complex), TypeError, "matrix has dtype complex"),
        (
            np.zeros((2, 4, 4, 1)),
            [[1, 0, 0], [0, np.inf, 0]],
            ValueError,
            "matrix holds NaN or inf",
        ),
        (np.zeros((2, 4, 4, 1)), [[1], [2, 3]], TypeError, "matrix must be an array"),
        (np.zeros((4, 4)), IDENTITY, ValueError, r"x has shape \(4, 4\), expected \(N, H, W, C\)"),
        (np.zeros((2, 4, 4, 1), int), IDENTITY, TypeError, "x has dtype int64"),
    ],
)
def test_wrong_arguments(affine2d, x, m, error, words):
    with pytest.raises(error, match=words):
        affine2d(x, m)


def test_the_core_refuses_what_functional_would():
    from rot180 import _core

    x, m, y = np.zeros((2, 4, 4, 1)), np.zeros((2, 2, 3)), np.zeros((2, 4, 4, 1))
    _core.affine2d(x, m, y)
    read_only = y.copy()
    read_only.flags.writeable = False
    for wrong in (
        (x[0], m, y),
        (x[:, ::-1], m, y),
        (x.astype(int), m, y),
        (x, m[:1], y),
        (x, m.astype("f"), y),
        (x, m, y[:1]),
        (x, m, y.astype("f")),
        (x, m, read_only),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.affine2d(*wrong)


def test_it_runs_beside_other_threads():
    x, m = RNG.normal(size=(16, 40, 40, 3)), matrices(16)
    expected = functional.affine2d(x, m)
    found = []

    def run():
        found.extend(functional.affine2d(x, m) for _ in range(20))

    workers = [threading.Thread(target=run) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(found) == 60
    assert all((y == expected).all() for y in found)
