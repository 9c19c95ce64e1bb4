"""How the suite compares: exactly on small integers, by epsilons times the reduction length else.

The comparisons take the passes they check as an argument, so that test_mistakes.py can hand them
wrong ones and see them refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from geometries import Case, TransposedCase
from rot180 import reference

PASSES = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight", "conv2d_grad_bias")


def assert_same(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Same shape, same dtype, same numbers."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
    np.testing.assert_array_equal(actual, expected, err_msg=what)


def assert_close(
    actual: np.ndarray, expected: np.ndarray, terms: float, largest: float, what: str
) -> None:
    """Within epsilon * terms * largest of a float64 sum of `terms` terms up to `largest`."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    tolerance = np.finfo(actual.dtype).eps * max(terms, 1) * largest
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance, err_msg=what)


def assert_exact_passes(passes: Any, case: Case, dtype: Any) -> None:
    """All four passes equal reference's on small integers, where float arithmetic is exact."""
    x, weight, dy = case.integers(dtype)
    bias = np.arange(case.weight_shape[3]).astype(dtype)
    for name, actual, expected in _results(passes, case, x, weight, bias, dy):
        assert_same(actual, expected, f"{name} of {case}")


def assert_exact_fused_gradients(passes: Any, case: Case, dtype: Any) -> None:
    """Gradients that take relu's derivative, and the bias gradient beside the weight's, exactly."""
    x, weight, dy = case.integers(dtype)
    y = np.random.default_rng(1).integers(-1, 3, case.y_shape).astype(dtype)
    for fused in ({}, {"activation": "relu", "y": y}):
        what = f"{'with relu ' if fused else ''}of {case}"
        arguments = (dy, weight, case.x_shape)
        dx = passes.conv2d_grad_input(*arguments, **fused, **case.options)
        expected = reference.conv2d_grad_input(*arguments, **fused, **case.options)
        assert_same(dx, expected, f"conv2d_grad_input {what}")
        db = np.full(case.weight_shape[3:], np.nan, dtype)
        arguments = (x, dy, case.kernel_size)
        dw = passes.conv2d_grad_weight(*arguments, **fused, **case.options, bias_out=db)
        expected = reference.conv2d_grad_weight(*arguments, **fused, **case.options)
        assert_same(dw, expected, f"conv2d_grad_weight {what}")
        delta = reference.relu_grad_input(dy, y) if fused else dy
        assert_same(db, reference.conv2d_grad_bias(delta), f"bias_out {what}")


def transposed_passes(
    passes: Any,
    case: TransposedCase,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None,
    dy: np.ndarray,
    **extra: Any,
) -> dict[str, np.ndarray]:
    """Results of the transposed convolution's passes, by name; `extra` goes to the weight's."""
    options, kernel_size = case.options, case.weight_shape[:2]
    return {
        "y": passes.conv_transpose2d(x, weight, bias, **options),
        "y without bias, relu": passes.conv_transpose2d(x, weight, activation="relu", **options),
        "dx": passes.conv_transpose2d_grad_input(dy, weight, **options),
        "dw": passes.conv_transpose2d_grad_weight(x, dy, kernel_size, **options, **extra),
    }


def assert_exact_transposed_passes(passes: Any, case: TransposedCase, dtype: Any) -> None:
    """All passes of the transposed convolution equal reference's on small integers."""
    x, weight, bias, dy = case.integers(dtype)
    db = np.full_like(bias, np.nan)
    actual = transposed_passes(passes, case, x, weight, bias, dy, bias_out=db)
    for name, expected in transposed_passes(reference, case, x, weight, bias, dy).items():
        assert_same(actual[name], expected, f"{name} of {case}")
    assert_same(db, reference.conv2d_grad_bias(dy), f"db of {case}")


def assert_close_passes(passes: Any, case: Case, dtype: Any, seed: int = 0) -> None:
    """All four passes are within rounding of reference's float64 results on random numbers."""
    x, weight, dy = (np.clip(a, -2, 2).astype(dtype) for a in case.reals(seed))
    bias = np.zeros(case.weight_shape[3], dtype)
    terms = {
        "conv2d": np.prod(case.weight_shape[:3]),
        "conv2d_grad_input": np.prod(case.kernel_size) * case.weight_shape[3] // case.groups,
        "conv2d_grad_weight": np.prod(case.y_shape[:3]),
        "conv2d_grad_bias": np.prod(case.y_shape[:3]),
    }
    for name, actual, expected in _results(passes, case, x, weight, bias, dy):
        assert actual.dtype == dtype, f"{name} gave {actual.dtype}"
        assert_close(actual, expected, float(terms[name]), 4.0, f"{name} of {case}")


def _results(
    passes: Any,
    case: Case,
    x: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray,
    dy: np.ndarray,
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(name, result of `passes`, result of reference in float64) for each pass.

    On small integers float64 results are exact in x's dtype too.
    """
    arguments = {
        "conv2d": lambda to: ((to(x), to(weight), to(bias)), case.options),
        "conv2d_grad_input": lambda to: ((to(dy), to(weight), case.x_shape), case.options),
        "conv2d_grad_weight": lambda to: ((to(x), to(dy), case.kernel_size), case.options),
        "conv2d_grad_bias": lambda to: ((to(dy),), {}),
    }
    for name in PASSES:
        args, options = arguments[name](lambda array: array)
        actual = getattr(passes, name)(*args, **options)
        args, options = arguments[name](lambda array: array.astype(np.float64))
        yield name, actual, getattr(reference, name)(*args, **options).astype(x.dtype)


def with_mistake(**functions: Callable[..., Any]) -> SimpleNamespace:
    """Reference's passes with some of them swapped for others."""
    right = {name: getattr(reference, name) for name in PASSES}
    return SimpleNamespace(**{**right, **functions})


# What an optimizer is compared on: several tensors, each the weight of y = x @ weight.
ADAM_SHAPES = ((5, 3), (17,), (2, 3, 4))
ADAM_STEPS = 200
ADAM_LR = 1e-3

Gradients = Iterable[list[np.ndarray]]
Optimize = Callable[[list[np.ndarray], Gradients], None]


def assert_adam_agrees(optimize: Optimize, dtype: Any = np.float64) -> None:
    """200 steps on several tensors end where reference.adam_step ends, to 1e-3 of one step."""
    rng = np.random.default_rng(7)
    start = [rng.normal(size=shape).astype(dtype) for shape in ADAM_SHAPES]
    # From tiny to large: where sqrt(v) is near eps, its place in the formula shows.
    scales = (1e-7, 1.0, 30.0)
    gradients = [
        [(rng.normal(size=p.shape) * s).astype(dtype) for p, s in zip(start, scales, strict=True)]
        for _ in range(ADAM_STEPS)
    ]
    actual = [p.copy() for p in start]
    optimize(actual, iter(gradients))

    expected = [p.astype(np.float64) for p in start]
    m, v = ([np.zeros(p.shape) for p in expected] for _ in range(2))
    for step, grads in enumerate(gradients, 1):
        exact = [g.astype(np.float64) for g in grads]
        reference.adam_step(expected, exact, m, v, step=step, lr=ADAM_LR)
    for i, (p, q, first) in enumerate(zip(actual, expected, start, strict=True)):
        assert np.abs(q - first).max() > 5 * ADAM_LR, "the reference went nowhere"
        rounding = ADAM_STEPS * np.finfo(dtype).eps * np.abs(q).max()
        np.testing.assert_allclose(p, q, rtol=0, atol=1e-3 * ADAM_LR + rounding, err_msg=f"[{i}]")
