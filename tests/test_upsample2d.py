"""Upsampling against numbers that PyTorch gave, and the kernels against `reference`."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from comparison import assert_close, assert_same
from finite_differences import assert_gradient
from guard_bands import guarded
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
MODULES = [functional, reference]
MODES = {
    "nearest": {},
    "bilinear": {"mode": "bilinear"},
    "bilinear, corners aligned": {"mode": "bilinear", "align_corners": True},
}

# What torch.nn.functional.interpolate makes of X in float64, and of dy = 1, 2, 3, ... its autograd.
X = np.array([[1.0, 2, 4], [8, 16, 32]])[..., np.newaxis]
TORCH = {
    "nearest, a half more columns": (
        ((2, 1.5), "nearest", False),
        [[1, 1, 2, 4], [1, 1, 2, 4], [8, 8, 16, 32], [8, 8, 16, 32]],
        [[14, 10, 12], [46, 26, 28]],
    ),
    "nearest, half of the rows": (
        ((0.5, 2), "nearest", False),
        [[1, 1, 2, 2, 4, 4]],
        [[3, 7, 11], [0, 0, 0]],
    ),
    "bilinear": (
        (2, "bilinear", False),
        [
            [1, 1.25, 1.75, 2.5, 3.5, 4],
            [2.75, 3.4375, 4.8125, 6.875, 9.625, 11],
            [6.25, 7.8125, 10.9375, 15.625, 21.875, 25],
            [8, 10, 14, 20, 28, 32],
        ],
        [[21.5, 29, 36.5], [63.5, 71, 78.5]],
    ),
    "bilinear, corners aligned": (
        (2, "bilinear", True),
        [
            [1, 1.4, 1.8, 2.4, 3.2, 4],
            [10 / 3, 14 / 3, 6, 8, 32 / 3, 40 / 3],
            [17 / 3, 119 / 15, 10.2, 13.6, 272 / 15, 68 / 3],
            [8, 11.2, 14.4, 19.2, 25.6, 32],
        ],
        [[20, 36, 34], [56, 84, 70]],
    ),
    "bilinear, a half more columns": (
        ((1, 1.5), "bilinear", False),
        [[1, 1.5, 7 / 3, 11 / 3], [8, 12, 56 / 3, 88 / 3]],
        [[2, 25 / 6, 23 / 6], [8, 61 / 6, 47 / 6]],
    ),
    "bilinear, corners aligned, fewer columns": (
        ((1.5, 0.67), "bilinear", True),
        [[1, 4], [4.5, 18], [8, 32]],
        [[2.5, 0, 4], [6.5, 0, 8]],
    ),
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("name", TORCH)
def test_as_pytorch_has_it(module, name):
    (scale, mode, align), expected, gradient = TORCH[name]
    options = {"mode": mode, "align_corners": align}
    y = module.upsample2d(X, scale, **options)
    np.testing.assert_allclose(y[:, :, 0], expected, rtol=1e-14)
    dy = np.arange(1.0, y.size + 1).reshape(y.shape)
    dx = module.upsample2d_grad_input(dy, X.shape, scale, **options)
    np.testing.assert_allclose(dx[:, :, 0], gradient, rtol=1e-13)


@st.composite
def cases(draw, scales):
    shape = draw(st.tuples(*(st.integers(0, 3), *[st.integers(1, 7)] * 2, st.integers(1, 21))))
    scale = draw(st.tuples(scales, scales))
    enough = all(int(size * s) >= 1 for size, s in zip(shape[1:3], scale, strict=True))
    return shape, scale if enough else (1.0, 1.0), MODES[draw(st.sampled_from(list(MODES)))]


def integers(shape, dtype, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(case=cases(st.one_of(st.integers(1, 5), st.floats(0.3, 4, exclude_min=True))))
def test_the_kernels_are_within_rounding(dtype, case):
    shape, scale, options = case
    x = integers(shape, dtype)
    y = functional.upsample2d(x, scale, **options)
    assert y.dtype == dtype
    expected = reference.upsample2d(x.astype(np.float64), scale, **options)
    assert_close(y, expected, 16, 3.0, "y")
    dy = integers(y.shape, dtype, 1)
    dx = functional.upsample2d_grad_input(dy, shape, scale, **options)
    assert dx.dtype == dtype
    expected = reference.upsample2d_grad_input(dy.astype(np.float64), shape, scale, **options)
    assert_close(dx, expected, float(np.prod(y.shape[1:3])) + 16, 3.0, "dx")
    # Every output is a mean of pixels: all shares of one come to 1.
    if y.size:
        shares = functional.upsample2d_grad_input(np.ones_like(dy), shape, scale, **options)
        np.testing.assert_allclose(shares.sum(), dy.size, rtol=1e-5)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_whole_numbers_are_exact_with_every_instruction_set(isa, dtype, instruction_set):
    """Where shares are halves, quarters and eighths, and for the nearest pixel whatever the scale.

    In every number of channels, with NaN beyond the arrays.
    """
    instruction_set(isa)
    for channels in (*range(1, 20), 32, 33):
        for scale, options in (
            (2, MODES["nearest"]),
            ((3, 1.7), MODES["nearest"]),
            ((2, 4), MODES["bilinear"]),
            ((5 / 3, 1), MODES["bilinear, corners aligned"]),  # 3 to 5 rows
        ):
            x, _ = guarded(integers((2, 3, 5, channels), dtype))
            y = functional.upsample2d(x, scale, **options)
            assert_same(y, reference.upsample2d(x, scale, **options), "y")
            dy, _ = guarded(integers(y.shape, dtype, 1))
            dx = functional.upsample2d_grad_input(dy, x.shape, scale, **options)
            assert_same(dx, reference.upsample2d_grad_input(dy, x.shape, scale, **options), "dx")


def test_nothing_is_written_beyond_an_array(monkeypatch):
    checks = []

    def guarded_array(shape, dtype):
        array, check = guarded(np.zeros(shape, dtype))
        checks.append(check)
        return array

    monkeypatch.setattr(sys.modules["rot180.functional.upsample2d"], "new_array", guarded_array)
    for channels in (1, 3, 10, 16, 19):
        x = integers((2, 3, 5, channels), np.float32)
        for options in MODES.values():
            y = functional.upsample2d(x, (2, 1.5), **options)
            functional.upsample2d_grad_input(y, x.shape, (2, 1.5), **options)
    assert len(checks) == 30
    for check in checks:
        check()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("scale", [1, 2, (3, 1), (1.5, 2.3), (0.7, 0.5)])
@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_is_the_transpose(module, scale, mode):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 5, 4, 3))
    y = module.upsample2d(x, scale, **MODES[mode])
    dy = rng.normal(size=y.shape)
    dx = module.upsample2d_grad_input(dy, x.shape, scale, **MODES[mode])
    product = np.vdot(y, dy)
    assert product != 0, "a check on zeros checks nothing"
    assert np.isclose(product, np.vdot(x, dx), rtol=1e-12, atol=0)
    assert_gradient(dx, lambda x: float(np.vdot(module.upsample2d(x, scale, **MODES[mode]), dy)), x)


@pytest.mark.parametrize("module", MODULES)
def test_a_share_of_zero_is_no_term(module):
    """An infinite pixel does not reach outputs that lie on its neighbour."""
    x = np.array([[0.0, np.inf, 1.0]])[..., np.newaxis]
    y = module.upsample2d(x, (1, 5 / 3), mode="bilinear", align_corners=True)
    assert y.ravel().tolist() == [0, np.inf, np.inf, np.inf, 1]
    dx = module.upsample2d_grad_input(
        np.array([[1.0, 1, np.inf, 1, 1]])[..., np.newaxis],
        x.shape,
        (1, 5 / 3),
        mode="bilinear",
        align_corners=True,
    )
    assert dx.ravel().tolist() == [1.5, np.inf, 1.5]


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("size", [1, 2, 3, 49, 1000])
def test_nearest_pixels_of_whole_scales_are_repeated(module, size):
    """Also where floats go wrong: floor(49 * (1 / 49)) would be 0."""
    x = np.arange(3.0).reshape(1, 3, 1)
    y = module.upsample2d(x, (1, size))
    assert y.ravel().tolist() == np.repeat([0.0, 1, 2], size).tolist()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("mode", MODES)
def test_one_image_and_the_empty_batch(module, mode):
    x = integers((2, 3, 4, 5), np.float32)
    batch = module.upsample2d(x, 2, **MODES[mode])
    assert_same(module.upsample2d(x[1], 2, **MODES[mode]), batch[1], "one image")
    dx = module.upsample2d_grad_input(batch, x.shape, 2, **MODES[mode])
    one = module.upsample2d_grad_input(batch[1], x.shape[1:], 2, **MODES[mode])
    assert_same(one, dx[1], "dx of one image")
    none = module.upsample2d(x[:0], 2, **MODES[mode])
    assert none.shape == (0, 6, 8, 5)
    assert module.upsample2d_grad_input(none, (0, 3, 4, 5), 2, **MODES[mode]).shape == (0, 3, 4, 5)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda f: f.upsample2d(X, 0), ValueError, "scale_factor must be greater than 0, got 0"),
        (lambda f: f.upsample2d(X, -2), ValueError, "scale_factor must be at least 0"),
        (lambda f: f.upsample2d(X, np.inf), ValueError, "scale_factor must be .* finite"),
        (lambda f: f.upsample2d(X, np.nan), ValueError, "scale_factor must be"),
        (lambda f: f.upsample2d(X, None), TypeError, "scale_factor must be a number"),
        (lambda f: f.upsample2d(X, (1, 2, 3)), ValueError, "scale_factor=.* has 3 entries"),
        (lambda f: f.upsample2d(X, 1e12), ValueError, r"output would be 2e\+12 in height"),
        (lambda f: f.upsample2d(X, (2, 1e-9)), ValueError, "output would be 3e-09 in width"),
        (lambda f: f.upsample2d(X, 4e8), ValueError, "elements are too many"),
        (lambda f: f.upsample2d(X, 2, mode="cubic"), ValueError, "mode='cubic' is unknown"),
        (lambda f: f.upsample2d(X, 2, align_corners=True), ValueError, "align_corners=True is"),
        (lambda f: f.upsample2d(X[0], 2), ValueError, r"x has shape \(3, 1\)"),
        (lambda f: f.upsample2d(X[:0], 2), ValueError, "x has shape .* H is 0"),
        (lambda f: f.upsample2d(X.astype(int), 2), TypeError, "x has dtype int64"),
        (
            lambda f: f.upsample2d_grad_input(X, X.shape, 2),
            ValueError,
            r"dy has shape \(1, 2, 3, 1\), expected \(1, 4, 6, 1\): the shape of upsample2d's",
        ),
        (
            lambda f: f.upsample2d_grad_input(X, (1, *X.shape), 1),
            ValueError,
            r"input_shape=\(1, 2, 3, 1\) has 4 sizes",
        ),
        (
            lambda f: f.upsample2d_grad_input(X, X.shape, 1, mode="linear"),
            ValueError,
            "mode='linear' is unknown",
        ),
    ],
)
def test_errors_name_the_argument(module, call, error, message):
    with pytest.raises(error, match=message):
        call(module)


def test_the_core_refuses_what_functional_would():
    from rot180 import _core

    shape = _core.Resize2dShape((1, 2, 3, 1), (4, 6))
    x, y, nearest = np.zeros((1, 2, 3, 1)), np.zeros((1, 4, 6, 1)), _core.Interpolation.nearest
    _core.upsample2d(shape, nearest, (2, 2), x, y)
    for wrong in (
        (shape, nearest, (0, 2), x, y),
        (shape, nearest, (2, np.nan), x, y),
        (shape, nearest, (2, 2), y, x),
        (shape, nearest, (2, 2), x, y.astype("f")),
        (shape, "nearest", (2, 2), x, y),
        (None, nearest, (2, 2), x, y),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.upsample2d(*wrong)
        with pytest.raises((ValueError, TypeError)):
            _core.upsample2d_grad_input(*wrong[:3], *wrong[:2:-1])
    _core.upsample2d(shape, nearest, (1e-300, 1e300), x, y)  # places beyond x: the last pixel
    for sizes in (((1, 2, 3, 1), (0, 6)), ((1, 0, 3, 1), (4, 6)), ((1, 2**31, 3, 1), (4, 6))):
        with pytest.raises(ValueError, match="out of range"):
            _core.Resize2dShape(*sizes)
    with pytest.raises(ValueError, match="too large"):
        _core.Resize2dShape((1, 2, 3, 2**31 - 1), (2**31 - 1, 6))
