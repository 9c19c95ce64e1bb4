"""The pooling kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from comparison import assert_close, assert_same
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]


@st.composite
def pools(draw):
    def number(low, high):
        return draw(st.integers(low, high))

    kernel = number(1, 4), number(1, 4)
    padding = tuple((number(0, k - 1), number(0, k - 1)) for k in kernel)
    size = tuple(max(1, k - sum(p)) + number(0, 7) for k, p in zip(kernel, padding, strict=True))
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    shape = (number(0, 3), *size, number(1, 21))
    return shape, kernel, {"stride": stride, "padding": padding}


# Few different values, so that ties abound.
def integers(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(pool=pools())
def test_max_pool_is_exact(dtype, pool):
    shape, kernel, options = pool
    x = integers(shape, dtype)
    y, indices = functional.max_pool2d(x, kernel, **options, return_indices=True)
    expected, expected_indices = reference.max_pool2d(x, kernel, **options, return_indices=True)
    assert_same(y, expected, "y")
    assert_same(indices, expected_indices, "indices")
    assert_same(functional.max_pool2d(x, kernel, **options), expected, "y without indices")
    dy = integers(y.shape, dtype, 1)
    dx = functional.max_pool2d_grad_input(dy, indices, shape, kernel, **options)
    expected = reference.max_pool2d_grad_input(dy, indices, shape, kernel, **options)
    assert_same(dx, expected, "dx")
    assert dx.sum() == dy.sum(), "every dy goes to exactly one pixel"


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(pool=pools(), count_include_pad=st.booleans())
def test_avg_pool_is_within_rounding(dtype, pool, count_include_pad):
    shape, kernel, options = pool
    options["count_include_pad"] = count_include_pad
    x = integers(shape, dtype)
    y = functional.avg_pool2d(x, kernel, **options)
    assert_same(y, reference.avg_pool2d(x, kernel, **options), "y")  # one rounding: the division
    dy = integers(y.shape, dtype, 1)
    dx = functional.avg_pool2d_grad_input(dy, shape, kernel, **options)
    expected = reference.avg_pool2d_grad_input(dy.astype(np.float64), shape, kernel, **options)
    assert_close(dx, expected, kernel[0] * kernel[1], 3.0, "dx")


@pytest.mark.parametrize("name", rot180.build_info()["instruction_sets"])
def test_every_instruction_set(name, instruction_set):
    instruction_set(name)
    for dtype in DTYPES:
        for channels in (1, 3, 16, 37):
            x = integers((2, 9, 8, channels), dtype)
            y, indices = functional.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
            expected = reference.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
            assert_same(y, expected[0], "y")
            assert_same(indices, expected[1], "indices")
            average = functional.avg_pool2d(x, (2, 3), padding=1)
            assert_same(average, reference.avg_pool2d(x, (2, 3), padding=1), "average")


def test_a_tie_goes_to_the_first_maximum_alone():
    x = np.ones((1, 2, 2, 20), np.float32)
    y, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert (indices == 0).all()
    dx = functional.max_pool2d_grad_input(np.ones_like(y), indices, x.shape, 2)
    assert_same(dx[0, :, :, 7], np.array([[1, 0], [0, 0]], np.float32), "dx")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 5, 16, 19])
def test_nan_propagates_from_every_place_and_lane(dtype, channels):
    """F12: the first NaN of a window wins, in each lane alone."""
    for channel in range(channels):
        for place in range(6):
            x = np.ones((1, 2, 3, channels), dtype)
            x[0, place // 3, place % 3, channel] = np.nan
            x[0, 1, 2, channel] = np.nan
            y, indices = functional.max_pool2d(x, (2, 3), return_indices=True)
            assert np.isnan(y[0, 0, 0, channel])
            assert indices[0, 0, 0, channel] == place
            others = np.delete(y[0, 0, 0], channel)
            assert (others == 1).all()


def test_a_window_of_minus_infinity_has_a_valid_index():
    x = np.full((1, 4, 4, 3), -np.inf, np.float32)
    y, indices = functional.max_pool2d(x, 3, stride=1, padding=1, return_indices=True)
    assert (y == -np.inf).all()
    assert ((indices >= 0) & (indices < 16)).all()
    assert_same(
        indices, reference.max_pool2d(x, 3, stride=1, padding=1, return_indices=True)[1], "i"
    )


def test_foreign_indices_are_refused():
    dy = np.ones((1, 2, 2, 3), np.float32)
    for wrong in (-1, 16, 2**31 - 1, -(2**31)):
        indices = np.zeros(dy.shape, np.int32)
        indices[0, 1, 1, 2] = wrong
        for module in (functional, reference):
            with pytest.raises(ValueError, match="indices"):
                module.max_pool2d_grad_input(dy, indices, (1, 4, 4, 3), 2)


def test_one_image_comes_back_unbatched():
    x = integers((5, 6, 4), np.float32)
    y, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert y.shape == indices.shape == (2, 3, 4)
    dx = functional.max_pool2d_grad_input(y, indices, x.shape, 2)
    assert dx.shape == x.shape
    average = functional.avg_pool2d(x, 2)
    assert average.shape == (2, 3, 4)
    assert functional.avg_pool2d_grad_input(average, x.shape, 2).shape == x.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: functional.max_pool2d(x, 9), "kernel covers 9 in height"),
        (lambda x: functional.max_pool2d(x, 0), "kernel_size must be from 1"),
        (lambda x: functional.max_pool2d(x, 2, stride=0), "stride must be from 1"),
        (lambda x: functional.max_pool2d(x, 2, padding=2), "smaller than the window"),
        (lambda x: functional.avg_pool2d(x, 2, padding=-1), "padding must be from 0"),
        (lambda x: functional.max_pool2d(x[0, 0], 2), "expected .N, H, W, C."),
        (lambda x: functional.max_pool2d(x.astype(int), 2), "x has dtype int64"),
        (lambda x: functional.avg_pool2d_grad_input(x, (1, 5, 5, 3), 2), "dy has shape"),
        (
            lambda x: functional.max_pool2d_grad_input(x, x, (1, 8, 8, 3), 2),
            "indices must be the int32 array",
        ),
        (
            lambda x: functional.max_pool2d_grad_input(
                x, np.zeros((1, 4, 4, 2), np.int32), (1, 8, 8, 3), 2
            ),
            "indices has shape",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(np.zeros((1, 4, 4, 3), np.float32))
