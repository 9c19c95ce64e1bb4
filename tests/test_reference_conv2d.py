"""The NumPy convolution against golden numbers, direct sums, differences and adjoints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from finite_differences import assert_gradient, relative_error
from geometries import AWKWARD, Case, cases
from golden import G1, G1_TRUE_CONVOLUTION, G2, G2_SUM_OF_DX, G4_INPUT, G4_OUTPUT, G4_STRIDE_KERNEL
from rot180.reference import (
    conv2d,
    conv2d_grad_bias,
    conv2d_grad_input,
    conv2d_grad_weight,
    leaky_relu,
    relu,
    relu6,
    sigmoid,
    tanh,
)

awkward = pytest.mark.parametrize("case", AWKWARD.values(), ids=AWKWARD.keys())
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def direct_sum(case: Case, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The definition, term by term, on x padded with zeros."""
    geometry = case.geometry
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    window_h, window_w = geometry.effective_kernel
    padded = np.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    inputs, outputs = weight.shape[2], weight.shape[3] // case.groups
    y = np.zeros(geometry.output_shape, x.dtype)
    for i, j, k in np.ndindex(y.shape[1:]):
        first = k // outputs * inputs
        window = padded[
            :,
            i * sh : i * sh + window_h : dh,
            j * sw : j * sw + window_w : dw,
            first : first + inputs,
        ]
        y[:, i, j, k] = (window * weight[..., k]).sum(axis=(1, 2, 3))
    return y


@both_dtypes
@pytest.mark.parametrize("numbers", [G1, G2], ids=["G1", "G2"])
def test_golden_numbers(numbers, dtype):
    x, weight, dy = (a.astype(dtype) for a in (numbers.x, numbers.weight, numbers.dy))
    results = {
        "y": conv2d(x, weight),
        "dx": conv2d_grad_input(dy, weight, x.shape),
        "dw": conv2d_grad_weight(x, dy, weight.shape[:2]),
        "db": conv2d_grad_bias(dy),
    }
    for name, result in results.items():
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, getattr(numbers, name), err_msg=name)


def test_golden_numbers_of_a_true_convolution():
    x, weight, dy, y, dx, dw, _ = G1_TRUE_CONVOLUTION
    turned = weight[::-1, ::-1]
    np.testing.assert_array_equal(conv2d(x, turned), y)
    np.testing.assert_array_equal(conv2d_grad_input(dy, turned, x.shape), dx)
    np.testing.assert_array_equal(conv2d_grad_weight(x, dy, 2)[::-1, ::-1], dw)


def test_golden_sum_cannot_see_a_kernel_that_was_not_turned():
    assert conv2d_grad_input(G2.dy, G2.weight, G2.x.shape).sum() == G2_SUM_OF_DX
    assert G1.dx.sum() == G1_TRUE_CONVOLUTION.dx.sum()
    assert relative_error(G1_TRUE_CONVOLUTION.dx, G1.dx) > 0.1


def test_golden_stride_and_kernel_of_a_delta():
    x = np.ones((1, G4_INPUT, G4_INPUT, 1))
    found = set()
    for stride in range(1, G4_INPUT + 1):
        for size in range(1, G4_INPUT + 1):
            y = conv2d(x, np.ones((size, size, 1, 1)), stride=stride)
            exact = (G4_INPUT - size) % stride == 0
            if exact and y.shape == (1, G4_OUTPUT, G4_OUTPUT, 1):
                found.add((stride, size))
    assert found == G4_STRIDE_KERNEL
    dy, weight = np.ones((1, 5, 5, 1)), np.ones((5, 5, 1, 1))
    assert conv2d(dy, weight, padding="full").shape == x.shape


@both_dtypes
@awkward
def test_forward_is_the_direct_sum(case, dtype):
    x, weight, _ = case.integers(dtype)
    y = conv2d(x, weight, **case.options)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, direct_sum(case, x, weight))


@settings(max_examples=200, deadline=None)
@given(cases())
def test_forward_is_the_direct_sum_everywhere(case):
    x, weight, _ = case.integers()
    np.testing.assert_array_equal(conv2d(x, weight, **case.options), direct_sum(case, x, weight))


@awkward
def test_gradients_by_finite_differences(case):
    x, weight, dy = case.reals()
    bias = np.linspace(-1, 1, dy.shape[3])

    def loss(x, weight, bias):
        return float((conv2d(x, weight, bias, **case.options) * dy).sum())

    dx = conv2d_grad_input(dy, weight, x.shape, **case.options)
    assert_gradient(dx, lambda x: loss(x, weight, bias), x)
    dw = conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    assert_gradient(dw, lambda weight: loss(x, weight, bias), weight)
    assert_gradient(conv2d_grad_bias(dy), lambda bias: loss(x, weight, bias), bias)


@settings(max_examples=200, deadline=None)
@given(cases())
def test_adjoint_identities(case):
    x, weight, dy = case.integers(np.float64)
    x, weight, dy = x + 5, weight + 5, dy + 5  # positive: no sum is zero by chance
    y = conv2d(x, weight, **case.options)
    dx = conv2d_grad_input(dy, weight, x.shape, **case.options)
    dw = conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    assert (dx.shape, dw.shape) == (x.shape, weight.shape)
    # Padding that outreaches the kernel can hide x from every window.
    assert (y * dy).sum() > 0 or not y.any()
    assert (y * dy).sum() == (x * dx).sum() == (weight * dw).sum()


@awkward
def test_adjoint_identities_are_not_between_zeros(case):
    x, weight, dy = case.integers(np.float64)
    value = (conv2d(x, weight, **case.options) * dy).sum()
    assert value != 0
    assert value == (x * conv2d_grad_input(dy, weight, x.shape, **case.options)).sum()
    dw = conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    assert value == (weight * dw).sum()


def test_remainder_rows_get_no_gradient():
    case = Case((1, 32, 32, 2), (5, 5, 2, 3), stride=3, padding=1)
    assert case.geometry.remainder == (2, 2)
    _, weight, dy = case.integers()
    dx = conv2d_grad_input(np.abs(dy) + 1, np.abs(weight) + 1, case.x_shape, **case.options)
    # Padding covers one row of the remainder, so one row of x is left.
    assert not dx[:, -1].any()
    assert not dx[:, :, -1].any()
    assert dx[:, :-1, :-1].all()


@awkward
def test_one_image_comes_back_unbatched(case):
    x, weight, dy = case.integers()
    x, dy = x[:1], dy[:1]
    y = conv2d(x[0], weight, **case.options)
    np.testing.assert_array_equal(y, conv2d(x, weight, **case.options)[0])
    dx = conv2d_grad_input(dy[0], weight, x.shape[1:], **case.options)
    np.testing.assert_array_equal(dx, conv2d_grad_input(dy, weight, x.shape, **case.options)[0])
    dw = conv2d_grad_weight(x[0], dy[0], case.kernel_size, **case.options)
    np.testing.assert_array_equal(dw, conv2d_grad_weight(x, dy, case.kernel_size, **case.options))
    np.testing.assert_array_equal(conv2d_grad_bias(dy[0]), conv2d_grad_bias(dy))


@both_dtypes
def test_empty_batch(dtype):
    case = Case((0, 5, 6, 4), (3, 2, 2, 6), stride=2, padding=1, groups=2)
    x, weight, dy = case.integers(dtype)
    assert dy.shape == (0, 3, 4, 6)
    results = (
        (conv2d(x, weight, np.ones(6, dtype), **case.options), dy.shape),
        (conv2d_grad_input(dy, weight, x.shape, **case.options), x.shape),
        (conv2d_grad_weight(x, dy, (3, 2), **case.options), weight.shape),
        (conv2d_grad_bias(dy), (6,)),
    )
    for result, shape in results:
        assert result.shape == shape
        assert result.dtype == dtype
        assert not result.any()


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", relu),
        ("relu6", relu6),
        ("leaky_relu", leaky_relu),
        ("sigmoid", sigmoid),
        ("tanh", tanh),
    ],
)
def test_bias_then_activation(name, function):
    x, weight, _ = AWKWARD["everything"].reals()
    options, bias = AWKWARD["everything"].options, np.linspace(-3, 3, 6)
    y = conv2d(x, weight, bias, activation=name, **options)
    np.testing.assert_array_equal(y, function(conv2d(x, weight, **options) + bias))


def test_padding_is_not_multiplied():
    """An infinite weight over zero padding would make NaN; the direct sum has no such term."""
    x, weight = np.ones((1, 3, 3, 1)), np.ones((3, 3, 1, 1))
    weight[0, 0] = np.inf
    y = conv2d(x, weight, padding=1)[0, :, :, 0]
    expected = np.full((3, 3), np.inf)
    expected[0, :], expected[:, 0] = [4, 6, 4], [4, 6, 4]
    np.testing.assert_array_equal(y, expected)
    dx = conv2d_grad_input(np.ones((1, 2, 2, 1)), weight, (1, 7, 7, 1), stride=4)[0, :, :, 0]
    assert not np.isnan(dx).any()
    assert np.argwhere(np.isinf(dx)).tolist() == [[0, 0], [0, 4], [4, 0], [4, 4]]
    x[0, 0, 0] = np.inf
    assert not np.isnan(conv2d_grad_weight(x, np.ones((1, 5, 5, 1)), 3, padding=2)).any()


@pytest.mark.parametrize(
    "layout",
    [
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
        lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
        lambda a: np.asfortranarray(a),
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, a.size, 1).reshape(a.shape),
        lambda a: a.tolist(),
    ],
    ids=["strided", "reversed", "column-major", "byte-swapped", "misaligned read-only", "list"],
)
def test_any_memory_layout(layout):
    case = AWKWARD["everything"]
    x, weight, dy = case.integers(np.float64)
    bias = np.arange(6.0)
    results = (
        (
            conv2d(layout(x), layout(weight), bias, **case.options),
            conv2d(x, weight, bias, **case.options),
        ),
        (
            conv2d_grad_input(layout(dy), layout(weight), x.shape, **case.options),
            conv2d_grad_input(dy, weight, x.shape, **case.options),
        ),
        (
            conv2d_grad_weight(layout(x), layout(dy), case.kernel_size, **case.options),
            conv2d_grad_weight(x, dy, case.kernel_size, **case.options),
        ),
        (conv2d_grad_bias(layout(dy)), conv2d_grad_bias(dy)),
    )
    for result, expected in results:
        assert result.dtype == np.float64
        assert result.dtype.isnative
        np.testing.assert_array_equal(result, expected)


def test_broadcast_arrays():
    x = np.broadcast_to(np.float32(2), (2, 4, 5, 3))
    weight = np.broadcast_to(np.float32(3), (2, 2, 3, 1))
    np.testing.assert_array_equal(conv2d(x, weight), np.full((2, 3, 4, 1), 72, np.float32))


X = np.ones((2, 5, 6, 3), np.float32)
W = np.ones((3, 3, 3, 4), np.float32)
DY = np.ones((2, 3, 4, 4), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: conv2d(X.astype(int), W),
            TypeError,
            r"x has dtype int.*x\.astype\(numpy.float32\)",
        ),
        (lambda: conv2d(X, W.astype(np.uint8)), TypeError, "weight has dtype uint8"),
        (lambda: conv2d(X.astype(np.float16), W), TypeError, "x has dtype float16"),
        (lambda: conv2d(X.astype(complex), W), TypeError, "x has dtype complex128"),
        (lambda: conv2d([[1.0], [1.0, 2.0]], W), TypeError, "x must be an array of numbers"),
        (lambda: conv2d("pixels", W), TypeError, "x has dtype <U6"),
        (lambda: conv2d(None, W), TypeError, "x has dtype object"),
        (lambda: conv2d(X, W.astype(float)), TypeError, "weight has dtype float64 but x has"),
        (lambda: conv2d(X, W, np.ones(4)), TypeError, "bias has dtype float64"),
        (lambda: conv2d(X, W, np.ones(3, np.float32)), ValueError, r"bias.*expected \(4,\)"),
        (lambda: conv2d(X, W, W), ValueError, r"bias.*expected \(4,\)"),
        (lambda: conv2d(X[0, :, :, 0], W), ValueError, r"x has shape \(5, 6\).*newaxis"),
        (lambda: conv2d(X[None], W), ValueError, "x has shape .*expected .N, H, W, C"),
        (lambda: conv2d(X, W[0]), ValueError, "weight"),
        (lambda: conv2d(np.moveaxis(X, -1, 1), W), ValueError, "NCHW, pass numpy.moveaxis"),
        (lambda: conv2d(X, W, groups=2), ValueError, "groups=2"),
        (lambda: conv2d(X, W, activation="gelu"), ValueError, "activation='gelu'.*sigmoid"),
        (lambda: conv2d(X, W, activation=relu), ValueError, "activation="),
        (lambda: conv2d(X, W, stride=0), ValueError, "stride"),
        (lambda: conv2d(X, W, dilation=3), ValueError, "kernel covers 7 in height.* 5"),
        (lambda: conv2d(X[:, :0], W), ValueError, "H is 0"),
        (lambda: conv2d_grad_input(DY, W, (2, 5, 6, 4)), ValueError, "channels"),
        (lambda: conv2d_grad_input(DY, W, (2, 5, 7, 3)), ValueError, "dy has shape"),
        (lambda: conv2d_grad_input(DY, W, (3, 5, 6, 3)), ValueError, "dy has shape"),
        (lambda: conv2d_grad_input(DY, W, (5, 6, 3)), ValueError, "input_shape.* batch axis"),
        (lambda: conv2d_grad_input(DY[0], W, X.shape), ValueError, "input_shape.* batch axis"),
        (lambda: conv2d_grad_input(DY, W, 5), TypeError, "input_shape must be a tuple"),
        (lambda: conv2d_grad_input(DY, W, (2, 5.0, 6, 3)), TypeError, "input_shape"),
        (lambda: conv2d_grad_input(DY, W, (2, -5, 6, 3)), ValueError, "input_shape"),
        (lambda: conv2d_grad_input(DY, W.astype(float), X.shape), TypeError, "weight has dtype"),
        (lambda: conv2d_grad_weight(X, DY, 2), ValueError, "dy has shape"),
        (lambda: conv2d_grad_weight(X, DY, 0), ValueError, "kernel_size"),
        (lambda: conv2d_grad_weight(X, DY, (3, 3, 3)), ValueError, "kernel_size"),
        (lambda: conv2d_grad_weight(X, DY, 3, groups=0), ValueError, "groups"),
        (lambda: conv2d_grad_weight(X, DY, 3, groups=2), ValueError, "groups=2"),
        (lambda: conv2d_grad_weight(X[:1], DY, 3), ValueError, "dy has shape"),
        (lambda: conv2d_grad_weight(X, DY[0], 3), ValueError, "x has shape .*batch axis"),
        (lambda: conv2d_grad_bias(DY[..., :0]), ValueError, "dy has shape .*K is 0"),
        (lambda: conv2d_grad_weight(X, DY.astype(float), 3), TypeError, "dy has dtype"),
        (lambda: conv2d_grad_bias(DY[0, 0]), ValueError, "dy has shape"),
        (lambda: conv2d_grad_bias(DY.astype(int)), TypeError, "dy has dtype"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
