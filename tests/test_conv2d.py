"""The convolution kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import geometries
import rot180
from comparison import (
    algorithm_of,
    assert_close,
    assert_close_passes,
    assert_exact,
    assert_exact_fused_gradients,
    assert_exact_passes,
    assert_same,
)
from finite_differences import assert_gradient
from golden import G1, G2, G2_SUM_OF_DX
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", geometries.AWKWARD)
def test_awkward_geometries_are_exact_on_integers(name, dtype):
    assert_exact_passes(functional, geometries.AWKWARD[name], dtype)
    assert_exact_fused_gradients(functional, geometries.AWKWARD[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(case=geometries.cases())
def test_any_geometry_is_exact_on_integers(dtype, case):
    assert_exact_passes(functional, case, dtype)
    assert_exact_fused_gradients(functional, case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(case=geometries.cases(), seed=st.integers(0, 1000))
def test_any_geometry_is_within_rounding_on_reals(dtype, case, seed):
    assert_close_passes(functional, case, dtype, seed)


# Large enough for several panels, several blocks of rows and columns, several slots.
LARGE = {
    **geometries.FLAT_ROWS,
    **geometries.WINDOWS,
    "many channels": geometries.Case((3, 9, 8, 70), (3, 3, 70, 131), padding=1),
    "wide image": geometries.Case((1, 3, 450, 5), (2, 5, 5, 7), padding=2),
    "tall image": geometries.Case((1, 400, 6, 3), (5, 2, 3, 9), padding=1, stride=(2, 1)),
    "many images": geometries.Case((130, 5, 6, 4), (3, 2, 4, 20), padding=1),
    "pointwise": geometries.Case((5, 21, 19, 33), (1, 1, 33, 65)),
    "pointwise, several blocks of a slot": geometries.Case((6, 48, 40, 20), (1, 1, 20, 64)),
    "pointwise, pixels that make no short rows": geometries.Case((1, 1, 5003, 9), (1, 1, 9, 48)),
    "dense, whole vectors, ranges of lines": geometries.Case((20, 1, 1, 900), (1, 1, 900, 256)),
    "one block of whole vectors, a border": geometries.Case(
        (2, 6, 7, 40), (3, 3, 40, 64), padding=1
    ),
    "one block of whole vectors, groups": geometries.Case((2, 6, 7, 24), (3, 3, 12, 64), groups=2),
    "dense, more sums than samples": geometries.Case((40, 1, 1, 130), (1, 1, 130, 70)),
    "strided": geometries.Case((4, 33, 31, 17), (3, 3, 17, 40), stride=2, padding=1),
    "depthwise": geometries.Case((3, 30, 29, 75), (3, 3, 1, 75), padding=1, groups=75),
    "grouped": geometries.Case((3, 20, 18, 36), (3, 3, 12, 60), padding=1, groups=3),
    "first layer": geometries.Case((4, 40, 41, 3), (7, 7, 3, 50), stride=2, padding=3),
    "weights outgrow a chunk, and the image": geometries.Case(
        (2, 6, 5, 200), (3, 3, 200, 70), padding=1
    ),
    "one image, packed by the task": geometries.Case((1, 5, 5, 260), (3, 3, 260, 140), padding=1),
    "images share a block": geometries.Case((70, 3, 4, 24), (3, 3, 24, 16), padding=1),
    "few output channels": geometries.Case((3, 9, 8, 41), (3, 3, 41, 5), padding=1),
    "few input channels, strided": geometries.Case(
        (3, 21, 20, 3), (4, 4, 3, 50), stride=2, padding=1
    ),
    "seven of eight lanes": geometries.Case((2, 12, 11, 7), (5, 3, 7, 6)),
    "strided along one axis": geometries.Case((3, 9, 18, 30), (1, 3, 30, 20), stride=2),
    "strided pointwise": geometries.Case((3, 19, 18, 20), (1, 1, 20, 35), stride=(2, 3)),
    "depthwise, pixels that collide": geometries.Case(
        (3, 6, 7, 512), (3, 3, 1, 512), padding=1, groups=512
    ),
    "depthwise, five columns": geometries.Case(
        (2, 12, 13, 37), (5, 5, 1, 37), padding=2, groups=37
    ),
    "depthwise, strided and dilated": geometries.Case(
        (2, 17, 19, 256), (3, 4, 1, 256), (2, 3), ((1, 2), (3, 1)), (2, 1), 256
    ),
    "a convolution of one channel": geometries.Case((3, 12, 30, 1), (3, 9, 1, 1), padding=(1, 4)),
}


# Those of them whose dy the drivers read in different ways.
FUSED = [
    *geometries.FLAT_ROWS,
    "many channels",
    "first layer",
    "one image, packed by the task",
    "few output channels",
    "few input channels, strided",
    "strided pointwise",
    "depthwise, pixels that collide",
    "depthwise, strided and dilated",
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGE)
def test_large_shapes_are_exact_on_integers(name, dtype):
    assert_exact_passes(functional, LARGE[name], dtype)
    assert_exact_fused_gradients(functional, LARGE[name], dtype)


@pytest.mark.parametrize("name", LARGE)
def test_large_shapes_are_within_rounding_on_reals(name):
    assert_close_passes(functional, LARGE[name], np.float32)


@pytest.mark.parametrize("golden", [G1, G2], ids=["G1", "G2"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_numbers(golden, dtype):
    x, weight, dy = (a.astype(dtype) for a in (golden.x, golden.weight, golden.dy))
    geometry = geometries.Case(x.shape, weight.shape).geometry
    y = functional.conv2d(x, weight)
    assert_exact(y, golden.y.astype(dtype), "conv2d", geometry, "y")
    dx = functional.conv2d_grad_input(dy, weight, x.shape)
    assert_exact(dx, golden.dx.astype(dtype), "conv2d_grad_input", geometry, "dx")
    dw = functional.conv2d_grad_weight(x, dy, weight.shape[:2])
    assert_exact(dw, golden.dw.astype(dtype), "conv2d_grad_weight", geometry, "dw")
    assert_same(functional.conv2d_grad_bias(dy), golden.db.astype(dtype), "db")


def test_golden_sum():
    dx = functional.conv2d_grad_input(G2.dy, G2.weight, G2.x.shape)
    assert np.isclose(dx.sum(), G2_SUM_OF_DX, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", geometries.AWKWARD)
def test_adjoint_identities(name):
    case = geometries.AWKWARD[name]
    x, weight, dy = case.reals()
    y = functional.conv2d(x, weight, **case.options)
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **case.options)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    product = np.vdot(y, dy)
    assert abs(product) > 1e-3, "a check on zeros checks nothing"
    assert np.isclose(product, np.vdot(x, dx), rtol=1e-12)
    assert np.isclose(product, np.vdot(weight, dw), rtol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize(
    "name", ["plain", "groups", "depthwise", "everything", *geometries.FLAT_ROWS]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_activation_is_the_activation_of_the_convolution(activation, name, dtype):
    case = (geometries.AWKWARD | LARGE)[name]
    x, weight, _ = (a.astype(dtype) for a in case.reals())
    bias = np.linspace(-1, 1, weight.shape[3], dtype=dtype)
    plain = functional.conv2d(x, weight, bias, **case.options)
    fused = functional.conv2d(x, weight, bias, activation=activation, **case.options)
    assert_same(fused, getattr(functional, activation)(plain), activation)
    exact = reference.conv2d(
        *(a.astype(np.float64) for a in (x, weight, bias)), activation=activation, **case.options
    )
    assert_close(fused, exact, 4 * weight[..., 0].size, 4.0, activation)


@pytest.mark.parametrize("activation", ["relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("name", ["plain", "groups", "depthwise", "everything", *FUSED])
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_through_the_activation(activation, name, dtype):
    case = (geometries.AWKWARD | LARGE)[name]
    x, weight, dy = (np.clip(a, -2, 2).astype(dtype) for a in case.reals())
    y = functional.conv2d(x, weight, activation=activation, **case.options)
    db = np.empty(weight.shape[3], dtype)
    through = {"activation": activation, "y": y, **case.options}
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **through)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **through, bias_out=db)

    x, weight, dy, y = (a.astype(np.float64) for a in (x, weight, dy, y))
    through["y"] = y
    exact = reference.conv2d_grad_input(dy, weight, x.shape, **through)
    how = algorithm_of("conv2d_grad_input", case.geometry, dtype)
    assert_close(dx, exact, weight[:, :, 0].size // case.groups + 2, 4.0, "dx", how)
    exact = reference.conv2d_grad_weight(x, dy, case.kernel_size, **through)
    how = algorithm_of("conv2d_grad_weight", case.geometry, dtype)
    assert_close(dw, exact, y[..., 0].size + 2, 4.0, "dw", how)
    exact = getattr(reference, f"{activation}_grad_input")(dy, y).sum(axis=(0, 1, 2))
    assert_close(db, exact, y[..., 0].size + 2, 2.0, "db")


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("operand", [0, 1, 2], ids=["x", "weight", "dy"])
@pytest.mark.parametrize("name", geometries.FLAT_ROWS)
def test_flat_rows_do_not_spread_what_is_not_finite(name, operand, value, algorithm):
    algorithm("direct")
    case = geometries.FLAT_ROWS[name]
    arrays = case.integers()
    arrays[operand].flat[arrays[operand].size // 2] = value
    x, weight, dy = arrays
    db = np.empty(weight.shape[3], np.float32)
    y = functional.conv2d(x, weight, **case.options)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options, bias_out=db)
    with np.errstate(invalid="ignore"):
        assert_same(y, reference.conv2d(x, weight, **case.options), "y")
        exact = reference.conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    assert_same(dw, exact, "dw")
    assert_same(db, reference.conv2d_grad_bias(dy), "db")


@pytest.mark.parametrize("value", [np.inf, np.nan])
@pytest.mark.parametrize("operand", [1, 2], ids=["weight", "dy"])
@pytest.mark.parametrize("name", geometries.WINDOWS)
def test_windows_do_not_spread_what_is_not_finite(name, operand, value, algorithm):
    algorithm("direct")
    case = geometries.WINDOWS[name]
    arrays = case.integers()
    arrays[operand].flat[arrays[operand].size // 2] = value
    x, weight, dy = arrays
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **case.options)
    with np.errstate(invalid="ignore"):
        exact = reference.conv2d_grad_input(dy, weight, x.shape, **case.options)
    assert_same(dx, exact, "dx")
    assert not np.isfinite(dx).all()


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
def test_gradients_by_finite_differences(activation):
    case = geometries.AWKWARD["everything"]
    x, weight, dy = case.reals()
    bias = np.linspace(-1, 1, weight.shape[3])

    def loss(x, weight, bias):
        return float(
            np.vdot(functional.conv2d(x, weight, bias, activation=activation, **case.options), dy)
        )

    y = functional.conv2d(x, weight, bias, activation=activation, **case.options)
    through = {"activation": activation, "y": y if activation else None, **case.options}
    db = np.empty_like(bias)
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **through)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **through, bias_out=db)
    assert_gradient(dx, lambda x: loss(x, weight, bias), x)
    assert_gradient(dw, lambda weight: loss(x, weight, bias), weight)
    assert_gradient(db, lambda bias: loss(x, weight, bias), bias)


def test_relu_shuts_out_what_is_not_finite():
    """Zero times infinity is NaN: the derivative chooses, it does not multiply."""
    case = geometries.AWKWARD["everything"]
    x, weight, dy = case.integers()
    y = (np.arange(dy.size).reshape(dy.shape) % 3 > 0).astype(np.float32)
    dy[y == 0] = np.inf
    through = {"activation": "relu", "y": y, **case.options}
    db = np.empty(weight.shape[3], np.float32)
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **through)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **through, bias_out=db)
    dy[y == 0] = 0
    assert_same(dx, reference.conv2d_grad_input(dy, weight, x.shape, **case.options), "dx")
    assert_same(dw, reference.conv2d_grad_weight(x, dy, case.kernel_size, **case.options), "dw")
    assert_same(db, reference.conv2d_grad_bias(dy), "db")


def test_one_image_comes_back_unbatched():
    case = geometries.AWKWARD["everything"]
    x, weight, dy = case.integers()
    y = functional.conv2d(x[0], weight, **case.options)
    assert_same(y, functional.conv2d(x[:1], weight, **case.options)[0], "y")
    dx = functional.conv2d_grad_input(dy[0], weight, x.shape[1:], **case.options)
    assert_same(dx, functional.conv2d_grad_input(dy, weight, x.shape, **case.options)[0], "dx")
    dw = functional.conv2d_grad_weight(x[0], dy[0], case.kernel_size, **case.options)
    expected = functional.conv2d_grad_weight(x[:1], dy[:1], case.kernel_size, **case.options)
    assert_same(dw, expected, "dw")
    assert_same(functional.conv2d_grad_bias(dy[0]), functional.conv2d_grad_bias(dy[:1]), "db")
    through = {"activation": "relu", "y": y, **case.options}
    db = np.empty(weight.shape[3], np.float32)
    dw = functional.conv2d_grad_weight(x[0], dy[0], case.kernel_size, **through, bias_out=db)
    delta = reference.relu_grad_input(dy[0], y)
    expected = reference.conv2d_grad_weight(x[0], delta, case.kernel_size, **case.options)
    assert_same(dw, expected, "dw with relu")
    assert_same(db, reference.conv2d_grad_bias(delta), "db with relu")


def test_out_receives_the_result():
    case = geometries.AWKWARD["everything"]
    x, weight, dy = case.integers()
    for expected, run in (
        (
            functional.conv2d(x, weight, **case.options),
            lambda out: functional.conv2d(x, weight, **case.options, out=out),
        ),
        (
            functional.conv2d_grad_input(dy, weight, x.shape, **case.options),
            lambda out: functional.conv2d_grad_input(dy, weight, x.shape, **case.options, out=out),
        ),
        (
            functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options),
            lambda out: functional.conv2d_grad_weight(
                x, dy, case.kernel_size, **case.options, out=out
            ),
        ),
    ):
        out = np.full_like(expected, np.nan)
        assert run(out) is out
        assert_same(out, expected, "out")


@pytest.mark.parametrize(
    "case",
    [
        geometries.Case((1, 5, 6, 3), (3, 3, 3, 4), padding=1),
        geometries.Case((2, 5, 6, 24), (3, 3, 24, 20), padding=1),
        geometries.Case((2, 5, 6, 20), (3, 3, 20, 3), padding=1),
        geometries.Case((40, 5, 6, 20), (3, 3, 20, 30), padding=1),
        geometries.Case((2, 5, 6, 20), (3, 3, 20, 32), padding=1),
    ],
    ids=["few channels", "packed by the task", "along the reduction", "packed first", "one block"],
)
def test_padding_does_not_touch_infinite_weights(case):
    """An infinite weight times a zero of the padding would be NaN: the sum has no such term."""
    x, weight, dy = case.integers()
    x, dy = np.abs(x) + 1, np.abs(dy) + 1
    weight[0, 0, 1, 2] = np.inf
    y = functional.conv2d(x, weight, padding=1)
    assert_same(y, reference.conv2d(x, weight, padding=1), "y")
    assert np.isinf(y).any()
    assert np.isfinite(y[0, 0, 0, 2]), "the tap at the corner lies in the padding"
    dx = functional.conv2d_grad_input(dy, weight, x.shape, padding=1)
    assert_same(dx, reference.conv2d_grad_input(dy, weight, x.shape, padding=1), "dx")
    dy[0, 0, 0, 0] = np.inf
    dw = functional.conv2d_grad_weight(x, dy, 3, padding=1)
    assert_same(dw, reference.conv2d_grad_weight(x, dy, 3, padding=1), "dw")
    assert np.isinf(dw).any()
    assert not np.isnan(dw).any()


def test_huge_dilation_needs_no_huge_copy():
    case = geometries.Case(
        (1, 4, 5, 2), (2, 2, 2, 3), padding=60_000, dilation=120_000, stride=9_001
    )
    assert_exact_passes(functional, case, np.float32)


def test_a_stride_far_beyond_the_image():
    case = geometries.Case((2, 7, 300, 2), (2, 3, 2, 3), stride=(2_000_000_000, 150))
    assert_exact_passes(functional, case, np.float32)


@pytest.mark.parametrize("name", rot180.build_info()["instruction_sets"])
def test_every_instruction_set_is_exact_on_integers(name, instruction_set):
    instruction_set(name)
    for case in [*geometries.AWKWARD.values(), *LARGE.values()]:
        for dtype in DTYPES:
            assert_exact_passes(functional, case, dtype)
            assert_exact_fused_gradients(functional, case, dtype)
