"""How the suite compares: exactly on small integers, by epsilons times the reduction length else.

Winograd's algorithm rounds even on integers: where `functional.conv2d_algorithm` names it, the
suite asks for closeness in place of equality, so close that no other whole number passes.

The comparisons take the passes they check as an argument, so that test_mistakes.py can hand them
wrong ones and see them refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from geometries import Case, TransposedCase
from rot180 import functional, reference
from rot180.geometry import Conv2dGeometry

PASSES = ("conv2d", "conv2d_grad_input", "conv2d_grad_weight", "conv2d_grad_bias")


def assert_same(actual: np.ndarray, expected: np.ndarray, what: str) -> None:
    """Same shape, same dtype, same numbers."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
    np.testing.assert_array_equal(actual, expected, err_msg=what)


# The largest product of two numbers of `Case.integers`, and of two numbers cut off at -2 and 2.
LARGEST_INTEGER, LARGEST_REAL = 16.0, 4.0


def tolerance(dtype: Any, terms: float, largest: float, algorithm: str = "direct") -> float:
    """How far a sum of `terms` terms up to `largest` may be from the float64 one.

    Winograd's results are combinations of sums over a whole tile, up to 16 pixels of it, whose
    coefficients magnify what those round. The most that was measured, over thousands of random
    shapes, both kinds of numbers, both dtypes and every instruction set, is 2.1 epsilon times
    (terms + 16) times largest; four times that is allowed.
    """
    epsilons = 8 * (terms + 16) if algorithm == "winograd" else max(terms, 1)
    return float(np.finfo(dtype).eps * epsilons * largest)


def assert_close(
    actual: np.ndarray,
    expected: np.ndarray,
    terms: float,
    largest: float,
    what: str,
    algorithm: str = "direct",
) -> None:
    """Within `tolerance` of a float64 sum."""
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    atol = tolerance(actual.dtype, terms, largest, algorithm)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol, err_msg=what)


def algorithm_of(name: str, geometry: Conv2dGeometry, dtype: Any) -> str:
    """How `functional` computes one pass, as things are set; the bias gradient has but one way."""
    if name == "conv2d_grad_bias":
        return "direct"
    return functional.conv2d_algorithm(
        name,
        geometry.input_shape,
        geometry.weight_shape,
        stride=geometry.stride,
        padding=geometry.padding,
        dilation=geometry.dilation,
        groups=geometry.groups,
        dtype=dtype,
    )


def terms_of(name: str, geometry: Conv2dGeometry) -> int:
    """How many products each number of a pass's result sums up."""
    kernel_height, kernel_width, inputs, filters = geometry.weight_shape
    return {
        "conv2d": kernel_height * kernel_width * inputs,
        "conv2d_grad_input": kernel_height * kernel_width * filters // geometry.groups,
        "conv2d_grad_weight": int(np.prod(geometry.output_shape[:3])),
        "conv2d_grad_bias": int(np.prod(geometry.output_shape[:3])),
    }[name]


def assert_exact(
    actual: np.ndarray, expected: np.ndarray, name: str, geometry: Conv2dGeometry, what: str
) -> None:
    """The same whole numbers, results of a pass on small integers: equal where sums are direct."""
    if algorithm_of(name, geometry, actual.dtype) == "direct":
        assert_same(actual, expected, what)
        return
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
    terms = terms_of(name, geometry)
    assert tolerance(actual.dtype, terms, LARGEST_INTEGER, "winograd") < 0.5, "too many terms"
    assert_close(actual, expected, terms, LARGEST_INTEGER, what, "winograd")


def assert_exact_passes(passes: Any, case: Case, dtype: Any) -> None:
    """All four passes equal reference's on small integers, where float arithmetic is exact."""
    x, weight, dy = case.integers(dtype)
    bias = np.arange(case.weight_shape[3]).astype(dtype)
    for name, actual, expected in _results(passes, case, x, weight, bias, dy):
        assert_exact(actual, expected, name, case.geometry, f"{name} of {case}")


def assert_exact_fused_gradients(passes: Any, case: Case, dtype: Any) -> None:
    """Gradients that take relu's derivative, and the bias gradient beside the weight's, exactly."""
    x, weight, dy = case.integers(dtype)
    y = np.random.default_rng(1).integers(-1, 3, case.y_shape).astype(dtype)
    for fused in ({}, {"activation": "relu", "y": y}):
        what = f"{'with relu ' if fused else ''}of {case}"
        arguments = (dy, weight, case.x_shape)
        dx = passes.conv2d_grad_input(*arguments, **fused, **case.options)
        expected = reference.conv2d_grad_input(*arguments, **fused, **case.options)
        assert_exact(dx, expected, "conv2d_grad_input", case.geometry, f"conv2d_grad_input {what}")
        db = np.full(case.weight_shape[3:], np.nan, dtype)
        arguments = (x, dy, case.kernel_size)
        dw = passes.conv2d_grad_weight(*arguments, **fused, **case.options, bias_out=db)
        expected = reference.conv2d_grad_weight(*arguments, **fused, **case.options)
        assert_exact(
            dw, expected, "conv2d_grad_weight", case.geometry, f"conv2d_grad_weight {what}"
        )
        delta = reference.relu_grad_input(dy, y) if fused else dy
        assert_same(db, reference.conv2d_grad_bias(delta), f"bias_out {what}")


# The passes of the convolution that a transposed one's are, by the names of `transposed_passes`.
TRANSPOSED_PASSES = {
    "y": "conv2d_grad_input",
    "y without bias, relu": "conv2d_grad_input",
    "dx": "conv2d",
    "dw": "conv2d_grad_weight",
}


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
        assert_exact(
            actual[name], expected, TRANSPOSED_PASSES[name], case.geometry, f"{name} of {case}"
        )
    assert_same(db, reference.conv2d_grad_bias(dy), f"db of {case}")


def assert_close_passes(passes: Any, case: Case, dtype: Any, seed: int = 0) -> None:
    """All four passes are within rounding of reference's float64 results on random numbers."""
    x, weight, dy = (np.clip(a, -2, 2).astype(dtype) for a in case.reals(seed))
    bias = np.zeros(case.weight_shape[3], dtype)
    for name, actual, expected in _results(passes, case, x, weight, bias, dy):
        assert actual.dtype == dtype, f"{name} gave {actual.dtype}"
        terms, algorithm = terms_of(name, case.geometry), algorithm_of(name, case.geometry, dtype)
        assert_close(actual, expected, terms, LARGEST_REAL, f"{name} of {case}", algorithm)


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
