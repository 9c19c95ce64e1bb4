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
    "flat rows": geometries.FLAT_ROWS["a channel to six"],
    "strided flat rows": geometries.FLAT_ROWS["four channels to seven, strided"],
    "sum of windows": geometries.Case((19, 24, 23, 6), (5, 5, 6, 16), stride=(1, 2)),
    "3x3": geometries.Case((9, 30, 31, 40), (3, 3, 40, 70), padding=1),
    "strided": geometries.Case((8, 40, 41, 16), (3, 3, 16, 20), stride=2, padding=1),
    "one image": geometries.Case((1, 60, 61, 24), (5, 3, 24, 32), padding=2),
    "pointwise": geometries.Case((8, 30, 30, 64), (1, 1, 64, 100)),
    "dense, few samples": geometries.Case((3, 1, 1, 900), (1, 1, 900, 300)),
    "dense, more samples": geometries.Case((11, 1, 1, 900), (1, 1, 900, 290)),
    "depthwise": geometries.Case((4, 50, 50, 48), (3, 3, 1, 48), padding=1, groups=48),
    "grouped": geometries.Case((4, 30, 30, 32), (3, 3, 8, 64), padding=1, groups=4),
    "first layer": geometries.Case((16, 40, 40, 1), (5, 5, 1, 24)),
}

TRANSPOSED = {
    "upsampling": geometries.TransposedCase((6, 20, 21, 40), (4, 4, 24, 40), 2, 1),
    "stride 3, output padding": geometries.TransposedCase(
        (4, 16, 17, 32), (5, 3, 8, 32), 3, 1, 2, groups=2
    ),
    "gaps": geometries.TransposedCase((8, 20, 20, 32), (1, 2, 48, 32), stride=3),
    "3x3": geometries.TransposedCase((6, 20, 21, 40), (3, 3, 24, 40), padding=1),
    "depthwise": geometries.TransposedCase((4, 30, 30, 48), (3, 3, 1, 48), 2, 1, groups=48),
}


BOTH_WAYS = [
    *(("direct", name) for name in CASES),
    *(("winograd", name) for name in ("3x3", *geometries.WINOGRAD)),
]


def digest(*arrays):
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()


def every_convolution_pass(case, dtype):
    x, weight, dy = (a.astype(dtype) for a in case.reals())
    bias = np.linspace(-1, 1, weight.shape[3], dtype=dtype)
    y = functional.conv2d(x, weight, bias, activation="tanh", **case.options)
    through = {"activation": "tanh", "y": y, **case.options}
    db, db_through = np.empty_like(bias), np.empty_like(bias)
    size = case.kernel_size
    return digest(
        y,
        functional.conv2d_grad_input(dy, weight, x.shape, **case.options),
        functional.conv2d_grad_input(dy, weight, x.shape, **through),
        functional.conv2d_grad_weight(x, dy, size, **case.options),
        functional.conv2d_grad_weight(x, dy, size, **case.options, bias_out=db),
        functional.conv2d_grad_weight(x, dy, size, **through, bias_out=db_through),
        functional.conv2d_grad_bias(dy),
        db,
        db_through,
    )


def every_transposed_pass(case, dtype):
    x, weight, bias, dy = case.reals(dtype)
    db, size = np.empty_like(bias), case.weight_shape[:2]
    return digest(
        functional.conv_transpose2d(x, weight, bias, activation="tanh", **case.options),
        functional.conv_transpose2d_grad_input(dy, weight, **case.options),
        functional.conv_transpose2d_grad_weight(x, dy, size, **case.options, bias_out=db),
        db,
    )


def every_normalisation(dtype):
    x, dy = (np.random.default_rng(i).normal(size=(9, 40, 41, 24)).astype(dtype) for i in (0, 1))
    weight, bias = np.linspace(-2, 2, 48, dtype=dtype).reshape(2, 24)
    running_mean, running_var, dw, db = np.zeros((4, 24), dtype)
    y, *statistics = functional.batch_norm_training(
        x, weight, bias, running_mean=running_mean, running_var=running_var, activation="relu"
    )
    arguments = (*statistics, weight, bias)
    dx = functional.batch_norm_grad_input(
        dy, x, *arguments, activation="relu", weight_out=dw, bias_out=db
    )
    return digest(
        y,
        *statistics,
        running_mean,
        running_var,
        dx,
        dw,
        db,
        functional.batch_norm_grad_weight(x, dy, *arguments, activation="tanh"),
        functional.batch_norm(x, running_mean, running_var, weight, bias, activation="tanh"),
        *every_group_normalisation(x, dy, weight, bias),
    )


def every_group_normalisation(x, dy, weight, bias):
    """Samples as tasks, slots of few samples as tasks, and rows as tasks."""
    results = []
    for images, gradient in ((x, dy), (x.reshape(3, 120, 41, 24), dy.reshape(3, 120, 41, 24))):
        y, *statistics = functional.group_norm(images, 6, weight, bias, activation="sigmoid")
        arguments = (*statistics, weight, bias)
        dx = functional.group_norm_grad_input(gradient, images, *arguments)
        dw = functional.group_norm_grad_weight(images, gradient, *arguments)
        results += [y, *statistics, dx, dw]
    y, *statistics = functional.layer_norm(x, 24, weight, bias, activation="relu")
    dx = functional.layer_norm_grad_input(dy, x, *statistics, weight, bias)
    dw = functional.layer_norm_grad_weight(x, dy, *statistics, weight, bias)
    return [*results, y, *statistics, dx, dw]


def every_pooling_and_upsampling(dtype):
    x = np.random.default_rng(0).normal(size=(16, 40, 41, 24)).astype(dtype)
    y, indices = functional.max_pool2d(x, 3, stride=2, padding=1, return_indices=True)
    small, taps = functional.max_pool2d(x, 2, ceil_mode=True, return_taps=True)
    average = functional.avg_pool2d(x, 3, stride=2)
    adaptive = functional.adaptive_avg_pool2d(x, (7, 9))
    larger = functional.upsample2d(x, 1.5, mode="bilinear")
    twice = functional.upsample2d(x, 2)
    return digest(
        y,
        indices,
        taps,
        functional.max_pool2d_grad_input(y, indices, x.shape, 3, stride=2, padding=1),
        functional.max_pool2d_grad_input(small, taps, x.shape, 2, ceil_mode=True),
        average,
        functional.avg_pool2d_grad_input(average, x.shape, 3, stride=2),
        adaptive,
        functional.adaptive_avg_pool2d_grad_input(adaptive, x.shape),
        larger,
        functional.upsample2d_grad_input(larger, x.shape, 1.5, mode="bilinear"),
        twice,
        functional.upsample2d_grad_input(twice, x.shape, 2),
    )


def everything_else(dtype):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 40, 40, 24)).astype(dtype)
    logits = rng.normal(size=(3000, 10)).astype(dtype)
    labels = rng.integers(0, 10, 3000)
    loss, probabilities = functional.softmax_cross_entropy(logits, labels)
    options = {"label_smoothing": 0.1, "class_weights": np.arange(1.0, 11.0)}
    weighted, _ = functional.softmax_cross_entropy(logits, labels, **options)
    other = rng.normal(size=x.shape).astype(dtype)
    positive = rng.uniform(size=x.shape).astype(dtype)
    params = [x.copy(), logits.copy()]
    grads = [other, probabilities]
    m, v, velocity = ([np.zeros_like(p) for p in params] for _ in range(3))
    functional.adam_step(params, grads, m, v, step=1)
    functional.sgd_step(params, grads, velocity, lr=0.1, momentum=0.9)
    functional.rmsprop_step(params, grads, v, m, velocity, lr=0.1, momentum=0.9, centered=True)
    averages = [other.copy(), probabilities.copy()]
    functional.ema_step(averages, params, decay=0.9)
    clipped = [param.copy() for param in params]
    norm = functional.clip_grad_norm(clipped, 1.0)
    features = x[0].reshape(40 * 40, 24)
    matrix = rng.normal(size=(24, 50)).astype(dtype)
    product = functional.linear(features, matrix, activation="sigmoid")
    through = {"activation": "sigmoid", "y": product}
    db = np.empty(50, dtype)
    return digest(
        functional.sigmoid(x),
        functional.sigmoid_grad_input(other, x),
        functional.gelu(x),
        functional.gelu_grad_input(other, x),
        functional.dropout(x, 0.3, 7),
        functional.softmax(x),
        functional.softmax_grad_input(other, x),
        np.array(
            [
                loss,
                weighted,
                functional.mean_squared_error(x, other),
                functional.huber(x, other),
                functional.binary_cross_entropy(x, positive, pos_weight=np.arange(24.0)),
            ]
        ),
        functional.softmax_cross_entropy_grad_input(probabilities, labels),
        functional.softmax_cross_entropy_grad_input(probabilities, labels, **options),
        functional.mean_squared_error_grad_input(x, other),
        functional.huber_grad_input(x, other),
        functional.binary_cross_entropy_grad_input(x, positive, pos_weight=np.arange(24.0)),
        product,
        functional.linear_grad_input(product, matrix, **through),
        functional.linear_grad_weight(features, product, **through, bias_out=db),
        db,
        *params,
        *averages,
        *clipped,
        np.array([norm]),
    )


@pytest.fixture(params=rot180.build_info()["instruction_sets"])
def assert_same_bits(request, instruction_set, num_threads):
    """Assert that the digest is one and the same for every number of threads, on each set."""
    instruction_set(request.param)

    def check(run, *arguments):
        digests = []
        for threads in THREADS:
            num_threads(threads)
            digests.append(run(*arguments))
        assert len(set(digests)) == 1

    return check


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("how", "name"), BOTH_WAYS)
def test_convolutions_have_the_same_bits(how, name, dtype, assert_same_bits, algorithm):
    algorithm(how)
    assert_same_bits(every_convolution_pass, (CASES | geometries.WINOGRAD)[name], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("how", "name"), [*(("direct", name) for name in TRANSPOSED), ("winograd", "3x3")]
)
def test_transposed_convolutions_have_the_same_bits(how, name, dtype, assert_same_bits, algorithm):
    algorithm(how)
    assert_same_bits(every_transposed_pass, TRANSPOSED[name], dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_normalisation_has_the_same_bits(dtype, assert_same_bits):
    assert_same_bits(every_normalisation, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pooling_and_upsampling_have_the_same_bits(dtype, assert_same_bits):
    assert_same_bits(every_pooling_and_upsampling, dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_rest_has_the_same_bits(dtype, assert_same_bits):
    assert_same_bits(everything_else, dtype)


def threads_with(environment, prefix="", command=()):
    program = f"{prefix}import rot180; print(rot180.get_num_threads())"
    inherited = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    result = subprocess.run(
        [*command, sys.executable, "-c", program],
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


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity masks")
def test_affinity_limits_the_number_of_threads():
    one = min(os.sched_getaffinity(0))
    assert threads_with({}, f"import os; os.sched_setaffinity(0, {{{one}}}); ") == 1


# A mount namespace of its own, in which a process finds other files under /sys/fs/cgroup.
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
IN_CGROUP = """
mount --bind "$1" /sys/fs/cgroup
mount --bind "$2" /proc/$$/cgroup
shift 2
exec "$@"
"""


def namespaces_allowed():
    probe = "mount --bind /proc/self/cgroup /proc/$$/cgroup"
    try:
        return subprocess.run([*NAMESPACE, "sh", "-c", probe], capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


ALL = os.cpu_count() or 1


@pytest.mark.skipif(not namespaces_allowed(), reason="needs Linux and user namespaces")
@pytest.mark.parametrize(
    ("membership", "files", "cpus"),
    [
        ("0::/", {"cpu.max": "max 100000"}, ALL),
        ("0::/", {"cpu.max": "199999 100000"}, 1),
        ("0::/", {"cpu.max": "20000 100000"}, 1),
        ("0::/", {"cpu.max": "200000 100000"}, 2),
        ("0::/", {"cpu.max": "nonsense"}, ALL),
        ("0::/", {}, ALL),
        ("0::/a/b", {"a/b/cpu.max": "100000 100000", "a/cpu.max": "max 100000"}, 1),
        ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "75000 50000"}, 1),
        ("0::/a", {"a/cpu.max": "max 100000", "b/cpu.max": "100000 100000"}, ALL),
        (
            "3:cpuset:/\n2:cpu,cpuacct:/a",
            {"cpu/a/cpu.cfs_quota_us": "100000", "cpu/a/cpu.cfs_period_us": "100000"},
            1,
        ),
        ("2:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, ALL),
        # In a container the path is the host's, and the container's own files lie at the top.
        ("2:cpu:/docker/1", {"cpu/cpu.cfs_quota_us": "75000", "cpu/cpu.cfs_period_us": "50000"}, 1),
    ],
)
def test_the_quota_of_the_cgroup_limits_the_number_of_threads(tmp_path, membership, files, cpus):
    cgroup, member = tmp_path / "cgroup", tmp_path / "member"
    cgroup.mkdir()
    member.write_text(membership + "\n")
    for name, text in files.items():
        (cgroup / name).parent.mkdir(parents=True, exist_ok=True)
        (cgroup / name).write_text(text + "\n")
    command = [*NAMESPACE, "sh", "-euc", IN_CGROUP, "sh", str(cgroup), str(member)]
    assert threads_with({}, command=command) == min(cpus, threads_with({}))


@pytest.mark.parametrize(("n", "error"), [(0, ValueError), (-1, ValueError), (5000, ValueError)])
def test_a_wrong_number_of_threads_is_refused(n, error):
    with pytest.raises(error, match=f"n is {n}, expected 1 to 4096"):
        rot180.set_num_threads(n)
