"""The fully connected functions against `reference`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import rot180
from comparison import assert_close, assert_same
from rot180 import functional, reference

SIZES = st.integers(0, 70), st.integers(1, 70), st.integers(1, 70)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(batch=SIZES[0], inputs=SIZES[1], outputs=SIZES[2])
def test_exact_on_integers(dtype, batch, inputs, outputs):
    assert_exact_on_integers(dtype, batch, inputs, outputs)


def assert_exact_on_integers(dtype, batch, inputs, outputs):
    rng = np.random.default_rng(batch)
    shapes = (batch, inputs), (inputs, outputs), (outputs,), (batch, outputs)
    x, weight, bias, dy = (rng.integers(-4, 5, shape).astype(dtype) for shape in shapes)
    assert_same(functional.linear(x, weight, bias), x @ weight + bias, "y")
    assert_same(functional.linear_grad_input(dy, weight), dy @ weight.T, "dx")
    assert_same(functional.linear_grad_weight(x, dy), x.T @ dy, "dw")
    assert_same(functional.linear_grad_bias(dy), dy.sum(axis=0), "db")
    y = rng.integers(-1, 3, dy.shape).astype(dtype)
    through, delta = {"activation": "relu", "y": y}, np.where(y > 0, dy, 0)
    db = np.full_like(bias, np.nan)
    assert_same(functional.linear_grad_input(dy, weight, **through), delta @ weight.T, "dx")
    dw = functional.linear_grad_weight(x, dy, **through, bias_out=db)
    assert_same(dw, x.T @ delta, "dw with relu")
    assert_same(db, delta.sum(axis=0), "db with relu")
    assert_same(reference.linear_grad_input(dy, weight, **through), delta @ weight.T, "reference")
    assert_same(reference.linear_grad_weight(x, dy, **through), x.T @ delta, "reference")


# Batches of up to four read the weights as they lie: tails of every kind, tasks for two threads.
@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [1, 2, 3, 4, 5])
def test_small_batches_are_exact_on_integers(isa, dtype, batch, instruction_set):
    instruction_set(isa)
    for inputs, outputs in ((16, 16), (37, 21), (64, 65), (1, 40), (40, 1), (600, 330)):
        assert_exact_on_integers(dtype, batch, inputs, outputs)


def test_activation():
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(9, 20)), rng.normal(size=(20, 5))
    y = functional.linear(x, weight, activation="tanh")
    assert_close(y, reference.linear(x, weight, activation="tanh"), 40, 4.0, "y")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: functional.linear(np.ones(3), np.ones((3, 2))), r"x has shape \(3,\)"),
        (lambda: functional.linear(np.ones((2, 1, 1, 3)), np.ones((3, 2))), "Flatten.. before"),
        (lambda: functional.linear(np.ones((1, 3)), np.ones((2, 3))), "weight.T would fit"),
        (
            lambda: functional.linear(np.ones((1, 3)), np.ones((3, 2), "f")),
            "weight has dtype float32",
        ),
        (lambda: functional.linear(np.ones((1, 3)), np.ones((3, 2)), np.ones(3)), "bias has shape"),
        (lambda: functional.linear_grad_input(np.ones((1, 3)), np.ones((3, 2))), "dy has shape"),
        (lambda: functional.linear_grad_weight(np.ones((1, 3)), np.ones((2, 2))), "dy has shape"),
        (lambda: functional.linear_grad_bias(np.ones(3)), "dy has shape"),
        (
            lambda: functional.linear_grad_input(
                np.ones((1, 2)), np.ones((3, 2)), activation="relu", y=np.ones((2, 2))
            ),
            r"y has shape \(2, 2\), expected \(1, 2\)",
        ),
        (
            lambda: functional.linear_grad_weight(
                np.ones((1, 3)), np.ones((1, 2)), bias_out=np.ones(3)
            ),
            r"bias_out has shape \(3,\), expected \(2,\)",
        ),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
