"""Group and layer normalisation: PyTorch's numbers, and the kernels against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from guard_bands import guarded
from rot180 import functional, reference
from rot180.reference.activation import activate_grad_input

DTYPES = [np.float32, np.float64]
ACTIVATIONS = [None, "relu", "relu6", "leaky_relu", "sigmoid", "tanh"]
MODULES = [functional, reference]

# What torch.nn.functional.group_norm and layer_norm with eps 0.5 make of these numbers in float64;
# dx, dw and db by autograd.
X = np.array([1, 2, 3, 0, 5, -1, 2, 2, 0, 4, 1, 7, 4, 3, 8, -2], float)
DY = np.array([1, -1, 2, 0, 3, 1, -2, 2, 0, 1, 1, -1, 2, 1, -3, 2], float)
WEIGHT, BIAS = np.array([2.0, -1.0, 0.5, 3.0]), np.array([0.5, 1.0, -0.5, 0.25])
EPS = 0.5
# fmt: off
TORCH = {
    ("group", None): {  # two images of 2x1 pixels with four channels in two groups
        "y": [-0.1585855599, 0.89023574, -0.01887477568, -3.791451884, 3.35387076, 2.20740686,
              -0.4037749551, 0.8273502692, -2.580616185, 0.299859958, -0.7966954145, 2.742241482,
              1.900280084, 0.8599719916, 0.03405174619, -3.666379472],
        "dx": [0.3332601629, -0.5501437609, -0.7412892345, -0.6557558613, 0.3121007874,
               -0.09521718939, -1.995778708, 3.392823804, 0.1427736556, -1.032363356,
               -0.4304172915, -0.2281629526, 1.768196812, -0.8786071115, 0.3000384615,
               0.3585417827],
        "dw": [5.351793444, -0.4770030695, -2.258100588, -3.056766629],
        "db": [6, 2, -2, 3],
    },
    ("group", "relu"): {
        "y": [0, 0.89023574, 0, 0, 3.35387076, 2.20740686, 0, 0.8273502692, 0, 0.299859958, 0,
              2.742241482, 1.900280084, 0.8599719916, 0.03405174619, 0],
        "dx": [-0.3015210997, -0.3385500067, -1.368533971, -0.8553337321, 0.4284773522,
               0.2115937542, -1.197467225, 3.421334929, 0.1427736556, -1.032363356, 0.1228569745,
               -0.2432066638, 1.768196812, -0.8786071115, 0.1704953931, -0.05014570387],
        "dw": [5.681086224, -0.4770030695, -3.204310477, -0.4458469813],
        "db": [5, 2, -3, 1],
    },
    (4,): {  # relu; four rows of four
        "y": [0, 0.622035527, 0.06694670951, 0, 3.183281573, 2.341640786, 0, 0.25, 0, 0.6464466094,
              0, 4.492640687, 0.9130570345, 1.068842839, 0.1540069713, 0],
        "dx": [-0.2699746236, 0.2699746236, 0.05399492472, -0.05399492472, 0.04472135955,
               -0.2683281573, -1.229837388, 1.453444185, -0.07733980419, 0.1436310649,
               0.06629126074, -0.1325825215, 1.013392693, -0.3836927903, -0.4202349608,
               -0.2094649417],
        "dw": [4.437979394, -1.434894708, -1.65625499, -1.414213562],
        "db": [5, 2, -1, 1],
    },
    (2, 4): {  # relu; two of two rows each, the second row's weight larger by one
        "y": [0, 0.8651600275, 0, 0, 5.758758927, 1, 0, 0.78935989, 0, 0.7313646552, 0, 3.819012438,
              1.305906034, 1, 1.745023953, 0],
        "dx": [-0.7502005742, -0.8286529219, -1.985825049, -0.1323883366, 1.632789485, 0.485423901,
               -1.368012812, 2.946866308, -0.2339891284, -0.1186901376, -0.1284114251,
               -0.4159806727, 2.03039262, 0.08274398164, -0.7709207032, -0.4451445351],
        "dw": [0, 0.1337953723, 0, -1.189670813, 5.796029617, -1.521616175, -4.490047905,
               0.269679945],
        "db": [0, 0, 0, -1, 5, 2, -3, 2],
    },
}
# fmt: on


def assert_equals_torch(actual, expected):
    np.testing.assert_allclose(np.ravel(actual), expected, rtol=2e-9, atol=2e-9)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("activation", [None, "relu"])
def test_group_norm_as_pytorch_has_it(module, activation):
    expected = TORCH["group", activation]
    x, dy = X.reshape(2, 2, 1, 4), DY.reshape(2, 2, 1, 4)
    y, mean, inv_std = module.group_norm(x, 2, WEIGHT, BIAS, eps=EPS, activation=activation)
    assert_equals_torch(y, expected["y"])
    arguments = (mean, inv_std, WEIGHT, BIAS)
    dx = module.group_norm_grad_input(dy, x, *arguments, activation=activation)
    assert_equals_torch(dx, expected["dx"])
    dw = module.group_norm_grad_weight(x, dy, *arguments, activation=activation)
    assert_equals_torch(dw, expected["dw"])


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("shape", [(4,), (2, 4)])
def test_layer_norm_as_pytorch_has_it(module, shape):
    expected = TORCH[shape]
    weight = np.stack([WEIGHT, WEIGHT + 1])[: len(shape)].reshape(shape)
    bias = np.resize(BIAS, shape)
    x, dy = X.reshape(2, 2, 4), DY.reshape(2, 2, 4)
    y, mean, inv_std = module.layer_norm(x, shape, weight, bias, eps=EPS, activation="relu")
    assert_equals_torch(y, expected["y"])
    assert mean.shape == inv_std.shape == x.shape[: -len(shape)]
    arguments = (mean, inv_std, weight, bias)
    dx = module.layer_norm_grad_input(dy, x, *arguments, activation="relu")
    assert_equals_torch(dx, expected["dx"])
    dw = module.layer_norm_grad_weight(x, dy, *arguments, activation="relu")
    assert dw.shape == shape
    assert_equals_torch(dw, expected["dw"])


def test_the_sums_beside_the_gradient():
    x, dy = X.reshape(2, 2, 1, 4), DY.reshape(2, 2, 1, 4)
    _, mean, inv_std = functional.group_norm(x, 2, eps=EPS)
    dw, db, db_alone = np.full((3, 4), np.nan)
    arguments = (mean, inv_std, WEIGHT, BIAS)
    functional.group_norm_grad_input(dy, x, *arguments, weight_out=dw, bias_out=db)
    assert_equals_torch(dw, TORCH["group", None]["dw"])
    assert_equals_torch(db, TORCH["group", None]["db"])
    alone = functional.group_norm_grad_weight(x, dy, *arguments, bias_out=db_alone)
    np.testing.assert_array_equal(alone, dw)
    np.testing.assert_array_equal(db_alone, db)


class By:
    """Normalisation by one kind of groups: the functions of a module, with the kind filled in."""

    def __init__(self, kind, groups):
        self.kind, self.groups = kind, groups

    def forward(self, module, x, *parameters, **options):
        return getattr(module, f"{self.kind}_norm")(x, self.groups, *parameters, **options)

    def grad_input(self, module, *arguments, **options):
        return getattr(module, f"{self.kind}_norm_grad_input")(*arguments, **options)

    def grad_weight(self, module, *arguments, **options):
        return getattr(module, f"{self.kind}_norm_grad_weight")(*arguments, **options)

    def parameters_shape(self, x):
        return x.shape[-1:] if self.kind == "group" else self.groups

    def __repr__(self):
        return f"{self.kind}_norm({self.groups})"


LARGEST = 3.0


def numbers(by, shape, dtype, mean=0.0):
    """x around `mean` with a standard deviation near 1, weight and bias."""
    rng = np.random.default_rng(int(np.prod(shape)))
    x = np.clip(rng.normal(size=shape), -LARGEST, LARGEST) + mean
    weight, bias = (rng.uniform(-2, 2, by.parameters_shape(x)) for _ in range(2))
    return [array.astype(dtype) for array in (x, weight, bias)]


def in_float64(*arrays):
    return [None if array is None else array.astype(np.float64) for array in arrays]


def assert_agrees(by, x, weight=None, bias=None, activation=None, epsilons=16):
    """Statistics, y and all gradients are within rounding of reference's in float64."""
    y, mean, inv_std = by.forward(functional, x, weight, bias, activation=activation)
    exact, exact_mean, exact_inv_std = by.forward(
        reference, *in_float64(x, weight, bias), activation=activation
    )
    assert y.dtype == mean.dtype == inv_std.dtype == x.dtype
    members = x.size // max(mean.size, 1)
    # Ours, and the reference's, which adds number after number.
    eps = np.finfo(x.dtype).eps + np.finfo(np.float64).eps * members
    np.testing.assert_allclose(mean, exact_mean, rtol=eps, atol=8 * eps / exact_inv_std.min())
    # Means of channels, of which the variance is made too, are rounded to float64.
    of_means = np.finfo(np.float64).eps * np.abs(exact_mean * exact_inv_std).max()
    np.testing.assert_allclose(inv_std, exact_inv_std, rtol=epsilons * eps + of_means)
    # The mean has x's dtype: in standard deviations, its last place is what xhat is off.
    off = eps * (8 + np.abs(exact_mean * exact_inv_std).max())
    z, *_ = by.forward(reference, *in_float64(x))
    largest, weights = np.abs(z).max(), 1 if weight is None else np.abs(weight).max()
    atol = 2 * (off + epsilons * eps * largest) * (1 + weights)
    np.testing.assert_allclose(y, exact, rtol=0, atol=atol)

    dy = np.random.default_rng(members).uniform(-1, 1, x.shape).astype(x.dtype)
    z, *_ = by.forward(reference, *in_float64(x, weight, bias))
    # Where rounding may tell the derivative.
    dy[(np.abs(z) < 100 * atol) | (np.abs(z - 6) < 100 * atol)] = 0
    rounding = eps if activation in (None, "relu", "relu6", "leaky_relu") else eps + atol
    given = in_float64(dy, x, mean, inv_std, weight, bias)
    dw, db = np.full((2, *by.parameters_shape(x)), np.nan, x.dtype)
    arguments = (mean, inv_std, weight, bias)
    dx = by.grad_input(
        functional, dy, x, *arguments, activation=activation, weight_out=dw, bias_out=db
    )
    assert dx.dtype == x.dtype
    expected = by.grad_input(reference, *given, activation=activation)
    atol = 16 * rounding * weights * inv_std.max() * (1 + largest**2)
    np.testing.assert_allclose(dx, expected, rtol=0, atol=atol)
    terms = x.size // dw.size + 1
    expected = by.grad_weight(reference, given[1], given[0], *given[2:], activation=activation)
    np.testing.assert_allclose(dw, expected, rtol=0, atol=4 * rounding * terms * largest)
    gradient = activate_grad_input(given[0], activation, exact if activation else None)
    expected = gradient.reshape(-1, *db.shape).sum(axis=0)
    np.testing.assert_allclose(db, expected, rtol=0, atol=4 * rounding * terms)
    np.testing.assert_array_equal(
        by.grad_weight(functional, x, dy, *arguments, activation=activation), dw
    )


@st.composite
def group_cases(draw):
    groups, members = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    lead = [draw(st.integers(1, 6)) for _ in range(draw(st.sampled_from([1, 2, 3])))]
    return By("group", groups), (*lead, groups * members)


@st.composite
def layer_cases(draw):
    shape = [draw(st.integers(1, 12)) for _ in range(draw(st.integers(1, 4)))]
    last = draw(st.integers(1, len(shape)))
    return By("layer", tuple(shape[-last:])), tuple(shape)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=200, deadline=None)
@given(
    case=st.one_of(group_cases(), layer_cases()),
    affine=st.booleans(),
    activation=st.sampled_from(ACTIVATIONS),
    mean=st.sampled_from([0.0, -1.0, 20.0]),
)
def test_kernels_agree_with_reference(dtype, case, affine, activation, mean):
    by, shape = case
    x, *parameters = numbers(by, shape, dtype, mean)
    assert_agrees(by, x, *(parameters if affine else ()), activation=activation)


# Fewer and more than fill a vector, one slot of a sample and several, a few large samples and many.
SHAPES = [
    (By("group", 1), (3, 5, 7, 1)),
    (By("group", 3), (2, 9, 8, 3)),
    (By("group", 4), (20, 7, 7, 12)),
    (By("group", 8), (2, 100, 90, 24)),
    (By("group", 2), (17, 96, 100, 10)),
    (By("group", 7), (3, 20, 30, 1029)),
    (By("group", 5), (600, 65)),
    *((By("layer", (length,)), (300, length)) for length in (1, 2, 3, 7, 10, 16, 21, 33, 100)),
    (By("layer", (33, 31, 10)), (5, 33, 31, 10)),
    (By("layer", (40_003,)), (20, 40_003)),
]


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("by", "shape"), SHAPES, ids=str)
def test_every_instruction_set(isa, dtype, by, shape, instruction_set):
    instruction_set(isa)
    assert_agrees(by, *numbers(by, shape, dtype, 0.5), activation="relu")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("mean", [1e3, -1e5])
@pytest.mark.parametrize(("by", "shape"), SHAPES, ids=str)
def test_the_variance_of_numbers_far_from_zero(dtype, mean, by, shape):
    """Squares minus the square of the mean would leave nothing of it in float32."""
    if x_is_constant(by, shape):
        shape = (*shape[:-1], 2 * shape[-1])
        by = By(by.kind, by.groups if by.kind == "group" else (2 * by.groups[0],))
    assert_agrees(by, *numbers(by, shape, dtype, mean))


def x_is_constant(by, shape):
    return by.kind == "layer" and by.groups == (1,)


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_channels_of_different_means_are_one_group(module, dtype):
    """The variance between the channels counts too."""
    x = (np.arange(6) * 1000.0 + np.random.default_rng(0).normal(size=(3, 40, 6))).astype(dtype)
    x = x.reshape(3, 5, 8, 6)
    y, mean, inv_std = module.group_norm(x, 2)
    parts = x.astype(np.float64).reshape(3, 40, 2, 3)
    np.testing.assert_allclose(mean, parts.mean((1, 3)), rtol=1e-6)
    np.testing.assert_allclose(inv_std, 1 / np.sqrt(parts.var((1, 3)) + 1e-5), rtol=1e-5)
    np.testing.assert_allclose(y.reshape(parts.shape).std((1, 3)), 1, rtol=1e-5)


def test_one_image_is_a_batch_of_one_without_its_axis():
    x, dy = np.random.default_rng(0).normal(size=(2, 1, 4, 5, 6))
    batch, image = functional.group_norm(x, 3), functional.group_norm(x[0], 3)
    for of_batch, of_image in zip(batch, image, strict=True):
        np.testing.assert_array_equal(of_batch[0], of_image)
    np.testing.assert_array_equal(
        functional.group_norm_grad_input(dy, x, *batch[1:])[0],
        functional.group_norm_grad_input(dy[0], x[0], *image[1:]),
    )


def test_what_normalisations_have_in_common():
    """A group for each channel of one image is batch norm; one group is layer norm of an image."""
    x = np.random.default_rng(0).normal(size=(1, 6, 5, 4))
    np.testing.assert_allclose(
        functional.group_norm(x, 4)[0], functional.batch_norm_training(x)[0], atol=1e-14
    )
    np.testing.assert_allclose(
        functional.group_norm(x, 1)[0], functional.layer_norm(x, (6, 5, 4))[0], atol=1e-14
    )


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("by", "shape"),
    [
        (By("group", 3), (0, 4, 4, 6)),
        (By("group", 3), (0, 6)),
        (By("layer", (6,)), (0, 4, 4, 6)),
        (By("layer", (4, 6)), (2, 0, 4, 6)),
    ],
    ids=str,
)
def test_an_empty_batch(module, dtype, by, shape):
    x, weight, bias = numbers(by, shape, dtype)
    y, mean, inv_std = by.forward(module, x, weight, bias)
    assert (y.shape, y.dtype, mean.size) == (x.shape, dtype, 0)
    arguments = (mean, inv_std, weight, bias)
    assert by.grad_input(module, x, x, *arguments).shape == x.shape
    assert (by.grad_weight(module, x, x, *arguments) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(("by", "shape"), [*SHAPES[1:3], SHAPES[4], SHAPES[6], SHAPES[11]], ids=str)
def test_what_is_not_finite_stays_in_its_sample(bad, by, shape):
    x, weight, bias = numbers(by, shape, np.float32)
    expected, *_ = by.forward(functional, x, weight, bias)
    x[1].flat[-1] = bad
    y, mean, inv_std = by.forward(functional, x, weight, bias)
    others = np.arange(len(x)) != 1
    np.testing.assert_array_equal(y[others], expected[others])
    in_group = y[1].reshape(-1, by.groups if by.kind == "group" else 1, shape[-1] // mean[1].size)
    assert np.isnan(in_group[:, -1]).all()
    np.testing.assert_array_equal(in_group[:, :-1], expected[1].reshape(in_group.shape)[:, :-1])
    dx = by.grad_input(functional, np.ones_like(x), x, mean, inv_std, weight, bias)
    assert np.isnan(dx[1].reshape(in_group.shape)[:, -1]).all()
    assert np.isfinite(dx[others]).all()


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize(("by", "shape"), SHAPES, ids=str)
def test_nothing_is_read_or_written_beyond_the_arrays(isa, by, shape, instruction_set):
    instruction_set(isa)
    x, weight, bias = numbers(by, shape, np.float32)
    y, mean, inv_std = by.forward(functional, x, weight, bias)
    arrays = (x, np.ones_like(x), weight, bias, y, mean, inv_std, x, weight, bias)
    (x, dy, weight, bias, y, mean, inv_std, dx, dw, db), checks = zip(
        *map(guarded, arrays), strict=True
    )
    groups = by.groups if by.kind == "group" else 1
    samples = mean.size // groups
    view = x.reshape(samples, x.size // samples // weight.size, weight.size)
    statistics = [array.reshape(samples, groups) for array in (mean, inv_std)]
    core, none = rot180._core, rot180._core.Activation.none
    core.group_norm(view, 1e-5, weight, bias, none, y, *statistics)
    core.group_norm_grad(dy, view, *statistics, weight, bias, none, dx, dw, db)
    for array in (y, mean, inv_std, dx, dw, db):
        assert np.isfinite(array).all()
    for check in checks:
        check()


@pytest.mark.parametrize("module", MODULES)
def test_any_strides(module):
    x = np.random.default_rng(0).normal(size=(3, 12, 5, 4))[::-1, ::2, :, ::-1]
    weight = np.arange(8.0)[::-2]
    expected, mean, inv_std = module.group_norm(x.copy(), 2, weight.copy())
    np.testing.assert_array_equal(module.group_norm(x, 2, weight)[0], expected)
    np.testing.assert_array_equal(module.group_norm(x.astype(">f8"), 2, weight)[0], expected)
    dy = np.broadcast_to(1.0, x.shape)
    np.testing.assert_array_equal(
        module.group_norm_grad_input(dy, x, mean, inv_std, weight),
        module.group_norm_grad_input(dy.copy(), x.copy(), mean, inv_std, weight.copy()),
    )


IMAGES, STATISTICS = X.reshape(2, 2, 1, 4), np.ones((2, 2))


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda m: m.group_norm(IMAGES, 3),
            ValueError,
            r"num_groups=3 does not divide the 4 channels of x, of shape \(2, 2, 1, 4\)",
        ),
        (lambda m: m.group_norm(IMAGES, 0), ValueError, "num_groups must be from 1"),
        (lambda m: m.group_norm(IMAGES, 2.0), TypeError, "num_groups"),
        (lambda m: m.group_norm(X, 1), ValueError, r"x has shape \(16,\), expected \(N, H, W, C\)"),
        (lambda m: m.group_norm(IMAGES[:, :0], 1), ValueError, "at least one pixel"),
        (lambda m: m.group_norm(IMAGES[..., :0], 1), ValueError, "at least one pixel"),
        (lambda m: m.group_norm(IMAGES.astype(int), 1), TypeError, "x has dtype int64"),
        (lambda m: m.group_norm(IMAGES, 1, eps=-1), ValueError, "eps must be at least 0"),
        (
            lambda m: m.group_norm(IMAGES, 1, np.ones(3)),
            ValueError,
            r"weight has shape \(3,\), expected \(4,\): the shape that is normalised",
        ),
        (
            lambda m: m.group_norm(IMAGES, 1, None, np.ones(4, "f")),
            TypeError,
            "bias has dtype float32 but x has dtype float64",
        ),
        (
            lambda m: m.group_norm(IMAGES, 1, activation="gelu"),
            ValueError,
            "activation='gelu' is unknown",
        ),
        (
            lambda m: m.group_norm_grad_input(IMAGES[:1], IMAGES, STATISTICS, STATISTICS),
            ValueError,
            r"dy has shape \(1, 2, 1, 4\), expected \(2, 2, 1, 4\): the shape of x",
        ),
        (
            lambda m: m.group_norm_grad_weight(IMAGES, IMAGES, STATISTICS[:1], STATISTICS),
            ValueError,
            r"mean has shape \(1, 2\), expected \(2, 2\): one number for each sample and group",
        ),
        (
            lambda m: m.group_norm_grad_weight(IMAGES, IMAGES, STATISTICS, STATISTICS[0]),
            ValueError,
            r"inv_std has shape \(2,\)",
        ),
        (
            lambda m: m.group_norm_grad_weight(IMAGES, IMAGES, np.array(1.0), STATISTICS),
            ValueError,
            r"mean has shape \(\)",
        ),
        (
            lambda m: m.layer_norm(IMAGES, 3),
            ValueError,
            r"x has shape \(2, 2, 1, 4\), expected one that ends with the axis \(3,\)",
        ),
        (lambda m: m.layer_norm(X, (2, 16)), ValueError, r"ends with the axes \(2, 16\)"),
        (lambda m: m.layer_norm(X, ()), ValueError, "at least one axis"),
        (lambda m: m.layer_norm(X[:0], 0), ValueError, "sizes of at least 1"),
        (lambda m: m.layer_norm(X, "16"), TypeError, "normalized_shape must be a tuple of ints"),
        (
            lambda m: m.layer_norm_grad_input(X, X, X, X),
            ValueError,
            r"mean has shape \(16,\) and x \(16,\): expected the shape of x without the axes",
        ),
        (
            lambda m: m.layer_norm_grad_input(IMAGES, IMAGES, np.ones((2, 3)), np.ones((2, 3))),
            ValueError,
            r"mean has shape \(2, 3\), expected \(2, 2\)",
        ),
    ],
)
def test_errors_name_the_argument(module, call, error, message):
    with pytest.raises(error, match=message):
        call(module)


def test_results_may_overlap_nothing():
    memory = np.ones(6)
    for outs in (
        {"weight_out": memory[:4], "bias_out": memory[2:]},
        {"weight_out": WEIGHT},
        {"bias_out": BIAS},
    ):
        with pytest.raises(ValueError, match="_out overlaps an input or a result"):
            functional.group_norm_grad_input(
                IMAGES, IMAGES, STATISTICS, STATISTICS, WEIGHT, BIAS, **outs
            )
    with pytest.raises(ValueError, match=r"bias_out has shape \(3,\)"):
        functional.group_norm_grad_weight(
            IMAGES, IMAGES, STATISTICS, STATISTICS, bias_out=np.ones(3)
        )


@pytest.mark.parametrize(
    ("x", "mean"),
    [
        (np.ones((2, 3, 4)), np.ones((2, 3))),
        (np.ones((2, 0, 4)), np.ones((2, 2))),
        (np.ones((2, 3, 4)), np.ones((2, 0))),
        (np.ones((2, 12)), np.ones((2, 2))),
    ],
)
def test_the_core_refuses_what_is_not_cut_into_groups(x, mean):
    none = rot180._core.Activation.none
    with pytest.raises(ValueError, match="x must"):
        rot180._core.group_norm(x, 1e-5, None, None, none, x.copy(), mean, mean.copy())
    with pytest.raises(ValueError, match="x must"):
        rot180._core.group_norm_grad(
            x, x, mean, mean, None, None, none, None, np.ones(4), np.ones(4)
        )
