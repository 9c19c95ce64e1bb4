"""Normalisation against numbers that PyTorch gave, and the kernels against `reference`."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from rot180 import functional, reference
from rot180.reference.activation import activate_grad_input

DTYPES = [np.float32, np.float64]
ACTIVATIONS = [None, "relu", "leaky_relu", "sigmoid", "tanh"]
MODULES = [functional, reference]

# Two images of 2x2 pixels with two channels, and what torch.nn.functional.batch_norm with
# momentum 0.3 and eps 0.5 makes of them in float64; dx, dw and db by its autograd.
X = np.array([1, 2, 3, 0, 5, -1, 2, 2, 0, 4, 1, 7, 4, 3, 8, -2], float).reshape(2, 2, 2, 2)
DY = np.array([1, -1, 2, 0, 3, 1, -2, 2, 0, 1, 1, -1, 2, 1, -3, 2], float).reshape(2, 2, 2, 2)
WEIGHT, BIAS = np.array([2.0, -1.0]), np.array([0.5, 1.0])
RUNNING_MEAN, RUNNING_VAR = np.array([1.0, 2.0]), np.array([3.0, 4.0])
MOMENTUM, EPS = 0.3, 0.5
MOVED_MEAN, MOVED_VAR = [1.6, 1.9625], [4.157142857, 5.323214286]
# fmt: off
TRAINING = {
    None: {
        "y": [-1.068929081, 0.9554122038, 0.5, 1.668816943, 2.068929081, 2.025519313,
              -0.2844645406, 0.9554122038, -1.853393622, 0.2420074645, -1.068929081,
              -0.8280996445, 1.284464541, 0.5987098341, 4.422322703, 2.382221682],
        "dx": [0.1206868524, 0.5708656214, 1.176696811, 0.3545749201, 2.232706769,
               0.06807838467, -2.09693406, -0.4992414875, -0.7995503971, -0.2829507863,
               0.1206868524, 0.2198364505, 1.31246952, -0.2127449521, -2.066762347,
               -0.2184181508],
        "dw": [-3.530090432, -4.414191824],
        "db": [4, 5],
    },
    "relu": {
        "y": [0, 0.9554122038, 0.5, 1.668816943, 2.068929081, 2.025519313, 0, 0.9554122038, 0,
              0.2420074645, 0, 0, 1.284464541, 0.5987098341, 4.422322703, 2.382221682],
        "dx": [-0.603434262, 0.6190878106, 1.176696811, 0.3446468224, 2.172363343,
               0.02907514345, -0.4978332661, -0.4510192984, -0.7090352578, -0.1765783102,
               -0.603434262, 0.05673198722, 1.282297807, -0.1354476195, -2.217620913,
               -0.2864965355],
        "dw": [-2.745625892, -2.58609218],
        "db": [4, 6],
    },
}
INFERENCE = [0.5, 1, 2.638089935, 1.942809042, 4.776179871, 2.414213562, 1.569044968, 1,
             -0.5690449676, 0.05719095842, 0.5, -1.357022604, 3.707134903, 0.5285954792,
             7.983314774, 2.885618083]
# fmt: on


def assert_equals_torch(actual, expected):
    np.testing.assert_allclose(actual.ravel(), expected, rtol=2e-9, atol=2e-9)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    "shape", [(2, 5, 7, 3), (3, 16), (2, 3, 4, 37), (4, 30, 33, 16), (5, 2000)]
)
def test_residual_is_added_before_the_activation(dtype, activation, shape):
    """The same bits as of a pass for the norm and one for the sum."""
    rng = np.random.default_rng(5)
    x, residual = rng.normal(size=(2, *shape)).astype(dtype)
    mean, var, weight, bias = rng.uniform(0.5, 2, size=(4, shape[-1])).astype(dtype)
    options = {"residual": residual, "activation": activation}

    y = functional.batch_norm(x, mean, var, weight, bias, **options)
    z = functional.batch_norm(x, mean, var, weight, bias)
    np.testing.assert_array_equal(y, functional.add(z, residual, activation=activation))
    y, *statistics = functional.batch_norm_training(x, weight, bias, **options)
    z, *same = functional.batch_norm_training(x, weight, bias)
    np.testing.assert_array_equal(y, functional.add(z, residual, activation=activation))
    np.testing.assert_array_equal(statistics, same)

    expected = reference.batch_norm(x, mean, var, weight, bias, **options)
    z = reference.batch_norm(x, mean, var, weight, bias)
    np.testing.assert_array_equal(expected, reference.add(z, residual, activation=activation))
    expected, *_ = reference.batch_norm_training(x, weight, bias, **options)
    z, *_ = reference.batch_norm_training(x, weight, bias)
    np.testing.assert_array_equal(expected, reference.add(z, residual, activation=activation))


@pytest.mark.parametrize("module", MODULES)
def test_residual_fits_x(module):
    x, statistics = np.ones((2, 3, 4), np.float32), np.ones((2, 4), np.float32)
    for norm in (
        partial(module.batch_norm, x, *statistics),
        partial(module.batch_norm_training, x),
    ):
        with pytest.raises(ValueError, match=r"^residual has shape \(3, 4\), expected \(2, 3, 4\)"):
            norm(residual=x[0])
        with pytest.raises(TypeError, match=r"^residual has dtype float64 but x has dtype float32"):
            norm(residual=x.astype(np.float64))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("activation", TRAINING)
def test_batch_norm_training_as_pytorch_has_it(module, activation):
    expected = TRAINING[activation]
    running_mean, running_var = RUNNING_MEAN.copy(), RUNNING_VAR.copy()
    y, mean, inv_std = module.batch_norm_training(
        X,
        WEIGHT,
        BIAS,
        running_mean=running_mean,
        running_var=running_var,
        momentum=MOMENTUM,
        eps=EPS,
        activation=activation,
    )
    assert_equals_torch(y, expected["y"])
    assert_equals_torch(running_mean, MOVED_MEAN)
    assert_equals_torch(running_var, MOVED_VAR)
    arguments = (mean, inv_std, WEIGHT, BIAS)
    dx = module.batch_norm_grad_input(DY, X, *arguments, activation=activation)
    assert_equals_torch(dx, expected["dx"])
    dw = module.batch_norm_grad_weight(X, DY, *arguments, activation=activation)
    assert_equals_torch(dw, expected["dw"])


@pytest.mark.parametrize("module", MODULES)
def test_batch_norm_as_pytorch_has_it(module):
    y = module.batch_norm(X, RUNNING_MEAN, RUNNING_VAR, WEIGHT, BIAS, eps=EPS)
    assert_equals_torch(y, INFERENCE)


@pytest.mark.parametrize("activation", TRAINING)
def test_the_sums_beside_the_gradient(activation):
    _, mean, inv_std = functional.batch_norm_training(X, eps=EPS)
    dw, db, db_alone = np.full(2, np.nan), np.full(2, np.nan), np.full(2, np.nan)
    arguments = (mean, inv_std, WEIGHT, BIAS)
    functional.batch_norm_grad_input(
        DY, X, *arguments, activation=activation, weight_out=dw, bias_out=db
    )
    assert_equals_torch(dw, TRAINING[activation]["dw"])
    assert_equals_torch(db, TRAINING[activation]["db"])
    alone = functional.batch_norm_grad_weight(
        X, DY, *arguments, activation=activation, bias_out=db_alone
    )
    np.testing.assert_array_equal(alone, dw)
    np.testing.assert_array_equal(db_alone, db)


def numbers(shape, dtype, mean=0.0, seed=0):
    """x around `mean` with a standard deviation of 1, weight and bias."""
    rng = np.random.default_rng(seed)
    x = np.clip(rng.normal(size=shape), -LARGEST, LARGEST) + mean
    weight, bias = (rng.uniform(-2, 2, shape[-1]) for _ in range(2))
    return [array.astype(dtype) for array in (x, weight, bias)]


LARGEST = 3.0


def in_float64(*arrays):
    return [None if array is None else array.astype(np.float64) for array in arrays]


def assert_batch_norm_agrees(x, weight=None, bias=None, activation=None, epsilons=16):
    """Statistics, y and all gradients are within rounding of reference's in float64."""
    pixels = x.size // x.shape[-1]
    # Ours, and the reference's, which adds pixel after pixel.
    eps = np.finfo(x.dtype).eps + np.finfo(np.float64).eps * pixels
    y, mean, inv_std = functional.batch_norm_training(x, weight, bias, activation=activation)
    exact, exact_mean, exact_inv_std = reference.batch_norm_training(
        *in_float64(x, weight, bias), activation=activation
    )
    assert y.dtype == mean.dtype == inv_std.dtype == x.dtype
    xhat = (in_float64(x)[0] - exact_mean) * exact_inv_std
    largest, weights = np.abs(xhat).max(), 1 if weight is None else np.abs(weight).max()
    # The mean has x's dtype: in standard deviations, its last place is what xhat is off.
    off = eps * (8 + np.abs(exact_mean * exact_inv_std).max())
    np.testing.assert_allclose(mean, exact_mean, rtol=eps, atol=8 * eps / exact_inv_std.min())
    np.testing.assert_allclose(inv_std, exact_inv_std, rtol=epsilons * eps)
    atol = 2 * (off + epsilons * eps * largest) * (1 + weights)
    np.testing.assert_allclose(y, exact, rtol=0, atol=atol)

    dy = np.random.default_rng(pixels).uniform(-1, 1, x.shape).astype(x.dtype)
    z = reference.batch_norm_training(*in_float64(x, weight, bias))[0]
    dy[np.abs(z) < 100 * atol] = 0  # where rounding may tell relu's derivative
    # The other activations' derivatives are as far off as y is.
    rounding = eps if activation in (None, "relu", "leaky_relu") else eps + atol
    given = in_float64(dy, x, mean, inv_std, weight, bias)
    dw, db = np.empty_like(mean), np.empty_like(mean)
    dx = functional.batch_norm_grad_input(
        dy, x, mean, inv_std, weight, bias, activation=activation, weight_out=dw, bias_out=db
    )
    assert dx.dtype == x.dtype
    expected = reference.batch_norm_grad_weight(
        given[1], given[0], *given[2:], activation=activation
    )
    np.testing.assert_allclose(dw, expected, rtol=0, atol=rounding * pixels * largest)
    y = None if activation is None else exact
    expected = activate_grad_input(given[0], activation, y).sum(axis=tuple(range(x.ndim - 1)))
    np.testing.assert_allclose(db, expected, rtol=0, atol=rounding * pixels)
    expected = reference.batch_norm_grad_input(*given, activation=activation)
    scale = weights * inv_std.max()
    atol = 16 * rounding * scale * (1 + largest**2)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=atol)


@st.composite
def shapes(draw):
    axes = draw(st.integers(1, 3))
    sizes = [draw(st.integers(1, 9)) for _ in range(axes)]
    return *sizes, 1 + int(np.prod(sizes) == 1), draw(st.integers(1, 40))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150, deadline=None)
@given(
    shape=shapes(),
    affine=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    mean=st.sampled_from([0.0, -1.0, 20.0]),
)
def test_batch_norm_agrees_with_reference(dtype, shape, affine, activation, mean):
    x, *parameters = numbers(shape, dtype, mean)
    assert_batch_norm_agrees(x, *(parameters if affine else ()), activation=activation)


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 2, 3, 12, 16, 21, 64, 100, 515, 1029])
def test_batch_norm_on_every_instruction_set(isa, dtype, channels, instruction_set):
    """Numbers of channels that do and do not fill vectors, over several slots and a rest."""
    instruction_set(isa)
    pixels = 100_003 // channels
    assert_batch_norm_agrees(*numbers((pixels, channels), dtype, 0.5), activation="relu")


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mean", [1e3, -1e5])
def test_the_variance_of_numbers_far_from_zero(isa, dtype, mean, instruction_set):
    """Squares minus the square of the mean would leave nothing of it in float32."""
    instruction_set(isa)
    assert_batch_norm_agrees(*numbers((9, 64, 64, 5), dtype, mean))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("first", [1, 32, 40, 3000])
def test_the_variance_where_the_first_pixels_are_of_another_kind(dtype, first):
    """A border of one value, as large as the rest is varied; then everything the same."""
    x, *_ = numbers((20_000, 3), dtype)
    x[:first] = 1e4
    # Squares of 1e4 and of the rest meet in sums over some hundred pixels, of x's dtype.
    assert_batch_norm_agrees(x, epsilons=128)
    x[...] = 0.1
    y, mean, inv_std = functional.batch_norm_training(x)
    np.testing.assert_allclose(y, 0, atol=400 * np.finfo(dtype).eps)
    np.testing.assert_allclose(mean, 0.1, rtol=2 * np.finfo(dtype).eps)
    np.testing.assert_allclose(inv_std, 1 / np.sqrt(1e-5), rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_inference_agrees_with_reference(dtype, activation):
    for shape in ((0, 3), (1, 1), (7, 5, 3), (2, 90, 91, 21)):
        x, weight, bias = numbers(shape, dtype)
        mean, var = bias / 2, np.abs(weight) + dtype(0.1)
        for parameters in ((), (weight, bias), (None, bias), (weight,)):
            arguments = (x, mean, var, *parameters)
            y = functional.batch_norm(*arguments, activation=activation, eps=0.01)
            expected = reference.batch_norm(
                *in_float64(*arguments), activation=activation, eps=0.01
            )
            assert y.dtype == dtype
            np.testing.assert_allclose(y, expected, rtol=0, atol=64 * np.finfo(dtype).eps)


@pytest.mark.parametrize("module", MODULES)
def test_running_statistics(module):
    x, *_ = numbers((2, 3, 4, 5), np.float32, 3.0)
    mean, var = np.full(5, 7, np.float32), np.full(5, 9, np.float32)
    running = {"running_mean": mean, "running_var": var}
    module.batch_norm_training(x, **running, momentum=0)
    assert (mean == 7).all()
    assert (var == 9).all()
    module.batch_norm_training(x[:0], **running)
    assert (mean == 7).all()
    assert (var == 9).all()
    module.batch_norm_training(x, **running, momentum=1)
    np.testing.assert_allclose(mean, x.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, x.var((0, 1, 2), ddof=1), rtol=1e-6)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_empty_batch(module, dtype):
    x, weight, bias = numbers((0, 4, 4, 3), dtype)
    y, mean, inv_std = module.batch_norm_training(x, weight, bias)
    assert (y.shape, y.dtype) == (x.shape, dtype)
    assert (mean == 0).all()
    assert np.isfinite(inv_std).all()
    assert module.batch_norm_grad_input(x, x, mean, inv_std, weight, bias).shape == x.shape
    assert (module.batch_norm_grad_weight(x, x, mean, inv_std, weight, bias) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 31, 32, 4000, 9999])
def test_what_is_not_finite_stays_in_its_channel(bad, place):
    x, weight, bias = numbers((10_000, 21), np.float32)
    expected, *_ = functional.batch_norm_training(x, weight, bias)
    x[place, 7] = bad
    y, mean, inv_std = functional.batch_norm_training(x, weight, bias)
    assert np.isnan(y[:, 7]).all()
    np.testing.assert_array_equal(np.delete(y, 7, 1), np.delete(expected, 7, 1))
    dx = functional.batch_norm_grad_input(x, x, mean, inv_std, weight, bias, activation="relu")
    assert np.isnan(dx[:, 7]).all()
    assert np.isfinite(np.delete(dx, 7, 1)).all()


PIXEL = np.ones((1, 1, 1, 2))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.batch_norm_training(PIXEL),
            ValueError,
            r"x has shape \(1, 1, 1, 2\), one value for each channel, which has no variance",
        ),
        (lambda m: m.batch_norm_training(X[0, 0, 0]), ValueError, r"x has shape \(2,\)"),
        (lambda m: m.batch_norm_training(X[..., :0]), ValueError, "at least one channel"),
        (lambda m: m.batch_norm_training(X.astype(int)), TypeError, "x has dtype int64"),
        (lambda m: m.batch_norm_training(X, eps=-1), ValueError, "eps must be at least 0"),
        (
            lambda m: m.batch_norm_training(X, momentum=1.5),
            ValueError,
            "momentum must be at most 1, the share of the batch, got 1.5",
        ),
        (lambda m: m.batch_norm_training(X, momentum=None), TypeError, "momentum must be a number"),
        (
            lambda m: m.batch_norm_training(X, np.ones(3)),
            ValueError,
            r"weight has shape \(3,\), expected \(2,\): one number for each channel of x",
        ),
        (
            lambda m: m.batch_norm_training(X, bias=np.ones(2, "f")),
            TypeError,
            "bias has dtype float32 but x has dtype float64",
        ),
        (
            lambda m: m.batch_norm_training(X, running_mean=np.ones(2)),
            ValueError,
            "running_mean and running_var: expected both or neither",
        ),
        (
            lambda m: m.batch_norm_training(
                X, running_mean=np.ones(2), running_var=np.ones((2, 2))[:, 0]
            ),
            ValueError,
            "running_var is changed in place and must be C-contiguous",
        ),
        (
            lambda m: m.batch_norm_training(X, running_mean=[0, 0], running_var=np.ones(2)),
            TypeError,
            "running_mean is changed in place: expected a numpy.ndarray",
        ),
        (
            lambda m: m.batch_norm_training(X, activation="softmax"),
            ValueError,
            "activation='softmax' is unknown",
        ),
        (lambda m: m.batch_norm(X, np.ones(3), np.ones(2)), ValueError, "mean has shape"),
        (lambda m: m.batch_norm(X, np.ones(2), np.ones(2, "f")), TypeError, "var has dtype"),
        (
            lambda m: m.batch_norm_grad_input(DY[:1], X, WEIGHT, WEIGHT),
            ValueError,
            r"dy has shape \(1, 2, 2, 2\), expected \(2, 2, 2, 2\): the shape of x",
        ),
        (
            lambda m: m.batch_norm_grad_weight(X, DY.astype("f"), WEIGHT, WEIGHT),
            TypeError,
            "dy has dtype float32 but x has dtype float64",
        ),
        (
            lambda m: m.batch_norm_grad_weight(X, DY, WEIGHT, WEIGHT[:1]),
            ValueError,
            "inv_std has shape",
        ),
    ],
)
def test_errors_name_the_argument(module, call, error, message):
    with pytest.raises(error, match=message):
        call(module)


def test_results_may_overlap_nothing():
    for running_mean, running_var in ((BIAS, np.ones(2)), (RUNNING_MEAN, RUNNING_MEAN)):
        with pytest.raises(ValueError, match=r"running_.* overlaps an input or a result"):
            functional.batch_norm_training(
                X, WEIGHT, BIAS, running_mean=running_mean, running_var=running_var
            )
    memory = np.ones(4)
    for outs in (
        {"weight_out": memory[:2], "bias_out": memory[1:3]},
        {"weight_out": WEIGHT},
        {"bias_out": BIAS},
    ):
        with pytest.raises(ValueError, match="_out overlaps an input or a result"):
            functional.batch_norm_grad_input(DY, X, WEIGHT, WEIGHT, WEIGHT, BIAS, **outs)
    with pytest.raises(ValueError, match=r"bias_out has shape \(3,\)"):
        functional.batch_norm_grad_weight(X, DY, WEIGHT, WEIGHT, bias_out=np.ones(3))
