"""No false alarm: what is right is called right, in every style, layout and precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import geometries
import right_backwards
from rot180 import diagnose, reference


@pytest.mark.parametrize("style", right_backwards.RIGHT)
def test_a_right_function_is_called_right(style):
    function, options = right_backwards.RIGHT[style]
    diagnosis = diagnose.conv2d_backward(function, **options)
    assert diagnosis.problem is None
    assert [(f.array, f.right) for f in diagnosis.findings] == [
        ("dx", True),
        ("dw", True),
        ("db", True),
    ], diagnosis.text()
    assert diagnosis.exit_status == 0


def test_single_precision_is_a_note_and_no_mistake():
    diagnosis = diagnose.conv2d_backward(
        lambda x, w, dy: tuple(
            a.astype(np.float64) for a in right_backwards.in_single_precision(x, w, dy, 1, 0, 1, 1)
        )
    )
    assert diagnosis.right
    assert any("single precision, which is no mistake" in note for note in diagnosis.notes)


def true_convolution(x, w, b=None, stride=1, padding=0):
    kernel = np.ascontiguousarray(w[::-1, ::-1])
    return reference.conv2d(x, kernel, b, stride=stride, padding=padding)


def true_convolution_backward(x, w, dy, stride=1, padding=0):
    kernel = np.ascontiguousarray(w[::-1, ::-1])
    dx, dw, db = right_backwards.loops(x, kernel, dy, stride, padding)
    return dx, dw[::-1, ::-1], db


def test_the_gradients_of_a_true_convolution_are_right_with_its_forward():
    diagnosis = diagnose.conv2d_backward(true_convolution_backward, forward=true_convolution)
    assert diagnosis.right
    assert [f.array for f in diagnosis.findings] == ["y", "dx", "dw", "db"]
    assert "true convolution" in diagnosis.notes[0]


def test_without_its_forward_they_are_two_mistakes_with_a_likely_explanation():
    diagnosis = diagnose.conv2d_backward(true_convolution_backward)
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M1", "M20"]
    assert any(
        "true convolution" in note and "Give the forward" in note for note in diagnosis.notes
    )


def test_a_correlation_with_the_forward_of_a_true_convolution_is_wrong():
    diagnosis = diagnose.conv2d_backward(right_backwards.loops, forward=true_convolution)
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M1", "M20"]
    assert "although the forward is a true convolution" in diagnosis.mistakes[0].name
    assert "not rotated" in diagnosis.mistakes[1].name


@pytest.mark.parametrize("layouts", [("NHWC", "HWIO"), ("NCHW", "OIHW"), ("CHWN", "OHWI")])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=25, deadline=None)
@given(case=geometries.cases(), seed=st.integers(0, 99))
def test_right_arrays_of_any_convolution_are_called_right(layouts, dtype, case, seed):
    layout, weight_layout = layouts
    x, w, dy = (a.astype(dtype) for a in case.reals(seed))
    gradients = {
        "dx": reference.conv2d_grad_input(dy, w, x.shape, **case.options),
        "dw": reference.conv2d_grad_weight(x, dy, w.shape[:2], **case.options),
        "db": reference.conv2d_grad_bias(dy),
    }
    assume(all(gradient.any() for gradient in gradients.values()))
    images = {"x": x, "dy": dy, "dx": gradients["dx"], "y": reference.conv2d(x, w, **case.options)}
    arrays = {
        **{n: a.transpose(["NHWC".index(axis) for axis in layout]) for n, a in images.items()},
        **{
            n: a.transpose(["HWIO".index(axis) for axis in weight_layout])
            for n, a in (("w", w), ("dw", gradients["dw"]))
        },
        "db": gradients["db"],
    }
    diagnosis = diagnose.conv2d_arrays(
        **arrays, **case.options, layout=layout, weight_layout=weight_layout
    )
    assert diagnosis.right, diagnosis.text()
    assert len(diagnosis.findings) == 4


def test_long_sums_of_one_sign_in_single_precision_are_a_note():
    dy = np.full((256, 40, 40, 1), 0.1, np.float32)
    db = np.cumsum(dy, dtype=np.float32)[-1:]  # one addition after another
    diagnosis = diagnose.conv2d_arrays(dy=dy, db=db)
    assert diagnosis.right
    assert any("long sums lost digits" in note for note in diagnosis.notes)
    assert not diagnose.conv2d_arrays(dy=dy, db=db * np.float32(1.1)).right
