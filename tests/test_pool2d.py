"""The pooling kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from comparison import assert_close, assert_same
from guard_bands import guarded
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
CHEAP = ["relu", "relu6"]  # which round nothing
ACTIVATIONS = [*CHEAP, "leaky_relu", "sigmoid", "tanh"]


@st.composite
def pools(draw):
    def number(low, high):
        return draw(st.integers(low, high))

    kernel = number(1, 4), number(1, 4)
    padding = tuple((number(0, k - 1), number(0, k - 1)) for k in kernel)
    size = tuple(max(1, k - sum(p)) + number(0, 7) for k, p in zip(kernel, padding, strict=True))
    stride = draw(st.one_of(st.none(), st.tuples(st.integers(1, 5), st.integers(1, 5))))
    shape = (number(0, 3), *size, number(1, 21))
    return shape, kernel, {"stride": stride, "padding": padding, "ceil_mode": draw(st.booleans())}


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
    y, taps = functional.max_pool2d(x, kernel, **options, return_taps=True)
    _, expected_taps = reference.max_pool2d(x, kernel, **options, return_taps=True)
    assert_same(y, expected, "y with taps")
    assert_same(taps, expected_taps, "taps")
    dy = integers(y.shape, dtype, 1)
    dx = functional.max_pool2d_grad_input(dy, indices, shape, kernel, **options)
    expected = reference.max_pool2d_grad_input(dy, indices, shape, kernel, **options)
    assert_same(dx, expected, "dx")
    assert dx.sum() == dy.sum(), "every dy goes to exactly one pixel"
    dx = functional.max_pool2d_grad_input(dy, taps, shape, kernel, **options)
    assert_same(dx, expected, "dx from taps")


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=30, deadline=None)
@given(pool=pools())
def test_max_pool_with_an_activation(dtype, activation, pool):
    shape, kernel, options = pool
    options["activation"] = activation
    x = integers(shape, dtype) * dtype(3)  # beyond 6, for relu6
    y, taps = functional.max_pool2d(x, kernel, **options, return_taps=True)
    expected, expected_taps = reference.max_pool2d(x, kernel, **options, return_taps=True)
    exact = activation in CHEAP

    def compare(actual, expected, name):
        if exact:
            assert_same(actual, expected, name)
        else:
            assert_close(actual, expected, kernel[0] * kernel[1], 8.0, name)

    compare(y, expected, "y")
    assert_same(taps, expected_taps, "taps")
    assert_same(functional.max_pool2d(x, kernel, **options), y, "y without taps")
    y, indices = functional.max_pool2d(x, kernel, **options, return_indices=True)
    dy = integers(y.shape, dtype, 1)
    for name, chosen in (("taps", taps), ("indices", indices)):
        dx = functional.max_pool2d_grad_input(dy, chosen, shape, kernel, **options, y=y)
        expected = reference.max_pool2d_grad_input(dy, chosen, shape, kernel, **options, y=y)
        compare(dx, expected, f"dx from {name}")


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu"])
def test_an_activation_is_the_same_before_the_maximum_and_after(activation):
    x, dy = integers((2, 9, 8, 5), np.float32), integers((2, 4, 4, 5), np.float32, 1)
    z = getattr(functional, activation)(x)
    y, taps = functional.max_pool2d(z, 2, return_taps=True)
    dz = functional.max_pool2d_grad_input(dy, taps, x.shape, 2)
    dx = getattr(functional, f"{activation}_grad_input")(dz, z)

    after, taps = functional.max_pool2d(x, 2, activation=activation, return_taps=True)
    assert_same(after, y, "y")
    # Where relu makes equals of negative numbers, another one is the first of them: with dx of 0.
    options = {"activation": activation, "y": after}
    assert_same(functional.max_pool2d_grad_input(dy, taps, x.shape, 2, **options), dx, "dx")


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


@st.composite
def adaptive_pools(draw):
    shape = draw(st.tuples(*(st.integers(0, 3), *[st.integers(1, 12)] * 2, st.integers(1, 21))))
    return shape, draw(st.tuples(st.integers(1, 12), st.integers(1, 12)))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=100, deadline=None)
@given(pool=adaptive_pools())
def test_adaptive_pool_is_within_rounding(dtype, pool):
    shape, size = pool
    x = integers(shape, dtype)
    y = functional.adaptive_avg_pool2d(x, size)
    assert_same(y, reference.adaptive_avg_pool2d(x, size), "y")  # one rounding: the division
    dy = integers(y.shape, dtype, 1)
    dx = functional.adaptive_avg_pool2d_grad_input(dy, shape)
    expected = reference.adaptive_avg_pool2d_grad_input(dy.astype(np.float64), shape)
    assert_close(dx, expected, float(np.prod(size)), 3.0, "dx")


def test_adaptive_windows_of_one_size_are_average_pooling():
    x = integers((2, 9, 8, 5), np.float32)
    assert_same(functional.adaptive_avg_pool2d(x, (3, 2)), functional.avg_pool2d(x, (3, 4)), "y")
    mean = x.mean(axis=(1, 2), dtype=np.float64)
    assert_close(functional.adaptive_avg_pool2d(x, 1)[:, 0, 0], mean, 1, 3.0, "of whole images")


# Pixels of more than 256 taps to a window and of fewer; windows that touch, overlap, leave gaps.
WINDOWS = [
    ((2, 8, 6), 2, {}),
    ((2, 9, 7), 3, {"stride": 2, "padding": 1}),
    ((1, 7, 9), (2, 3), {"stride": (3, 1), "ceil_mode": True}),
    ((1, 18, 17), 17, {"stride": 1}),
]


def every_pass(x, kernel, options, module):
    """Results of every pooling of x, and of their gradients with dy as large as they are."""
    y, indices = module.max_pool2d(x, kernel, **options, return_indices=True)
    mean = module.avg_pool2d(x, kernel, **options)
    adaptive = module.adaptive_avg_pool2d(x, (3, 2))
    results = {
        "max_pool2d": y,
        "indices": indices,
        "max_pool2d_grad_input": module.max_pool2d_grad_input(
            y, indices, x.shape, kernel, **options
        ),
        "avg_pool2d": mean,
        "avg_pool2d_grad_input": module.avg_pool2d_grad_input(y, x.shape, kernel, **options),
        "adaptive_avg_pool2d": adaptive,
        "adaptive_avg_pool2d_grad_input": module.adaptive_avg_pool2d_grad_input(
            integers(adaptive.shape, x.dtype), x.shape
        ),
    }
    if np.prod(kernel) ** (1 if isinstance(kernel, tuple) else 2) <= 256:
        _, results["taps"] = module.max_pool2d(x, kernel, **options, return_taps=True)
        results["dx from taps"] = module.max_pool2d_grad_input(
            y, results["taps"], x.shape, kernel, **options
        )
    return results


def assert_as_reference(x, kernel, options):
    expected = every_pass(x, kernel, options, reference)
    for name, actual in every_pass(x, kernel, options, functional).items():
        if "avg" in name and "grad" in name:
            assert_close(actual, expected[name], 9, 3.0, name)
        else:
            assert_same(actual, expected[name], name)


@pytest.mark.parametrize("name", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_number_of_channels_with_every_instruction_set(name, dtype, instruction_set):
    """F5: vectors of every width, and of every overlap at the end."""
    instruction_set(name)
    for channels in (*range(1, 36), 63, 64, 65):
        assert_as_reference(integers((1, 5, 6, channels), dtype), 2, {})
    for shape, kernel, options in WINDOWS:
        for channels in (1, 3, 10, 16, 37):
            assert_as_reference(integers((*shape, channels), dtype), kernel, options)


@pytest.mark.parametrize("name", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("channels", [1, 2, 3, 6, 10, 16, 19])
def test_nothing_beyond_an_array_is_read_or_written(name, channels, instruction_set, monkeypatch):
    """F6, with NaN on both sides of every array of numbers."""
    instruction_set(name)
    checks = []

    def guarded_array(shape, dtype):
        array = np.zeros(shape, dtype)
        if array.dtype.kind == "f":
            array, check = guarded(array)
            checks.append(check)
        return array

    monkeypatch.setattr(rot180.functional.pool2d, "new_array", guarded_array)
    for shape, kernel, options in WINDOWS:
        for dtype in DTYPES:
            x, _ = guarded(integers((*shape, channels), dtype))
            assert_as_reference(x, kernel, options)
    assert checks
    for check in checks:
        check()


def test_a_window_left_over_at_the_end():
    """As PyTorch has it; a window beyond the padding counts what is within."""
    x = np.arange(1.0, 31).reshape(5, 6, 1)
    for module in (functional, reference):
        y = module.max_pool2d(x, 2, ceil_mode=True)[:, :, 0]
        assert y.tolist() == [[8, 10, 12], [20, 22, 24], [26, 28, 30]]
        options = {"stride": 2, "padding": 1, "ceil_mode": True}
        y = module.max_pool2d(x, 3, **options)[:, :, 0]
        assert y.tolist() == [[8, 10, 12, 12], [20, 22, 24, 24], [26, 28, 30, 30]]
        y = module.avg_pool2d(x, 3, **options, count_include_pad=False)[:, :, 0]
        assert y.tolist() == [[4.5, 6, 8, 9], [13.5, 15, 17, 18], [22.5, 24, 26, 27]]
        y = module.avg_pool2d(x, 3, **options)[:, :, 0]
        expected = [[2, 4, 16 / 3, 3], [9, 15, 17, 9], [10, 16, 52 / 3, 9]]
        np.testing.assert_allclose(y, expected, rtol=1e-15)


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


@pytest.mark.parametrize("module", [functional, reference])
def test_taps_there_are_not_are_refused(module):
    dy = np.ones((1, 2, 2, 3), np.float32)
    taps = np.zeros(dy.shape, np.uint8)
    taps[0, 1, 1, 2] = 4
    with pytest.raises(ValueError, match="indices"):
        module.max_pool2d_grad_input(dy, taps, (1, 4, 4, 3), 2)
    assert module.max_pool2d_grad_input(dy, taps, (1, 6, 6, 3), 3).sum() == 12


@pytest.mark.parametrize("module", [functional, reference])
def test_the_gradient_of_a_tap_in_the_padding_goes_nowhere(module):
    """A foreign one: max_pool2d never chooses it."""
    dy, taps = np.ones((1, 1, 1)), np.zeros((1, 1, 1), np.uint8)
    dx = module.max_pool2d_grad_input(dy, taps, (1, 1, 1), 2, padding=((1, 0), (1, 0)))
    assert dx.tolist() == [[[0]]]


def test_one_image_comes_back_unbatched():
    x = integers((5, 6, 4), np.float32)
    y, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert y.shape == indices.shape == (2, 3, 4)
    dx = functional.max_pool2d_grad_input(y, indices, x.shape, 2)
    assert dx.shape == x.shape
    average = functional.avg_pool2d(x, 2)
    assert average.shape == (2, 3, 4)
    assert functional.avg_pool2d_grad_input(average, x.shape, 2).shape == x.shape
    adaptive = functional.adaptive_avg_pool2d(x, (2, 1))
    assert adaptive.shape == (2, 1, 4)
    assert functional.adaptive_avg_pool2d_grad_input(adaptive, x.shape).shape == x.shape


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
        (
            lambda x: functional.max_pool2d(x, 2, return_indices=True, return_taps=True),
            "return_indices and return_taps are both True",
        ),
        (
            lambda x: functional.max_pool2d(x, (2, 129), padding=(0, 128), return_taps=True),
            r"kernel_size \(2, 129\) has 258 taps, more than the 256 that uint8 counts",
        ),
        (
            lambda x: functional.max_pool2d_grad_input(
                x[:, :3], np.zeros((1, 3, 4, 3), np.uint8), (1, 4, 132, 3), (2, 129), stride=1
            ),
            "has 258 taps",
        ),
        (lambda x: functional.adaptive_avg_pool2d(x, 0), "output_size must be from 1"),
        (lambda x: functional.adaptive_avg_pool2d(x, 2.0), "output_size must be an int"),
        (lambda x: functional.adaptive_avg_pool2d(x[0, 0], 2), "expected .N, H, W, C."),
        (lambda x: functional.adaptive_avg_pool2d(x, 2**31 - 1), "too many"),
        (lambda x: functional.adaptive_avg_pool2d_grad_input(x, (4, 4, 3)), "input_shape"),
        (lambda x: functional.adaptive_avg_pool2d_grad_input(x, (1, 4, 4, 5)), "dy has shape"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call(np.zeros((1, 4, 4, 3), np.float32))
