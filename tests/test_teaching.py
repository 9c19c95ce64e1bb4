"""The helpers of a derivation, against each other, the reference, SciPy and numbers by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from geometries import AWKWARD, Case, cases
from golden import G1, G1_TRUE_CONVOLUTION, G3, G3_COLUMNS, G3_INTERLEAVED, G3_ROWS
from rot180 import reference
from rot180.teaching import (
    col2im,
    conv_matrix,
    convolve2d,
    correlate2d,
    full_mode_size,
    im2col,
    interleave_zeros,
    loops,
    rot180,
)

UNGROUPED = {name: case for name, case in AWKWARD.items() if case.groups == 1}
awkward = pytest.mark.parametrize("case", AWKWARD.values(), ids=AWKWARD.keys())
ungrouped = pytest.mark.parametrize("case", UNGROUPED.values(), ids=UNGROUPED.keys())


def passes(case: Case, x, weight, dy):
    """y, dx and dw of the reference."""
    return (
        reference.conv2d(x, weight, **case.options),
        reference.conv2d_grad_input(dy, weight, x.shape, **case.options),
        reference.conv2d_grad_weight(x, dy, case.kernel_size, **case.options),
    )


def without_groups(case: Case):
    options = case.options
    del options["groups"]
    return options


# --- rot180, correlate2d, convolve2d


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 4), (2, 3, 4, 5)])
def test_rot180_turns_the_first_two_axes_only(shape):
    w = np.arange(np.prod(shape)).reshape(shape)
    turned = rot180(w)
    for r, s in np.ndindex(shape[:2]):
        np.testing.assert_array_equal(turned[r, s], w[1 - r, 2 - s])
    assert not np.shares_memory(turned, w)
    np.testing.assert_array_equal(rot180(turned), w)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize(
    ("size", "kernel"), [((5, 7), (2, 3)), ((6, 5), (4, 4)), ((3, 4), (3, 1)), ((2, 3), (5, 4))]
)
def test_modes_are_scipys(size, kernel, mode):
    signal = pytest.importorskip("scipy.signal")
    rng = np.random.default_rng(0)
    x, w = rng.integers(-9, 9, size), rng.integers(-9, 9, kernel)
    if mode == "valid" and kernel > size:
        return  # an error here; SciPy exchanges the two
    np.testing.assert_array_equal(correlate2d(x, w, mode), signal.correlate2d(x, w, mode))
    np.testing.assert_array_equal(convolve2d(x, w, mode), signal.convolve2d(x, w, mode))


def test_modes_by_hand():
    x, w = np.array([[1, 2, 3, 4]]), np.array([[1, 10]])
    assert correlate2d(x, w, "valid").tolist() == [[21, 32, 43]]
    assert correlate2d(x, w, "full").tolist() == [[10, 21, 32, 43, 4]]
    assert correlate2d(x, w, "same").tolist() == [[21, 32, 43, 4]]
    assert convolve2d(x, w, "valid").tolist() == [[12, 23, 34]]
    assert convolve2d(x, w, "full").tolist() == [[1, 12, 23, 34, 40]]
    assert convolve2d(x, w, "same").tolist() == [[1, 12, 23, 34]]
    np.testing.assert_array_equal(correlate2d(x, w), correlate2d(x, w, "full"))


def test_golden_backward_pass_by_correlation():
    """Turned kernel under a correlation, the kernel as it is under a true convolution."""
    x, weight, dy, y, dx, dw = (a.squeeze() for a in G1[:6])
    np.testing.assert_array_equal(correlate2d(x, weight, "valid"), y)
    np.testing.assert_array_equal(correlate2d(dy, rot180(weight), "full"), dx)
    np.testing.assert_array_equal(convolve2d(dy, weight, "full"), dx)
    np.testing.assert_array_equal(correlate2d(x, dy, "valid"), dw)

    x, weight, dy, y, dx, dw = (a.squeeze() for a in G1_TRUE_CONVOLUTION[:6])
    np.testing.assert_array_equal(convolve2d(x, weight, "valid"), y)
    np.testing.assert_array_equal(correlate2d(dy, weight, "full"), dx)
    np.testing.assert_array_equal(rot180(correlate2d(x, dy, "valid")), dw)


def test_whole_numbers_do_not_wrap_around():
    pixels = np.full((2, 2), 200, np.uint8)
    assert correlate2d(pixels, pixels, "valid").tolist() == [[160000]]
    assert correlate2d(pixels, np.full((1, 1), -1, np.int8), "valid").dtype == np.int64
    assert correlate2d(pixels, np.ones((1, 1), np.float32), "valid").dtype == np.float32


def test_padding_is_not_multiplied():
    y = correlate2d(np.ones((2, 2)), np.array([[np.inf, 1], [1, 1]]), "full")
    assert not np.isnan(y).any()
    assert np.isinf(y).sum() == 4


# --- the definition of dx: interleave, turn, correlate in full mode, append the remainder, crop


@ungrouped
def test_definition_of_the_input_gradient(case):
    x, weight, dy = case.integers()
    geometry = case.geometry
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    kernel = rot180(interleave_zeros(weight.reshape(*weight.shape[:2], -1), dh - 1, dw - 1))
    kernel = kernel.reshape(*kernel.shape[:2], *weight.shape[2:])
    kernel = kernel.transpose(0, 1, 3, 2)  # input and output channels exchanged
    spread = np.stack([interleave_zeros(image, sh - 1, sw - 1) for image in dy])
    dx = reference.conv2d(spread, kernel, padding="full")
    rows, columns = geometry.remainder
    dx = np.pad(dx, ((0, 0), (0, rows), (0, columns), (0, 0)))
    (top, _), (left, _) = geometry.padding
    dx = dx[:, top : top + x.shape[1], left : left + x.shape[2]]
    np.testing.assert_array_equal(
        dx, reference.conv2d_grad_input(dy, weight, x.shape, **case.options)
    )
    assert dx.any()


def test_golden_interleaving():
    np.testing.assert_array_equal(interleave_zeros(G3, G3_ROWS, G3_COLUMNS), G3_INTERLEAVED)


def test_interleaving_keeps_channels_dtype_and_input():
    x = np.arange(1, 13, dtype=np.float32).reshape(2, 3, 2)
    y = interleave_zeros(x, 2, 1)
    assert (y.shape, y.dtype) == ((4, 5, 2), np.float32)
    np.testing.assert_array_equal(y[::3, ::2], x)
    assert np.count_nonzero(y) == x.size
    copy = interleave_zeros(x, 0, 0)
    np.testing.assert_array_equal(copy, x)
    assert not np.shares_memory(copy, x)


def test_full_mode_size_by_brute_force():
    assert full_mode_size(10, 3, 2) == (6, 2, 1)
    assert full_mode_size(4, 3) == (6, 2, 2)
    for length in range(1, 12):
        for kernel in range(1, 7):
            for stride in range(1, 6):
                # From the last window that ends on the first entry, while windows begin inside.
                starts = range(1 - kernel, length, stride)
                out, left, right = full_mode_size(length, kernel, stride)
                assert (out, left) == (len(starts), kernel - 1)
                assert right == starts[-1] + kernel - length


# --- matrices


def test_matrix_of_a_4x4_image_and_a_3x3_kernel():
    matrix = conv_matrix(np.arange(1.0, 10).reshape(3, 3), (4, 4))
    assert matrix.shape == (4, 16)
    assert np.count_nonzero(matrix) == 36
    assert np.unique(matrix[matrix != 0]).tolist() == list(range(1, 10))


@awkward
def test_convolution_matrix(case):
    x, weight, dy = case.integers(np.int64 if case.groups == 1 else np.float64)
    matrix = conv_matrix(weight, case.x_shape[1:], **case.options)
    assert matrix.dtype == weight.dtype
    x, weight, dy = (a.astype(np.float64) for a in (x[:1], weight, dy[:1]))
    y, dx, _ = passes(case, x, weight, dy)
    np.testing.assert_array_equal(matrix @ x.ravel(), y.ravel())
    np.testing.assert_array_equal(matrix.T @ dy.ravel(), dx.ravel())


def test_matrix_of_a_plain_kernel():
    x, w = np.arange(12).reshape(3, 4), np.array([[1, 2], [3, 4]])
    y = conv_matrix(w, x.shape, padding=1) @ x.ravel()
    np.testing.assert_array_equal(y.reshape(4, 5), correlate2d(x, w, "full"))


@ungrouped
def test_im2col_and_col2im_are_the_three_passes(case):
    x, weight, dy = case.integers()
    options = without_groups(case)
    y, dx, dw = passes(case, x, weight, dy)
    cols = im2col(x, case.kernel_size, **options)
    matrix, delta = weight.reshape(-1, weight.shape[3]), dy.reshape(-1, dy.shape[3])
    np.testing.assert_array_equal((cols @ matrix).reshape(y.shape), y)
    np.testing.assert_array_equal((cols.T @ delta).reshape(dw.shape), dw)
    scattered = col2im(delta @ matrix.T, x.shape, case.kernel_size, **options)
    np.testing.assert_array_equal(scattered, dx)


def test_im2col_of_one_image_and_of_none():
    x = np.arange(2 * 4 * 5 * 3.0).reshape(2, 4, 5, 3)
    cols = im2col(x, (3, 2))
    np.testing.assert_array_equal(im2col(x[1], (3, 2)), cols[8:])
    np.testing.assert_array_equal(
        col2im(cols[8:], (4, 5, 3), (3, 2)), col2im(cols, x.shape, (3, 2))[1]
    )
    assert im2col(x[:0], 2).shape == (0, 12)
    assert col2im(np.ones((0, 12)), (0, 4, 5, 3), 2).shape == (0, 4, 5, 3)


# --- loops


def check_loops(case: Case):
    x, weight, dy = (case.integers()[0][:1], case.integers()[1], case.integers()[2][:1])
    options = without_groups(case)
    y, dx, dw = passes(case, x, weight, dy)
    np.testing.assert_array_equal(loops.conv2d(x[0], weight, **options), y[0])
    by_loops = loops.conv2d_grad_input(dy[0], weight, x.shape[1:], **options)
    np.testing.assert_array_equal(by_loops, dx[0])
    by_loops = loops.conv2d_grad_weight(x[0], dy[0], case.kernel_size, **options)
    np.testing.assert_array_equal(by_loops, dw)
    np.testing.assert_array_equal(loops.conv2d_grad_bias(dy[0]), reference.conv2d_grad_bias(dy))


@ungrouped
def test_loops_are_the_reference(case):
    check_loops(case)


@settings(max_examples=200, deadline=None)
@given(cases(max_batch=1, max_groups=1))
def test_loops_are_the_reference_everywhere(case):
    check_loops(case)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_loops_add_the_bias_and_keep_the_dtype(dtype):
    x, weight, _ = UNGROUPED["plain"].integers(dtype)
    y = loops.conv2d(x[0], weight, np.arange(4).astype(dtype))
    assert y.dtype == dtype
    np.testing.assert_array_equal(y - loops.conv2d(x[0], weight), np.zeros(y.shape) + range(4))


def test_windows_over_a_position_by_brute_force():
    for length in range(1, 14):
        for window in range(1, length + 1):
            for stride in range(1, 6):
                out = (length - window) // stride + 1
                for position in range(length):
                    covering = [
                        i for i in range(out) if i * stride <= position < i * stride + window
                    ]
                    found = list(loops.windows_over(position, window, stride, out))
                    assert found == covering


# --- errors

X, W = np.ones((4, 5)), np.ones((2, 3))
IMAGE, KERNEL, DY = np.ones((4, 5, 2)), np.ones((2, 3, 2, 3)), np.ones((3, 3, 3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: rot180(np.ones(3)), ValueError, r"w has shape \(3,\), expected \(KH, KW\)"),
        (lambda: rot180([[1], [1, 2]]), TypeError, "w must be an array"),
        (lambda: correlate2d(IMAGE, W), ValueError, r"x has shape .*expected \(H, W\)"),
        (lambda: correlate2d(X, KERNEL), ValueError, r"w has shape .*expected \(KH, KW\)"),
        (lambda: correlate2d(X, W, "circular"), ValueError, "mode='circular' is unknown"),
        (lambda: convolve2d(X, W, None), ValueError, "mode=None is unknown"),
        (lambda: correlate2d(W, X, "valid"), ValueError, "kernel covers 4 in height.* 2"),
        (lambda: correlate2d(X[:0], W), ValueError, "H is 0"),
        (lambda: correlate2d(X, W.astype(np.float32)), TypeError, "w has dtype float32"),
        (lambda: correlate2d(X + 0j, W), TypeError, "x has dtype complex128"),
        (lambda: correlate2d(X, W.astype(np.uint64)), TypeError, "w has dtype uint64"),
        (lambda: interleave_zeros(X, -1, 0), ValueError, "rows must be 0 or more, got -1"),
        (lambda: interleave_zeros(X, 0, 1.5), TypeError, "columns must be an int"),
        (lambda: interleave_zeros(KERNEL, 1, 1), ValueError, "x has shape"),
        (lambda: full_mode_size(0, 3, 1), ValueError, "length"),
        (lambda: full_mode_size(3, -1, 1), ValueError, "kernel"),
        (lambda: full_mode_size(3, 3, 1.0), TypeError, "stride"),
        (lambda: conv_matrix(W, (4, 5, 1)), ValueError, r"input_shape is .*expected \(H, W\)"),
        (lambda: conv_matrix(KERNEL, (4, 5)), ValueError, r"input_shape is .*expected \(H, W, C\)"),
        (lambda: conv_matrix(KERNEL, (4, 5, 3)), ValueError, "channels"),
        (lambda: conv_matrix(W, 4), TypeError, "input_shape must be a tuple of ints"),
        (lambda: conv_matrix(W[0], (4, 5)), ValueError, "w has shape"),
        (lambda: im2col(X, 2), ValueError, r"x has shape \(4, 5\).*newaxis"),
        (lambda: im2col(IMAGE, 6), ValueError, "kernel covers 6"),
        (lambda: im2col(IMAGE, (2, 2), stride=0), ValueError, "stride"),
        (lambda: col2im(np.ones((9, 12)), (4, 5), 2), ValueError, "input_shape is"),
        (lambda: col2im(np.ones((9, 12)), (4, 5, 2), 2), ValueError, r"cols has .*\(12, 8\)"),
        (lambda: loops.conv2d(IMAGE[None], KERNEL), ValueError, r"x has .*expected \(H, W, C\)"),
        (lambda: loops.conv2d(IMAGE, W), ValueError, "weight"),
        (lambda: loops.conv2d(IMAGE, KERNEL, np.ones(2)), ValueError, "bias has shape"),
        (
            lambda: loops.conv2d(IMAGE, KERNEL, np.ones(3, np.float32)),
            TypeError,
            "bias has dtype float32",
        ),
        (
            lambda: loops.conv2d_grad_input(DY, KERNEL, (1, 4, 5, 2)),
            ValueError,
            "input_shape is .* one image",
        ),
        (lambda: loops.conv2d_grad_input(DY, KERNEL, (5, 5, 2)), ValueError, "dy has shape"),
        (lambda: loops.conv2d_grad_weight(IMAGE, DY, 2), ValueError, "dy has shape"),
        (lambda: loops.conv2d_grad_weight(IMAGE, W, 2), ValueError, "dy has shape"),
        (lambda: loops.conv2d_grad_bias(W), ValueError, r"dy has .*expected \(OH, OW, K\)"),
    ],
)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
