"""The optimizer kernels, adam_step and sgd_step, against `reference`."""

from __future__ import annotations

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
