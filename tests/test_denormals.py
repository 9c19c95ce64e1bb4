"""Denormal numbers count as zero inside every kernel, and only there (F14).

An operation on denormals takes up to a hundred cycles on many CPUs. Time is not tested here, being
another on every machine, but its cause: that no kernel computes with a denormal.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from rot180 import functional, reference

# Of the functions that compute: each of them has a twin in reference.
NAMES = reference.__all__
# What a convolution is computed by, and what else there is but once.
WAYS = [
    (name, how)
    for name in NAMES
    for how in (("direct", "winograd") if name.startswith("conv") else ("auto",))
]
# Enough elements that every function has work for several threads.
X_SHAPE, KERNEL_SHAPE, Y_SHAPE = (8, 40, 40, 24), (3, 3, 24, 16), (8, 38, 38, 16)


def operations(dtype, tiny):
    """Each function's results on arrays full of `tiny`, beside ones so large that it would show.

    By the function's name, to be called.
    """

    def full(shape, value=tiny):
        return np.full(shape, value, dtype)

    def large(shape):
        return full(shape, 1e10)

    x, weight, y = full(X_SHAPE), full(KERNEL_SHAPE), full(Y_SHAPE)
    pixels, matrix, rows = full((2000, 48)), full((48, 40)), full((2000, 40))
    half, labels = full(X_SHAPE, 0.5), np.zeros(2000, np.int64)
    channels, ones = full(24), full(24, 1)
    huge = 1 / float(np.finfo(dtype).smallest_normal)
    db, db_linear, db_transposed, db_norm = full(16), full(40), full(24), full(24)
    in_groups, of_rows = full((8, 6), 1), (full(2000, 1), full(2000, 1))
    f = functional

    def in_place(update, *arrays, **options):
        update(*arrays, **options)
        return arrays

    def pooled():
        largest, indices = f.max_pool2d(half, 3, stride=1, return_indices=True)
        return full(largest.shape), indices

    return {
        "conv2d": lambda: (f.conv2d(x, large(KERNEL_SHAPE), db), f.conv2d(large(X_SHAPE), weight)),
        "conv2d_grad_input": lambda: (
            f.conv2d_grad_input(y, large(KERNEL_SHAPE), X_SHAPE),
            f.conv2d_grad_input(large(Y_SHAPE), weight, X_SHAPE, activation="tanh", y=y),
        ),
        "conv2d_grad_weight": lambda: (
            f.conv2d_grad_weight(x, large(Y_SHAPE), 3),
            f.conv2d_grad_weight(large(X_SHAPE), y, 3, bias_out=db),
            f.conv2d_grad_weight(
                large(X_SHAPE),
                large(Y_SHAPE),
                3,
                activation="sigmoid",
                y=y,
                bias_out=db_linear[:16],
            ),
            db,
            db_linear[:16],
        ),
        "conv2d_grad_bias": lambda: (f.conv2d_grad_bias(y),),
        "conv_transpose2d": lambda: (
            f.conv_transpose2d(y, large(KERNEL_SHAPE), db_transposed),
            f.conv_transpose2d(large(Y_SHAPE), weight, stride=2),
        ),
        "conv_transpose2d_grad_input": lambda: (
            f.conv_transpose2d_grad_input(x, large(KERNEL_SHAPE)),
            f.conv_transpose2d_grad_input(large(X_SHAPE), weight),
        ),
        "conv_transpose2d_grad_weight": lambda: (
            f.conv_transpose2d_grad_weight(large(Y_SHAPE), x, 3, bias_out=db_transposed),
            f.conv_transpose2d_grad_weight(y, large(X_SHAPE), 3),
            db_transposed,
        ),
        "linear": lambda: (
            f.linear(pixels, large(matrix.shape), db_linear),
            f.linear(large(pixels.shape), matrix),
        ),
        "linear_grad_input": lambda: (f.linear_grad_input(rows, large(matrix.shape)),),
        "linear_grad_weight": lambda: (
            f.linear_grad_weight(large(pixels.shape), rows, bias_out=db_linear),
            db_linear,
        ),
        "linear_grad_bias": lambda: (f.linear_grad_bias(rows),),
        "batch_norm": lambda: (
            f.batch_norm(x, channels, ones, 1e10 * ones),
            f.batch_norm(large(X_SHAPE), channels, channels, channels, channels),
        ),
        "batch_norm_training": lambda: f.batch_norm_training(
            x, 1e10 * ones, channels, running_mean=ones.copy(), running_var=channels.copy()
        ),
        "batch_norm_grad_input": lambda: (
            f.batch_norm_grad_input(x, half, ones, ones, 1e10 * ones),
            f.batch_norm_grad_input(large(X_SHAPE), x, channels, channels, channels),
        ),
        "batch_norm_grad_weight": lambda: (
            f.batch_norm_grad_weight(large(X_SHAPE), x, ones, ones, bias_out=db_transposed),
            f.batch_norm_grad_weight(x, large(X_SHAPE), channels, ones),
            db_transposed,
        ),
        "group_norm": lambda: (
            *f.group_norm(x, 6, 1e10 * ones, channels),
            *f.group_norm(pixels, 6, activation="sigmoid"),
        ),
        "group_norm_grad_input": lambda: (
            f.group_norm_grad_input(x, half, in_groups, in_groups, 1e10 * ones),
            f.group_norm_grad_input(large(X_SHAPE), x, full((8, 6)), full((8, 6)), channels),
        ),
        "group_norm_grad_weight": lambda: (
            f.group_norm_grad_weight(large(X_SHAPE), x, in_groups, in_groups, bias_out=db_norm),
            f.group_norm_grad_weight(x, large(X_SHAPE), full((8, 6)), in_groups),
            db_norm,
        ),
        "layer_norm": lambda: f.layer_norm(x, 24, 1e10 * ones, channels),
        "layer_norm_grad_input": lambda: (
            f.layer_norm_grad_input(rows, full(rows.shape, 0.5), *of_rows, large(40)),
            f.layer_norm_grad_input(large(rows.shape), rows, full(2000), full(2000), full(40)),
        ),
        "layer_norm_grad_weight": lambda: (
            f.layer_norm_grad_weight(large(rows.shape), rows, *of_rows, bias_out=db_linear),
            f.layer_norm_grad_weight(rows, large(rows.shape), full(2000), of_rows[0]),
            db_linear,
        ),
        "max_pool2d": lambda: (f.max_pool2d(x, 2),),
        "max_pool2d_grad_input": lambda: (
            f.max_pool2d_grad_input(*pooled(), X_SHAPE, 3, stride=1),
        ),
        "avg_pool2d": lambda: (f.avg_pool2d(x, 2),),
        "avg_pool2d_grad_input": lambda: (
            f.avg_pool2d_grad_input(full((8, 20, 20, 24)), X_SHAPE, 2),
        ),
        "adaptive_avg_pool2d": lambda: (f.adaptive_avg_pool2d(x, 9),),
        "adaptive_avg_pool2d_grad_input": lambda: (
            f.adaptive_avg_pool2d_grad_input(full((8, 20, 20, 24)), X_SHAPE),
        ),
        "upsample2d": lambda: (f.upsample2d(x, 2), f.upsample2d(x, 2, mode="bilinear")),
        "upsample2d_grad_input": lambda: (
            f.upsample2d_grad_input(full((8, 80, 80, 24)), X_SHAPE, 2),
            f.upsample2d_grad_input(full((8, 80, 80, 24)), X_SHAPE, 2, mode="bilinear"),
        ),
        "add": lambda: (f.add(x, x), f.add(x, -half, activation="leaky_relu")),
        "add_grad_input": lambda: (f.add_grad_input(large(X_SHAPE), activation="relu", y=x),),
        "affine2d": lambda: (f.affine2d(x, [[1, 0, 0.5], [0, 1, 0.5]]),),
        "relu": lambda: (f.relu(x),),
        "relu_grad_input": lambda: (f.relu_grad_input(large(X_SHAPE), x),),
        "leaky_relu": lambda: (f.leaky_relu(x, 1e10), f.leaky_relu(-x, 1e10)),
        "leaky_relu_grad_input": lambda: (f.leaky_relu_grad_input(x, -half, 1e10),),
        "relu6": lambda: (f.relu6(x),),
        "relu6_grad_input": lambda: (f.relu6_grad_input(large(X_SHAPE), x),),
        "elu": lambda: (f.elu(x, 1e10), f.elu(-x, 1e10)),
        "elu_grad_input": lambda: (f.elu_grad_input(x, -half, 1e10),),
        "silu": lambda: (f.silu(x),),
        "silu_grad_input": lambda: (f.silu_grad_input(x, large(X_SHAPE)),),
        "gelu": lambda: (f.gelu(x), f.gelu(x, "tanh")),
        "gelu_grad_input": lambda: (
            f.gelu_grad_input(x, half),
            f.gelu_grad_input(x, half, "tanh"),
        ),
        "dropout": lambda: (f.dropout(x, 1 - 1e-9, 0),),
        "sigmoid": lambda: (f.sigmoid(x),),
        "sigmoid_grad_input": lambda: (f.sigmoid_grad_input(large(X_SHAPE), x),),
        "tanh": lambda: (f.tanh(x),),
        "tanh_grad_input": lambda: (f.tanh_grad_input(x, large(X_SHAPE)),),
        "softmax": lambda: (f.softmax(pixels),),
        "softmax_grad_input": lambda: (f.softmax_grad_input(pixels, large(pixels.shape)),),
        "softmax_cross_entropy": lambda: f.softmax_cross_entropy(pixels, labels),
        "softmax_cross_entropy_grad_input": lambda: (
            f.softmax_cross_entropy_grad_input(pixels, labels),
        ),
        "mean_squared_error": lambda: (f.mean_squared_error(x, full(X_SHAPE, 0)),),
        "mean_squared_error_grad_input": lambda: (f.mean_squared_error_grad_input(x, -x),),
        "mean_absolute_error": lambda: (f.mean_absolute_error(x, full(X_SHAPE, 0)),),
        "mean_absolute_error_grad_input": lambda: (f.mean_absolute_error_grad_input(x, -x),),
        "huber": lambda: (f.huber(x, full(X_SHAPE, 0)),),
        "huber_grad_input": lambda: (f.huber_grad_input(x, -x),),
        "binary_cross_entropy": lambda: (f.binary_cross_entropy(x, x, pos_weight=1e10),),
        "binary_cross_entropy_grad_input": lambda: (
            f.binary_cross_entropy_grad_input(x, x, pos_weight=1e10),
        ),
        # Steps so large that denormal moments would move the parameters.
        "adam_step": lambda: in_place(
            f.adam_step, half, x, full(X_SHAPE), full(X_SHAPE), step=1, lr=1e-9 * huge
        ),
        "sgd_step": lambda: in_place(f.sgd_step, half, x, full(X_SHAPE), lr=huge, momentum=0.9),
        "rmsprop_step": lambda: in_place(
            f.rmsprop_step, half, x, full(X_SHAPE), full(X_SHAPE), lr=1e-9 * huge, centered=True
        ),
        "ema_step": lambda: in_place(f.ema_step, full(X_SHAPE), x, decay=0.5),
        "clip_grad_norm": lambda: in_place(f.clip_grad_norm, [x, large(X_SHAPE)], max_norm=1.0)[0],
    }


def flushed(array):
    array = np.asarray(array)
    return np.where(np.abs(array) < np.finfo(array.dtype).smallest_normal, 0, array)


def denormals_count():
    """Whether the calling thread computes with denormals, as IEEE 754 has it."""
    return sys.float_info.min / 2 > 0


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "how"), WAYS)
def test_denormals_are_zeros_in_every_kernel_and_nowhere_else(
    name, how, dtype, threads, num_threads, algorithm
):
    num_threads(threads)
    algorithm(how)
    denormal = np.finfo(dtype).smallest_normal / 4
    assert denormal > 0
    of_denormals = operations(dtype, denormal)[name]()
    assert denormals_count(), f"{name} has changed this thread's mode"
    for actual, expected in zip(of_denormals, operations(dtype, 0)[name](), strict=True):
        np.testing.assert_array_equal(flushed(actual), flushed(expected), err_msg=name)


@pytest.mark.parametrize("how", ["direct", "winograd"])
def test_other_python_threads_keep_their_mode(how, num_threads, algorithm):
    num_threads(3)
    algorithm(how)
    modes = []

    def work():
        modes.append(denormals_count())
        for run in operations(np.float32, 0).values():
            run()
            modes.append(denormals_count())

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(modes) == 2 * (1 + len(NAMES))
    assert all(modes)


def openmp_library():
    """GCC's OpenMP, if the kernels run on it: the very threads can then be asked."""
    maps = Path("/proc/self/maps")
    lines = maps.read_text().splitlines() if maps.exists() else []
    # Not the copy, under a name of its own, that another package brings along.
    return next((line.split()[-1] for line in lines if "/libgomp.so" in line), None)


@pytest.mark.skipif(openmp_library() is None, reason="needs Linux and GCC's OpenMP")
@pytest.mark.parametrize(("name", "how"), WAYS)
def test_the_threads_of_the_pool_keep_their_mode(name, how, num_threads, algorithm):
    num_threads(3)
    algorithm(how)
    operations(np.float32, 0)[name]()
    modes = {}

    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def look(_):
        modes[threading.get_ident()] = denormals_count()

    ctypes.CDLL(openmp_library()).GOMP_parallel(look, None, 3, 0)
    assert len(modes) == 3
    assert all(modes.values())
