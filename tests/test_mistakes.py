"""The mistakes that people make in a backward pass: the suite's own comparisons refuse each.

Every wrong pass here is reference's with one mistake. Those of the input gradient are made in
`grad_input_by_definition`, which is right as long as no mistake is asked for.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import geometries
from comparison import (
    ADAM_LR,
    assert_adam_agrees,
    assert_close_passes,
    assert_exact_fused_gradients,
    assert_exact_passes,
    assert_exact_transposed_passes,
    with_mistake,
)
from rot180 import reference
from rot180.geometry import conv2d_geometry


def grad_input_by_definition(
    *,
    turned=True,
    sum_over_filters=True,
    zeros_between=0,
    stride_known=True,
    remainder=True,
    crop=True,
    dilated=True,
):
    """dx as the full correlation of the interleaved dy with the turned kernel, one part wrong."""

    def conv2d_grad_input(dy, weight, input_shape, *, stride, padding, dilation, groups):
        geometry = conv2d_geometry(input_shape, weight.shape, stride, padding, dilation, groups)
        (top, _), (left, _) = geometry.padding
        steps = tuple(s + zeros_between for s in geometry.stride) if stride_known else (1, 1)
        dilations = geometry.dilation if dilated else (1, 1)
        kernel = weight[::-1, ::-1] if turned else weight
        if not sum_over_filters:
            dy = np.where(np.arange(dy.shape[3]) == dy.shape[3] - 1, dy, 0)

        batch, rows, columns, _ = dy.shape
        spread = np.zeros(
            (batch, (rows - 1) * steps[0] + 1, (columns - 1) * steps[1] + 1, dy.shape[3]), dy.dtype
        )
        spread[:, :: steps[0], :: steps[1]] = dy
        # In and out channels change places within each group.
        kernel = np.concatenate(
            [part.swapaxes(2, 3) for part in np.split(kernel, groups, axis=3)], axis=3
        )
        full = reference.conv2d(spread, kernel, padding="full", dilation=dilations, groups=groups)
        if remainder:
            size = [
                input_shape[1] + sum(geometry.padding[0]),
                input_shape[2] + sum(geometry.padding[1]),
            ]
            padded = np.zeros((batch, *size, input_shape[3]), dy.dtype)
            seen = full[:, : size[0], : size[1]]
            padded[:, : seen.shape[1], : seen.shape[2]] = seen
            full = padded
        if crop:
            full = full[:, top : top + input_shape[1], left : left + input_shape[2]]
        return full

    return conv2d_grad_input


def test_the_definition_without_a_mistake_is_right():
    passes = with_mistake(conv2d_grad_input=grad_input_by_definition())
    for case in geometries.AWKWARD.values():
        assert_exact_passes(passes, case, np.float32)


def mean_grad_weight(x, dy, kernel_size, **options):
    dw = reference.conv2d_grad_weight(x, dy, kernel_size, **options)
    return (dw / (dy.shape[1] * dy.shape[2])).astype(x.dtype)


def unstrided_grad_weight(x, dy, kernel_size, **options):
    dw = np.zeros((*kernel_size, x.shape[3] // options["groups"], dy.shape[3]), x.dtype)
    options = options | {"stride": 1}
    geometry = conv2d_geometry(x.shape, dw.shape, **options)
    spread = np.zeros(geometry.output_shape, dy.dtype)
    spread[:, : dy.shape[1], : dy.shape[2]] = dy  # as if neighbours in y were neighbours in x
    return reference.conv2d_grad_weight(x, spread, kernel_size, **options)


def unpadded_grad_weight(x, dy, kernel_size, **options):
    options = options | {"padding": 0}
    weight_shape = (*kernel_size, x.shape[3] // options["groups"], dy.shape[3])
    _, rows, columns, _ = conv2d_geometry(x.shape, weight_shape, **options).output_shape
    return reference.conv2d_grad_weight(x, dy[:, :rows, :columns], kernel_size, **options)


def exchanged_grad_input(dy, weight, input_shape, **options):
    dx = reference.conv2d_grad_input(dy, weight, input_shape, **options)
    n, h, w, c = input_shape
    return dx.reshape(n, w, h, c).swapaxes(1, 2)


def exchanged_grad_weight(x, dy, kernel_size, **options):
    dw = reference.conv2d_grad_weight(x, dy, kernel_size, **options)
    return dw.reshape(dw.shape[1], dw.shape[0], *dw.shape[2:]).swapaxes(0, 1)


def bias_for_every_kernel_element(dy):
    return reference.conv2d_grad_bias(dy) * dy.dtype.type(9)


def one_bias_for_all_filters(dy):
    db = reference.conv2d_grad_bias(dy)
    return np.full_like(db, db.sum())


# Mistake, where it can be seen, and the wrong pass. A case that cannot show a mistake (stride 1
# for a forgotten stride) is no test of it, so each names one that can.
CONVOLUTION_MISTAKES = [
    (
        "M1 kernel not turned",
        "plain",
        {"conv2d_grad_input": grad_input_by_definition(turned=False)},
    ),
    (
        "M4 no sum over filters",
        "plain",
        {"conv2d_grad_input": grad_input_by_definition(sum_over_filters=False)},
    ),
    ("M7 mean over positions", "plain", {"conv2d_grad_weight": mean_grad_weight}),
    ("M9 bias times kernel size", "plain", {"conv2d_grad_bias": bias_for_every_kernel_element}),
    ("M9 one bias for all", "plain", {"conv2d_grad_bias": one_bias_for_all_filters}),
    (
        "M12 stride forgotten in dx",
        "remainder rows and columns",
        {"conv2d_grad_input": grad_input_by_definition(stride_known=False)},
    ),
    (
        "M12 s zeros instead of s - 1",
        "remainder rows and columns",
        {"conv2d_grad_input": grad_input_by_definition(zeros_between=1)},
    ),
    (
        "M12 stride forgotten in dw",
        "remainder rows and columns",
        {"conv2d_grad_weight": unstrided_grad_weight},
    ),
    (
        "M13 remainder rows dropped",
        "remainder rows and columns",
        {"conv2d_grad_input": grad_input_by_definition(remainder=False)},
    ),
    (
        "M14 padding not cropped from dx",
        "padding on one side",
        {"conv2d_grad_input": grad_input_by_definition(crop=False)},
    ),
    (
        "M14 x not padded for dw",
        "padding on one side",
        {"conv2d_grad_weight": unpadded_grad_weight},
    ),
    (
        "M15 dilation forgotten in dx",
        "dilation",
        {"conv2d_grad_input": grad_input_by_definition(dilated=False)},
    ),
    ("M16 H and W exchanged in dx", "plain", {"conv2d_grad_input": exchanged_grad_input}),
    ("M16 KH and KW exchanged in dw", "plain", {"conv2d_grad_weight": exchanged_grad_weight}),
]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [mistake[1:] for mistake in CONVOLUTION_MISTAKES],
    ids=[mistake[0] for mistake in CONVOLUTION_MISTAKES],
)
@pytest.mark.parametrize("comparison", [assert_exact_passes, assert_close_passes])
def test_the_comparison_refuses(name, wrong, comparison):
    case = geometries.AWKWARD[name]
    comparison(reference, case, np.float32)
    with pytest.raises(AssertionError, match=next(iter(wrong))):
        comparison(with_mistake(**wrong), case, np.float32)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"])
def test_one_number_that_is_off_by_one_is_refused_where_sums_are_not_direct(name, dtype, algorithm):
    algorithm("winograd")

    def off_by_one(*args, **options):
        result = getattr(reference, name)(*args, **options)
        result.flat[result.size // 2] += 1
        return result

    # One that sums little, and two that sum much and are given more room for rounding.
    for case in (
        geometries.WINOGRAD["filters first, inputs first"],
        geometries.WINOGRAD["filters first, chunks of channels"],
        geometries.WINOGRAD["filters first, inputs of one task; many slots, one range"],
    ):
        with pytest.raises(AssertionError, match=f"{name} of"):
            assert_exact_passes(with_mistake(**{name: off_by_one}), case, dtype)


def through_the_activation(derivative):
    """Gradients that multiply dy by a derivative of their own, and sum it for the bias."""

    def conv2d_grad_input(dy, weight, input_shape, *, activation=None, y=None, **options):
        delta = derivative(dy, y) if activation else dy
        return reference.conv2d_grad_input(delta, weight, input_shape, **options)

    def conv2d_grad_weight(x, dy, kernel_size, *, bias_out, activation=None, y=None, **options):
        delta = derivative(dy, y) if activation else dy
        bias_out[...] = reference.conv2d_grad_bias(delta)
        return reference.conv2d_grad_weight(x, delta, kernel_size, **options)

    return with_mistake(conv2d_grad_input=conv2d_grad_input, conv2d_grad_weight=conv2d_grad_weight)


def bias_gradient_before_the_activation():
    passes = through_the_activation(reference.relu_grad_input)
    right = passes.conv2d_grad_weight

    def conv2d_grad_weight(x, dy, kernel_size, *, bias_out, **options):
        dw = right(x, dy, kernel_size, bias_out=bias_out, **options)
        bias_out[...] = reference.conv2d_grad_bias(dy)
        return dw

    passes.conv2d_grad_weight = conv2d_grad_weight
    return passes


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        (through_the_activation(lambda dy, y: dy), "conv2d_grad_input with relu"),
        (through_the_activation(lambda dy, y: dy * (y >= 0)), "conv2d_grad_input with relu"),
        (through_the_activation(lambda dy, y: dy * y), "conv2d_grad_input with relu"),
        (bias_gradient_before_the_activation(), "bias_out with relu"),
    ],
    ids=["forgotten", "1 at zero", "y itself", "bias gradient before the activation"],
)
def test_the_comparison_refuses_a_derivative_that_is(wrong, what):
    case = geometries.AWKWARD["plain"]
    right = through_the_activation(reference.relu_grad_input)
    assert_exact_fused_gradients(right, case, np.float32)
    with pytest.raises(AssertionError, match=what):
        assert_exact_fused_gradients(wrong, case, np.float32)


def transposed(
    *, turned=False, padded_below=True, bias_everywhere=True, exchanged=False, bias_of_x=False
):
    """Reference's transposed convolution, one part wrong."""

    def conv_transpose2d(x, weight, bias=None, *, activation=None, **options):
        kernel = weight[::-1, ::-1] if turned else weight
        y = reference.conv_transpose2d(x, kernel, **options)
        if not padded_below:
            y = np.roll(y, options["output_padding"], (1, 2))
        if bias is not None:
            y += bias if bias_everywhere else np.where(y != 0, bias, 0)
        return reference.relu(y) if activation else y

    def conv_transpose2d_grad_weight(x, dy, kernel_size, *, bias_out, **options):
        bias_out[...] = reference.conv2d_grad_bias(dy)
        if bias_of_x:
            bias_out[...] = x.sum()
        dw = reference.conv_transpose2d_grad_weight(x, dy, kernel_size, **options)
        return np.ascontiguousarray(dw[::-1, ::-1]) if exchanged else dw

    return SimpleNamespace(
        conv_transpose2d=conv_transpose2d,
        conv_transpose2d_grad_input=reference.conv_transpose2d_grad_input,
        conv_transpose2d_grad_weight=conv_transpose2d_grad_weight,
    )


@pytest.mark.parametrize(
    ("mistake", "what"),
    [
        ({"turned": True}, "y of"),
        ({"padded_below": False}, "y of"),
        ({"bias_everywhere": False}, "y of"),
        ({"exchanged": True}, "dw of"),
        ({"bias_of_x": True}, "db of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_the_comparison_refuses_a_transposed_convolution_with(mistake, what):
    case = geometries.TransposedCase((1, 3, 4, 2), (3, 2, 3, 2), 3, output_padding=(2, 1))
    assert_exact_transposed_passes(transposed(), case, np.float32)
    with pytest.raises(AssertionError, match=what):
        assert_exact_transposed_passes(transposed(**mistake), case, np.float32)


def adam_update(p, m, v, t, *, eps=1e-8, correct=lambda moment, beta, t: moment / (1 - beta**t)):
    """The parameter's update of Algorithm 1, with room for a wrong correction."""
    p -= ADAM_LR * correct(m, 0.9, t) / (np.sqrt(correct(v, 0.999, t)) + eps)


def adam(update=adam_update, steps_of=lambda step, tensor, tensors: step, fresh=False, pool=None):
    """Adam over several tensors; `pool` shapes the moments, `fresh` forgets them."""
    pool = pool or (lambda gradient: gradient)

    def optimize(params, gradients):
        m, v = ([np.zeros_like(pool(p)) for p in params] for _ in range(2))
        for step, grads in enumerate(gradients, 1):
            for i, (p, g) in enumerate(zip(params, grads, strict=True)):
                if fresh:
                    m[i][...] = v[i][...] = 0
                m[i] = 0.9 * m[i] + 0.1 * pool(g)
                v[i] = 0.999 * v[i] + 0.001 * pool(g) ** 2
                update(p, m[i], v[i], steps_of(step, i, len(params)))

    return optimize


def normalised_gradient(params, gradients):
    """M26: Adam turns each delta into a step first, and only then is the gradient formed from it.

    Here delta is the gradient of one example and x = 0.5 multiplies it, as a convolution would.
    """

    def halved():
        for grads in gradients:
            yield [2.0 * g for g in grads]

    before = [p.copy() for p in params]
    adam()(params, halved())
    for p, start in zip(params, before, strict=True):
        p[...] = start + 0.5 * (p - start)


def eps_inside_the_root(p, m, v, t):
    p -= ADAM_LR * (m / (1 - 0.9**t)) / np.sqrt(v / (1 - 0.999**t) + 1e-8)


ADAM_MISTAKES = {
    "M24 moments new at every step": adam(fresh=True),
    "M25 moments shaped like the output": adam(
        pool=lambda g: g.mean(axis=tuple(range(g.ndim - 1)))
    ),
    "M26 Adam applied to delta": normalised_gradient,
    "M27 no bias correction": adam(
        lambda p, m, v, t: adam_update(p, m, v, t, correct=lambda moment, beta, t: moment)
    ),
    "M27 multiplied by the correction": adam(
        lambda p, m, v, t: adam_update(
            p, m, v, t, correct=lambda moment, beta, t: moment * (1 - beta**t)
        )
    ),
    "M28 t advanced for every tensor": adam(
        steps_of=lambda step, tensor, tensors: (step - 1) * tensors + tensor + 1
    ),
    "M29 eps inside the root": adam(eps_inside_the_root),
}


def test_adam_without_a_mistake_passes():
    assert_adam_agrees(adam())


@pytest.mark.parametrize("mistake", ADAM_MISTAKES)
def test_the_comparison_refuses_adam_with(mistake):
    with pytest.raises(AssertionError):
        assert_adam_agrees(ADAM_MISTAKES[mistake])


def test_doing_nothing_is_refused():
    with pytest.raises(AssertionError):
        assert_adam_agrees(lambda params, gradients: None)
