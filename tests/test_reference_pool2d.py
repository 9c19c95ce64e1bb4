"""Max and mean pooling in NumPy: ties, NaN, -inf, padding, gradients."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finite_differences import assert_gradient
from rot180.geometry import pool2d_geometry
from rot180.reference import (
    adaptive_avg_pool2d,
    adaptive_avg_pool2d_grad_input,
    avg_pool2d,
    avg_pool2d_grad_input,
    max_pool2d,
    max_pool2d_grad_input,
)

NAN, INF = np.nan, np.inf

POOLS = {
    "2x2": ((2, 4, 6, 3), {"kernel_size": 2}),
    "3x2, rest unused": ((1, 8, 5, 2), {"kernel_size": (3, 2)}),
    "overlapping": ((2, 7, 6, 2), {"kernel_size": 3, "stride": (2, 1)}),
    "stride beyond the window": ((1, 8, 9, 2), {"kernel_size": 2, "stride": (3, 5)}),
    "padding": ((1, 5, 6, 2), {"kernel_size": (3, 2), "stride": 2, "padding": (1, 1)}),
    "one-sided": ((1, 5, 6, 2), {"kernel_size": 3, "stride": 2, "padding": ((2, 0), (0, 1))}),
    "same": ((2, 5, 7, 1), {"kernel_size": 3, "stride": 2, "padding": "same"}),
    "one window": ((2, 3, 4, 2), {"kernel_size": (3, 4)}),
    "window larger than x": ((1, 2, 2, 3), {"kernel_size": 4, "stride": 1, "padding": 2}),
    "window beyond x": ((2, 6, 5, 2), {"kernel_size": (3, 2), "stride": (2, 3), "ceil_mode": True}),
    "window beyond the padding": (
        (1, 6, 8, 2),
        {"kernel_size": 3, "stride": (2, 3), "padding": 1, "ceil_mode": True},
    ),
}
KERNEL = ("kernel_size", "stride")
pools = pytest.mark.parametrize(("shape", "options"), POOLS.values(), ids=POOLS.keys())


def windows(shape, options):
    """Every output pixel (i, j) with the rows and columns of x in its window."""
    geometry = pool2d_geometry(shape, **options)
    _, height, width, _ = shape
    for i, j in np.ndindex(geometry.output_shape[1:3]):
        first_row = i * geometry.stride[0] - geometry.padding[0][0]
        first_column = j * geometry.stride[1] - geometry.padding[1][0]
        rows = range(max(0, first_row), min(height, first_row + geometry.kernel_size[0]))
        columns = range(max(0, first_column), min(width, first_column + geometry.kernel_size[1]))
        yield i, j, rows, columns


def distinct(shape, seed=0):
    """Values that are far enough apart for finite differences of a maximum."""
    values = np.random.default_rng(seed).permutation(np.prod(shape))
    return values.reshape(shape) / 8 - 3


def max_of_one_channel(rows, kernel_size, **options):
    x = np.array(rows, np.float32)[:, :, np.newaxis]
    y, indices = max_pool2d(x, kernel_size, return_indices=True, **options)
    return y[:, :, 0], indices[:, :, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pools
def test_max_is_the_first_largest_of_each_window(shape, options, dtype):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(dtype)  # full of ties
    y, indices = max_pool2d(x, return_indices=True, **options)
    assert (y.dtype, indices.dtype) == (dtype, np.int32)
    assert y.shape == indices.shape == pool2d_geometry(shape, **options).output_shape
    for i, j, rows, columns in windows(shape, options):
        for n, c in np.ndindex(shape[0], shape[3]):
            pixels = [(p, q) for p in rows for q in columns]
            p, q = max(pixels, key=lambda pixel: x[n, pixel[0], pixel[1], c])  # the first of equals
            assert y[n, i, j, c] == x[n, p, q, c]
            assert indices[n, i, j, c] == p * shape[2] + q
    np.testing.assert_array_equal(max_pool2d(x, **options), y)


@pools
def test_taps_are_the_indices_within_the_window(shape, options):
    x = np.random.default_rng(0).integers(0, 3, shape).astype(np.float64)  # full of ties
    _, indices = max_pool2d(x, return_indices=True, **options)
    y, chosen = max_pool2d(x, return_taps=True, **options)
    assert chosen.dtype == np.uint8
    geometry = pool2d_geometry(shape, **options)
    (_, kw), (sh, sw), ((top, _), (left, _)) = (
        geometry.kernel_size,
        geometry.stride,
        geometry.padding,
    )
    i, j = np.arange(y.shape[1])[:, None, None], np.arange(y.shape[2])[:, None]
    pixels = (i * sh - top + chosen // kw) * shape[2] + j * sw - left + chosen % kw
    np.testing.assert_array_equal(pixels, indices)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    np.testing.assert_array_equal(
        max_pool2d_grad_input(dy, chosen, shape, **options),
        max_pool2d_grad_input(dy, indices, shape, **options),
    )


@pytest.mark.parametrize("include_pad", [True, False])
@pools
def test_mean_of_each_window(shape, options, include_pad):
    x = np.random.default_rng(0).integers(-9, 9, shape).astype(np.float64)
    y = avg_pool2d(x, count_include_pad=include_pad, **options)
    (top, bottom), (left, right) = pool2d_geometry(shape, **options).padding
    # Counted in an image of ones, with a border of ones for the padding if that counts.
    ones = np.ones((shape[1] + 2 * 9, shape[2] + 2 * 9))
    ones[: 9 - top], ones[9 + shape[1] + bottom :] = 0, 0
    ones[:, : 9 - left], ones[:, 9 + shape[2] + right :] = 0, 0
    (kh, kw), (sh, sw) = (getattr(pool2d_geometry(shape, **options), name) for name in KERNEL)
    for i, j, rows, columns in windows(shape, options):
        window = x[:, rows.start : rows.stop, columns.start : columns.stop]
        p, q = 9 + i * sh - top, 9 + j * sw - left
        count = ones[p : p + kh, q : q + kw].sum() if include_pad else len(rows) * len(columns)
        np.testing.assert_allclose(y[:, i, j], window.sum(axis=(1, 2)) / count, rtol=1e-15)


@pools
def test_max_gradient_by_finite_differences(shape, options):
    x = distinct(shape)
    y, indices = max_pool2d(x, return_indices=True, **options)
    dy = np.random.default_rng(1).normal(size=y.shape)
    dx = max_pool2d_grad_input(dy, indices, shape, **options)
    assert_gradient(dx, lambda x: float((max_pool2d(x, **options) * dy).sum()), x)


@pytest.mark.parametrize("include_pad", [True, False])
@pools
def test_mean_gradient_by_finite_differences(shape, options, include_pad):
    options = {"count_include_pad": include_pad, **options}
    x = distinct(shape)
    dy = np.random.default_rng(1).normal(size=avg_pool2d(x, **options).shape)
    dx = avg_pool2d_grad_input(dy, shape, **options)
    assert_gradient(dx, lambda x: float((avg_pool2d(x, **options) * dy).sum()), x)


ADAPTIVE = {
    "whole windows": ((2, 6, 4, 3), (3, 2)),
    "overlapping": ((1, 5, 7, 2), (3, 4)),
    "more outputs than pixels": ((2, 2, 3, 1), (5, 4)),
    "one": ((2, 4, 3, 2), 1),
}
adaptive_pools = pytest.mark.parametrize(("shape", "size"), ADAPTIVE.values(), ids=ADAPTIVE.keys())


@adaptive_pools
def test_adaptive_windows_are_even_and_cover_every_pixel(shape, size):
    """What a window is made of, read off its gradient; its value is their mean."""
    x = np.random.default_rng(0).normal(size=shape)
    y = adaptive_avg_pool2d(x, size)
    counts, seen = set(), np.zeros(shape[1:3])
    for i, j in np.ndindex(y.shape[1:3]):
        dy = np.zeros(y.shape)
        dy[:, i, j] = 1
        shares = adaptive_avg_pool2d_grad_input(dy, shape)[0, :, :, 0]
        np.testing.assert_allclose((shares[..., None] * x).sum(axis=(1, 2)), y[:, i, j], rtol=1e-12)
        inside = shares > 0
        assert np.ptp(shares[inside]) == 0
        counts.add((inside.any(axis=1).sum(), inside.any(axis=0).sum()))
        seen += inside
    assert seen.min() > 0
    rows, columns = ({pair[axis] for pair in counts} for axis in (0, 1))
    assert max(rows) - min(rows) <= 1
    assert max(columns) - min(columns) <= 1


def test_adaptive_means_as_pytorch_has_them():
    x = np.arange(1.0, 31).reshape(5, 6, 1)
    y = adaptive_avg_pool2d(x, (3, 4))[:, :, 0]
    assert y.tolist() == [
        [4.5, 5.5, 7.5, 8.5],
        [13.5, 14.5, 16.5, 17.5],
        [22.5, 23.5, 25.5, 26.5],
    ]
    dx = adaptive_avg_pool2d_grad_input(np.arange(1.0, 13).reshape(3, 4, 1), (5, 6, 1))
    assert dx[0, :, 0].tolist() == [0.25, 0.75, 0.5, 0.75, 1.75, 1.0]
    assert dx[4, :, 0].tolist() == [2.25, 4.75, 2.5, 2.75, 5.75, 3.0]


@adaptive_pools
def test_adaptive_gradient_by_finite_differences(shape, size):
    x = distinct(shape)
    dy = np.random.default_rng(1).normal(size=adaptive_avg_pool2d(x, size).shape)
    dx = adaptive_avg_pool2d_grad_input(dy, shape)
    assert_gradient(dx, lambda x: float((adaptive_avg_pool2d(x, size) * dy).sum()), x)


@settings(max_examples=200, deadline=None)
@given(
    st.tuples(*[st.integers(1, n) for n in (2, 6, 6, 3)]),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 4), st.integers(1, 4)),
    st.integers(0, 2),
)
def test_gradient_only_moves_dy(shape, kernel, stride, padding):
    """Every dy arrives once: a tie does not get it twice, and a mean is divided by its count."""
    padding = min(padding, *(size - 1 for size in kernel))
    height, width = (max(shape[i + 1], kernel[i]) for i in (0, 1))
    shape = (shape[0], height, width, shape[3])
    options = {"kernel_size": kernel, "stride": stride, "padding": padding}
    x = np.random.default_rng(0).integers(0, 2, shape).astype(np.float64)
    y, indices = max_pool2d(x, return_indices=True, **options)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    dx = max_pool2d_grad_input(dy, indices, shape, **options)
    assert dx.sum() == dy.sum() > 0
    assert (dx * x).sum() == (dy * y).sum()
    mean = avg_pool2d_grad_input(dy, shape, count_include_pad=False, **options)
    np.testing.assert_allclose(mean.sum(), dy.sum(), rtol=1e-13)


def test_ties_go_to_one_pixel():
    y, indices = max_of_one_channel([[7, 7], [7, 7]], 2)
    assert (y.item(), indices.item()) == (7, 0)
    dx = max_pool2d_grad_input(np.full((1, 1, 1), 4.0), indices[..., None], (2, 2, 1), 2)
    assert dx.ravel().tolist() == [4, 0, 0, 0]


def test_a_pixel_that_wins_twice_gets_both():
    _, indices = max_of_one_channel([[1, 9, 2]], (1, 2), stride=1)
    assert indices.tolist() == [[1, 1]]
    dx = max_pool2d_grad_input(
        np.array([[[3.0], [4.0]]]), indices[..., None], (1, 3, 1), (1, 2), stride=1
    )
    assert dx.ravel().tolist() == [0, 7, 0]


@pytest.mark.parametrize(
    ("row", "value", "index"),
    [
        ([1, NAN, 5], NAN, 1),
        ([NAN, 9, 9], NAN, 0),
        ([9, NAN, NAN], NAN, 1),
        ([NAN, NAN, NAN], NAN, 0),
        ([INF, NAN, INF], NAN, 1),
        ([-INF, NAN, -INF], NAN, 1),
        ([-INF, -INF, -INF], -INF, 0),
        ([-INF, -5, INF], INF, 2),
        ([0.0, -0.0, 0.0], 0, 0),
    ],
)
def test_nan_and_infinity(row, value, index):
    y, indices = max_of_one_channel([row], (1, 3))
    np.testing.assert_array_equal(y.item(), value)
    assert indices.item() == index


def test_padding_is_never_chosen():
    x = [[-INF, -3], [-2, -INF]]
    y, indices = max_of_one_channel(x, 2, stride=2, padding=1)
    assert y.tolist() == x
    assert indices.tolist() == [[0, 1], [2, 3]]


def test_mean_counts_padding_or_not():
    x = np.full((1, 2, 2, 1), 8.0)
    assert avg_pool2d(x, 2, stride=2, padding=1).ravel().tolist() == [2, 2, 2, 2]
    without = avg_pool2d(x, 2, stride=2, padding=1, count_include_pad=False)
    assert without.ravel().tolist() == [8, 8, 8, 8]


def test_one_image_and_the_empty_batch():
    x = distinct((1, 5, 6, 2)).astype(np.float32)
    y, indices = max_pool2d(x, 2, return_indices=True)
    y1, indices1 = max_pool2d(x[0], 2, return_indices=True)
    np.testing.assert_array_equal(y1, y[0])
    np.testing.assert_array_equal(indices1, indices[0])
    dx = max_pool2d_grad_input(y, indices, x.shape, 2)
    np.testing.assert_array_equal(max_pool2d_grad_input(y1, indices1, x.shape[1:], 2), dx[0])
    assert dx.dtype == np.float32
    np.testing.assert_array_equal(avg_pool2d(x[0], 2), avg_pool2d(x, 2)[0])
    dx = avg_pool2d_grad_input(y, x.shape, 2)
    np.testing.assert_array_equal(avg_pool2d_grad_input(y1, x.shape[1:], 2), dx[0])
    assert dx.dtype == np.float32

    y, indices = max_pool2d(x[:0], 2, return_indices=True)
    assert y.shape == indices.shape == avg_pool2d(x[:0], 2).shape == (0, 2, 3, 2)
    assert max_pool2d_grad_input(y, indices, (0, 5, 6, 2), 2).shape == (0, 5, 6, 2)
    assert avg_pool2d_grad_input(y, (0, 5, 6, 2), 2).shape == (0, 5, 6, 2)


X = np.ones((1, 4, 4, 1), np.float32)
DY = np.ones((1, 2, 2, 1), np.float32)
INDICES = np.zeros((1, 2, 2, 1), np.int32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: max_pool2d(X.astype(int), 2), TypeError, "x has dtype int"),
        (lambda: max_pool2d(X[0, 0], 2), ValueError, "x has shape"),
        (lambda: max_pool2d(X, 0), ValueError, "kernel_size"),
        (lambda: max_pool2d(X, 2, padding=2), ValueError, "padding"),
        (lambda: max_pool2d(X, 5), ValueError, "kernel covers 5 in height.* 4"),
        (lambda: avg_pool2d(X, 2, stride=-1), ValueError, "stride"),
        (lambda: avg_pool2d(X.astype(np.float16), 2), TypeError, "x has dtype float16"),
        (
            lambda: max_pool2d_grad_input(
                DY[:1, :1, :1, :1],
                INDICES[:1, :1, :1, :1],
                (1, 65536, 32769, 1),
                (65536, 32769),
            ),
            ValueError,
            "x has 65536 . 32769 pixels",
        ),
        (
            lambda: max_pool2d_grad_input(DY, INDICES.astype(float), X.shape, 2),
            TypeError,
            "indices has dtype float64",
        ),
        (
            lambda: max_pool2d_grad_input(DY, INDICES[0], X.shape, 2),
            ValueError,
            "indices has shape",
        ),
        (
            lambda: max_pool2d_grad_input(DY, INDICES + 16, X.shape, 2),
            ValueError,
            r"indices\[0, 0, 0, 0\] is 16, expected 0 to 15",
        ),
        (lambda: max_pool2d_grad_input(DY, INDICES - 1, X.shape, 2), ValueError, "is -1"),
        (lambda: max_pool2d_grad_input(DY, INDICES, X.shape, 3), ValueError, "dy has shape"),
        (lambda: max_pool2d_grad_input(DY, INDICES, (4, 4, 1), 2), ValueError, "input_shape"),
        (lambda: avg_pool2d_grad_input(DY, (1, 4, 4, 2), 2), ValueError, "dy has shape"),
        (lambda: avg_pool2d_grad_input(DY, (4, 4, 1), 2), ValueError, "input_shape"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
