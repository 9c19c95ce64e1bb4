"""The same bits for any number of threads, and how many threads there are."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

import geometries
import rot180
from rot180 import functional

THREADS = [1, 2, 3, 8]

CASES = {
    "3x3": geometries.Case((9, 30, 31, 40), (3, 3, 40, 70), padding=1),
    "strided": geometries.Case((8, 40, 41, 16), (3, 3, 16, 20), stride=2, padding=1),
    "one image": geometries.Case((1, 60, 61, 24), (5, 3, 24, 32), padding=2),
    "pointwise": geometries.Case((8, 30, 30, 64), (1, 1, 64, 100)),
    "depthwise": geometries.Case((4, 50, 50, 48), (3, 3, 1, 48), padding=1, groups=48),
    "grouped": geometries.Case((4, 30, 30, 32), (3, 3, 8, 64), padding=1, groups=4),
    "first layer": geometries.Case((16, 40, 40, 1), (5, 5, 1, 24)),
}


def digest(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def every_convolution_pass(case, dtype):
    x, weight, dy = (a.astype(dtype) for a in case.reals())
    bias = np.linspace(-1, 1, weight.shape[3], dtype=dtype)
    return digest(
        functional.conv2d(x, weight, bias, activation="tanh", **case.options),
        functional.conv2d_grad_input(dy, weight, x.shape, **case.options),
        functional.conv2d_grad_weight(x, dy, case.kernel_size, **case.options),
        functional.conv2d_grad_bias(dy),
    )


def everything_else(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 40, 40, 24)).astype(dtype)
    y, indices = functional.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    average = functional.avg_pool2d(x, 3, stride=2)
    logits = rng.normal(size=(3000, 10)).astype(dtype)
    labels = rng.integers(0, 10, 3000)
    loss, probabilities = functional.softmax_cross_entropy(logits, labels)
    other = rng.normal(size=x.shape).astype(dtype)
    params = [x.copy(), logits.copy()]
    grads = [other, probabilities]
    m, v, velocity = ([np.zeros_like(p) for p in params] for _ in range(3))
    functional.adam_step(params, grads, m, v, step=1)
    functional.sgd_step(params, grads, velocity, lr=0.1, momentum=0.9)
    features = x[0].reshape(40 * 40, 24)
    matrix = rng.normal(size=(24, 50)).astype(dtype)
    return digest(
        y,
        functional.max_pool2d_grad_input(y, indices, x.shape, 3, stride=2, padding=1),
        average,
        functional.avg_pool2d_grad_input(average, x.shape, 3, stride=2),
        functional.sigmoid(x),
        functional.sigmoid_grad_input(other, x),
        np.array([loss, functional.mean_squared_error(x, other)]),
        functional.softmax_cross_entropy_grad_input(probabilities, labels),
        functional.mean_squared_error_grad_input(x, other),
        functional.linear(features, matrix),
        *params,
    )


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_convolutions_have_the_same_bits(isa, dtype, name, instruction_set, num_threads):
    instruction_set(isa)
    digests = []
    for threads in THREADS:
        num_threads(threads)
        digests.append(every_convolution_pass(CASES[name], dtype))
    assert len(set(digests)) == 1


@pytest.mark.parametrize("isa", rot180.build_info()["instruction_sets"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rest_has_the_same_bits(isa, dtype, instruction_set, num_threads):
    instruction_set(isa)
    digests = []
    for threads in THREADS:
        num_threads(threads)
        digests.append(everything_else(dtype))
    assert len(set(digests)) == 1


def threads_with(environment, prefix=""):
    program = f"{prefix}import rot180; print(rot180.get_num_threads())"
    inherited = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=inherited | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(result.stdout)


def test_the_environment_sets_the_number_of_threads():
    assert threads_with({"OMP_NUM_THREADS": "3"}) == 3
    assert threads_with({"OMP_NUM_THREADS": "5,2"}) == 5
    assert threads_with({"OMP_NUM_THREADS": "3", "ROT180_NUM_THREADS": "7"}) == 7
    assert threads_with({"ROT180_NUM_THREADS": "none"}) == threads_with({})
    assert 1 <= threads_with({}) <= (os.cpu_count() or 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="Linux has affinity masks")
def test_affinity_limits_the_number_of_threads():
    one = min(os.sched_getaffinity(0))
    assert threads_with({}, f"import os; os.sched_setaffinity(0, {{{one}}}); ") == 1


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (5000, ValueError)])
def test_a_wrong_number_of_threads_is_refused(n, error):
    with pytest.raises(error, match=f"n is {n}, expected 1 to 4096"):
        rot180.set_num_threads(n)
