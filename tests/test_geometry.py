"""Sizes, strides and padding: by brute force, by literal values, and what is said of wrong ones."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import pytest

from golden import G4_INPUT, G4_OUTPUT, G4_STRIDE_KERNEL
from rot180.geometry import (
    LARGEST_ELEMENTS,
    LARGEST_EXTENT,
    conv2d_geometry,
    conv_transpose2d_geometry,
    conv_transpose2d_input_shape,
    padding_sides,
    pool2d_geometry,
)

X = (2, 5, 7, 6)
W = (3, 2, 6, 4)
CONV_ARGUMENTS = ("stride", "padding", "dilation", "groups")


def test_output_size_counts_the_windows_that_fit():
    """Floor division: a window that reaches past the padded input is none (F4)."""
    for size in range(1, 8):
        for kernel in range(1, 4):
            for stride in range(1, 5):
                for before, after in ((0, 0), (2, 1), (0, 3)):
                    for dilation in (1, 2):
                        window = dilation * (kernel - 1) + 1
                        padded = size + before + after
                        starts = range(0, padded - window + 1, stride)
                        if not starts:
                            continue
                        geometry = conv2d_geometry(
                            (1, size, 9, 1),
                            (kernel, 1, 1, 1),
                            (stride, 2),
                            ((before, after), (0, 0)),
                            (dilation, 1),
                        )
                        assert geometry.output_shape == (1, len(starts), 5, 1)
                        assert geometry.effective_kernel == (window, 1)
                        assert geometry.remainder == (padded - starts[-1] - window, 0)


def test_golden_stride_and_kernel():
    shape = (1, G4_INPUT, G4_INPUT, 1)
    exact = {
        (stride, kernel)
        for stride in range(1, 10)
        for kernel in range(1, 10)
        for geometry in [conv2d_geometry(shape, (kernel, kernel, 1, 1), stride)]
        if geometry.output_shape[1] == G4_OUTPUT and geometry.remainder == (0, 0)
    }
    assert exact == G4_STRIDE_KERNEL


@pytest.mark.parametrize(
    ("size", "window", "stride", "out", "padding"),
    [
        (13, 6, 5, 3, (1, 2)),  # the example of TensorFlow's documentation
        (5, 3, 1, 5, (1, 1)),
        (4, 2, 1, 4, (0, 1)),
        (28, 5, 1, 28, (2, 2)),
        (5, 3, 2, 3, (1, 1)),
        (6, 3, 2, 3, (0, 1)),
        (224, 7, 2, 112, (2, 3)),
        (10, 4, 3, 4, (1, 2)),
        (7, 1, 3, 3, (0, 0)),
        (5, 2, 3, 2, (0, 0)),
        (2, 5, 1, 2, (2, 2)),
        (1, 4, 2, 1, (1, 2)),
    ],
)
def test_same_padding_is_tensorflows(size, window, stride, out, padding):
    """Out is ceil(size / stride); an odd row of padding goes to the bottom or the right."""
    geometry = conv2d_geometry((1, size, 3, 1), (window, 1, 1, 1), (stride, 1), "same")
    assert geometry.padding == (padding, (0, 0))
    assert geometry.output_shape == (1, out, 3, 1)
    geometry = pool2d_geometry((1, 3, size, 1), (1, window), (1, stride), "same")
    assert geometry.padding == ((0, 0), padding)
    assert geometry.output_shape == (1, 3, out, 1)


def test_same_padding_covers_the_dilated_kernel():
    geometry = conv2d_geometry((1, 6, 5, 1), (3, 2, 1, 1), 1, "same", (2, 3))
    assert geometry.padding == ((2, 2), (1, 2))
    assert geometry.output_shape == (1, 6, 5, 1)


def test_valid_and_full():
    assert conv2d_geometry(X, W, padding="valid").padding == ((0, 0), (0, 0))
    geometry = conv2d_geometry(X, W, padding="full", dilation=(2, 3))
    assert geometry.padding == ((4, 4), (3, 3))
    assert geometry.output_shape == (2, 5 + 4, 7 + 3, 4)


@pytest.mark.parametrize(
    ("padding", "sides"),
    [
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        (((1, 2), (3, 4)), ((1, 2), (3, 4))),
        ([[1, 2], (3, 4)], ((1, 2), (3, 4))),
        (np.array([[1, 2], [3, 4]]), ((1, 2), (3, 4))),
        (np.int32(3), ((3, 3), (3, 3))),
        ((np.int64(1), np.uint8(2)), ((1, 1), (2, 2))),
        (0, ((0, 0), (0, 0))),
    ],
)
def test_forms_of_padding(padding, sides):
    assert conv2d_geometry(X, W, padding=padding).padding == sides
    assert pool2d_geometry(X, 5, 1, padding).padding == sides


@pytest.mark.parametrize("stride", [2, (2, 2), [2, 2], np.array([2, 2]), np.array(2), np.int64(2)])
def test_forms_of_stride(stride):
    assert conv2d_geometry(X, W, stride).stride == (2, 2)
    assert conv2d_geometry(X, W, dilation=stride).dilation == (2, 2)
    assert pool2d_geometry(X, stride).kernel_size == (2, 2)


def test_stride_of_a_pooling_is_its_window_unless_given():
    assert pool2d_geometry(X, (2, 3)).stride == (2, 3)
    assert pool2d_geometry(X, (2, 3)).output_shape == (2, 2, 2, 6)
    assert pool2d_geometry(X, (2, 3), 1).output_shape == (2, 4, 5, 6)


@pytest.mark.parametrize(
    ("size", "kernel", "options", "out"),
    [
        (1, 4, {}, 4),
        (4, 4, {"stride": 2, "padding": 1}, 8),  # twice as large
        (7, 3, {"stride": 2, "padding": 1}, 13),
        (7, 3, {"stride": 2, "padding": 1, "output_padding": 1}, 14),
        (6, 3, {"stride": 2, "padding": 1, "output_padding": 1}, 12),  # PyTorch's documentation
        (5, 3, {"padding": ((2, 0), (0, 2))}, 5),
        (3, 2, {"stride": 4, "output_padding": 3}, 13),
        (3, 3, {"dilation": 3}, 9),
        (3, 2, {"stride": 2, "dilation": 4, "output_padding": 3}, 12),
        (5, 3, {"padding": "valid"}, 7),
        (5, 3, {"padding": "full"}, 3),
        (5, 3, {"padding": "same"}, 5),
        (5, 4, {"stride": 3, "padding": "same"}, 15),
        (5, 2, {"stride": 3, "padding": "same"}, 15),
        (5, 2, {"stride": 2, "padding": "same", "dilation": 3}, 10),
    ],
)
def test_sizes_of_a_transposed_convolution(size, kernel, options, out):
    """And back: the size of x is found from that of y."""
    x_shape, weight_shape = (2, size, size, 6), (kernel, kernel, 4, 6)
    geometry = conv_transpose2d_geometry(x_shape, weight_shape, **options)
    assert geometry.input_shape == (2, out, out, 4)
    assert geometry.output_shape == x_shape
    assert conv_transpose2d_input_shape((2, out, out, 4), weight_shape, **options) == x_shape


def test_same_padding_of_a_transposed_convolution_is_that_of_the_convolution():
    for size in range(1, 6):
        for kernel in range(1, 6):
            for stride in range(1, 5):
                geometry = conv_transpose2d_geometry(
                    (1, size, 1, 1), (kernel, 1, 1, 1), (stride, 1), "same"
                )
                convolution = conv2d_geometry(
                    (1, size * stride, 1, 1), (kernel, 1, 1, 1), (stride, 1), "same"
                )
                assert asdict(geometry) == asdict(convolution)


def test_groups():
    geometry = conv2d_geometry((2, 5, 7, 6), (3, 2, 2, 9), groups=3)
    assert geometry.output_shape == (2, 3, 6, 9)
    assert conv2d_geometry((2, 5, 7, 6), (3, 2, 1, 6), groups=6).groups == 6


def test_empty_batch_has_a_size():
    assert conv2d_geometry((0, *X[1:]), W).output_shape == (0, 3, 6, 4)
    assert pool2d_geometry((0, *X[1:]), 2).output_shape == (0, 2, 3, 6)


@pytest.mark.parametrize(
    "kernel_and_padding", [((6, 2), 0), ((5, 9), 0), ((8, 2), 1), ((2, 11), ((0, 0), (1, 2)))]
)
def test_kernel_larger_than_the_padded_input(kernel_and_padding):
    """The message has both sizes (F4)."""
    (kernel_h, kernel_w), padding = kernel_and_padding
    (top, bottom), (left, right) = padding_sides(padding, (5, 7), (kernel_h, kernel_w), (1, 1))
    axis, window, padded = (
        ("height", kernel_h, 5 + top + bottom)
        if kernel_h > 5 + top + bottom
        else ("width", kernel_w, 7 + left + right)
    )
    message = f"kernel covers {window} in {axis}.* {padded} "
    with pytest.raises(ValueError, match=message):
        conv2d_geometry(X, (kernel_h, kernel_w, 6, 4), padding=padding)
    with pytest.raises(ValueError, match=message):
        pool2d_geometry(X, (kernel_h, kernel_w), 1, padding)


@pytest.mark.parametrize("name", ["stride", "dilation", "groups"])
@pytest.mark.parametrize("value", [0, -1, -(2**63), 2**31, 2**63, 10**30])
def test_huge_and_negative_numbers(name, value):
    """F10."""
    with pytest.raises(ValueError, match=f"{name} must be from 1 to 2147483647, got {value}"):
        conv2d_geometry(X, W, **{name: value})
    if name != "groups":
        with pytest.raises(ValueError, match=f"{name} must be from 1"):
            conv2d_geometry(X, W, **{name: (1, value)})


@pytest.mark.parametrize("value", [-1, (0, -1), ((0, 0), (-2, 0)), 2**31, ((2**40, 0), (0, 0))])
def test_huge_and_negative_padding(value):
    with pytest.raises(ValueError, match="padding must be from 0 to 2147483647, got"):
        conv2d_geometry(X, W, padding=value)
    with pytest.raises(ValueError, match="padding must be from 0 to 2147483647, got"):
        pool2d_geometry(X, 2, padding=value)


@pytest.mark.parametrize("name", CONV_ARGUMENTS)
@pytest.mark.parametrize(
    "value",
    [1.0, 1.5, float("nan"), None, (1, 1.0), (None, 1), {}, {1, 2}, ..., b"ab", 1j, [{}]],
    ids=repr,
)
def test_wrong_types_are_named(name, value):
    conv2d_geometry(X, W, stride=(1, 1))  # equal to (1, 1.0): no answer from a cache, please
    with pytest.raises(TypeError, match=name):
        conv2d_geometry(X, W, **{name: value})


@pytest.mark.parametrize("name", ["stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), [1] * 4])
def test_wrong_number_of_entries(name, value):
    with pytest.raises(ValueError, match=rf"{name}=.* has {len(value)} entries"):
        conv2d_geometry(X, W, **{name: value})


@pytest.mark.parametrize("value", ["SAME", "", "reflect"])
def test_unknown_padding(value):
    with pytest.raises(ValueError, match=f'padding={value!r} is unknown: expected "valid", "same"'):
        conv2d_geometry(X, W, padding=value)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "options", "message"),
    [
        (X, W, {"groups": 4}, "groups=4 must divide the input channels C=6"),
        (X, (3, 2, 3, 5), {"groups": 2}, "groups=2 must divide .* output channels K=5"),
        (X, W, {"groups": 2}, r"x has shape .*6 channels .* takes 12 = 6 \* 2 groups"),
        (X, (3, 2, 5, 4), {}, r"x has shape .*6 channels .*weight has shape .* takes 5"),
        ((2, 6, 7, 7), W, {}, r"x looks like NCHW, pass numpy.moveaxis\(x, 1, -1\)"),
        ((2, 7, 7, 3), (8, 3, 5, 5), {}, r"OIHW, pass numpy.transpose\(weight, \(2, 3, 1, 0\)\)"),
        ((5, 7, 6), W, {}, r"input_shape .*expected four sizes \(N, H, W, C\)"),
        (X, (3, 2), {}, r"weight.*expected four sizes \(KH, KW, C // groups, K\)"),
        ((2, 0, 7, 6), W, {}, "x has shape .*H is 0"),
        ((2, 5, 0, 6), W, {}, "x has shape .*W is 0"),
        ((2, 5, 7, 0), (3, 2, 0, 4), {}, "x has shape .*C is 0"),
        (X, (0, 2, 6, 4), {}, "weight has shape .*KH is 0"),
        (X, (3, 0, 6, 4), {}, "weight has shape .*KW is 0"),
        (X, (3, 2, 6, 0), {}, "weight has shape .*K is 0"),
        ((-1, 5, 7, 6), W, {}, "input_shape"),
        (X, (3, 2, 6, -4), {}, "weight.shape"),
    ],
)
def test_shapes_that_do_not_fit(x_shape, weight_shape, options, message):
    with pytest.raises(ValueError, match=message):
        conv2d_geometry(x_shape, weight_shape, **options)


def test_the_mends_work():
    nchw, oihw = np.zeros((2, 6, 7, 8)), np.zeros((4, 6, 3, 2))
    x, weight = np.moveaxis(nchw, 1, -1), np.transpose(oihw, (2, 3, 1, 0))
    assert conv2d_geometry(x.shape, weight.shape).output_shape == (2, 5, 7, 4)


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "options"),
    [
        ((2**31 - 1, 2**31 - 1, 1, 1), (1, 1, 1, 1), {}),
        ((2**16, 2**16, 2**16, 2**16), (1, 1, 2**16, 1), {}),  # 2**64 elements: 0 if it wrapped
        ((2**31 - 1, 2**16, 2**15, 2**2), (1, 1, 4, 1), {}),
        ((1, 1, 1, 2**31 - 1), (1, 1, 2**31 - 1, 2**31 - 1), {}),
        ((1, 5, 5, 1), (3, 3, 1, 1), {"padding": 2**31 - 1}),
        ((2**20, 5, 5, 1), (1, 1, 1, 2**31 - 1), {"padding": (2**8, 2**8)}),
        ((2**31 - 1, 1, 1, 2**20), (1, 1, 2**20, 1), {"padding": 2**6, "stride": 2**7}),
    ],
)
def test_products_do_not_overflow(x_shape, weight_shape, options):
    """F9: a shape that 64-bit indices cannot address is an error, not a small number."""
    with pytest.raises(ValueError, match=r"shape|elements"):
        conv2d_geometry(x_shape, weight_shape, **options)


def test_more_than_two_to_the_31_elements_are_fine():
    geometry = conv2d_geometry((2**12, 2**10, 2**10, 3), (3, 3, 3, 64), padding=1)
    assert geometry.output_shape == (2**12, 2**10, 2**10, 64)
    assert np.prod(geometry.output_shape, dtype=object) == 2**38


def test_window_arithmetic_does_not_overflow():
    """Dilation times kernel exceeds 2**31, and even 2**62, without wrapping round to fit."""
    with pytest.raises(ValueError, match="kernel covers 4294967295 in height"):
        conv2d_geometry(X, (3, 1, 6, 1), dilation=LARGEST_EXTENT)
    with pytest.raises(ValueError, match=f"kernel covers {LARGEST_EXTENT * (2**31 - 2) + 1} in"):
        conv2d_geometry((1, 5, 5, 1), (2**31 - 1, 1, 1, 1), dilation=LARGEST_EXTENT)
    assert 8 * LARGEST_ELEMENTS <= 2**62


@pytest.mark.parametrize("batch", [0, 1])
def test_an_image_too_large_to_address_is_refused_in_an_empty_batch_too(batch):
    with pytest.raises(ValueError, match="elements"):
        conv2d_geometry((batch, 2**31 - 1, 2**31 - 1, 8), (1, 1, 8, 1))


@pytest.mark.parametrize("shape", [5, None, "abcd", (2, 5.0, 7, 6), {}], ids=repr)
def test_shapes_of_a_wrong_type_are_named(shape):
    with pytest.raises(TypeError, match="input_shape"):
        conv2d_geometry(shape, W)
    with pytest.raises(TypeError, match="input_shape"):
        pool2d_geometry(shape, 2)


@pytest.mark.parametrize("shape", [list(X), np.array(X)], ids=["list", "array"])
def test_shapes_may_be_lists_and_arrays(shape):
    assert conv2d_geometry(shape, list(W)) == conv2d_geometry(X, W)
    assert pool2d_geometry(shape, 2) == pool2d_geometry(X, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": 0}, ValueError, "kernel_size must be from 1"),
        ({"kernel_size": 2.0}, TypeError, "kernel_size"),
        ({"kernel_size": (2, 2, 2)}, ValueError, "kernel_size=.*3 entries"),
        ({"kernel_size": "22"}, TypeError, "kernel_size"),
        ({"kernel_size": None}, TypeError, "kernel_size"),
        ({"kernel_size": 2, "stride": 0}, ValueError, "stride must be from 1"),
        ({"kernel_size": 2, "padding": 2}, ValueError, r"padding .* smaller than the window"),
        ({"kernel_size": (3, 1), "padding": (0, 1)}, ValueError, r"padding .* smaller"),
        ({"kernel_size": 2, "padding": ((0, 0), (0, 2))}, ValueError, r"padding .* smaller"),
        ({"kernel_size": 2, "padding": "reflect"}, ValueError, "padding='reflect'"),
    ],
)
def test_pooling_errors_name_the_argument(options, error, message):
    with pytest.raises(error, match=message):
        pool2d_geometry(X, **options)


@pytest.mark.parametrize("window", range(1, 5))
@pytest.mark.parametrize("stride", range(1, 6))
def test_ceil_mode_is_pytorchs(window, stride):
    """The size rounded up, less one where the last window would begin in the padding after x."""
    for size in range(1, 9):
        for padding in range(window):
            out = math.ceil((size + 2 * padding - window) / stride) + 1
            if (out - 1) * stride >= size + padding:
                out -= 1
            arguments = ((1, size, 3, 1), (window, 1), (stride, 1), (padding, 0))
            if out < 1:
                with pytest.raises(ValueError, match=f"kernel covers {window} in height"):
                    pool2d_geometry(*arguments, ceil_mode=True)
            else:
                geometry = pool2d_geometry(*arguments, ceil_mode=True)
                assert geometry.output_shape == (1, out, 3, 1)


def test_no_pooling_window_lies_wholly_in_the_padding():
    for size in range(1, 6):
        for window in range(1, 5):
            for stride in range(1, 6):
                for before in range(window):
                    for after in range(window):
                        if window > size + before + after:
                            continue
                        sides = ((before, after), (0, 0))
                        shape = (1, size, 1, 1)
                        geometry = pool2d_geometry(shape, (window, 1), (stride, 1), sides)
                        last = (geometry.output_shape[1] - 1) * stride - before
                        assert last < size  # the first ends in x or beyond, as before < window
