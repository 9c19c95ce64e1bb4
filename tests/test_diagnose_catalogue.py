"""Every mistake of the catalogue is named: alone, and in pairs."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from rot180 import diagnose, reference
from rot180.diagnose import matching, probes
from rot180.diagnose.catalogue import VARIANTS
from rot180.diagnose.convolution import GRADIENTS
from rot180.diagnose.layouts import Layout
from rot180.diagnose.matching import EPS64, Observation, Received, recipes_of, search
from rot180.diagnose.recipes import RIGHT, make
from wrong_gradients import activation_for, backward_with

CONVOLUTION_CODES = {f"M{i}" for i in range(1, 22)}

# In each form, but for those of a kind that spec and tests count: at least so many.
FORMS = {"M1": 3, "M2": 7, "M3": 6, "M8": 9, "M9": 7, "M12": 5, "M14": 6, "M19": 12}


def ids(variant):
    return f"{variant.mistake.code} {variant.gradient} {variant.changes}"


def test_the_catalogue_is_whole():
    codes = [variant.mistake.code for variant in VARIANTS]
    assert set(codes) == CONVOLUTION_CODES
    for code, forms in FORMS.items():
        assert codes.count(code) >= forms, code


def test_every_mistake_says_what_why_and_where():
    pages = {
        *("rotation", "correlation-or-convolution", "stride-in-backward", "caffe-col2im"),
        *("channels-back", "bias-gradient", "activation-derivative", "softmax-delta", "pooling"),
        *("weight-sharing", "exploding-gradients", "ceil-and-clamp", "vectorise"),
        *("adam-and-backprop", "full-mode", "gallery"),
    }
    for variant in VARIANTS:
        for mistake in {variant.told(flipped=False), variant.told(flipped=True)}:
            assert mistake.page in pages
            assert mistake.remedy
            assert mistake.name[-1] != "."
            assert mistake.reason.endswith(".")
            assert mistake.reason.count(". ") == 1, f"not two sentences: {mistake.reason}"


@pytest.mark.parametrize("variant", VARIANTS, ids=ids)
def test_one_mistake_is_named(variant):
    activation = activation_for(variant)
    diagnosis = diagnose.conv2d_backward(
        backward_with([variant], activation), activation=activation
    )
    assert diagnosis.problem is None
    assert diagnosis.exit_status == 1
    wrong = [finding for finding in diagnosis.findings if not finding.right]
    assert [finding.array for finding in wrong] == [variant.gradient]
    assert wrong[0].mistakes == (variant.mistake,)
    assert wrong[0].alternatives == ()


@pytest.mark.parametrize("variant", VARIANTS[::4], ids=ids)
def test_one_mistake_is_named_under_a_true_convolution(variant):
    activation = activation_for(variant)

    def forward(x, w, b, stride=1, padding=0, dilation=1, groups=1):
        kernel = np.ascontiguousarray(w[::-1, ::-1])
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        return reference.conv2d(x, kernel, b, activation=activation, **options)

    backward = backward_with([variant], activation, flipped=True)
    diagnosis = diagnose.conv2d_backward(backward, forward=forward, activation=activation)
    assert diagnosis.mistakes == (variant.told(flipped=True),)
    assert [f.array for f in diagnosis.findings if not f.right] == [variant.gradient]
    assert "true convolution" in diagnosis.notes[0]


@pytest.mark.parametrize("variant", VARIANTS[1::5], ids=ids)
def test_one_mistake_is_named_in_other_layouts(variant):
    activation = activation_for(variant)
    backward = backward_with([variant], activation, layout=Layout("NCHW", "OIHW", "NCHW"))
    diagnosis = diagnose.conv2d_backward(backward, "NCHW", "OIHW", activation=activation)
    assert variant.mistake in diagnosis.mistakes
    assert len(diagnosis.mistakes) == 1


def by_code(gradient):
    """One variant for each code in a gradient."""
    return {v.mistake.code: v for v in reversed(VARIANTS) if v.gradient == gradient}.values()


def test_every_pair_in_different_gradients_is_named():
    """Gradients are judged one by one: what is found of one cannot depend on another."""
    for first, second in (("dx", "dw"), ("dx", "db"), ("dw", "db")):
        several = max(len(by_code(first)), len(by_code(second)))
        for a, b in zip(
            itertools.islice(itertools.cycle(by_code(first)), several),
            itertools.islice(itertools.cycle(by_code(second)), several),
            strict=True,
        ):
            activation = activation_for(a, b)
            backward = backward_with([a, b], activation)
            diagnosis = diagnose.conv2d_backward(backward, activation=activation)
            assert set(diagnosis.mistakes) == {a.mistake, b.mistake}


# Together these show every mistake.
TELLING = (*probes.AWKWARD[6:], *probes.ROWS_AND_COLUMNS[-1:], *probes.SIDES)


@pytest.fixture(scope="module")
def convolutions():
    return [probe.convolution("sigmoid") for probe in TELLING]


@functools.cache
def made(gradient, recipe, convolution):
    return make(gradient, recipe, convolution)


def fingerprint(gradient, recipe, convolutions):
    """What a recipe makes of all of them; equal for recipes that nothing can tell apart."""
    results = [made(gradient, recipe, convolution) for convolution in convolutions]
    return tuple(r and (r.form, r.values.shape, r.values.round(9).tobytes()) for r in results)


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_nine_in_ten_pairs_within_one_gradient_can_be_told_from_all_others(gradient, convolutions):
    """In the order in which the search goes: the first that makes the same is what is named."""
    named = {fingerprint(gradient, RIGHT, convolutions): ()}
    for mistakes in (1, 2):
        for variants, recipe in recipes_of(gradient, mistakes):
            named.setdefault(fingerprint(gradient, recipe, convolutions), variants)
    pairs = recipes_of(gradient, 2)
    rightly = sum(
        codes(named[fingerprint(gradient, recipe, convolutions)]) == codes(variants)
        for variants, recipe in pairs
    )
    assert len(pairs) > 50
    assert rightly >= 0.9 * len(pairs), f"{rightly} of {len(pairs)}"


def codes(variants):
    return {variant.mistake.code for variant in variants}


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_nine_in_ten_pairs_within_one_gradient_are_named(gradient, convolutions, monkeypatch):
    monkeypatch.setattr(matching, "make", made)
    pairs = recipes_of(gradient, 2)[:: {"dx": 31, "dw": 17, "db": 5}[gradient]]
    rightly = 0
    for variants, recipe in pairs:
        observations = [
            Observation(gradient, convolution, Received(result.values, Layout(), EPS64))
            for convolution in convolutions
            if (result := made(gradient, recipe, convolution)) is not None
        ]
        found = search(observations)
        rightly += codes(found.matches[0].variants) == codes(variants)
    assert rightly >= 0.9 * len(pairs), f"{rightly} of {len(pairs)}"


@pytest.mark.parametrize(
    ("first", "second"),
    [("M1", "M4"), ("M12", "M14"), ("M7", "M20"), ("M9", "M8"), ("M1", "M17"), ("M5", "M10")],
)
def test_a_pair_is_named_through_the_whole_of_it(first, second):
    gradient = {"M7": "dw", "M5": "dw", "M9": "db"}.get(first, "dx")
    a, b = (
        next(v for v in VARIANTS if v.gradient == gradient and v.mistake.code == code)
        for code in (first, second)
    )
    diagnosis = diagnose.conv2d_backward(backward_with([a, b]))
    assert set(diagnosis.mistakes) == {a.mistake, b.mistake}
    assert f"{gradient}: " in diagnosis.text()
