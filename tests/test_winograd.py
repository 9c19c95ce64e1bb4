"""Winograd's algorithm: every remainder, tail and schedule, its accuracy, and what is not finite.

What must hold for both algorithms alike is tested where it is for the direct one: guard bands in
test_faults.py, bits and threads in test_threads.py, denormals, forks and memory in theirs.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geometries
import rot180
from comparison import (
    LARGEST_REAL,
    assert_close,
    assert_close_passes,
    assert_exact,
    assert_exact_fused_gradients,
    assert_exact_passes,
    assert_exact_transposed_passes,
    assert_same,
    terms_of,
    tolerance,
)
from geometries import WINOGRAD, Case, TransposedCase
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
INSTRUCTION_SETS = rot180.build_info()["instruction_sets"]
ACTIVATIONS = ["relu", "relu6", "leaky_relu", "sigmoid", "tanh"]


@pytest.fixture(autouse=True, scope="module")
def _winograd():
    """The comparisons ask functional what is set: here it is Winograd's, whatever else is."""
    before = rot180.algorithm()
    rot180.set_algorithm("winograd")
    yield
    rot180.set_algorithm(before)


def passes(case, x, weight, dy, algorithm="winograd"):
    """Results of the three passes and of the bias gradient, by name."""
    options = {**case.options, "algorithm": algorithm}
    db = np.full(weight.shape[3], np.nan, dy.dtype)
    return {
        "conv2d": functional.conv2d(x, weight, **options),
        "conv2d_grad_input": functional.conv2d_grad_input(dy, weight, x.shape, **options),
        "conv2d_grad_weight": functional.conv2d_grad_weight(
            x, dy, weight.shape[:2], **options, bias_out=db
        ),
        "bias_out": db,
    }


def assert_nothing_falls_back(case, dtype):
    """No pass has the direct sum's bits: a stray NaN of the scratch memory would bring them."""
    arrays = [array.astype(dtype) for array in case.reals()]
    direct = passes(case, *arrays, algorithm="direct")
    for name, result in passes(case, *arrays).items():
        if name != "bias_out" and result.size >= 16:
            assert (result != direct[name]).any(), f"{name} of {case}"


def assert_right(case, dtype):
    assert_exact_passes(functional, case, dtype)
    assert_exact_fused_gradients(functional, case, dtype)
    assert_nothing_falls_back(case, dtype)


SIDES = list(itertools.product(range(3), repeat=2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("height", range(1, 11))
@pytest.mark.parametrize("kernel", [2, 3, 4, 5])
def test_every_remainder_of_tiles(kernel, height, dtype):
    """Each height with each padding above and below; widths meet all of theirs over the heights."""
    for width in range(1, 11):
        for i, vertical in enumerate(SIDES):
            horizontal = SIDES[(i + height + width) % len(SIDES)]
            if height + sum(vertical) < kernel or width + sum(horizontal) < kernel:
                continue
            if kernel != 3 and (i + width) % 3:  # a third of the sides for each width
                continue
            images = 1 + (i + width) % 3
            shapes = ((images, height, width, 5), (kernel, kernel, 5, 18))
            assert_right(Case(*shapes, padding=(vertical, horizontal)), dtype)


# Kernels that their stride divides: convolutions over the phases of x, or of each phase of dx.
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize(("kernel", "stride"), [(4, 2), (6, 2), (8, 2), (10, 2), (6, 3), (8, 4)])
def test_every_phase_of_a_stride(kernel, stride, isa, dtype, instruction_set):
    instruction_set(isa)
    for padding in (0, 1, ((2, 0), (1, 3))):
        for size in range(kernel, kernel + 6):
            case = Case(
                (2, size, size + 3, 7), (kernel, kernel, 7, 19), stride=stride, padding=padding
            )
            assert_right(case, dtype)


TAILS = [*range(1, 10), 15, 16, 17, 23, 24, 31, 32, 33, 63, 64, 65, 96, 130]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", TAILS)
@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
def test_every_tail_of_channels(isa, channels, dtype, instruction_set):
    """All pairs of tails, on small images of several heights."""
    instruction_set(isa)
    for i, filters in enumerate(TAILS):
        case = Case((2, 3 + i % 4, 6, channels), (3, 3, channels, filters), padding=(i % 2, 1))
        assert_exact_passes(functional, case, dtype)
    assert_nothing_falls_back(case, dtype)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", WINOGRAD)
def test_every_schedule(name, dtype, isa, instruction_set):
    instruction_set(isa)
    assert_right(WINOGRAD[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=100, deadline=None)
@given(case=geometries.winograd_cases(), seed=st.integers(0, 1000))
def test_any_geometry(dtype, case, seed):
    assert_exact_passes(functional, case, dtype)
    assert_exact_fused_gradients(functional, case, dtype)
    assert_close_passes(functional, case, dtype, seed)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("x_shape", "outputs", "padding"),
    [
        ((2, 6, 7, 17), 20, 0),
        ((1, 1, 1, 3), 2, 0),
        ((3, 9, 10, 24), 65, 1),
        ((1, 8, 5, 192), 200, ((2, 1), (0, 2))),
        ((4, 33, 30, 20), 24, 1),
    ],
)
def test_transposed_convolutions(x_shape, outputs, padding, dtype, isa, instruction_set):
    instruction_set(isa)
    case = TransposedCase(x_shape, (3, 3, outputs, x_shape[3]), padding=padding)
    assert_exact_transposed_passes(functional, case, dtype)


@pytest.mark.parametrize("isa", INSTRUCTION_SETS)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_bias_and_activation(activation, dtype, isa, instruction_set):
    instruction_set(isa)
    for case in WINOGRAD.values():
        x, weight, _ = (np.clip(a, -2, 2).astype(dtype) for a in case.reals())
        bias = np.linspace(-2, 2, weight.shape[3], dtype=dtype)
        plain = functional.conv2d(x, weight, bias, **case.options)
        fused = functional.conv2d(x, weight, bias, activation=activation, **case.options)
        assert_same(fused, getattr(functional, activation)(plain), f"{activation} of {case}")
        without = functional.conv2d(x, weight, **case.options)
        atol = tolerance(dtype, terms_of("conv2d", case.geometry), LARGEST_REAL, "winograd")
        np.testing.assert_allclose(plain, without + bias, rtol=0, atol=atol)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "name",
    [
        "one tile, one slot",
        "filters first, inputs first",
        "filters first, inputs of one task; many slots, one range",
        "filters of one task; one slot, many ranges",
        "padding beyond the tile",
    ],
)
def test_gradients_through_the_activation(name, activation, dtype):
    case = WINOGRAD[name]
    x, weight, dy = (np.clip(a, -2, 2).astype(dtype) for a in case.reals())
    y = getattr(functional, activation)(np.random.default_rng(1).normal(size=dy.shape, scale=4))
    y = y.astype(dtype)
    db = np.full(weight.shape[3], np.nan, dtype)
    through = {"activation": activation, "y": y, **case.options}
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **through)
    dw = functional.conv2d_grad_weight(x, dy, 3, **through, bias_out=db)
    x, weight, dy, y = (a.astype(np.float64) for a in (x, weight, dy, y))
    delta = getattr(reference, f"{activation}_grad_input")(dy, y)
    terms = case.weight_shape[3] * 9
    exact = reference.conv2d_grad_input(delta, weight, x.shape, **case.options)
    assert_close(dx, exact, terms, LARGEST_REAL, "dx", "winograd")
    terms = int(np.prod(dy.shape[:3]))
    exact = reference.conv2d_grad_weight(x, delta, 3, **case.options)
    assert_close(dw, exact, terms, LARGEST_REAL, "dw", "winograd")
    assert_close(db, delta.sum(axis=(0, 1, 2)), terms + 2, 2.0, "db")


def test_relu_shuts_out_what_is_not_finite():
    for name in ("filters first, inputs first", "filters of one task; one slot, many ranges"):
        case = WINOGRAD[name]
        x, weight, dy = case.integers()
        y = (np.arange(dy.size).reshape(dy.shape) % 3 > 0).astype(np.float32)
        dy[y == 0] = np.inf
        db = np.empty(weight.shape[3], np.float32)
        through = {"activation": "relu", "y": y, **case.options}
        dx = functional.conv2d_grad_input(dy, weight, x.shape, **through)
        dw = functional.conv2d_grad_weight(x, dy, 3, **through, bias_out=db)
        dy[y == 0] = 0
        expected = reference.conv2d_grad_input(dy, weight, x.shape, **case.options)
        assert_exact(dx, expected, "conv2d_grad_input", case.geometry, "dx")
        expected = reference.conv2d_grad_weight(x, dy, 3, **case.options)
        assert_exact(dw, expected, "conv2d_grad_weight", case.geometry, "dw")
        assert_same(db, reference.conv2d_grad_bias(dy), "db")


@pytest.mark.parametrize("name", WINOGRAD)
def test_adjoint_identities(name):
    """The three passes are one trilinear form: <y, dy> = <x, dx> = <weight, dw>."""
    case = WINOGRAD[name]
    x, weight, dy = case.reals()
    results = passes(case, x, weight, dy)
    product = np.vdot(results["conv2d"], dy)
    # Rounding is in proportion to the terms, which may cancel.
    scale = np.linalg.norm(results["conv2d"]) * np.linalg.norm(dy)
    assert abs(product) > 1e-6 * scale, "a check on zeros checks nothing"
    assert abs(np.vdot(x, results["conv2d_grad_input"]) - product) < 1e-13 * scale
    assert abs(np.vdot(weight, results["conv2d_grad_weight"]) - product) < 1e-13 * scale


def test_results_are_written_where_they_are_asked_for():
    case = WINOGRAD["filters first, inputs first"]
    x, weight, dy = (array.astype(np.float32) for array in case.reals())
    y, dx, dw, db = passes(case, x, weight, dy).values()
    outs = [np.full_like(result, np.nan) for result in (y, dx, dw)]
    options = case.options
    assert functional.conv2d(x, weight, **options, out=outs[0]) is outs[0]
    assert functional.conv2d_grad_input(dy, weight, x.shape, **options, out=outs[1]) is outs[1]
    assert functional.conv2d_grad_weight(x, dy, 3, **options, out=outs[2]) is outs[2]
    for out, result in zip(outs, (y, dx, dw), strict=True):
        assert_same(out, result, "out")
    assert_close(db, reference.conv2d_grad_bias(dy.astype(np.float64)), dy[..., 0].size, 4.0, "db")


def test_one_image_and_unusual_arrays():
    case = WINOGRAD["filters first, inputs first"]
    x, weight, dy = (array.astype(np.float32) for array in case.reals())
    y, dx, dw, _ = passes(case, x, weight, dy).values()
    options = case.options
    assert_same(functional.conv2d(x[1], weight, **options), y[1], "one image's y")
    one = functional.conv2d_grad_input(dy[1], weight, x.shape[1:], **options)
    assert_same(one, dx[1], "one image's dx")
    assert_same(
        functional.conv2d_grad_weight(x[1], dy[1], 3, **options),
        functional.conv2d_grad_weight(x[1:2], dy[1:2], 3, **options),
        "one image's dw",
    )
    strided = [np.repeat(array, 2, axis=-1)[..., ::2] for array in (x, weight, dy)]
    for result, expected in zip(passes(case, *strided).values(), (y, dx, dw), strict=False):
        assert_same(result, expected, "of strided arrays")


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_none(dtype):
    case = Case((0, 6, 7, 17), (3, 3, 17, 20), padding=1)
    x, weight, dy = case.integers(dtype)
    y, dx, dw, db = passes(case, x, weight, dy).values()
    assert y.shape == (0, 6, 7, 20)
    assert dx.shape == x.shape
    assert_same(dw, np.zeros_like(weight), "dw")
    assert_same(db, np.zeros(20, dtype), "db")


# Schedules through which what is not finite goes another way each, and one that ends in tails.
NOT_FINITE = [
    Case((2, 9, 7, 17), (3, 3, 17, 20), padding=((1, 0), (2, 1))),
    WINOGRAD["filters of one task; one slot, many ranges"],
    Case((6, 48, 44, 5), (3, 3, 5, 7), padding=1),
]


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("operand", ["x", "weight", "dy", "bias"])
@pytest.mark.parametrize("case", NOT_FINITE, ids=["one block", "few tiles", "many tiles"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_not_finite_is_where_the_direct_sum_has_it(case, operand, value, dtype):
    x, weight, dy = (np.clip(a, -2, 2).astype(dtype) for a in case.reals())
    bias = np.linspace(-1, 1, weight.shape[3], dtype=dtype)
    array = {"x": x, "weight": weight, "dy": dy, "bias": bias}[operand]
    # Corners of the first and the last tile, and the middle, of one channel.
    for where in ((0,) * array.ndim, (-1,) * array.ndim, tuple(n // 2 for n in array.shape)):
        before, array[where] = array[where], value
        for activation in (None, "relu", "sigmoid"):
            results = [
                functional.conv2d(
                    x, weight, bias, activation=activation, **case.options, algorithm=algorithm
                )
                for algorithm in ("winograd", "direct")
            ]
            atol = tolerance(dtype, terms_of("conv2d", case.geometry), LARGEST_REAL, "winograd")
            np.testing.assert_allclose(*results, rtol=0, atol=atol)
        direct = passes(case, x, weight, dy, "direct")
        assert operand == "bias" or any(not np.isfinite(a).all() for a in direct.values())
        assert all(np.isfinite(a).any() for a in direct.values()), "else it could be everywhere"
        for name, result in passes(case, x, weight, dy).items():
            terms = terms_of(name.replace("bias_out", "conv2d_grad_bias"), case.geometry)
            atol = tolerance(dtype, terms, LARGEST_REAL, "winograd")
            np.testing.assert_allclose(result, direct[name], rtol=0, atol=atol, err_msg=name)
        array[where] = before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", NOT_FINITE, ids=["one block", "few tiles", "many tiles"])
def test_transforms_that_overflow(case, dtype):
    """Numbers near the largest: the direct sum holds them, the points of a tile do not."""
    rng = np.random.default_rng(0)
    largest = np.finfo(dtype).max

    def huge(shape):
        return (rng.choice([-0.9, 0.9], shape) * largest).astype(dtype)

    _, weight, _ = case.integers(dtype)
    weight[...] = 0
    weight[1, 1, 0] = 1
    x, dy = huge(case.x_shape), np.zeros(case.y_shape, dtype)
    dy[0, 1, 1] = 1
    y, _, dw, _ = passes(case, x, weight, dy, "direct").values()
    assert np.isfinite(y).all()
    assert np.isfinite(dw).all()
    again = passes(case, x, weight, dy)
    assert_same(again["conv2d"], y, "y")
    assert_same(again["conv2d_grad_weight"], dw, "dw")
    weight[...] = 0
    weight[1, 1, :, 0] = 1
    dy = huge(case.y_shape)
    options = case.options
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **options, algorithm="direct")
    assert np.isfinite(dx).all()
    assert_same(functional.conv2d_grad_input(dy, weight, x.shape, **options), dx, "dx")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", NOT_FINITE, ids=["one block", "few tiles", "many tiles"])
def test_sums_that_overflow(case, dtype):
    x, weight, dy = (a.astype(dtype) for a in case.reals())
    half = np.sqrt(np.finfo(dtype).max)
    x[-1, 2:5, 2:5] *= half
    dy[-1, 2:5, 2:5] *= half
    weight *= half
    direct = passes(case, x, weight, dy, "direct")
    for name, result in passes(case, x, weight, dy).items():
        np.testing.assert_array_equal(np.isfinite(result), np.isfinite(direct[name]), name)
        np.testing.assert_array_equal(np.isnan(result), np.isnan(direct[name]), name)
    assert not np.isfinite(direct["conv2d"]).all(), "nothing overflows"


# Epsilons of the largest result, four times the most that was measured in both dtypes: 38 for y and
# dx, of 512 channels, and 11.4 for dw. For float32 that is 1.8e-5 and 5.4e-6.
MOST_EPSILONS = {"conv2d": 150, "conv2d_grad_input": 150, "conv2d_grad_weight": 45}


@pytest.mark.parametrize(
    "shape",
    [
        (2, 56, 56, 16, 16),
        (1, 56, 56, 64, 64),
        (1, 14, 14, 256, 256),
        (1, 8, 8, 512, 512),
        (2, 14, 14, 3, 64),
        (2, 14, 14, 64, 3),
        (16, 28, 28, 16, 16),
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_accuracy(shape, dtype):
    """On standard normal images and weights by He's rule, as networks have them."""
    batch, height, width, channels, filters = shape
    case = Case((batch, height, width, channels), (3, 3, channels, filters), padding=1)
    x, weight, dy = (array.astype(dtype) for array in case.reals())
    weight *= np.sqrt(2 / (9 * channels), dtype=dtype)
    exact = [a.astype(np.float64) for a in (x, weight, dy)]
    expected = passes(case, *exact, "direct")
    for name, result in passes(case, x, weight, dy).items():
        if name in MOST_EPSILONS:
            error = np.abs(result - expected[name]).max() / np.abs(expected[name]).max()
            assert error <= MOST_EPSILONS[name] * np.finfo(dtype).eps, name
