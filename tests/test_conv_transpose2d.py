"""The transposed convolution against `reference`, against the convolution, and against literals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import geometries
import rot180
from comparison import (
    TRANSPOSED_PASSES,
    algorithm_of,
    assert_close,
    assert_exact,
    assert_exact_transposed_passes,
    assert_same,
    transposed_passes,
)
from finite_differences import assert_gradient
from geometries import TRANSPOSED, TRANSPOSED_WINDOWS, TransposedCase, transposed_cases
from golden import image, kernel
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]


# Large enough for several panels, blocks and slots.
LARGE = {
    **TRANSPOSED_WINDOWS,
    "upsampling": TransposedCase((3, 14, 13, 70), (4, 4, 40, 70), stride=2, padding=1),
    "stride 3": TransposedCase((2, 11, 12, 33), (5, 3, 17, 33), 3, 1, 2),
    "plain": TransposedCase((4, 20, 19, 36), (3, 3, 65, 36), padding=1),
    "depthwise": TransposedCase((3, 15, 16, 75), (3, 3, 1, 75), 2, 1, 1, groups=75),
    "pointwise with gaps": TransposedCase((3, 15, 16, 24), (1, 1, 40, 24), stride=2),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", TRANSPOSED)
def test_awkward_geometries_are_exact_on_integers(name, dtype):
    assert_exact_transposed_passes(functional, TRANSPOSED[name], dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=100, deadline=None)
@given(case=transposed_cases())
def test_any_geometry_is_exact_on_integers(dtype, case):
    assert_exact_transposed_passes(functional, case, dtype)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", LARGE)
def test_large_shapes_are_exact_on_integers(isa, name, dtype, instruction_set):
    instruction_set(isa)
    assert_exact_transposed_passes(functional, LARGE[name], dtype)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
def test_every_instruction_set_is_exact_on_integers(isa, instruction_set):
    instruction_set(isa)
    for case in TRANSPOSED.values():
        for dtype in DTYPES:
            assert_exact_transposed_passes(functional, case, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", [*TRANSPOSED, *LARGE])
def test_reals_are_within_rounding(name, dtype):
    case = (TRANSPOSED | LARGE)[name]
    arrays = case.reals(dtype)
    db = np.empty(case.y_shape[3], dtype)
    actual = transposed_passes(functional, case, *arrays, bias_out=db)
    exact = transposed_passes(reference, case, *(a.astype(np.float64) for a in arrays))
    taps, inputs = np.prod(case.weight_shape[:2]), case.x_shape[3] // case.groups
    terms = {
        "y": taps * inputs + 1,
        "dx": np.prod(case.weight_shape[:3]),
        "dw": np.prod(case.x_shape[:3]),
    }
    for name, expected in exact.items():
        assert actual[name].dtype == dtype
        how = algorithm_of(TRANSPOSED_PASSES[name], case.geometry, dtype)
        assert_close(actual[name], expected, float(terms[name.split()[0]]), 4.0, name, how)
    exact = arrays[3].astype(np.float64).sum(axis=(0, 1, 2))
    assert_close(db, exact, float(np.prod(case.y_shape[:3])), 2.0, "db")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, 0, 1], [0, 4, 6], [4, 12, 9]]),
        ({"stride": 2}, [[0, 0, 0, 1], [0, 0, 2, 3], [0, 2, 0, 3], [4, 6, 6, 9]]),
        ({"padding": 1}, [[4]]),
    ],
)
def test_golden_numbers(options, expected, dtype):
    x, weight = image([[0, 1], [2, 3]]).astype(dtype), kernel([[0, 1], [2, 3]]).astype(dtype)
    geometry = TransposedCase(x.shape, weight.shape, **options).geometry
    y = image(expected).astype(dtype)
    assert_same(reference.conv_transpose2d(x, weight, **options), y, "y")
    actual = functional.conv_transpose2d(x, weight, **options)
    assert_exact(actual, y, "conv2d_grad_input", geometry, "y")


@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_gradients(dtype):
    x, weight = image([[0, 1], [2, 3]]).astype(dtype), kernel([[0, 1], [2, 3]]).astype(dtype)
    dy = image([[0, 1, 2], [3, 4, 5], [6, 7, 8]]).astype(dtype)
    dx = image([[19, 25], [37, 43]]).astype(dtype)
    dw = kernel([[19, 25], [37, 43]]).astype(dtype)
    assert_same(reference.conv_transpose2d_grad_input(dy, weight), dx, "dx")
    assert_same(reference.conv_transpose2d_grad_weight(x, dy, 2), dw, "dw")
    geometry = TransposedCase(x.shape, weight.shape).geometry
    actual = functional.conv_transpose2d_grad_input(dy, weight)
    assert_exact(actual, dx, "conv2d", geometry, "dx")
    actual = functional.conv_transpose2d_grad_weight(x, dy, 2)
    assert_exact(actual, dw, "conv2d_grad_weight", geometry, "dw")


@pytest.mark.parametrize("module", [functional, reference], ids=["functional", "reference"])
@pytest.mark.parametrize("name", geometries.AWKWARD)
def test_it_is_the_transpose_of_the_convolution_with_the_same_weight(module, name):
    """<conv_transpose2d(x, w), z> = <x, conv2d(z, w)>, for every convolution of the suite."""
    case = geometries.AWKWARD[name]
    z, weight, x = case.integers(np.float64)
    # What the convolution does not see of z is output padding.
    (oh, ow), (h, w) = case.y_shape[1:3], case.x_shape[1:3]
    window, padding, stride = (
        case.geometry.effective_kernel,
        case.geometry.padding,
        case.geometry.stride,
    )
    extra = (
        h - ((oh - 1) * stride[0] + window[0] - sum(padding[0])),
        w - ((ow - 1) * stride[1] + window[1] - sum(padding[1])),
    )
    options = case.options | {"padding": padding, "output_padding": extra}
    y = module.conv_transpose2d(x, weight, **options)
    assert y.shape == z.shape
    product = np.vdot(y, z)
    assert product != 0, "a check on zeros checks nothing"
    other = np.vdot(x, module.conv2d(z, weight, **case.options))
    assert np.isclose(product, other, rtol=1e-12, atol=0)
    assert_same(y, module.conv2d_grad_input(x, weight, z.shape, **case.options), "y")


@pytest.mark.parametrize("name", TRANSPOSED)
def test_adjoint_identities(name):
    case = TRANSPOSED[name]
    x, weight, _, dy = case.integers(np.float64)
    passes = transposed_passes(functional, case, x, weight, None, dy)
    product = np.vdot(passes["y"], dy)
    assert product != 0, "a check on zeros checks nothing"
    assert np.isclose(product, np.vdot(x, passes["dx"]), rtol=1e-12, atol=0)
    assert np.isclose(product, np.vdot(weight, passes["dw"]), rtol=1e-12, atol=0)


@pytest.mark.parametrize("module", [functional, reference], ids=["functional", "reference"])
@pytest.mark.parametrize("name", ["plain", "gaps and output padding", "everything"])
def test_gradients_by_finite_differences(module, name):
    case = TRANSPOSED[name]
    x, weight, bias, dy = case.reals()

    def loss(x, weight, bias):
        y = functional.conv_transpose2d(x, weight, bias, activation="tanh", **case.options)
        return float(np.vdot(y, dy))

    y = functional.conv_transpose2d(x, weight, bias, activation="tanh", **case.options)
    delta = module.tanh_grad_input(dy, y)
    dx = module.conv_transpose2d_grad_input(delta, weight, **case.options)
    dw = module.conv_transpose2d_grad_weight(x, delta, case.weight_shape[:2], **case.options)
    assert_gradient(dx, lambda x: loss(x, weight, bias), x)
    assert_gradient(dw, lambda weight: loss(x, weight, bias), weight)
    assert_gradient(module.conv2d_grad_bias(delta), lambda bias: loss(x, weight, bias), bias)


@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("name", ["everything", "gaps and output padding", "depthwise"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fused_activation_is_the_activation_of_the_output(activation, name, dtype):
    case = TRANSPOSED[name]
    x, weight, bias, _ = case.reals(dtype)
    plain = functional.conv_transpose2d(x, weight, bias, **case.options)
    fused = functional.conv_transpose2d(x, weight, bias, activation=activation, **case.options)
    expected = getattr(functional, activation)(plain) if activation else plain
    assert_same(fused, expected, str(activation))


def test_what_no_tap_reaches_is_the_activation_of_the_bias():
    bias = np.array([-1.0, 0.0, 2.0], np.float32)
    x, weight = np.ones((1, 2, 2, 1), np.float32), np.ones((1, 1, 3, 1), np.float32)
    y = functional.conv_transpose2d(
        x, weight, bias, stride=3, output_padding=1, activation="sigmoid"
    )
    assert y.shape == (1, 5, 5, 3)
    reached = np.zeros((5, 5), bool)
    reached[::3, ::3] = True
    assert_same(y[0][~reached], np.tile(functional.sigmoid(bias), (21, 1)), "not reached")
    assert_same(y[0][reached], np.tile(functional.sigmoid(bias + 1), (4, 1)), "reached")


def test_pytorchs_weight_fits_when_transposed():
    """A weight (C, K // groups, KH, KW), with the sum as PyTorch documents it, term by term."""
    rng = np.random.default_rng(0)
    groups, c, k = 2, 4, 6
    x, theirs = rng.integers(-4, 5, (3, 4, c)), rng.integers(-4, 5, (c, k // groups, 3, 2))
    expected = np.zeros((7, 8, k))
    for (i, j, a), (_, b, r, s) in (
        (pixel, tap) for pixel in np.ndindex(x.shape) for tap in np.ndindex(1, *theirs.shape[1:])
    ):
        group = a // (c // groups)
        expected[2 * i + r, 2 * j + s, group * (k // groups) + b] += x[i, j, a] * theirs[a, b, r, s]
    weight = theirs.transpose(2, 3, 1, 0).astype(float)
    y = functional.conv_transpose2d(x.astype(float), weight, stride=2, groups=groups)
    assert_same(y, expected, "y")


@pytest.mark.parametrize("module", [functional, reference], ids=["functional", "reference"])
def test_one_image_comes_back_unbatched(module):
    case = TRANSPOSED["everything"]
    x, weight, bias, dy = case.integers()
    alone = transposed_passes(module, case, x[0], weight, bias, dy[0])
    batch = transposed_passes(module, case, x[:1], weight, bias, dy[:1])
    for name in ("y", "y without bias, relu", "dx"):
        assert_same(alone[name], batch[name][0], name)
    assert_same(alone["dw"], batch["dw"], "dw")


@pytest.mark.parametrize("module", [functional, reference], ids=["functional", "reference"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_batch_of_none(module, dtype):
    case = TransposedCase((0, 4, 3, 2), (3, 3, 5, 2), 2, 1, 1)
    x, weight, bias, dy = case.integers(dtype)
    extra = {"bias_out": np.full(5, np.nan, dtype)} if module is functional else {}
    passes = transposed_passes(module, case, x, weight, bias, dy, **extra)
    assert passes["y"].shape == (0, 8, 6, 5)
    assert passes["dx"].shape == x.shape
    assert_same(passes["dw"], np.zeros_like(weight), "dw")
    if extra:
        assert_same(extra["bias_out"], np.zeros(5, dtype), "db")


def test_out_receives_the_result():
    case = TRANSPOSED["everything"]
    x, weight, bias, dy = case.integers()
    expected = transposed_passes(functional, case, x, weight, bias, dy)
    y, dx, dw = (np.full_like(expected[name], np.nan) for name in ("y", "dx", "dw"))
    assert functional.conv_transpose2d(x, weight, bias, **case.options, out=y) is y
    assert functional.conv_transpose2d_grad_input(dy, weight, **case.options, out=dx) is dx
    size = case.weight_shape[:2]
    assert functional.conv_transpose2d_grad_weight(x, dy, size, **case.options, out=dw) is dw
    for name, out in (("y", y), ("dx", dx), ("dw", dw)):
        assert_same(out, expected[name], name)


def test_cut_rows_do_not_touch_infinite_weights():
    """A tap that padding cuts off takes no part, whatever its weight."""
    x, weight = np.ones((1, 3, 4, 2)), np.ones((3, 3, 2, 2))
    weight[0, 0, 1, 0] = np.inf
    y = functional.conv_transpose2d(x, weight, padding=1)
    assert_same(y, reference.conv_transpose2d(x, weight, padding=1), "y")
    assert np.isinf(y).any()
    assert np.isfinite(y).any()
    assert not np.isnan(y).any()
    dx = functional.conv_transpose2d_grad_input(y[..., ::-1], weight, padding=1)
    expected = reference.conv_transpose2d_grad_input(y[..., ::-1], weight, padding=1)
    assert_same(dx, expected, "dx")


X = np.ones((2, 5, 3, 6))
W = np.ones((3, 2, 4, 6))
DY = np.ones((2, 7, 4, 4))


@pytest.mark.parametrize("module", [functional, reference], ids=["functional", "reference"])
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.conv_transpose2d(X[0, 0], W), ValueError, r"x has shape \(3, 6\)"),
        (lambda f: f.conv_transpose2d(X, W[0]), ValueError, r"weight.shape is \(2, 4, 6\)"),
        (lambda f: f.conv_transpose2d(X, W.astype("f")), TypeError, "weight has dtype float32"),
        (lambda f: f.conv_transpose2d(X.astype(int), W), TypeError, "x has dtype int64"),
        (
            lambda f: f.conv_transpose2d(np.moveaxis(X, -1, 1), W),
            ValueError,
            r"x looks like NCHW, pass numpy.moveaxis\(x, 1, -1\)",
        ),
        (
            lambda f: f.conv_transpose2d(X, W.transpose(3, 2, 0, 1)),
            ValueError,
            r"weight looks like \(C, K // groups, KH, KW\), pass numpy.transpose\(weight, \(2, 3,",
        ),
        (
            lambda f: f.conv_transpose2d(X, W.swapaxes(2, 3)),
            ValueError,
            r"from C to K channels, pass numpy.swapaxes\(weight, 2, 3\)",
        ),
        (lambda f: f.conv_transpose2d(X, W[..., :5]), ValueError, "6 channels .* takes 5"),
        (lambda f: f.conv_transpose2d(X, W, groups=4), ValueError, "groups=4 must divide"),
        (lambda f: f.conv_transpose2d(X, W, np.ones(6)), ValueError, r"bias .*expected \(4,\)"),
        (lambda f: f.conv_transpose2d(X, W, np.ones(4, "f")), TypeError, "bias has dtype float32"),
        (lambda f: f.conv_transpose2d(X, W, activation="gelu"), ValueError, "activation='gelu'"),
        (lambda f: f.conv_transpose2d(X, W, stride=0), ValueError, "stride must be from 1"),
        (lambda f: f.conv_transpose2d(X, W, dilation=0), ValueError, "dilation must be from 1"),
        (lambda f: f.conv_transpose2d(X, W, padding="some"), ValueError, "padding='some'"),
        (
            lambda f: f.conv_transpose2d(X, W, output_padding=1),
            ValueError,
            r"output_padding \(1, 1\) must be smaller than the stride \(1, 1\) or the dilation",
        ),
        (lambda f: f.conv_transpose2d(X, W, output_padding=-1), ValueError, "output_padding must"),
        (lambda f: f.conv_transpose2d(X, W, output_padding=0.5), TypeError, "output_padding must"),
        (
            lambda f: f.conv_transpose2d(X, W, stride=2, padding="same", output_padding=1),
            ValueError,
            'output_padding is .* beside padding="same", which makes the output H and W times',
        ),
        (
            lambda f: f.conv_transpose2d(X, W, padding=4),
            ValueError,
            r"the output would be -1 in height, of which padding takes 4 \+ 4",
        ),
        (lambda f: f.conv_transpose2d(X, W, stride=2**30), ValueError, "output would be 429496"),
        (lambda f: f.conv_transpose2d(X, W, stride=2**28), ValueError, "elements are too many"),
        (lambda f: f.conv_transpose2d(X[:, :0], W), ValueError, "x has shape .* H is 0"),
        (lambda f: f.conv_transpose2d(X, W[:0]), ValueError, "weight has shape .* KH is 0"),
        (lambda f: f.conv_transpose2d(X, W[:, :, :0]), ValueError, "K // groups is 0"),
        (
            lambda f: f.conv_transpose2d_grad_input(DY[:, :6], W, stride=2),
            ValueError,
            r"dy has shape \(2, 6, 4, 4\), expected \(2, 5, 4, 4\): .* for x \(2, 2, 2, 6\)",
        ),
        (lambda f: f.conv_transpose2d_grad_input(DY[..., :3], W), ValueError, "dy has shape"),
        (
            lambda f: f.conv_transpose2d_grad_input(DY, W.astype("f")),
            TypeError,
            "weight has dtype float32",
        ),
        (
            lambda f: f.conv_transpose2d_grad_input(DY[:, :5], W, stride=2, padding="same"),
            ValueError,
            r"dy has shape \(2, 5, 4, 4\), expected \(2, 4, 4, 4\)",
        ),
        (
            lambda f: f.conv_transpose2d_grad_input(DY[:, :1], W),
            ValueError,
            r"dy has shape \(2, 1, 4, 4\), expected \(2, 3, 4, 4\)",
        ),
        (lambda f: f.conv_transpose2d_grad_input(DY, W[0]), ValueError, "weight.shape is"),
        (
            lambda f: f.conv_transpose2d_grad_weight(X, DY, 3),
            ValueError,
            r"dy has shape \(2, 7, 4, 4\), expected \(2, 7, 5, 4\)",
        ),
        (
            lambda f: f.conv_transpose2d_grad_weight(X, DY, (3, 2), groups=3),
            ValueError,
            r"dy has shape \(2, 7, 4, 4\), expected \(2, 7, 4, 3\)",
        ),
        (lambda f: f.conv_transpose2d_grad_weight(X, DY[0], 3), ValueError, "batch axis"),
        (lambda f: f.conv_transpose2d_grad_weight(X, DY, "3"), TypeError, "kernel_size must be"),
        (lambda f: f.conv_transpose2d_grad_weight(X, DY.astype("f"), 3), TypeError, "dy has dtype"),
    ],
)
def test_errors_name_the_argument(module, call, error, message):
    with pytest.raises(error, match=message):
        call(module)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: functional.conv_transpose2d(X, W, algorithm="fft"), ValueError, "algorithm is"),
        (lambda: functional.conv_transpose2d(X, W, out=X), ValueError, "out has shape"),
        (lambda: functional.conv_transpose2d(X, W, out=DY.astype("f")), TypeError, "out has dtype"),
        (
            lambda: functional.conv_transpose2d_grad_weight(X, DY, (3, 2), bias_out=np.ones(6)),
            ValueError,
            r"bias_out has shape \(6,\), expected \(4,\)",
        ),
        (
            lambda: functional.conv_transpose2d_grad_weight(X, DY, (3, 2), bias_out=DY[0, 0, 0]),
            ValueError,
            "bias_out overlaps an input or a result",
        ),
    ],
)
def test_errors_of_options_that_only_functional_has(call, error, message):
    with pytest.raises(error, match=message):
        call()
