"""The optimizer kernels against `reference`: steps, moving averages, clipping by norm."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparison import ADAM_LR, assert_adam_agrees
from rot180 import functional, reference

DTYPES = [np.float32, np.float64]
# One tensor spans several tasks, others less than a vector.
SHAPES = [(40_000,), (3, 5), (1,), (0,), (2, 2, 3, 17)]
STEPS = 200


def run(step_function, dtype, options, states):
    """200 steps over all SHAPES with the same random numbers, in `dtype`."""
    rng = np.random.default_rng(3)
    params = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    tensors = [[np.zeros(shape, dtype) for shape in SHAPES] for _ in range(states)]
    for step in range(1, STEPS + 1):
        grads = [rng.normal(size=shape).astype(np.float32).astype(dtype) for shape in SHAPES]
        step_function(params, grads, *tensors, step, options)
    return params


def adam(module):
    def step_function(params, grads, m, v, step, options):
        module.adam_step(params, grads, m, v, step=step, **options)

    return step_function


def sgd(module):
    def step_function(params, grads, *rest):
        *velocity, _, options = rest
        module.sgd_step(params, grads, *velocity, **options)

    return step_function


def rmsprop(module):
    def step_function(params, grads, v, m, velocity, step, options):
        states = (v, m if options.get("centered") else None)
        velocity = velocity if options.get("momentum") else None
        module.rmsprop_step(params, grads, *states, velocity, **options)

    return step_function


def assert_trajectories_agree(actual, expected, dtype, lr):
    # Rounding adds up over the steps, but stays far below one of them.
    tolerance = STEPS * np.finfo(dtype).eps * 4
    assert tolerance < 0.02 * lr * STEPS
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"lr": 0.01, "betas": (0.5, 0.75), "eps": 1e-3},
        {"eps_hat": True, "eps": 1e-2},
        {"weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled": True},
        {"betas": (0.0, 0.0)},
    ],
    ids=str,
)
def test_adam_over_200_steps(dtype, options):
    options = {"lr": 0.01, **options}
    actual = run(adam(functional), dtype, options, 2)
    expected = run(adam(reference), np.float64, options, 2)
    assert_trajectories_agree(actual, expected, dtype, options["lr"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "nesterov": True},
        {"weight_decay": 0.1},
        {"momentum": 0.5, "weight_decay": 0.1, "decoupled": True},
    ],
    ids=str,
)
def test_sgd_over_200_steps(dtype, options):
    options = {"lr": 0.01, **options}
    states = 1 if "momentum" in options else 0
    actual = run(sgd(functional), dtype, options, states)
    expected = run(sgd(reference), np.float64, options, states)
    assert_trajectories_agree(actual, expected, dtype, options["lr"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"alpha": 0.75, "eps": 1e-3},
        {"momentum": 0.9},
        {"centered": True, "alpha": 0.9},
        {"centered": True, "alpha": 0.9, "momentum": 0.5, "weight_decay": 0.1},
        {"weight_decay": 0.1, "decoupled": True},
    ],
    ids=str,
)
def test_rmsprop_over_200_steps(dtype, options):
    # A difference of two means rounds by more than each of them: keep the root from 0.
    options = {"lr": 0.01, "eps": 0.1, **options}
    actual = run(rmsprop(functional), dtype, options, 3)
    expected = run(rmsprop(reference), np.float64, options, 3)
    assert_trajectories_agree(actual, expected, dtype, options["lr"])


@pytest.mark.parametrize("dtype", DTYPES)
def test_centered_rmsprop_where_the_gradient_does_not_change(dtype):
    """v - m*m is 0 but for rounding, which must not make the root of a negative number."""
    values = np.linspace(0.1, 3, 1000).astype(dtype)
    m, v = values.copy(), values * values
    v[::2] = np.nextafter(v[::2], dtype(0))
    param = np.zeros_like(values)
    for _ in range(20):
        functional.rmsprop_step(param, values, v, m, centered=True, eps=1.0)
    assert np.isfinite(param).all()
    assert (param < 0).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_keeps_nan(dtype, centered):
    param, grad = np.ones(40, dtype), np.ones(40, dtype)
    grad[17] = np.nan
    m = np.zeros(40, dtype) if centered else None
    functional.rmsprop_step(param, grad, np.zeros(40, dtype), m, centered=centered)
    assert np.flatnonzero(np.isnan(param)).tolist() == [17]


@pytest.mark.parametrize("dtype", DTYPES)
def test_ema_on_small_integers_is_exact(dtype):
    rng = np.random.default_rng(0)
    averages, params = (
        [rng.integers(-64, 64, shape).astype(dtype) for shape in SHAPES] for _ in range(2)
    )
    expected = [a.copy() for a in averages]
    for _ in range(3):
        functional.ema_step(averages, params, decay=0.75)
        reference.ema_step(expected, params, decay=0.75)
    for actual, exact, param in zip(averages, expected, params, strict=True):
        np.testing.assert_array_equal(actual, exact)
        np.testing.assert_array_equal(param, np.round(param))


@pytest.mark.parametrize("dtype", DTYPES)
def test_ema_over_200_steps(dtype):
    rng = np.random.default_rng(1)
    averages = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
    expected = [a.astype(np.float64) for a in averages]
    for _ in range(STEPS):
        params = [rng.normal(size=shape).astype(dtype) for shape in SHAPES]
        functional.ema_step(averages, params, decay=0.99)
        reference.ema_step(expected, [p.astype(np.float64) for p in params], decay=0.99)
    assert_trajectories_agree(averages, expected, dtype, 0.01)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_average_that_has_arrived_stays(dtype):
    param = np.random.default_rng(0).normal(size=1000).astype(dtype)
    average = param.copy()
    functional.ema_step(average, param, decay=0.3)
    np.testing.assert_array_equal(average, param)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm_of_small_integers_is_exact(dtype):
    rng = np.random.default_rng(0)
    grads = [rng.integers(-9, 10, shape).astype(dtype) for shape in SHAPES]
    squares = sum(int((g.astype(np.int64) ** 2).sum()) for g in grads)
    # One tensor, so that no roots are added: then the sum of squares comes back to the last bit.
    together = np.concatenate([g.ravel() for g in grads])
    assert functional.clip_grad_norm(together, 1e6) == math.sqrt(squares)
    assert functional.clip_grad_norm(grads, 1e6) == pytest.approx(math.sqrt(squares), rel=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 1, 7, 31, 33, 16384, 16385, 100_000])
def test_clip_by_norm_against_reference(dtype, size):
    rng = np.random.default_rng(size)
    grads = [rng.normal(size=n).astype(dtype) for n in (size, 3, size)]
    expected = [g.copy() for g in grads]
    max_norm = 0.5
    norm = functional.clip_grad_norm(grads, max_norm)
    assert norm == pytest.approx(reference.clip_grad_norm(expected, max_norm), rel=1e-13)
    assert norm > max_norm
    for actual, exact in zip(grads, expected, strict=True):
        np.testing.assert_allclose(actual, exact, rtol=4 * np.finfo(dtype).eps)
    assert reference.clip_grad_norm(grads, 1.0) == pytest.approx(max_norm, rel=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_changes_nothing(bad):
    for module in (functional, reference):
        grads = [np.ones(40, np.float32), np.ones(2)]
        grads[0][33] = bad
        assert not math.isfinite(module.clip_grad_norm(grads, 1e-3))
        assert (grads[0][:33] == 1).all()
        assert (grads[1] == 1).all()


def test_a_factor_that_float32_cannot_hold():
    grad = np.full(5, 3e38, np.float32)
    functional.clip_grad_norm(grad, 1e-5)  # by 1.5e-44
    np.testing.assert_allclose(grad, 1e-5 / math.sqrt(5), rtol=1e-6)


@pytest.mark.parametrize("module", [functional, reference])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_tensor_may_have_its_own_rate_and_decay(module, dtype):
    rng = np.random.default_rng(5)
    shapes = [(40,), (3, 5), (0,), (7,)]
    lrs, decays = [0.1, 0.2, 0.3, 0.0], [0.0, 0.5, 0.25, 0.125]
    calls = {
        "adam": (lambda *a, **k: module.adam_step(*a[:2], *a[2:4], step=3, **k)),
        "sgd": (lambda *a, **k: module.sgd_step(*a[:3], momentum=0.9, **k)),
        "rmsprop": (lambda *a, **k: module.rmsprop_step(*a[:3], decoupled=True, **k)),
    }
    for name, call in calls.items():
        arrays = [[rng.random(shape).astype(dtype) for shape in shapes] for _ in range(4)]
        alone = [[a.copy() for a in kind] for kind in arrays]
        call(*arrays, lr=lrs, weight_decay=tuple(decays))
        for i in range(len(shapes)):
            call(*(kind[i] for kind in alone), lr=lrs[i], weight_decay=decays[i])
        for together, one in zip(arrays[0], alone[0], strict=True):
            np.testing.assert_array_equal(together, one, err_msg=name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_adam_passes_the_comparison_that_mistakes_fail(dtype):
    def optimize(params, gradients):
        m, v = ([np.zeros_like(p) for p in params] for _ in range(2))
        for step, grads in enumerate(gradients, 1):
            functional.adam_step(params, grads, m, v, step=step, lr=ADAM_LR)

    assert_adam_agrees(optimize, dtype)


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=8))
def test_many_tensors_in_one_call_are_as_one_by_one(sizes):
    rng = np.random.default_rng(len(sizes))
    params = [rng.normal(size=n).astype(np.float32) for n in sizes]
    grads = [rng.normal(size=n).astype(np.float32) for n in sizes]
    alone = [p.copy() for p in params]
    states = [[np.zeros_like(p) for p in params] for _ in range(4)]
    functional.adam_step(params, grads, states[0], states[1], step=3)
    for i, p in enumerate(alone):
        functional.adam_step(p, grads[i], states[2][i], states[3][i], step=3)
    for together, single in zip(params, alone, strict=True):
        np.testing.assert_array_equal(together, single)


def test_mixed_dtypes_in_one_call():
    params = [np.ones(3, np.float32), np.ones(4), np.ones(2, np.float32)]
    grads = [np.ones_like(p) for p in params]
    functional.sgd_step(params, grads, lr=0.25)
    assert [p.dtype for p in params] == [np.float32, np.float64, np.float32]
    assert all((p == 0.75).all() for p in params)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def read_only(array):
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"param": read_only(ones(3))}, "param is read-only"),
        ({"param": ones(6)[::2]}, "param is changed in place and must be C-contiguous"),
        ({"param": [[1.0, 2.0, 3.0]]}, r"param\[0\] is changed in place: expected a numpy.ndarray"),
        ({"grad": ones(4)}, r"grad has shape \(4,\), expected \(3,\)"),
        ({"grad": ones(3, dtype=np.float64)}, "grad has dtype float64 but param has dtype float32"),
        ({"m": ones(1, 3)}, r"m has shape \(1, 3\)"),
        ({"v": ones(3, dtype=np.float64)}, "v has dtype float64"),
        ({"grad": [ones(3), ones(3)]}, "grad has 2 arrays, expected 1"),
        ({"step": 0}, "step must be from 1 to 2147483647, got 0"),
        ({"lr": -1.0}, "lr must be .* got -1.0"),
        ({"lr": float("nan")}, "lr must be .* got nan"),
        ({"betas": (1.0, 0.9)}, r"betas\[0\] must be at least 0 and less than 1, got 1.0"),
        ({"betas": (0.9, -0.1)}, r"betas\[1\] must be .* got -0.1"),
        ({"eps": -1e-8}, "eps must be .* got -1e-08"),
        ({"weight_decay": float("inf")}, "weight_decay must be .* got inf"),
        ({"lr": [0.1, 0.2]}, "lr has 2 numbers, expected 1, one for each tensor"),
        ({"lr": [-0.1]}, r"lr\[0\] must be at least 0"),
        ({"weight_decay": ["much"]}, r"weight_decay\[0\] must be a number"),
    ],
)
def test_adam_errors_name_the_argument(change, message):
    arguments = {"param": ones(3), "grad": ones(3), "m": ones(3), "v": ones(3), "step": 1} | change
    with pytest.raises((ValueError, TypeError), match=message):
        functional.adam_step(**arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"momentum": 0.9}, "velocity is None with momentum=0.9"),
        ({"velocity": ones(3)}, "velocity is given with momentum=0.0"),
        ({"nesterov": True}, "nesterov=True needs a momentum"),
        ({"momentum": 0.9, "velocity": ones(4)}, "velocity has shape"),
        ({"lr": -0.1}, "lr must be .* got -0.1"),
    ],
)
def test_sgd_errors_name_the_argument(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        functional.sgd_step(ones(3), ones(3), **({"lr": 0.1} | change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"centered": True}, "m is None with centered=True: expected it with centered only"),
        ({"m": ones(3)}, "m is given with centered=False"),
        ({"momentum": 0.9}, "velocity is None with momentum=0.9"),
        ({"velocity": ones(3)}, "velocity is given with momentum=0.0"),
        ({"v": ones(4)}, r"v has shape \(4,\), expected \(3,\)"),
        ({"v": read_only(ones(3))}, "v is read-only"),
        ({"m": ones(3, dtype=np.float64), "centered": True}, "m has dtype float64"),
        ({"alpha": 1.0}, "alpha must be at least 0 and less than 1"),
        ({"eps": -1.0}, "eps must be .* got -1.0"),
        ({"lr": -0.1}, "lr must be .* got -0.1"),
    ],
)
def test_rmsprop_errors_name_the_argument(change, message):
    for module in (functional, reference):
        with pytest.raises((ValueError, TypeError), match=message):
            module.rmsprop_step(**{"param": ones(3), "grad": ones(3), "v": ones(3)} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decay": 1.0}, "decay must be at least 0 and less than 1"),
        ({"decay": -0.1}, "decay must be at least 0"),
        ({"param": ones(4)}, r"param has shape \(4,\), expected \(3,\): the shape of average"),
        ({"param": [ones(3)] * 2}, "param has 2 arrays, expected 1: as many as average"),
        ({"average": read_only(ones(3))}, "average is read-only"),
        ({"param": ones(3, dtype=np.float64)}, "param has dtype float64 but average has dtype flo"),
    ],
)
def test_ema_errors_name_the_argument(change, message):
    for module in (functional, reference):
        with pytest.raises((ValueError, TypeError), match=message):
            module.ema_step(**{"average": ones(3), "param": ones(3), "decay": 0.5} | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"max_norm": 0.0}, "max_norm must be greater than 0"),
        ({"max_norm": float("nan")}, "max_norm must be greater than 0"),
        ({"max_norm": "1x"}, "max_norm must be a number"),
        ({"grad": read_only(ones(3))}, "grad is read-only"),
        ({"grad": [ones(3), ones(6)[::2]]}, r"grad\[1\] is changed in place and must be C-contig"),
        ({"grad": 1.0}, "grad must be an array or a sequence of arrays"),
    ],
)
def test_clip_by_norm_errors_name_the_argument(change, message):
    for module in (functional, reference):
        with pytest.raises((ValueError, TypeError), match=message):
            module.clip_grad_norm(**{"grad": ones(3), "max_norm": 1.0} | change)


@pytest.mark.parametrize("name", ["adam_step", "sgd_step", "rmsprop_step", "ema_step"])
def test_no_tensors_at_all(name):
    tensors = {"adam_step": 4, "sgd_step": 2, "rmsprop_step": 3, "ema_step": 2}[name]
    options = {"adam_step": {"step": 1}, "sgd_step": {"lr": 0.1}, "ema_step": {"decay": 0.5}}
    for module in (functional, reference):
        getattr(module, name)(*([] for _ in range(tensors)), **options.get(name, {}))
        assert module.clip_grad_norm([], 1.0) == 0


def test_the_core_refuses_what_functional_would():
    from rot180 import _core

    x, short, wide = ones(3), ones(2), ones(3, dtype=np.float64)
    wrong = [
        lambda: _core.adam_step([x], [x], [x], [x], [], [0.0], 1, 0.9, 0.9, 1e-8, False, False),
        lambda: _core.adam_step([x], [x], [x], [short], [1], [0], 1, 0.9, 0.9, 1e-8, False, False),
        lambda: _core.sgd_step([x], [x], [x, x], [0.1], [0.0], 0.9, False, False),
        lambda: _core.sgd_step([x], [x], [x], [0.1], [0.0, 0.0], 0.9, False, False),
        lambda: _core.rmsprop_step([x], [x], [x], [short], [], [0.1], [0], 0.9, 1e-8, 0.0, False),
        lambda: _core.rmsprop_step([x], [x], [], [], [], [0.1], [0], 0.9, 1e-8, 0.0, False),
        lambda: _core.rmsprop_step([x], [x], [x], [], [wide], [0.1], [0], 0.9, 1e-8, 0.0, False),
        lambda: _core.ema_step([x], [], 0.5),
        lambda: _core.ema_step([read_only(ones(3))], [x], 0.5),
        lambda: _core.sums_of_squares([x, wide]),
        lambda: _core.scale([x[::2]], 0.5),
    ]
    for call in wrong:
        with pytest.raises((ValueError, TypeError)):
            call()
    assert (x == 1).all()
