"""Processes and threads around the kernels: forks, calls at once, a system that gives no more.

F15 to F17 of test_faults.py.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest

import geometries
from comparison import assert_exact
from rot180 import functional, reference

BOTH_WAYS = pytest.mark.parametrize("how", ["direct", "winograd"])


def run_python(program, how):
    """Run a program of its own, by one algorithm, and return what it printed."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        env=os.environ | {"ROT180_ALGORITHM": how},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


# Every pass on three threads, as one digest.
EVERY_PASS = """
    import hashlib, multiprocessing, os, threading
    import numpy as np
    from rot180 import functional as f, set_num_threads

    set_num_threads(3)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(32, 20, 20, 8)), rng.normal(size=(3, 3, 8, 32))

    def every_pass(_=None):
        y = f.conv2d(x, w, activation="relu")
        through = {"activation": "relu", "y": y}
        db, param = np.empty(32), x.copy()
        results = [
            y,
            f.conv2d_grad_input(y, w, x.shape, **through),
            f.conv2d_grad_weight(x, y, 3, **through, bias_out=db),
            db,
            f.conv2d_grad_bias(y),
            f.conv_transpose2d(y, w),
            f.conv_transpose2d(y, w, stride=2),
            f.max_pool2d(x, 2),
            f.avg_pool2d(x, 2),
            f.tanh(x),
            f.softmax(x.reshape(-1, 8)),
            f.linear(x.reshape(-1, 8), w[0, 0]),
            param,
        ]
        f.adam_step(param, x, np.zeros_like(x), np.zeros_like(x), step=1)
        return hashlib.sha256(b"".join(a.tobytes() for a in results)).hexdigest()

    expected = every_pass()
"""


def run_every_pass(program, how):
    return run_python(textwrap.dedent(EVERY_PASS) + textwrap.dedent(program), how)


@BOTH_WAYS
def test_f15_a_forked_child_runs_every_pass_and_so_does_its_child(how):
    result = run_every_pass(
        """
        def fork(generations):
            child = os.fork()
            same = every_pass() == expected
            if child == 0:
                os._exit(0 if same and (generations == 1 or fork(generations - 1)) else 1)
            return same and os.waitpid(child, 0)[1] == 0

        print(fork(3), fork(1), every_pass() == expected)
    """,
        how,
    )
    assert result.stdout == "True True True\n", result.stderr


@BOTH_WAYS
def test_f15_a_pool_of_forked_processes(how):
    result = run_every_pass(
        """
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(set(pool.map(every_pass, range(6), chunksize=1)) == {expected})
        print(every_pass() == expected)
    """,
        how,
    )
    assert result.stdout == "True\nTrue\n", result.stderr


@BOTH_WAYS
def test_f15_a_fork_while_another_thread_is_in_a_kernel(how):
    result = run_every_pass(
        """
        done, wrong = threading.Event(), []

        def work():
            while not done.is_set():
                if every_pass() != expected:
                    wrong.append("in the thread")

        thread = threading.Thread(target=work)
        thread.start()
        for _ in range(10):
            child = os.fork()
            if child == 0:
                os._exit(0 if every_pass() == expected else 1)
            if os.waitpid(child, 0)[1] != 0:
                wrong.append("in the child")
        done.set()
        thread.join()
        print(wrong)
    """,
        how,
    )
    assert result.stdout == "[]\n", result.stderr


@BOTH_WAYS
def test_f16_no_memory_to_be_had_is_a_memory_error(how):
    result = run_python(
        """
        import resource
        import numpy as np
        from rot180 import functional, set_num_threads
        set_num_threads(2)
        x = np.ones((8, 64, 64, 256), np.float32)
        weight = np.ones((3, 3, 256, 512), np.float32)
        out = np.empty((8, 64, 64, 512), np.float32)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, used + 2**20))
        for attempt in range(2):
            try:
                functional.conv2d(x, weight, padding=1, out=out)
            except MemoryError:
                print("MemoryError")
    """,
        how,
    )
    assert result.stdout == "MemoryError\nMemoryError\n", result.stderr
    assert result.returncode == 0


@BOTH_WAYS
def test_f16_no_threads_to_be_had_is_fewer_threads(how):
    result = run_python(
        """
        import resource
        import numpy as np
        from rot180 import functional, reference, set_num_threads
        set_num_threads(16)
        x = np.ones((32, 20, 20, 8), np.float32)
        weight = np.ones((3, 3, 8, 32), np.float32)
        expected = reference.conv2d(x, weight)
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        # Room for the result and for the stacks of a few threads, not of sixteen.
        limit = used + 48 * 2**20
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for attempt in range(3):
            print(np.array_equal(np.rint(functional.conv2d(x, weight)), expected))
    """,
        how,
    )
    assert result.stdout == "True\nTrue\nTrue\n", result.stderr
    assert result.returncode == 0


@BOTH_WAYS
def test_f17_two_threads_in_kernels_at_once(how, algorithm):
    algorithm(how)
    cases = [geometries.AWKWARD["everything"], geometries.Case((8, 30, 30, 16), (3, 3, 16, 24))]
    operands = [case.integers() for case in cases]
    expected = [
        functional.conv2d(x, weight, **case.options)
        for case, (x, weight, _) in zip(cases, operands, strict=True)
    ]
    for case, (x, weight, _), y in zip(cases, operands, expected, strict=True):
        exact = reference.conv2d(x, weight, **case.options)
        assert_exact(y, exact, "conv2d", case.geometry, "y")
    failures = []

    def work(case, x, weight, y):
        for _ in range(50):
            if not np.array_equal(functional.conv2d(x, weight, **case.options), y):
                failures.append(case)

    threads = [
        threading.Thread(target=work, args=(case, *arrays[:2], y))
        for case, arrays, y in zip(cases * 2, operands * 2, expected * 2, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_f17_the_interpreter_is_free_while_a_kernel_runs(num_threads):
    num_threads(1)
    x = np.zeros((16, 64, 64, 64), np.float32)
    weight = np.zeros((3, 3, 64, 512), np.float32)
    out = np.empty((16, 62, 62, 512), np.float32)
    started = threading.Event()

    def kernel():
        started.set()
        functional.conv2d(x, weight, out=out)

    gc.collect()
    thread = threading.Thread(target=kernel)
    thread.start()
    started.wait()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    thread.join()
    assert turns > 5, "this thread stood still while the kernel ran"
