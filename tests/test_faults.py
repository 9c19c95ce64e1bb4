"""Faults that libraries of this kind have had: a right result or a clear error, never a crash.

Some are tested beside what they are faults of: F12, NaN and infinities in max-pooling, in
test_pool2d.py; F14, denormals, in test_denormals.py; F15 to F17, forks, threads and a system that
gives none, in test_processes.py; F19, the state of optimizers, in test_optim.py; F20 and F21,
damaged files, in test_io.py; F23, labels and losses, in test_loss.py and test_trainer.py.
"""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import geometries
import rot180
from comparison import assert_exact, assert_exact_passes, assert_same
from guard_bands import guarded
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_f1_pointwise_strided_weight_gradient(threads, channels, num_threads):
    num_threads(threads)
    case = geometries.Case((6, 56, 57, channels), (1, 1, channels, 5), stride=2)
    assert_exact_passes(functional, case, np.float32)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [2, 3, 4])
@pytest.mark.parametrize("padding", [0, 1])
def test_f2_f3_rows_that_no_window_reaches(kernel, stride, padding):
    case = geometries.Case((2, 32, 31, 3), (kernel, kernel, 3, 4), stride, padding)
    assert_exact_passes(functional, case, np.float32)


def test_f2_unused_rows_have_no_gradient():
    dy, weight = np.ones((1, 10, 10, 1)), np.ones((5, 5, 1, 1))
    dx = functional.conv2d_grad_input(dy, weight, (1, 32, 32, 1), stride=3, padding=1)
    # The last window covers rows 26 to 30.
    assert (dx[:, 31:] == 0).all()
    assert (dx[:, :, 31:] == 0).all()
    assert (dx[:, :31, :31] > 0).all()


def test_f3_padding_with_dilation():
    for dilation in (2, 3):
        case = geometries.Case((1, 9, 10, 2), (3, 3, 2, 2), padding=1, dilation=dilation)
        assert_exact_passes(functional, case, np.float32)


def test_f4_a_kernel_larger_than_the_padded_input():
    x, weight = np.zeros((1, 4, 4, 1)), np.zeros((3, 3, 1, 1))
    message = r"kernel covers 7 in height, more than the padded input's 6 \(4 \+ padding 1 \+ 1\)"
    with pytest.raises(ValueError, match=message):
        functional.conv2d(x, weight, padding=1, dilation=3)
    with pytest.raises(ValueError, match="kernel covers 5 in height"):
        functional.conv2d_grad_weight(x, np.zeros((1, 1, 1, 1)), 5)


def test_f4_output_sizes_are_floored():
    x, weight = np.zeros((1, 6, 5, 1)), np.zeros((3, 3, 1, 1))
    assert functional.conv2d(x, weight, stride=2).shape == (1, 2, 2, 1)


@pytest.mark.parametrize("channels", range(1, 34))
def test_f5_every_channel_count(channels):
    for filters in range(1, 34):
        case = geometries.Case(
            (1, 4, 3, channels), (2, 2, channels, filters), padding=((1, 0), (0, 1))
        )
        assert_exact_passes(functional, case, np.float32)
    assert_exact_passes(functional, case, np.float64)


@pytest.mark.parametrize("groups", range(1, 34))
def test_f5_every_group_count(groups):
    for inputs, outputs in ((1, 1), (1, 2), (2, 1), (3, 5)):
        case = geometries.Case(
            (2, 4, 5, groups * inputs), (3, 2, inputs, groups * outputs), 1, 1, groups=groups
        )
        assert_exact_passes(functional, case, np.float32)


BOTH_WAYS = [
    *(("direct", name) for name in geometries.AWKWARD | geometries.WINDOWS),
    *(("winograd", name) for name in ("padding on one side", "3x3", *geometries.WINOGRAD)),
]


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize(("how", "name"), BOTH_WAYS)
def test_f6_nothing_beyond_an_array_is_read_or_written(isa, how, name, instruction_set, algorithm):
    """conftest.py fills the scratch memory with NaN for the whole suite."""
    instruction_set(isa)
    algorithm(how)
    case = (geometries.AWKWARD | geometries.WINDOWS | geometries.WINOGRAD)[name]

    def check_exact(actual, expected, pass_name, what):
        assert_exact(actual, expected, pass_name, case.geometry, what)

    x, weight, dy = case.integers()
    bias = np.ones(case.weight_shape[3], np.float32)
    (x, check_x), (weight, check_w), (dy, check_dy), (bias, check_b) = map(
        guarded, (x, weight, dy, bias)
    )
    y, check_y = guarded(np.zeros(case.y_shape, np.float32))
    functional.conv2d(x, weight, bias, **case.options, out=y)
    check_exact(y, reference.conv2d(x, weight, bias, **case.options), "conv2d", "y")
    dx, check_dx = guarded(np.zeros(case.x_shape, np.float32))
    functional.conv2d_grad_input(dy, weight, case.x_shape, **case.options, out=dx)
    expected = reference.conv2d_grad_input(dy, weight, case.x_shape, **case.options)
    check_exact(dx, expected, "conv2d_grad_input", "dx")
    dw, check_dw = guarded(np.zeros(case.weight_shape, np.float32))
    functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options, out=dw)
    expected = reference.conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    check_exact(dw, expected, "conv2d_grad_weight", "dw")
    assert_same(functional.conv2d_grad_bias(dy), reference.conv2d_grad_bias(dy), "db")
    dw, check_dw2 = guarded(np.zeros(case.weight_shape, np.float32))
    db, check_db = guarded(np.zeros(case.weight_shape[3], np.float32))
    through = {"activation": "relu", "y": y, **case.options}
    functional.conv2d_grad_weight(x, dy, case.kernel_size, **through, out=dw, bias_out=db)
    expected = reference.conv2d_grad_weight(x, dy, case.kernel_size, **through)
    check_exact(dw, expected, "conv2d_grad_weight", "dw, relu")
    assert_same(db, reference.conv2d_grad_bias(reference.relu_grad_input(dy, y)), "db, relu")
    functional.conv2d_grad_input(dy, weight, case.x_shape, **through, out=dx)
    expected = reference.conv2d_grad_input(dy, weight, case.x_shape, **through)
    check_exact(dx, expected, "conv2d_grad_input", "dx, relu")
    for check in (
        *(check_x, check_w, check_dy, check_b, check_y),
        *(check_dx, check_dw, check_dw2, check_db),
    ):
        check()


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize(
    ("how", "name"),
    [
        *(("direct", name) for name in geometries.TRANSPOSED | geometries.TRANSPOSED_WINDOWS),
        ("winograd", "3x3"),
    ],
)
def test_f6_nothing_beyond_an_array_of_a_transposed_convolution(
    isa, how, name, instruction_set, algorithm
):
    instruction_set(isa)
    algorithm(how)
    case = (geometries.TRANSPOSED | geometries.TRANSPOSED_WINDOWS)[name]
    x, weight, bias, dy = case.integers()
    arrays = (x, weight, bias, dy, *map(np.zeros_like, (dy, x, weight, bias)))
    (x, weight, bias, dy, y, dx, dw, db), checks = zip(*map(guarded, arrays), strict=True)
    functional.conv_transpose2d(x, weight, bias, **case.options, out=y)
    expected = reference.conv_transpose2d(x, weight, bias, **case.options)
    assert_exact(y, expected, "conv2d_grad_input", case.geometry, "y")
    functional.conv_transpose2d_grad_input(dy, weight, **case.options, out=dx)
    expected = reference.conv_transpose2d_grad_input(dy, weight, **case.options)
    assert_exact(dx, expected, "conv2d", case.geometry, "dx")
    size = case.weight_shape[:2]
    functional.conv_transpose2d_grad_weight(x, dy, size, **case.options, out=dw, bias_out=db)
    expected = reference.conv_transpose2d_grad_weight(x, dy, size, **case.options)
    assert_exact(dw, expected, "conv2d_grad_weight", case.geometry, "dw")
    for check in checks:
        check()


def unusual_forms(array):
    """The same numbers, stored in every way that NumPy allows."""
    yield "Fortran order", np.asfortranarray(array)
    yield "every second", np.repeat(array, 2, axis=-1)[..., ::2]
    yield "negative strides", np.ascontiguousarray(array[::-1, :, ::-1])[::-1, :, ::-1]
    yield "byte-swapped", array.astype(array.dtype.newbyteorder())
    misaligned = np.zeros(array.nbytes + 1, np.uint8)[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    assert not misaligned.flags.aligned
    yield "misaligned", misaligned
    read_only = array.copy()
    read_only.flags.writeable = False
    yield "read-only", read_only
    yield "list", array.tolist() if array.dtype == np.float64 else array


@pytest.mark.parametrize("dtype", DTYPES)
def test_f7_unusual_arrays_are_as_if_copied(dtype):
    case = geometries.AWKWARD["everything"]
    x, weight, dy = case.integers(dtype)
    y = functional.conv2d(x, weight, **case.options)
    dx = functional.conv2d_grad_input(dy, weight, x.shape, **case.options)
    dw = functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options)
    for (form, x2), (_, weight2), (_, dy2) in zip(
        *map(unusual_forms, (x, weight, dy)), strict=True
    ):
        assert_same(functional.conv2d(x2, weight2, **case.options), y, form)
        again = functional.conv2d_grad_input(dy2, weight2, x.shape, **case.options)
        assert_same(again, dx, form)
        again = functional.conv2d_grad_weight(x2, dy2, case.kernel_size, **case.options)
        assert_same(again, dw, form)
        through = {"activation": "relu", "y": dy2, **case.options}
        expected = reference.conv2d_grad_weight(x, dy, case.kernel_size, **through)
        again = functional.conv2d_grad_weight(x2, dy2, case.kernel_size, **through)
        assert_same(again, expected, f"with relu, {form}")
    pixel = np.broadcast_to(x[:1, :1, :1], x.shape)
    assert_same(
        functional.conv2d(pixel, weight, **case.options),
        functional.conv2d(pixel.copy(), weight, **case.options),
        "zero strides",
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_f7_an_equal_dtype_becomes_the_one_that_is_known_at_first_sight(dtype):
    """Results have their input's dtype: another object slowed every call behind it."""
    known = np.dtype(dtype)
    x = np.ones((1, 2, 2, 1), known.newbyteorder("="))
    for array in (x, x[:, ::-1], pickle.loads(pickle.dumps(x.astype(known)))):
        assert functional.relu(array).dtype is known
        assert functional.avg_pool2d(array, 2).dtype is known


def test_f7_an_output_that_cannot_be_written_is_refused():
    x, weight = np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1))
    out = np.zeros((1, 2, 2, 1))
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        functional.conv2d(x, weight, out=out)
    with pytest.raises(ValueError, match="out is changed in place and must be C-contiguous"):
        functional.conv2d(x, weight, out=np.zeros((1, 2, 4, 1))[:, :, ::2])


def test_f8_a_batch_of_none():
    weight = np.ones((3, 3, 2, 4), np.float32)
    x = np.ones((0, 5, 5, 2), np.float32)
    y = functional.conv2d(x, weight)
    assert y.shape == (0, 3, 3, 4)
    assert functional.conv2d_grad_input(y, weight, x.shape).shape == x.shape
    assert_same(functional.conv2d_grad_weight(x, y, 3), np.zeros_like(weight), "dw")
    assert_same(functional.conv2d_grad_bias(y), np.zeros(4, np.float32), "db")
    db = np.full(4, np.nan, np.float32)
    dw = functional.conv2d_grad_weight(x, y, 3, activation="tanh", y=y, bias_out=db)
    assert_same(dw, np.zeros_like(weight), "dw, tanh")
    assert_same(db, np.zeros(4, np.float32), "db, tanh")
    dx = functional.conv2d_grad_input(y, weight, x.shape, activation="tanh", y=y)
    assert dx.shape == x.shape
    pooled, indices = functional.max_pool2d(x, 2, return_indices=True)
    assert pooled.shape == (0, 2, 2, 2)
    assert functional.max_pool2d_grad_input(pooled, indices, x.shape, 2).shape == x.shape


@pytest.mark.parametrize(
    ("x_shape", "weight_shape", "message"),
    [
        ((1, 5, 5, 1), (0, 3, 1, 1), "weight has shape .* KH is 0"),
        ((1, 5, 5, 1), (3, 0, 1, 1), "weight has shape .* KW is 0"),
        ((1, 5, 5, 0), (3, 3, 0, 1), "x has shape .* C is 0"),
        ((1, 5, 5, 1), (3, 3, 1, 0), "weight has shape .* K is 0"),
        ((1, 0, 5, 1), (3, 3, 1, 1), "x has shape .* H is 0"),
    ],
)
def test_f8_empty_axes_are_refused(x_shape, weight_shape, message):
    with pytest.raises(ValueError, match=message):
        functional.conv2d(np.zeros(x_shape), np.zeros(weight_shape))


def test_f9_steps_whose_product_is_two_to_the_64():
    """Two columns 2**31 - 1 apart, of two float32 channels, at a stride of 2**30 rows."""
    case = geometries.Case(
        (1, 1, 1, 2),
        (1, 2, 2, 1),
        stride=(2**30, 1),
        padding=((0, 0), (2**30, 2**30 - 1)),
        dilation=(1, 2**31 - 1),
    )
    assert_exact_passes(functional, case, np.float32)


def test_f9_sizes_that_overflow():
    weight = np.zeros((1, 1, 1, 1), np.float32)
    pixel = np.zeros((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="input_shape must be from 0 to 2147483647"):
        functional.conv2d_grad_input(pixel, weight, (1, 2**31, 1, 1))
    with pytest.raises(ValueError, match="too many"):
        functional.conv2d_grad_input(pixel, weight, (2**30, 2**30, 2, 1))
    with pytest.raises(ValueError, match="too many"):
        functional.conv2d(pixel, weight, padding=2**30)
    with pytest.raises(MemoryError):
        functional.conv2d(pixel, weight, padding=2**25)
    with pytest.raises(ValueError, match="too many"):
        functional.max_pool2d_grad_input(
            pixel, np.zeros((1, 1, 1, 1), np.int32), (1, 2**31 - 1, 2**31 - 1, 5), 1
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride must be from 1"),
        ({"stride": -1}, "stride must be from 1"),
        ({"stride": 2**31}, "stride must be from 1 to 2147483647"),
        ({"stride": (1, 2, 3)}, "stride=.* has 3 entries"),
        ({"stride": 1.5}, "stride must be an int"),
        ({"stride": "two"}, "stride must be an int"),
        ({"dilation": 0}, "dilation must be from 1"),
        ({"dilation": 10**18}, "dilation must be from 1"),
        ({"padding": -1}, "padding must be from 0"),
        ({"padding": 10**18}, "padding must be from 0"),
        ({"padding": ((1, 2), (3, -4))}, "padding must be from 0"),
        ({"padding": "some"}, "padding='some' is unknown"),
        ({"padding": None}, "padding must be an int"),
        ({"groups": 0}, "groups must be from 1"),
        ({"groups": 3}, "groups=3 must divide"),
        ({"groups": -2}, "groups must be from 1"),
    ],
)
def test_f10_options_out_of_range(options, message):
    x, weight = np.zeros((1, 6, 6, 4)), np.zeros((3, 3, 4, 2))
    dy = np.zeros((1, 4, 4, 2))
    for call in (
        lambda: functional.conv2d(x, weight, **options),
        lambda: functional.conv2d_grad_input(dy, weight, x.shape, **options),
        lambda: functional.conv2d_grad_weight(x, dy, 3, **options),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            call()


X = np.zeros((2, 6, 5, 4))
WEIGHT = np.zeros((3, 3, 4, 2))
DY = np.zeros((2, 4, 3, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: functional.conv2d(np.moveaxis(X, -1, 1), WEIGHT),
            ValueError,
            r"x looks like NCHW, pass numpy.moveaxis\(x, 1, -1\)",
        ),
        (
            lambda: functional.conv2d(X, WEIGHT.transpose(3, 2, 0, 1)),
            ValueError,
            r"weight looks like OIHW, pass numpy.transpose\(weight, \(2, 3, 1, 0\)\)",
        ),
        (lambda: functional.conv2d(X[0, 0], WEIGHT), ValueError, r"x has shape \(5, 4\)"),
        (
            lambda: functional.conv2d(X, WEIGHT[0]),
            ValueError,
            r"weight.shape is \(3, 4, 2\): expected four sizes",
        ),
        (
            lambda: functional.conv2d(X.astype("f"), WEIGHT),
            TypeError,
            "weight has dtype float64 but x has dtype float32",
        ),
        (lambda: functional.conv2d(X.astype(int), WEIGHT), TypeError, "x has dtype int64"),
        (lambda: functional.conv2d(X.astype(np.float16), WEIGHT), TypeError, "x has dtype float16"),
        (lambda: functional.conv2d(X.astype(complex), WEIGHT), TypeError, "x has dtype complex128"),
        (lambda: functional.conv2d(X.astype(object), WEIGHT), TypeError, "x has dtype object"),
        (lambda: functional.conv2d("image", WEIGHT), TypeError, "x has dtype <U5"),
        (lambda: functional.conv2d(None, WEIGHT), TypeError, "x has dtype object"),
        (lambda: functional.conv2d(X, WEIGHT, np.zeros(3)), ValueError, "bias has shape"),
        (
            lambda: functional.conv2d(X, WEIGHT, np.zeros(2, "f")),
            TypeError,
            "bias has dtype float32",
        ),
        (
            lambda: functional.conv2d(X, WEIGHT, activation="gelu"),
            ValueError,
            "activation='gelu' is unknown",
        ),
        (lambda: functional.conv2d(X, WEIGHT, algorithm="fft"), ValueError, "algorithm is 'fft'"),
        (lambda: functional.conv2d(X, WEIGHT, out=np.zeros((2, 4, 3, 1))), ValueError, "out has"),
        (lambda: functional.conv2d(X, WEIGHT, out=DY.astype("f")), TypeError, "out has dtype"),
        (
            lambda: functional.conv2d(X, WEIGHT, out=[1.0]),
            TypeError,
            "out is changed in place: expected",
        ),
        (
            lambda: functional.conv2d_grad_input(DY[:, :3], WEIGHT, X.shape),
            ValueError,
            r"dy has shape \(2, 3, 3, 2\), expected \(2, 4, 3, 2\)",
        ),
        (
            lambda: functional.conv2d_grad_input(DY, WEIGHT, X.shape[1:]),
            ValueError,
            r"input_shape=\(6, 5, 4\) has 3 sizes and dy has shape",
        ),
        (
            lambda: functional.conv2d_grad_input(DY, WEIGHT, (2, 6, 5, "4")),
            TypeError,
            "input_shape must be",
        ),
        (lambda: functional.conv2d_grad_weight(X, DY, (3, 4)), ValueError, "dy has shape"),
        (
            lambda: functional.conv2d_grad_weight(X, DY[0], 3),
            ValueError,
            "expected both with the batch",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY.astype("f"), 3),
            TypeError,
            "dy has dtype float32",
        ),
        (lambda: functional.conv2d_grad_weight(X, DY, "3"), TypeError, "kernel_size must be"),
        (lambda: functional.conv2d_grad_bias(DY[..., :0]), ValueError, "at least one channel"),
        (
            lambda: functional.conv2d_grad_input(DY, WEIGHT, X.shape, y=DY),
            ValueError,
            "y is given without activation",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, activation="tanh"),
            ValueError,
            "activation='tanh' is given without y",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, activation="gelu", y=DY),
            ValueError,
            "activation='gelu' is unknown",
        ),
        (
            lambda: functional.conv2d_grad_input(DY, WEIGHT, X.shape, activation="relu", y=DY[:1]),
            ValueError,
            r"y has shape \(1, 4, 3, 2\), expected \(2, 4, 3, 2\): the shape of dy",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, activation="relu", y=DY.astype("f")),
            TypeError,
            "y has dtype float32 but dy has dtype float64",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, bias_out=np.zeros(4)),
            ValueError,
            r"bias_out has shape \(4,\), expected \(2,\)",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, bias_out=np.zeros(2, "f")),
            TypeError,
            "bias_out has dtype float32",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, bias_out=np.zeros(4)[::2]),
            ValueError,
            "bias_out is changed in place and must be C-contiguous",
        ),
        (
            lambda: functional.conv2d_grad_weight(X, DY, 3, bias_out=[0.0, 0.0]),
            TypeError,
            "bias_out is changed in place: expected a numpy.ndarray, got list",
        ),
    ],
)
def test_f11_arguments_that_do_not_fit(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_f11_out_may_not_overlap_an_input():
    memory = np.ones(200)
    x = memory[:100].reshape(1, 10, 10, 1)
    out = memory[64:128].reshape(1, 8, 8, 1)
    with pytest.raises(ValueError, match="out overlaps an input"):
        functional.conv2d(x, np.ones((3, 3, 1, 1)), out=out)
    y = memory[100:164].reshape(1, 8, 8, 1)
    with pytest.raises(ValueError, match="out overlaps an input"):
        functional.conv2d_grad_input(
            np.ones(y.shape),
            np.ones((3, 3, 1, 1)),
            x.shape,
            activation="relu",
            y=y,
            out=memory[64:164].reshape(x.shape),
        )
    dw = np.zeros((3, 3, 1, 1))
    for bias_out in (memory[120:121], memory[:1], dw[0, 0, 0]):
        with pytest.raises(ValueError, match="bias_out overlaps an input or a result"):
            functional.conv2d_grad_weight(
                x, np.ones(y.shape), 3, activation="relu", y=y, out=dw, bias_out=bias_out
            )
