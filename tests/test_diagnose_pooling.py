"""rot180.diagnose of max and mean pooling: right ones pass, wrong ones are named."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

import rot180
from rot180 import diagnose, reference
from rot180.diagnose import pooling

judge_max, judge_mean = diagnose.max_pool2d_backward, diagnose.avg_pool2d_backward


def pair(value):
    return (value, value) if isinstance(value, int) else value


# One backward of max pooling as people write it, in loops, with places for mistakes.
MAX = """
def backward(x, dy, kernel_size, stride, padding):
    (kh, kw), (sh, sw), p = pair(kernel_size), pair(stride), padding
    {begin}
    xp = np.pad(x, ((0, 0), (p, p), (p, p), (0, 0)), constant_values={fill})
    dx = np.zeros(xp.shape)
    for n in range(x.shape[0]):
        for i in range(dy.shape[1]):
            for j in range(dy.shape[2]):
                for c in range(x.shape[3]):
                    top, left = {corner}
                    window = xp[n, top:top + kh, left:left + kw, c]
                    if not window.size:
                        continue
                    value = {value}
                    {place}
    {crop}
    return ({sign} dx {scale}).astype(x.dtype)
"""
FIRST = "r, s = np.unravel_index(window.argmax(), window.shape); dx[n, top + r, left + s, c] "
MAX_RIGHT = {
    "begin": "",
    "fill": "-np.inf",
    "corner": "i * sh, j * sw",
    "value": "dy[n, i, j, c]",
    "place": FIRST + "+= value",
    "crop": "dx = dx[:, p:p + x.shape[1], p:p + x.shape[2]]",
    "sign": "",
    "scale": "",
}
MASKED = "dx[n, top:top + kh, left:left + kw, c] += value * "
MAX_WRONG = {
    "all maxima": ({"place": MASKED + "(window == window.max())"}, pooling.ALL_MAXIMA),
    "everywhere": ({"place": MASKED + "1"}, pooling.EVERYWHERE),
    "largest size": (
        {
            "place": FIRST.replace(
                "window.argmax()", "np.where(np.isfinite(window), abs(window), -1).argmax()"
            )
            + "+= value"
        },
        pooling.LARGEST_SIZE,
    ),
    "overwritten": ({"place": FIRST + "= value"}, pooling.OVERWRITTEN),
    "stride is kernel": ({"corner": "i * kh, j * kw"}, pooling.STRIDE_IS_KERNEL),
    "kernel is stride": ({"begin": "kh, kw = sh, sw"}, pooling.KERNEL_IS_STRIDE),
    "exchanged": ({"begin": "kh, kw, sh, sw = kw, kh, sw, sh"}, pooling.EXCHANGED),
    "not cropped": ({"crop": ""}, pooling.NOT_CROPPED),
    "zeros": ({"fill": "0"}, pooling.PADDED_WITH_ZEROS),
    "without dy": ({"value": "1"}, pooling.DY_MISSING),
    "times x": ({"value": "dy[n, i, j, c] * window.max()"}, pooling.X_FOR_MASK),
    "divided": ({"scale": "/ (kh * kw)"}, pooling.MAX_DIVIDED),
    "negative": ({"sign": "-"}, pooling.NEGATIVE),
    "by the batch": ({"value": "dy[n, i, j, c] / len(x)"}, pooling.DIVIDED_BY_BATCH),
}
MEAN = """
def backward(x, dy, kernel_size, stride, padding):
    (kh, kw), (sh, sw), p = pair(kernel_size), pair(stride), padding
    {begin}
    dx = np.zeros((x.shape[0], x.shape[1] + 2 * p, x.shape[2] + 2 * p, x.shape[3]))
    for i in range(dy.shape[1]):
        for j in range(dy.shape[2]):
            top, left = {corner}
            part = dy[:, i, j, None, None] / ({count})
            dx[:, top:top + {rows}, left:left + {columns}] {add} part
    {crop}
    return ({sign} dx {scale}).astype(x.dtype)
"""
MEAN_RIGHT = {
    "begin": "",
    "corner": "i * sh, j * sw",
    "count": "kh * kw",
    "rows": "kh",
    "columns": "kw",
    "add": "+=",
    "crop": MAX_RIGHT["crop"],
    "sign": "",
    "scale": "",
}
MEAN_WRONG = {
    "not divided": ({"count": "1"}, pooling.NOT_DIVIDED),
    "by rows": ({"count": "kh"}, pooling.WRONG_COUNT),
    "by outputs": ({"count": "dy.shape[1] * dy.shape[2]"}, pooling.WRONG_COUNT),
    "by pixels": ({"count": "x.shape[1] * x.shape[2]"}, pooling.WRONG_COUNT),
    "by stride": ({"count": "sh * sw"}, pooling.WRONG_COUNT),
    "one pixel": ({"rows": "1", "columns": "1"}, pooling.ONE_PIXEL),
    "overwritten": ({"add": "="}, pooling.OVERWRITTEN),
    "stride is kernel": ({"corner": "i * kh, j * kw"}, pooling.STRIDE_IS_KERNEL),
    "not cropped": ({"crop": ""}, pooling.NOT_CROPPED),
    "negative": ({"sign": "-"}, pooling.NEGATIVE),
    "by the batch": ({"scale": "/ len(x)"}, pooling.DIVIDED_BY_BATCH),
}
TABLES = {
    "max": (judge_max, MAX, MAX_RIGHT, MAX_WRONG),
    "mean": (judge_mean, MEAN, MEAN_RIGHT, MEAN_WRONG),
}


def backward_with(text, right, *changes):
    places = dict(right)
    for change in changes:
        places.update(change)
    scope = {"np": np, "pair": pair}
    exec(text.format(**places), scope)
    return scope["backward"]


def of_reference(x, dy, kernel_size, stride, padding):
    options = {"stride": stride, "padding": padding}
    _, indices = reference.max_pool2d(x, kernel_size, return_indices=True, **options)
    return reference.max_pool2d_grad_input(dy, indices, x.shape, kernel_size, **options)


def of_a_layer(x, dout, size, stride, pad):
    layer = rot180.MaxPool2d(size, stride, pad)
    layer.forward(x, training=True)
    return layer.backward(dout)


def by_reshape(x, dy):
    n, h, w, c = x.shape
    blocks = x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(-1, 4)
    dx = np.zeros_like(blocks)
    dx[np.arange(len(dx)), blocks.argmax(1)] = dy.ravel()
    return dx.reshape(n, h // 2, w // 2, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(x.shape)


def random_tie(x, dy):
    """Each window takes any of its equal pixels."""
    rng, dx = np.random.default_rng(5), np.zeros_like(x)
    for i, j in np.ndindex(dy.shape):
        window = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2]
        at = rng.permutation(np.argwhere(window == window.max()))[0]
        dx[2 * i + at[0], 2 * j + at[1]] += dy[i, j]
    return dx


@pytest.mark.parametrize(
    ("backward", "options"),
    [
        (backward_with(MAX, MAX_RIGHT), {}),
        (of_reference, {}),
        (of_a_layer, {}),
        (by_reshape, {}),
        (random_tie, {"layout": "HW"}),
        (
            backward_with(
                MAX,
                MAX_RIGHT,
                {
                    "place": FIRST.replace(
                        "window.argmax(), window.shape)",
                        "window.size - 1 - window[::-1, ::-1].argmax(), window.shape)",
                    )
                    + "+= value"
                },
            ),
            {},
        ),
        (
            lambda x, dy: of_reference(x, dy, (2, 3), (1, 2), 0),
            {"kernel_size": (2, 3), "stride": (1, 2)},
        ),
        (lambda x, dy: of_reference(x, dy, 3, 2, 1), {"kernel_size": 3, "stride": 2, "padding": 1}),
        (
            lambda x, dy, kernel_size, stride: np.moveaxis(
                of_reference(np.moveaxis(x, 1, -1), np.moveaxis(dy, 1, -1), kernel_size, stride, 0),
                -1,
                1,
            ),
            {"layout": "NCHW"},
        ),
    ],
)
def test_right_max_pooling_passes(backward, options):
    found = judge_max(backward, **options)
    assert found.right, found


def test_shared_ties_are_noted():
    def backward(x, y, dy):
        up = [np.repeat(np.repeat(a, 2, axis=1), 2, axis=2) for a in (y, dy)]
        mask = (x == up[0]).astype(x.dtype)
        n, h, w, c = x.shape
        ties = mask.reshape(n, h // 2, 2, w // 2, 2, c).sum((2, 4), keepdims=True)
        return mask * up[1] / np.broadcast_to(ties, (n, h // 2, 2, w // 2, 2, c)).reshape(x.shape)

    found = judge_max(backward)
    assert found.right, found
    assert "equal maxima share the gradient, which is right as well" in found.notes


@pytest.mark.parametrize("include", [True, False])
def test_mean_pooling_counts_the_padding_or_not(include):
    def backward(dy, input_shape, kernel_size, stride, padding):
        return reference.avg_pool2d_grad_input(
            dy,
            input_shape,
            kernel_size,
            stride=stride,
            padding=padding,
            count_include_pad=include,
        )

    assert judge_mean(backward, count_include_pad=include).right
    other = pooling.PAD_COUNTED if include else pooling.PAD_NOT_COUNTED
    assert judge_mean(backward, count_include_pad=not include).mistakes == (other,)


def test_right_mean_pooling_passes():
    assert judge_mean(backward_with(MEAN, MEAN_RIGHT)).right
    assert judge_mean(lambda dy: np.kron(dy, np.full((2, 2), 0.25, dy.dtype)), layout="HW").right


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, row in TABLES.items() for name in row[3]]
)
def test_a_mistake_is_named(kind, name):
    judge, text, right, wrong = TABLES[kind]
    change, mistake = wrong[name]
    found = judge(backward_with(text, right, change))
    assert found.mistakes == (mistake,), found


@pytest.mark.parametrize("kind", TABLES)
def test_pairs_of_mistakes_are_named(kind):
    judge, text, right, wrong = TABLES[kind]
    missed, count = [], 0
    for one, other in combinations(wrong, 2):
        (change, mistake), (change2, mistake2) = wrong[one], wrong[other]
        if not change.keys().isdisjoint(change2) or mistake == mistake2:
            continue
        found = judge(backward_with(text, right, change, change2))
        assert not found.right, (one, other)
        count += 1
        if set(found.mistakes) != {mistake, mistake2}:
            missed.append((one, other, [mistake.name for mistake in found.mistakes]))
    assert count > 30
    assert len(missed) <= count // 10, missed


def test_a_shape_that_is_too_small():
    def backward(x, dy):
        return np.kron(dy, np.full((2, 2), 0.25, dy.dtype))

    found = judge_mean(backward, layout="HW")
    assert found.mistakes == (pooling.REMAINDER_DROPPED,)


def test_windows_that_do_not_fill_the_image_may_be_refused():
    found = judge_max(by_reshape)
    assert "it raised ValueError: cannot reshape" in found.notes[0]
    assert "on windows that leave pixels over" in found.notes[0]


def test_the_wrong_entry_is_written_out():
    def backward(x, dy, kernel_size, stride):
        dx = of_reference(x, dy, kernel_size, stride, 0)
        return dx + 1 if stride != kernel_size else dx

    (finding,) = judge_max(backward).findings
    assert not finding.mistakes
    assert finding.facts[0].startswith("right on windows that fill the image; ")
    assert "dx[0, 0, 0, 0] = 0, a sum of no terms" in finding.facts[1]


def test_what_cannot_be_judged():
    def backward(x, dy):
        raise RuntimeError("no")

    assert "backward raised RuntimeError: no" in judge_max(backward).problem
    with pytest.raises(ValueError, match="layout is 'CHW', expected one of NHWC, NCHW, HW"):
        judge_max(by_reshape, layout="CHW")
