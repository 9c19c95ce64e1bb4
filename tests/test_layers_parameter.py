"""Parameter: value, gradient, and the rules by which gradients are kept and added."""

from __future__ import annotations

import numpy as np
import pytest

import rot180


def parameter(dtype=np.float64):
    return rot180.Parameter(np.arange(6, dtype=dtype).reshape(2, 3), "0.weight")


def test_the_first_gradient_is_kept_without_a_copy_and_later_ones_added():
    p = parameter()
    first, second = np.ones((2, 3)), np.full((2, 3), 2.0)
    p.accumulate(first)
    assert p.grad is first
    p.accumulate(second)
    assert p.grad.tolist() == [[3.0] * 3] * 2
    assert second.tolist() == [[2.0] * 3] * 2
    p.zero_grad()
    assert p.grad.tolist() == [[0.0] * 3] * 2


@pytest.mark.parametrize("kind", ["broadcast", "read-only", "transposed"])
def test_a_gradient_that_cannot_be_added_to_is_copied(kind):
    p = parameter()
    gradient = np.broadcast_to(1.0, (2, 3))
    if kind == "read-only":
        gradient = np.ones((2, 3))
        gradient.flags.writeable = False
    elif kind == "transposed":
        gradient = np.ones((3, 2)).T
    p.accumulate(gradient)
    assert p.grad.flags.c_contiguous
    p.accumulate(np.ones((2, 3)))
    assert p.grad.tolist() == [[2.0] * 3] * 2


def test_the_gradient_is_zeros_before_the_first_backward_and_stays_what_was_written():
    p = parameter(np.float32)
    assert p.grad.dtype == np.float32
    assert not p.grad.any()
    p.grad[0, 0] = 5
    p.grad += 1
    assert p.grad.tolist() == [[6.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    p.grad = np.full((2, 3), 7, np.float32)
    assert p.grad.tolist() == [[7.0] * 3] * 2


def test_assigning_a_value_copies_into_the_same_array():
    p = parameter()
    array, new = p.value, np.ones((2, 3))
    p.value = new
    new[0, 0] = 9
    assert p.value is array
    assert array.tolist() == [[1.0] * 3] * 2
    p.value -= 1
    assert p.value is array
    assert not array.any()


def test_the_first_value_is_copied_and_made_contiguous():
    source = np.asfortranarray(np.ones((2, 3)))
    p = rot180.Parameter(source, "weight")
    source[0, 0] = 9
    assert p.value.flags.c_contiguous
    assert p.value[0, 0] == 1


@pytest.mark.parametrize("what", ["value", "grad", "gradient"])
def test_another_shape_or_dtype_is_refused(what):
    p = parameter()

    def give(array):
        if what == "gradient":
            p.accumulate(array)
        else:
            setattr(p, what, array)

    with pytest.raises(ValueError, match=rf"0.weight: {what} must have shape \(2, 3\), got \(3,"):
        give(np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"got \(1, 3\)"):
        give(np.zeros((1, 3)))  # would broadcast
    with pytest.raises(
        TypeError, match=f"0.weight: {what} must be an array of dtype float64, got float32"
    ):
        give(np.zeros((2, 3), np.float32))
    with pytest.raises(TypeError, match="got list"):
        give([[0.0] * 3] * 2)
    assert p.value.tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert not p.grad.any()


def test_byte_swapped_values_and_gradients_count_as_the_same_dtype():
    p = parameter()
    swapped = np.ones((2, 3), np.dtype(np.float64).newbyteorder())
    p.value = swapped
    p.accumulate(swapped)
    assert p.value.dtype == p.grad.dtype == np.float64
    assert p.value.tolist() == p.grad.tolist() == [[1.0] * 3] * 2


def test_only_float32_and_float64():
    with pytest.raises(TypeError, match="dtype must be float32 or float64"):
        rot180.Parameter(np.arange(3), "weight")


def test_repr():
    assert repr(parameter()) == "Parameter('0.weight', shape=(2, 3), dtype=float64)"
