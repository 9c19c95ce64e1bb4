"""Functions that are hard to judge: what they take, what they return, what they do besides."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

import right_backwards
from rot180 import diagnose
from rot180.diagnose import conv2d_backward


def right(x, w, dy, stride=1, padding=0):
    return tuple(right_backwards.im2col(x, w, dy, stride, padding).values())


def unrotated(x, w, dy, stride=1, padding=0):
    """M1 in dx, by hand."""
    wrong = np.ascontiguousarray(w[::-1, ::-1])
    return right_backwards.im2col(x, wrong, dy, stride, padding)["dx"]


class Layer:
    """One that keeps x from its forward."""

    def backward(self, dy):
        return right(self.x, self.w, dy)


@pytest.mark.parametrize(
    "returned",
    [
        lambda dx, dw, db: {"dx": dx, "dw": dw, "db": db},
        lambda dx, dw, db: {"grad_input": dx, "grad_weight": dw, "grad_bias": db},
        lambda dx, dw, db: SimpleNamespace(dx=dx, dw=dw, db=db),
        lambda dx, dw, db: [dx, dw, db],
        lambda dx, dw, db: (dx, None, db),
        lambda dx, dw, db: dx,
        lambda dx, dw, db: (dx, dw, db[np.newaxis, np.newaxis]),
        lambda dx, dw, db: {"dx": dx, "cols": "whatever"},
    ],
    ids=["dict", "other keys", "attributes", "list", "None", "array", "kept axes", "more keys"],
)
def test_results_in_many_forms_are_understood(returned):
    diagnosis = conv2d_backward(lambda x, w, dy: returned(*right(x, w, dy)))
    assert diagnosis.right, diagnosis.text()
    assert diagnosis.findings[0].array == "dx"


def test_lists_of_numbers_are_judged_and_noted():
    diagnosis = conv2d_backward(lambda x, w, dy: tuple(g.tolist() for g in right(x, w, dy)))
    assert diagnosis.right
    assert any("dw is returned as a list" in note for note in diagnosis.notes)


def test_a_class_whose_objects_hold_the_gradients():
    class Backward:
        def __init__(self, x, w, dy):
            self.dx, self.dw, self.db = right(x, w, dy)

    assert conv2d_backward(Backward).right


def test_the_other_layout_is_suggested_to_what_unpacks_pairs():
    def backward(x, w, dy, stride, padding):
        if len({*stride}) > 1 or len({*padding}) > 1:
            raise NotImplementedError
        (stride, _), (padding, _) = stride, padding
        x, dy = (a.transpose(0, 2, 3, 1) for a in (x, dy))
        dx, dw, _ = right(x, w.transpose(2, 3, 1, 0), dy, stride, padding)
        return dx.transpose(0, 3, 1, 2), dw.transpose(3, 2, 0, 1)

    diagnosis = conv2d_backward(backward)
    assert "It does not with layout NCHW and weight layout OIHW" in diagnosis.problem
    assert conv2d_backward(backward, "NCHW", "OIHW").right


@pytest.mark.parametrize("at_least", [np.greater, np.greater_equal])
@pytest.mark.parametrize(("activation", "slope"), [("relu", 0), ("leaky_relu", 0.01)])
def test_either_derivative_at_the_kink_of_a_relu_is_right(at_least, activation, slope):
    def backward(x, w, dy, z, stride=1, padding=0):
        return right(x, w, dy * np.where(at_least(z, 0), 1, slope), stride, padding)

    assert conv2d_backward(backward, activation=activation).right


def test_arrays_of_whole_numbers_are_wrong():
    """Which cut the fractions off, though the probes have none."""

    def backward(x, w, dy):
        dx, dw, db = right(x, w, dy)
        cut = np.zeros(w.shape, dtype=int)
        cut[:] = dw
        return dx, cut, -db.astype(np.int16)

    diagnosis = conv2d_backward(backward)
    dx, dw, db = diagnosis.findings
    assert dx.right
    assert not dw.right
    assert dw.facts == (
        "dw is an array of int64, which cuts the fractions off: make it an array of floats, "
        "dw = np.zeros(shape)",
    )
    assert [mistake.code for mistake in db.mistakes] == ["M10"]
    assert "db is an array of int16" in db.facts[-1]
    assert diagnosis.exit_status == 1


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (lambda x, w, dy: None, "returns None: expected (dx, dw, db)"),
        (lambda x, w, dy: (None, None, None), "returns None for every gradient"),
        (lambda x, w, dy: (x, w, dy, dy), "returns 4 results: expected at most 3"),
        (lambda x, w, dy: {"a": x}, "returns a dict with the keys 'a'"),
        (lambda x, w, dy: "text", "returns dx as str"),
        (lambda x, w, dy: [[1], [1, 2]], "which is no array"),
        (lambda x, w, dy: x * 1j, "of dtype complex128"),
        (lambda x, w, dy: object(), "of dtype object"),
        (lambda cache, dout: None, "has the parameter cache, and what is meant is not known"),
        (Layer.backward, "Layer.backward is a method, and needs an object: write a function"),
        (Layer, "Layer is a class: write a function backward(x, w, dy) beside the class"),
        (lambda x, w, dy: x[:, 99], "raised IndexError: index 99 is out of bounds"),
        (lambda x, w, dy: sys.exit(3), "raised SystemExit: 3"),
        (lambda x, w, dy: 1 // 0, "That was on the simplest probe: x of 1 image"),
        (lambda x, w, dy: np.random.default_rng().normal(size=x.shape), "when it is called again"),
        (lambda: None, "takes no dy: it must have a parameter of one of the names dy, dout"),
        (3, "the backward is a int, expected a function"),
        (max, "does not tell its parameters: wrap it, def backward(x, w, dy"),
    ],
)
def test_what_cannot_be_judged_is_told(function, problem):
    diagnosis = conv2d_backward(function)
    assert diagnosis.problem is not None
    assert problem in diagnosis.problem
    assert diagnosis.exit_status == 2
    assert diagnosis.text().startswith("cannot be judged: ")


def test_an_interrupt_is_not_swallowed():
    def interrupted(x, w, dy):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conv2d_backward(interrupted)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layout": "NWC"}, "layout is 'NWC': expected the letters NHWC"),
        ({"weight_layout": "OIHH"}, "weight_layout is 'OIHH'"),
        ({"activation": "gelu"}, "activation is 'gelu'"),
        ({"ndim": 5}, "ndim is 5"),
        ({"returns": ("dx", "dx")}, "each once"),
        ({"returns": ("dy",)}, "expected some of"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        conv2d_backward(right, **options)


def test_inputs_that_are_changed_are_told_and_ours_are_kept():
    def through_relu(x, w, dy, y):
        dx, dw, db = right(x, w, dy)
        dy *= 0
        x += 1
        return dx, dw, db

    diagnosis = conv2d_backward(through_relu)
    assert [f.array for f in diagnosis.findings if f.right] == ["dx", "dw", "db"]
    changed = [f for f in diagnosis.findings if not f.right]
    assert [f.array for f in changed] == ["x", "dy"]
    assert "dy = dy.copy()" in changed[1].facts[0]
    assert diagnosis.exit_status == 1


def test_gradients_that_are_not_zeroed_are_named():
    kept = {}

    def backward(x, w, dy):
        dx, dw, db = right(x, w, dy)
        kept[w.shape] = kept.get(w.shape, 0) + dw
        return dx, kept[w.shape], db

    diagnosis = conv2d_backward(backward)
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M21"]
    assert [f.array for f in diagnosis.findings] == ["dw"]


def test_nan_is_told_with_its_place():
    def backward(x, w, dy):
        dx = right(x, w, dy)[0]
        dx[0, 1, 2, 0] = np.nan
        return dx

    (finding,) = conv2d_backward(backward).findings
    assert not finding.right
    assert any("holds NaN or infinity, first at [0, 1, 2, 0]" in fact for fact in finding.facts)


def test_without_stride_it_is_judged_on_stride_1_and_that_is_said():
    diagnosis = conv2d_backward(lambda x, w, dy: right(x, w, dy))
    assert diagnosis.right
    assert any("takes no stride, padding, dilation or groups" in note for note in diagnosis.notes)


def test_a_pair_of_strides_need_not_be_taken():
    def only_ints(x, w, dy, stride, padding):
        return right(x, w, dy, int(stride), int(padding))

    diagnosis = conv2d_backward(only_ints)
    assert diagnosis.right, diagnosis.text()
    assert any("another stride, padding or dilation for columns" in n for n in diagnosis.notes)
    assert any("another padding before than after" in note for note in diagnosis.notes)


def test_pairs_alone_may_be_taken():
    def only_pairs(x, w, dy, stride, padding):
        (sh, sw), (ph, pw) = stride, padding
        return tuple(right_backwards.im2col(x, w, dy, (sh, sw), (ph, pw)).values())

    diagnosis = conv2d_backward(only_pairs)
    assert diagnosis.right, diagnosis.text()


@pytest.mark.parametrize(
    ("holds", "told"),
    [
        (lambda x, w: w.shape[0] == w.shape[1], "square kernels"),
        (lambda x, w: x.shape[1] == x.shape[2], "square images"),
        (lambda x, w: x.shape[3] == w.shape[3], "as many filters as channels"),
        (lambda x, w: len(x) == 1, "a single image"),
        (lambda x, w: x.shape[3] == w.shape[3] == len(x) == 1, "one channel and one filter"),
    ],
)
def test_what_it_refuses_is_left_out_and_said(holds, told):
    def narrow(x, w, dy, stride=1, padding=0):
        if not holds(x, w):
            raise ValueError("not supported")
        return right(x, w, dy, stride, padding)

    def narrow_and_wrong(x, w, dy, stride=1, padding=0):
        return -narrow(x, w, dy, stride, padding)[0]

    diagnosis = conv2d_backward(narrow)
    assert diagnosis.right, diagnosis.text()
    assert any(told in note and "not supported" in note for note in diagnosis.notes)
    assert conv2d_backward(narrow_and_wrong).mistakes[0].code == "M10"


def test_a_stride_that_is_refused_is_a_note_and_one_that_crashes_a_problem():
    def refuses(x, w, dy, stride=1):
        if stride != 1:
            raise NotImplementedError("only stride 1")
        return right(x, w, dy)

    def crashes(x, w, dy, stride=1):
        return right(x, w, dy, stride)[0][:, : 99 // (stride == 1)]

    diagnosis = conv2d_backward(refuses)
    assert diagnosis.right
    assert any("not judged with stride 2" in n and "only stride 1" in n for n in diagnosis.notes)
    diagnosis = conv2d_backward(crashes)
    assert diagnosis.exit_status == 2
    assert "ZeroDivisionError" in diagnosis.problem
    assert "stride 2" in diagnosis.problem
    assert diagnosis.findings[0].right, "what was judged is told all the same"


def test_an_error_that_numpy_raises_is_no_refusal():
    def crashes(x, w, dy, stride=1):
        if stride != 1:
            np.tensordot(x, w, 1)
        return right(x, w, dy)

    diagnosis = conv2d_backward(crashes)
    assert diagnosis.exit_status == 2
    assert "np.tensordot(x, w, 1)" in diagnosis.problem


def test_the_other_layout_is_suggested():
    function, options = right_backwards.RIGHT["scatter"]
    diagnosis = conv2d_backward(function)
    assert diagnosis.exit_status == 2
    assert "It does not with layout NCHW and weight layout OIHW" in diagnosis.problem
    assert conv2d_backward(function, **options).right


def test_results_in_another_order_are_told():
    diagnosis = conv2d_backward(lambda x, w, dy: right(x, w, dy)[::-1])
    assert diagnosis.exit_status == 2
    assert "pass returns=('db', 'dw', 'dx')" in diagnosis.problem
    swapped = conv2d_backward(lambda x, w, dy: right(x, w, dy)[::-1], returns=("db", "dw", "dx"))
    assert swapped.right
    alone = conv2d_backward(lambda x, w, dy: right(x, w, dy)[1], returns="dw")
    assert alone.right


def test_names_of_parameters_in_any_order_and_writing():
    def backward(gradOutput, Kernel, *, Input, Strides=1, pad=0):  # noqa: N803
        return right(Input, Kernel, gradOutput, Strides, pad)

    def positional(x, w, dy, /, stride):
        return right(x, w, dy, stride)

    class Layer:
        def backward(self, x, weights, grad):
            return right(x, weights, grad)

    for function in (backward, positional, Layer().backward):
        assert conv2d_backward(function).right


def test_other_arguments_are_given_where_they_are_asked_for():
    seen = {}

    def backward(dy, weight, input_shape, kernel_size, x, y, z, activation, b):
        seen.update(input_shape=input_shape, kernel_size=kernel_size, activation=activation)
        assert y.shape == z.shape == dy.shape
        assert b.shape == (dy.shape[-1],)
        assert x.shape == tuple(input_shape)
        assert weight.shape[:2] == tuple(kernel_size)
        return right_backwards.with_sigmoid(x, weight, dy, y)

    assert conv2d_backward(backward, activation="sigmoid").right
    assert seen["activation"] == "sigmoid"


def test_a_forward_that_is_wrong_is_told():
    def forward(x, w, stride=1, padding=0):
        y = right_backwards.functional.conv2d(x, w, stride=stride, padding=padding)
        y[:, 0] = 0
        return y

    diagnosis = conv2d_backward(right, forward=forward)
    y = diagnosis.findings[0]
    assert (y.array, y.right) == ("y", False)
    assert "neither a cross-correlation nor a true convolution" in y.facts[0]
    assert any("first wrong cell" in fact and "x[0, 0, 0, 0] * w[0, 0, 0, 0]" in fact
               for fact in y.facts)  # fmt: skip
    assert diagnosis.findings[1].right


def test_a_mistake_in_two_dimensions():
    def backward(image, kernel, delta):
        _, dw, db = right_backwards.one_channel(image, kernel, delta, 1)
        return right_backwards.one_channel(image, kernel[::-1, ::-1], delta, 1)[0], dw, db

    diagnosis = conv2d_backward(backward, ndim=2)
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M1"]


def test_the_module_offers_what_it_names():
    assert set(diagnose.__all__) <= set(dir(diagnose))
