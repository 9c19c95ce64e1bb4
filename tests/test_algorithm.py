"""Choosing the algorithm of convolutions: by argument, for the process, from the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import rot180
from rot180 import functional
from rot180.functional import conv2d_algorithm

NAMES = ["auto", "direct", "winograd"]
PASSES = ["conv2d", "conv2d_grad_input", "conv2d_grad_weight"]
DTYPES = [np.float32, np.float64]

TAPS = "the kernel has no 2 to 5 taps along a side for each stride"
SQUARE = "the kernel is not square"
DIFFER, DIVIDE = "the vertical and the horizontal stride differ", "the stride does not divide the"
DILATION, GROUPS = "the dilation is not 1", "there is more than one group"

# Options of a convolution of 4 channels to 8, and why Winograd's algorithm refuses them.
REFUSED = {
    "small kernel": ((1, 1), {}, TAPS),
    "large kernel": ((6, 6), {}, TAPS),
    "height of the kernel": ((1, 3), {}, SQUARE),
    "width of the kernel": ((3, 2), {}, SQUARE),
    "stride": ((3, 3), {"stride": 2}, DIVIDE),
    "vertical stride": ((4, 4), {"stride": (2, 1)}, DIFFER),
    "horizontal stride": ((4, 4), {"stride": (1, 2)}, DIFFER),
    "taps for each stride": ((4, 4), {"stride": 4}, TAPS),
    "vertical dilation": ((3, 3), {"dilation": (2, 1)}, DILATION),
    "horizontal dilation": ((3, 3), {"dilation": (1, 2)}, DILATION),
    "groups": ((3, 3), {"groups": 2}, GROUPS),
}


def every_pass(kernel_size, options, batch=2, algorithm="auto"):
    """Calls of every pass on ones, of one shape, by name; and the shapes of x and weight."""
    groups = options.get("groups", 1)
    x = np.ones((batch, 9, 9, 4), np.float32)
    weight = np.ones((*kernel_size, 4 // groups, 8), np.float32)
    dy = functional.conv2d(x, weight, **options)
    options = options | {"algorithm": algorithm}
    # The shape that a transposed convolution makes, without the rest of x that strides leave.
    z = functional.conv_transpose2d(dy, weight, **(options | {"algorithm": "direct"}))
    f = functional
    calls = {
        "conv2d": lambda: f.conv2d(x, weight, **options),
        "conv2d_grad_input": lambda: f.conv2d_grad_input(dy, weight, x.shape, **options),
        "conv2d_grad_weight": lambda: f.conv2d_grad_weight(x, dy, kernel_size, **options),
        "conv_transpose2d": lambda: f.conv_transpose2d(dy, weight, **options),
        "conv_transpose2d_grad_input": lambda: f.conv_transpose2d_grad_input(z, weight, **options),
        "conv_transpose2d_grad_weight": lambda: f.conv_transpose2d_grad_weight(
            dy, z, kernel_size, **options
        ),
    }
    return calls, x.shape, weight.shape


def bits(calls):
    return {name: call().tobytes() for name, call in calls.items()}


@pytest.mark.parametrize("name", NAMES)
def test_each_can_be_set(name, algorithm):
    algorithm(name)
    assert rot180.algorithm() == name


@pytest.mark.parametrize("wrong", ["fft", "", "Winograd", "automatic", None])
def test_an_unknown_name_is_refused(wrong):
    before = rot180.algorithm()
    message = rf"algorithm is {wrong!r}, expected one of \['auto', 'direct', 'winograd'\]"
    with pytest.raises(ValueError, match=message):
        rot180.set_algorithm(wrong)
    assert rot180.algorithm() == before
    for call in every_pass((3, 3), {}, algorithm=wrong)[0].values():
        with pytest.raises(ValueError, match=message):
            call()


def in_environment(name, program="print(rot180.algorithm())"):
    return subprocess.run(
        [sys.executable, "-c", f"import rot180; {program}"],
        env=os.environ | {"ROT180_ALGORITHM": name},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("value", "name"), [*((name, name) for name in NAMES), ("", "auto")])
def test_the_environment_sets_it(value, name):
    assert in_environment(value).stdout.strip() == name


CALL = "import numpy as np; rot180.functional.conv2d(np.ones((1, 4, 4, 1)), np.ones((3, 3, 1, 1)))"


@pytest.mark.parametrize(
    "program",
    ["rot180.algorithm()", CALL, "rot180.set_algorithm('direct')"],
    ids=["get", "use", "set"],
)
def test_an_unknown_name_in_the_environment_is_refused(program):
    result = in_environment("fft", program)
    assert result.returncode != 0
    assert "ROT180_ALGORITHM 'fft' is unknown: expected auto, direct or winograd" in result.stderr


def assert_refused(call, reason):
    with pytest.raises(ValueError, match=f"'winograd' cannot compute this shape: {reason}"):
        call()


@pytest.mark.parametrize("batch", [2, 0])
@pytest.mark.parametrize("name", REFUSED)
def test_an_algorithm_that_the_shape_does_not_admit_is_refused_with_the_reason(name, batch):
    kernel_size, options, reason = REFUSED[name]
    for call in every_pass(kernel_size, options, batch, "winograd")[0].values():
        assert_refused(call, reason)


def test_it_is_refused_for_a_depthwise_convolution_too():
    x, weight = np.ones((1, 6, 6, 8)), np.ones((3, 3, 1, 8))
    options = {"groups": 8, "padding": 1, "algorithm": "winograd"}
    for call in (
        lambda: functional.conv2d(x, weight, **options),
        lambda: functional.conv2d_grad_input(x, weight, x.shape, **options),
        lambda: functional.conv2d_grad_weight(x, x, 3, **options),
    ):
        assert_refused(call, "there is more than one group")


def test_a_refusal_leaves_the_results_alone():
    x, weight = np.ones((1, 4, 4, 2)), np.ones((1, 1, 3, 2))
    y, dw, db = np.full((1, 10, 10, 3), 7.0), np.full((1, 1, 3, 2), 7.0), np.full(3, 7.0)
    options = {"stride": 3, "algorithm": "winograd"}
    for call in (
        lambda: functional.conv_transpose2d(x, weight, out=y, **options),
        lambda: functional.conv_transpose2d_grad_weight(
            x, np.ones(y.shape), 1, out=dw, bias_out=db, **options
        ),
    ):
        assert_refused(call, "the ")
    assert all((result == 7).all() for result in (y, dw, db))


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_set_for_the_process_is_a_preference(name, algorithm):
    kernel_size, options, _ = REFUSED[name]
    calls, x_shape, weight_shape = every_pass(kernel_size, options)
    algorithm("direct")
    direct = bits(calls)
    algorithm("winograd")
    assert bits(calls) == direct
    for pass_name in PASSES:
        assert conv2d_algorithm(pass_name, x_shape, weight_shape, **options) == "direct"


def random_passes(algorithm):
    """Every pass of a convolution that either algorithm can compute, and whose bits tell which."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(2, 9, 9, 24)), rng.normal(size=(3, 3, 24, 20))
    dy = rng.normal(size=(2, 9, 9, 20))
    options = {"padding": 1, "algorithm": algorithm}
    f = functional
    return {
        "conv2d": lambda: f.conv2d(x, weight, **options),
        "conv2d_grad_input": lambda: f.conv2d_grad_input(dy, weight, x.shape, **options),
        "conv2d_grad_weight": lambda: f.conv2d_grad_weight(x, dy, 3, **options),
        "conv_transpose2d": lambda: f.conv_transpose2d(dy, weight, **options),
        "conv_transpose2d_grad_input": lambda: f.conv_transpose2d_grad_input(x, weight, **options),
        "conv_transpose2d_grad_weight": lambda: f.conv_transpose2d_grad_weight(dy, x, 3, **options),
    }


def test_the_argument_goes_before_what_is_set(algorithm):
    forced = {name: bits(random_passes(name)) for name in ("direct", "winograd")}
    for name in forced["direct"]:
        assert forced["direct"][name] != forced["winograd"][name], name
    for chosen in ("direct", "winograd"):
        algorithm(chosen)
        assert bits(random_passes("auto")) == forced[chosen]
        assert {name: bits(random_passes(name)) for name in forced} == forced


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", PASSES)
def test_the_answer_for_each_setting(name, dtype, algorithm):
    shapes = ((2, 9, 9, 24), (3, 3, 24, 20))
    for chosen in ("direct", "winograd"):
        algorithm(chosen)
        assert conv2d_algorithm(name, *shapes, padding=1, dtype=dtype) == chosen
    algorithm("auto")
    # A deep layer of a network is what Winograd's algorithm is for, one channel is what it is not.
    deep = ((8, 56, 56, 64), (3, 3, 64, 64))
    assert conv2d_algorithm(name, *deep, padding=1, dtype=dtype) == "winograd"
    assert conv2d_algorithm(name, (8, 28, 28, 1), (3, 3, 1, 1), dtype=dtype) == "direct"
    strided = ((8, 32, 32, 64), (4, 4, 64, 128))
    assert conv2d_algorithm(name, *strided, stride=2, padding=1, dtype=dtype) == "winograd"
    for wrong in ({"stride": 2}, {"dilation": 2}):
        assert conv2d_algorithm(name, *deep, **wrong, dtype=dtype) == "direct"


@pytest.mark.parametrize("shape", [((2, 9, 9, 24), (3, 3, 24, 20)), ((2, 9, 9, 3), (3, 3, 3, 2))])
def test_auto_does_what_it_tells(shape, algorithm):
    algorithm("auto")
    rng = np.random.default_rng(0)
    x, weight = (rng.normal(size=size) for size in shape)
    dy = rng.normal(size=(2, 7, 7, weight.shape[3]))
    for name, run in (
        ("conv2d", lambda how: functional.conv2d(x, weight, algorithm=how)),
        (
            "conv2d_grad_input",
            lambda how: functional.conv2d_grad_input(dy, weight, x.shape, algorithm=how),
        ),
        ("conv2d_grad_weight", lambda how: functional.conv2d_grad_weight(x, dy, 3, algorithm=how)),
    ):
        told = conv2d_algorithm(name, *shape, dtype=x.dtype)
        assert run("auto").tobytes() == run(told).tobytes(), name


def test_auto_never_depends_on_threads(algorithm, num_threads):
    algorithm("auto")
    answers = set()
    for threads in (1, 2, 3, 8, 64):
        num_threads(threads)
        answers.add(
            tuple(
                conv2d_algorithm(name, (n, size, size, c), (3, 3, c, k), padding=1, dtype=dtype)
                for name in PASSES
                for dtype in DTYPES
                for n in (1, 8)
                for size in (4, 7, 56)
                for c in (3, 16, 64, 512)
                for k in (4, 32, 512)
            )
        )
    assert len(answers) == 1
    assert set(answers.pop()) == {"direct", "winograd"}


IMAGE, KERNEL = (1, 8, 8, 4), (3, 3, 4, 2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: conv2d_algorithm("conv_transpose2d", IMAGE, KERNEL),
            ValueError,
            r"name is 'conv_transpose2d', expected one of \['conv2d', 'conv2d_grad_input', ",
        ),
        (lambda: conv2d_algorithm("conv2d", IMAGE[1:], KERNEL), ValueError, "expected four sizes"),
        (lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL[1:]), ValueError, "expected four sizes"),
        (lambda: conv2d_algorithm("conv2d", IMAGE, (3, 3, 5, 2)), ValueError, "channels"),
        (lambda: conv2d_algorithm("conv2d", IMAGE, (9, 9, 4, 2)), ValueError, "kernel covers 9"),
        (lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, stride=0), ValueError, "stride must be"),
        (lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, padding=-1), ValueError, "padding must"),
        (
            lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, dilation=0),
            ValueError,
            "dilation must",
        ),
        (lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, groups=3), ValueError, "groups=3 must"),
        (
            lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, dtype=np.int32),
            TypeError,
            "dtype must be float32 or float64",
        ),
        (lambda: conv2d_algorithm("conv2d", IMAGE, KERNEL, dtype="spam"), TypeError, "got 'spam'"),
    ],
)
def test_arguments_of_the_question(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_layers_obey():
    rng = np.random.default_rng(0)
    x, dy = rng.normal(size=(2, 9, 9, 24)), rng.normal(size=(2, 9, 9, 20))

    def run(algorithm):
        layer = rot180.Conv2d(
            24, 20, 3, padding=1, activation="tanh", dtype="d", algorithm=algorithm, rng=rng
        )
        layer.weight.value[...] = np.random.default_rng(1).normal(size=layer.weight.value.shape)
        y = layer.forward(x, training=True)
        dx = layer.backward(dy)
        return layer.weight.value, y, dx, layer.weight.grad

    for how in ("direct", "winograd"):
        weight, y, dx, dw = run(how)
        options = {"padding": 1, "activation": "tanh", "algorithm": how}
        np.testing.assert_array_equal(y, functional.conv2d(x, weight, np.zeros(20), **options))
        expected = functional.conv2d_grad_input(dy, weight, x.shape, y=y, **options)
        np.testing.assert_array_equal(dx, expected)
        expected = functional.conv2d_grad_weight(x, dy, 3, y=y, **options)
        np.testing.assert_array_equal(dw, expected)
    for direct, winograd in zip(run("direct")[1:], run("winograd")[1:], strict=True):
        assert (direct != winograd).any()


def test_a_layer_whose_shape_does_not_admit_it_says_so():
    layer = rot180.Conv2d(4, 8, 3, stride=2, algorithm="winograd")
    with pytest.raises(ValueError, match="cannot compute this shape: the stride does not"):
        layer.forward(np.ones((1, 9, 9, 4), np.float32))


def test_an_unknown_name_is_refused_by_a_layer():
    with pytest.raises(ValueError, match="algorithm is 'fft'"):
        rot180.Conv2d(4, 8, 3, algorithm="fft").forward(np.ones((1, 9, 9, 4), np.float32))
