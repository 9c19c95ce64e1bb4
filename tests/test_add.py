"""The sum of two arrays with its activation, against `reference`."""

from __future__ import annotations

import numpy as np
import pytest

import rot180
from rot180 import functional, reference


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", [None, "relu", "relu6", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("size", [0, 1, 37, 40_000])
def test_against_reference(isa, dtype, activation, size, instruction_set):
    instruction_set(isa)
    rng = np.random.default_rng(size)
    a, b, dy = (rng.normal(size=size).astype(dtype) for _ in range(3))
    y = functional.add(a, b, activation=activation)
    expected = reference.add(a, b, activation=activation)
    np.testing.assert_allclose(y, expected, rtol=8 * np.finfo(dtype).eps)
    assert y.dtype == dtype
    saved = None if activation is None else expected
    da = functional.add_grad_input(dy, activation=activation, y=saved)
    expected = reference.add_grad_input(dy, activation=activation, y=saved)
    # 1 - y * y cancels near saturation: the error is relative to dy.
    atol = 8 * np.finfo(dtype).eps * np.abs(dy).max(initial=0)
    np.testing.assert_allclose(da, expected, rtol=0, atol=atol)


def test_into_one_of_the_two():
    a, b = np.array([1.0, 2.0]), np.array([3.0, -5.0])
    assert functional.add(a, b, activation="relu", out=a) is a
    assert a.tolist() == [4.0, 0.0]
    assert functional.add(a, b, out=b) is b
    assert b.tolist() == [7.0, -5.0]
    with pytest.raises(ValueError, match="out overlaps"):
        functional.add(a[:1], b[:1], out=a[:2][:1])


def test_refusals():
    with pytest.raises(ValueError, match=r"b has shape \(3,\), expected \(2,\)"):
        functional.add(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match="b has dtype float32"):
        functional.add(np.ones(2), np.ones(2, np.float32))
    with pytest.raises(ValueError, match="without y"):
        functional.add_grad_input(np.ones(2), activation="relu")
    with pytest.raises(ValueError, match="y has shape"):
        functional.add_grad_input(np.ones(2), activation="relu", y=np.ones(3))
