"""Gradients that a program wrote down: what they are judged by, and what they cannot show."""

from __future__ import annotations

import numpy as np
import pytest

from rot180 import reference
from rot180.diagnose import conv2d_arrays, matching


def dump(shape=(2, 6, 8, 3), kernel=(2, 3, 3, 4), dtype=np.float64, activation=None, **options):
    """Arrays of one convolution, with the right gradients."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=shape).astype(dtype), rng.normal(size=kernel).astype(dtype)
    y = reference.conv2d(x, w, activation=activation, **options)
    dy = rng.normal(size=y.shape).astype(dtype)
    dx = reference.conv2d_grad_input(dy, w, shape, **options)
    dw = reference.conv2d_grad_weight(x, dy, kernel[:2], **options)
    return {"x": x, "w": w, "dy": dy, "dx": dx, "dw": dw, "db": dy.sum((0, 1, 2)), "y": y}


def unrotated(arrays, **options):
    w = np.ascontiguousarray(arrays["w"][::-1, ::-1])
    return reference.conv2d_grad_input(arrays["dy"], w, arrays["x"].shape, **options)


def codes(diagnosis):
    return [mistake.code for mistake in diagnosis.mistakes]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_several_mistakes_at_once(dtype):
    options = {"stride": 2, "padding": 1}
    arrays = dump(dtype=dtype, **options)
    arrays |= {"dx": unrotated(arrays, **options), "dw": arrays["dw"] / 12, "db": arrays["db"] * 6}
    diagnosis = conv2d_arrays(**arrays, **options)
    assert codes(diagnosis) == ["M1", "M9"] or codes(diagnosis) == ["M1", "M7", "M9"]
    assert diagnosis.findings[0].right, "y"


@pytest.mark.parametrize("subset", [("dx",), ("dw",), ("db",), ("dx", "db")])
def test_any_subset_of_the_gradients(subset):
    arrays = dump()
    given = {name: arrays[name] for name in ("x", "w", "dy", *subset)}
    diagnosis = conv2d_arrays(**given)
    assert diagnosis.right
    assert [finding.array for finding in diagnosis.findings] == list(subset)


@pytest.mark.parametrize("subset", [("dx",), ("dw",), ("dx", "dw")])
def test_another_padding_that_was_the_forwards_is_told(subset):
    arrays = dump((2, 7, 8, 3), (3, 2, 3, 4), stride=3, padding=1)
    given = {name: arrays[name] for name in ("x", "w", "dy", *subset)}
    assert conv2d_arrays(**given, stride=3, padding=1).right
    said = conv2d_arrays(**given, stride=3, padding=((2, 0), (1, 1)))
    assert said.exit_status == 1
    note = f"{' and '.join(subset)} {'are' if len(subset) > 1 else 'is'} right with padding 1"
    assert any(n.startswith(note) for n in said.notes), said.text()
    wrong = {name: -arrays[name] if name in subset else arrays[name] for name in given}
    assert not any("was that" in n for n in conv2d_arrays(**wrong, stride=3, padding=1).notes)


def test_what_is_not_needed_need_not_be_given():
    arrays = dump()
    without_x = {name: arrays[name] for name in ("w", "dy", "dx")}
    assert conv2d_arrays(**without_x).right
    assert codes(conv2d_arrays(**without_x | {"dx": unrotated(arrays)})) == ["M1"]
    without_w = {name: arrays[name] for name in ("x", "dy", "dw")}
    assert conv2d_arrays(**without_w).right
    assert codes(conv2d_arrays(**without_w | {"dw": -arrays["dw"]})) == ["M10"]
    assert conv2d_arrays(dy=arrays["dy"], db=arrays["db"]).right
    assert codes(conv2d_arrays(dy=arrays["dy"], db=arrays["db"] / 2)) == ["M8"]


@pytest.mark.parametrize("axes", [2, 3, 4])
def test_images_of_two_three_and_four_axes(axes):
    arrays = dump((1, 6, 8, 1), (2, 3, 1, 1))
    cut = {4: np.s_[:], 3: np.s_[0], 2: np.s_[0, :, :, 0]}[axes]
    wrong = unrotated(arrays)
    given = {name: arrays[name][cut] for name in ("x", "dy")}
    w = arrays["w"] if axes > 2 else arrays["w"][:, :, 0, 0]
    assert conv2d_arrays(**given, w=w, dx=arrays["dx"][cut]).right
    assert codes(conv2d_arrays(**given, w=w, dx=wrong[cut]))[0] == "M1"


def test_kernels_of_three_axes():
    one_channel = dump((1, 6, 8, 1), (2, 3, 1, 4))
    diagnosis = conv2d_arrays(
        x=one_channel["x"][0, :, :, 0],
        w=one_channel["w"][:, :, 0].transpose(2, 0, 1),
        dy=one_channel["dy"][0].transpose(2, 0, 1),
        dx=one_channel["dx"][0, :, :, 0],
        dw=one_channel["dw"][:, :, 0].transpose(2, 0, 1),
        db=one_channel["db"],
        layout="NCHW",
        weight_layout="OIHW",
    )
    assert diagnosis.right, diagnosis.text()
    one_filter = dump((1, 6, 8, 3), (2, 3, 3, 1))
    given = {name: one_filter[name][0] for name in ("x", "dy", "dx")}
    diagnosis = conv2d_arrays(**given, w=one_filter["w"][..., 0], dw=one_filter["dw"][..., 0])
    assert diagnosis.right, diagnosis.text()


def test_y_shows_a_true_convolution_and_the_gradients_are_judged_by_it():
    arrays = dump(padding=1)
    turned = {**arrays, "w": arrays["w"][::-1, ::-1], "dw": arrays["dw"][::-1, ::-1]}
    diagnosis = conv2d_arrays(**turned, padding=1)
    assert diagnosis.right, diagnosis.text()
    assert "the forward is a true convolution" in diagnosis.notes[0]
    without_y = {name: array for name, array in turned.items() if name != "y"}
    diagnosis = conv2d_arrays(**without_y, padding=1)
    assert codes(diagnosis) == ["M1", "M20"]
    assert any("those of a true convolution" in note for note in diagnosis.notes)


def test_y_may_have_a_bias_in_it_that_was_not_given():
    arrays = dump()
    bias = np.array([1.0, -2, 3, 0.5])
    assert conv2d_arrays(**arrays | {"y": arrays["y"] + bias}).right
    assert conv2d_arrays(**arrays | {"y": arrays["y"] + bias}, bias=bias).right
    wrong = conv2d_arrays(**arrays | {"y": arrays["y"] * 2}, bias=bias)
    assert not wrong.findings[0].right
    assert "neither a cross-correlation" in wrong.findings[0].facts[0]


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh", "leaky_relu", "relu6"])
def test_activations(activation):
    arrays = dump(activation=activation)
    rest = {"activation": activation, "y": arrays["y"]}
    right = {
        "dx": reference.conv2d_grad_input(arrays["dy"], arrays["w"], arrays["x"].shape, **rest),
        "dw": reference.conv2d_grad_weight(arrays["x"], arrays["dy"], (2, 3), **rest),
    }
    inputs = {name: arrays[name] for name in ("x", "w", "dy")}
    assert conv2d_arrays(**inputs, **rest, **right).right
    assert conv2d_arrays(**inputs, activation=activation, **right).right
    missing = conv2d_arrays(**inputs, **rest, dx=arrays["dx"], db=arrays["db"])
    assert codes(missing) == ["M19", "M19"]
    assert "missing in dx" in missing.mistakes[0].name


def test_y_before_the_activation_is_understood():
    arrays = dump(activation="sigmoid")
    z = reference.conv2d(arrays["x"], arrays["w"])
    rest = {"activation": "sigmoid", "y": arrays["y"]}
    dx = reference.conv2d_grad_input(arrays["dy"], arrays["w"], arrays["x"].shape, **rest)
    inputs = {name: arrays[name] for name in ("x", "w", "dy")}
    diagnosis = conv2d_arrays(**inputs, y=z, dx=dx, activation="sigmoid")
    assert diagnosis.right, diagnosis.text()
    assert "what goes into the sigmoid" in diagnosis.notes[0]


def test_y_of_another_shape_is_wrong_and_the_rest_is_judged():
    arrays = dump()
    diagnosis = conv2d_arrays(**arrays | {"y": arrays["y"][:, 1:]})
    assert [f.right for f in diagnosis.findings] == [False, True, True, True]
    assert any("has shape (2, 4, 6, 4)" in fact for fact in diagnosis.findings[0].facts)


def test_few_numbers_may_agree_by_chance():
    arrays = dump((1, 6, 8, 1), (2, 3, 1, 1))
    diagnosis = conv2d_arrays(dy=arrays["dy"], db=-arrays["db"])
    assert codes(diagnosis)[0] == "M10"
    assert "1 number may agree by chance" in diagnosis.findings[0].facts[0]


def test_an_image_whose_gradient_is_zero_or_small_raises_no_alarm(monkeypatch):
    monkeypatch.setattr(matching, "LARGE", 0)
    arrays = dump((3, 6, 8, 3))
    for scale in (0.0, 1e-9):
        dy = arrays["dy"].copy()
        dy[0] *= scale
        dx = reference.conv2d_grad_input(dy, arrays["w"], arrays["x"].shape)
        rounded = {"dy": np.round(dy, 6), "dx": np.round(dx, 6)}
        given = {name: arrays[name] for name in ("x", "w")} | rounded
        assert conv2d_arrays(**given, digits=7).right


def test_what_numbers_cannot_tell_apart_is_told_with_those_that_would():
    arrays = dump((4, 8, 8, 3), (3, 3, 3, 4), stride=2, padding=1)
    diagnosis = conv2d_arrays(**arrays | {"dw": arrays["dw"] / 16}, stride=2, padding=1)
    finding = next(f for f in diagnosis.findings if f.array == "dw")
    assert [m.code for m in finding.mistakes] == ["M7"]
    assert [[m.code for m in other] for other in finding.alternatives] == [["M8"]]
    assert "cannot tell them apart; these would: x of" in finding.facts[0]
    text = diagnosis.text()
    assert "dw: either M7" in text
    assert "or M8" in text


def test_what_these_sizes_cannot_show_is_told():
    square = conv2d_arrays(**dump((1, 6, 6, 2), (3, 3, 2, 2)))
    (note,) = square.notes
    assert "N > 1" in note
    whole = conv2d_arrays(**dump((3, 6, 8, 3), (2, 3, 3, 4)))
    assert whole.right
    assert whole.notes == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda a: {"dy": a["dy"], "x": a["x"], "w": a["w"]}, "no gradient was given"),
        (lambda a: {"dx": a["dx"], "w": a["w"]}, "dx cannot be judged without dy"),
        (lambda a: {"dw": a["dw"], "dy": a["dy"]}, "dw cannot be judged without x"),
        (lambda a: {**a, "x": a["x"] * np.nan}, "x holds NaN or infinity"),
        (lambda a: {**a, "dy": a["dy"][:, :2]}, "the output of this convolution (2, 5, 6, 4)"),
        (lambda a: {**a, "x": a["x"][0, 0, 0]}, "expected 4 axes (a batch), 3 (one image) or 2"),
        (lambda a: {**a, "w": a["w"][0]}, "expected four axes, HWIO"),
        (lambda a: {**a, "x": a["x"].astype(str)}, "x does not hold real numbers"),
        (lambda a: {**a, "bias": np.ones(3)}, "bias has shape (3,), expected (4,)"),
        (lambda a: {**a, "layout": "NWC"}, "layout is 'NWC'"),
        (lambda a: {**a, "activation": "gelu"}, "activation is 'gelu'"),
        (lambda a: {**a, "stride": 0}, "stride"),
        (lambda a: {**a, "dy": 0 * a["dy"]}, "the right dx is zero everywhere"),
        (lambda a: {n: a[n][:0] if n in ("x", "dy") else a[n] for n in ("x", "w", "dy", "dw")},
         "the right dw is zero everywhere, or empty"),
        (lambda a: {**a, "groups": 2}, "groups"),
    ],
)  # fmt: skip
def test_arrays_that_cannot_be_judged(change, problem):
    diagnosis = conv2d_arrays(**change(dump()))
    assert diagnosis.exit_status == 2
    assert problem in diagnosis.problem


def test_what_would_fit_is_suggested():
    arrays = dump(stride=2, padding=1)
    diagnosis = conv2d_arrays(**arrays)
    assert diagnosis.exit_status == 2
    assert "stride=2, padding=1" in diagnosis.problem
    nchw = {**arrays, "w": arrays["w"].transpose(3, 2, 0, 1)}
    nchw |= {name: arrays[name].transpose(0, 3, 1, 2) for name in ("x", "dy", "dx", "y")}
    diagnosis = conv2d_arrays(**nchw, stride=2, padding=1)
    assert "layout='NCHW', weight_layout='OIHW'" in diagnosis.problem


def test_digits_of_text_are_the_precision():
    arrays = {name: np.array([float(f"{v:.5e}") for v in a.ravel()]).reshape(a.shape)
              for name, a in dump().items()}  # fmt: skip
    assert not conv2d_arrays(**arrays).right
    assert conv2d_arrays(**arrays, digits=6).right
    assert codes(conv2d_arrays(**arrays | {"dx": unrotated(arrays)}, digits=6)) == ["M1"]
    # Three digits would let anything pass: no fewer than five are believed.
    assert not conv2d_arrays(**arrays | {"dx": arrays["dx"] * 1.01}, digits=3).right


def test_large_arrays_are_looked_at_by_their_first_image(monkeypatch):
    monkeypatch.setattr(matching, "LARGE", 0)
    arrays = dump((3, 6, 8, 3), padding=1)
    assert conv2d_arrays(**arrays, padding=1).right
    for wrong, code in ((unrotated(arrays, padding=1), "M1"), (arrays["dx"] / 3, "M8")):
        assert codes(conv2d_arrays(**arrays | {"dx": wrong}, padding=1)) == [code]
    one_wrong = arrays["dx"].copy()
    one_wrong[2] *= 2
    (_, finding, *_) = conv2d_arrays(**arrays | {"dx": one_wrong}, padding=1).findings
    assert not finding.right
    assert "wrong for image 2 only" in finding.facts


def test_pairs_that_take_too_long_are_given_up_and_that_is_said(monkeypatch):
    monkeypatch.setattr(matching, "SECONDS_FOR_PAIRS", 0.0)
    arrays = dump()
    diagnosis = conv2d_arrays(**arrays | {"dx": arrays["dx"] + np.roll(arrays["dx"], 1, 1)})
    assert "not all were tried" in diagnosis.findings[1].facts[0]
