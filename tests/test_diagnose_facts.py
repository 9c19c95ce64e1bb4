"""What is said of a gradient that is wrong in a way that is not in the catalogue."""

from __future__ import annotations

import numpy as np
import pytest

from rot180 import reference
from rot180.diagnose import conv2d_arrays, conv2d_backward
from rot180.diagnose.layouts import Layout
from rot180.diagnose.probes import Probe
from rot180.diagnose.terms import written_out


def right(x, w, dy, stride=1, padding=0, dilation=1, groups=1):
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    dx = reference.conv2d_grad_input(dy, w, x.shape, **options)
    return dx, reference.conv2d_grad_weight(x, dy, w.shape[:2], **options)


BEHIND = ((0, 0), (0, 1), (0, 1), (0, 0))


def facts_of(gradient, change, needs=lambda **options: True):
    """What is said where `change` makes a right gradient wrong."""
    place = {"dx": 0, "dw": 1}[gradient]

    def backward(x, w, dy, stride=1, padding=0, dilation=1, groups=1):
        options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        made = right(x, w, dy, **options)[place]
        return change(made.copy()) if needs(x=x, w=w, dy=dy, **options) else made

    diagnosis = conv2d_backward(backward, returns=gradient)
    (finding,) = diagnosis.findings
    assert not finding.right
    assert finding.mistakes == ()
    assert diagnosis.exit_status == 1
    assert finding.facts[0] == "no mistake of the catalogue, and no two of them, make it"
    return "\n".join(finding.facts)


def put(index, value):
    def change(array):
        array[index] = value
        return array

    return change


@pytest.mark.parametrize(
    ("gradient", "change", "fact"),
    [
        ("dx", lambda dx: 7 * dx, "right but for a constant factor of 7"),
        ("dx", lambda dx: -7 * dx, "right but for the sign and a constant factor of 7"),
        ("dx", lambda dx: dx * dx.shape[3] , "right but for a factor of C"),
        ("dw", lambda dw: dw / dw[..., 0].size, "right but for a factor of 1/(KH*KW*C/groups)"),
        ("dw", lambda dw: dw + 5, "right but for 5 added to every cell"),
        ("dx", lambda dx: np.roll(dx, 1, 1), "right, but moved by 1 rows and 0 columns"),
        ("dx", lambda dx: dx[:, ::-1], "right, but reversed along H"),
        ("dx", lambda dx: dx[..., np.r_[1 : dx.shape[3], 0]], "along C are those of [1, 2, 0]"),
        ("dx", put(np.s_[:, 0], 0), "wrong only within 1 of the top"),
        ("dx", put(np.s_[:, :, -1], 0), "wrong only within 1 of the right"),
        ("dx", put(np.s_[..., 0], 0), "wrong for channel 0 only"),
        ("dx", put(np.s_[-1], 99), "wrong for image 1 only"),
        ("dw", put(np.s_[..., -1], 0), "wrong for filter 3 only"),
        ("dw", put(np.s_[-1], 0), "wrong for kernel row 1 only"),
        ("dx", lambda dx: 0 * dx, "zero everywhere"),
        ("dx", lambda dx: dx.transpose(0, 3, 1, 2), "with its axes in the order NCHW where NHWC"),
        ("dw", lambda dw: dw.transpose(3, 2, 0, 1), "with its axes in the order OIHW where HWIO"),
        ("dx", lambda dx: dx.reshape(len(dx), -1), "the right numbers in the right order"),
        ("dx", lambda dx: dx[:, 1:], "it is the part that begins at row 1, column 0"),
        ("dx", lambda dx: np.pad(dx, ((0, 0), (2, 0), (1, 0), (0, 0))),
         "the right numbers begin at row 2, column 1"),
        ("dx", put(np.s_[:], np.inf), "holds NaN or infinity, first at [0, 0, 0, 0]"),
    ],
)  # fmt: skip
def test_the_fact(gradient, change, fact):
    assert fact in facts_of(gradient, change)


@pytest.mark.parametrize(
    ("needs", "fact"),
    [
        (lambda stride, **_: stride != 1, "right without, and wrong with, a stride above 1"),
        (lambda padding, **_: padding != 0, "right without, and wrong with, padding"),
        (lambda dilation, **_: dilation != 1, "wrong with, a dilation above 1"),
        (lambda groups, **_: groups != 1, "right without, and wrong with, groups"),
        (lambda x, **_: len(x) > 1, "right without, and wrong with, more than one image"),
        (lambda w, **_: w.shape[0] != w.shape[1], "wrong with, a kernel that is not square"),
        (lambda stride, padding, **_: stride != 1 and padding != 0, "only where there is"),
    ],
)
def test_on_which_probes_it_is_wrong(needs, fact):
    assert fact in facts_of("dx", lambda dx: dx + np.arange(dx.size).reshape(dx.shape), needs)


def test_the_smallest_probe_is_shown_with_its_terms():
    facts = facts_of("dx", lambda dx: 7 * dx, lambda x, **_: x.shape[3] > 1)
    assert "the smallest probe that shows it: x of 1 image 1x1 with 2 channels" in facts
    assert "dx[0, 0, 0, 0] =\n    + dy[0, 0, 0, 0] * w[0, 0, 0, 0]" in facts
    expected, got = (float(facts.rsplit(word, 1)[1].split()[0].strip(",")) for word in
                     ("expected ", "got "))  # fmt: skip
    assert got == 7 * expected != 0


@pytest.mark.parametrize(
    ("slip", "told"),
    [
        (lambda dx, x, w, dy: right(x, w, np.pad(dy[:, :-1, :-1], BEHIND))[0],
         "the last row and column of outputs are left out"),
        (lambda dx, x, w, dy: np.pad(dx, ((0, 0), (1, 0), (1, 0), (0, 0)))[:, :-1, :-1],
         "windows begin one pixel too late"),
        (lambda dx, x, w, dy: dx[:, w.shape[0] - 1 : dx.shape[1] - w.shape[0] + 1,
                                 w.shape[1] - 1 : dx.shape[2] - w.shape[1] + 1],
         "it is the correlation in valid mode"),
        (lambda dx, x, w, dy: dx[:, (w.shape[0] - 1) // 2 :, (w.shape[1] - 1) // 2 :]
         [:, : dy.shape[1], : dy.shape[2]], "it is the correlation in same mode"),
        (lambda dx, x, w, dy: dx * (np.arange(len(dx)) == 0)[:, None, None, None],
         "only the first image of the batch counts"),
    ],
)  # fmt: skip
def test_slips_are_told(slip, told):
    def backward(x, w, dy):
        dx = slip(right(x, w, dy)[0], x, w, dy)
        if dx.size == 0:
            raise NotImplementedError
        return dx

    (finding,) = conv2d_backward(backward).findings
    assert finding.mistakes == ()
    assert finding.facts[1].startswith(told)


def test_a_lower_bound_that_is_rounded_down_is_told():
    def backward(x, w, dy, stride=1, padding=0):
        dx = np.zeros_like(x)
        for p, q in np.ndindex(x.shape[1:3]):
            rows, columns = (
                range(max(0, (at + padding - size + 1) // stride),
                      min(out - 1, (at + padding) // stride) + 1)
                for at, size, out in zip((p, q), w.shape[:2], dy.shape[1:3], strict=True)
            )  # fmt: skip
            for i in rows:
                for j in columns:
                    r = min(p + padding - i * stride, w.shape[0] - 1)
                    s = min(q + padding - j * stride, w.shape[1] - 1)
                    dx[:, p, q] += dy[:, i, j] @ w[r, s].T
        return dx

    (finding,) = conv2d_backward(backward).findings
    assert finding.facts[1].startswith("the first window over a pixel is rounded down")


@pytest.mark.parametrize(
    ("place", "told"),
    [
        (lambda i, r, s, pad: i * s + r + pad, "the padding is added, not subtracted"),
        (lambda i, r, s, pad: (i - pad) * s + r, "the padding is multiplied by the stride"),
        (lambda i, r, s, pad: i + r * s - pad, "the stride multiplies the tap, not"),
        (lambda i, r, s, pad: (i + r) * s - pad, "the stride multiplies the tap as well"),
    ],
)
@pytest.mark.parametrize("gradient", ["dx", "dw"])
def test_wrong_places_are_told(gradient, place, told):
    def backward(x, w, dy, stride=1, padding=0):
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i, j, r, s in np.ndindex(*dy.shape[1:3], *w.shape[:2]):
            p, q = place(i, r, stride, padding), place(j, s, stride, padding)
            if 0 <= p < x.shape[1] and 0 <= q < x.shape[2]:
                dx[:, p, q] += dy[:, i, j] @ w[r, s].T
                dw[r, s] += x[:, p, q].T @ dy[:, i, j]
        return {"dx": dx, "dw": dw}[gradient]

    (finding,) = conv2d_backward(backward, returns=gradient).findings
    assert finding.mistakes == ()
    assert finding.facts[1].startswith(told)


def test_the_padding_of_the_forward_is_told():
    """Right where it is half of the kernel, which hides it."""

    def backward(x, w, dy, padding=0):
        around = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        turned = np.ascontiguousarray(w[::-1, ::-1].swapaxes(2, 3))
        return reference.conv2d(np.pad(dy, around), turned)

    diagnosis = conv2d_backward(backward)
    (finding,) = diagnosis.findings
    assert finding.facts[1].startswith("it is the correlation with the forward's padding")


@pytest.mark.parametrize(("layout", "weight_layout"), [("NCHW", "OIHW"), ("NHWC", "HWIO")])
def test_a_reshape_without_its_transpose_is_told(layout, weight_layout):
    def backward(x, w, dy):
        read = dy.reshape(len(dy), *dy.shape[2:], dy.shape[1])  # NCHW
        if layout == "NHWC":
            read = dy.reshape(len(dy), dy.shape[3], *dy.shape[1:3]).transpose(0, 2, 3, 1)
        else:
            x, w = x.transpose(0, 2, 3, 1), w.transpose(2, 3, 1, 0)
        made = right(np.ascontiguousarray(x), np.ascontiguousarray(w), read)
        if layout == "NCHW":
            made = made[0].transpose(0, 3, 1, 2), made[1].transpose(3, 2, 0, 1)
        return *made, read.sum((0, 1, 2))

    diagnosis = conv2d_backward(backward, layout, weight_layout)
    assert len(diagnosis.findings) == 3
    for finding in diagnosis.findings:
        assert finding.facts[1].startswith(f"dy of {layout} is reshaped")


def test_a_crop_that_leaves_nothing_is_told():
    def backward(x, w, dy, padding=0):
        made = right(np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0))), w, dy)[0]
        return made[:, padding:-padding, padding:-padding]

    (finding,) = conv2d_backward(backward).findings
    assert any(fact.startswith("it is empty: where the padding p is 0") for fact in finding.facts)


def test_only_pixels_between_windows():
    def backward(x, w, dy, stride=1):
        dx = right(x, w, dy, stride)[0]
        if stride != 1:
            dx[:, 1::2] *= 2
        return dx

    (finding,) = conv2d_backward(backward).findings
    assert "wrong only in rows p where p % 2 is 1 (2 is the stride)" in finding.facts


PROBES = [
    Probe(),
    Probe(2, 6, 7, 4, 6, 2, 3, stride=(2, 3), padding=((1, 0), (2, 1)), groups=2),
    Probe(1, 9, 8, 2, 3, 3, 2, dilation=(2, 3), stride=2, padding=2),
]


@pytest.mark.parametrize("probe", PROBES, ids=str)
@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("activation", [None, "sigmoid"])
@pytest.mark.parametrize("gradient", ["y", "dx", "dw", "db"])
def test_the_terms_add_up_to_the_cell(probe, flipped, activation, gradient, monkeypatch):
    monkeypatch.setattr("rot180.diagnose.terms.MOST_TERMS", 10**6)
    convolution = probe.convolution(activation, flipped, bias=True)
    array = convolution.correlation if gradient == "y" else convolution.right(gradient)
    rng = np.random.default_rng(0)
    for flat in rng.integers(0, array.size, 20):
        index = tuple(int(i) for i in np.unravel_index(flat, array.shape))
        text = written_out(gradient, index, convolution, Layout(), 0.0)
        lines = [line for line in text.splitlines() if line.startswith("    + ")]
        total = sum(
            float(np.prod([float(f.strip(" ()")) for f in line.rsplit("]", 1)[1].split("*")]))
            for line in lines
        )
        assert np.isclose(total, array[index], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("layouts", [("NHWC", "HWIO"), ("NCHW", "OIHW")])
def test_cells_are_counted_as_the_user_counts_them(layouts):
    layout, weight_layout = layouts
    form = Layout(layout, weight_layout, layout)
    convolution = Probe().convolution()
    dx = convolution.right("dx").copy()
    dx[1, 2, 3, 1] += 1
    given = {"x": convolution.x, "dy": convolution.dy, "dx": dx}
    given = {name: form.to_theirs("x", array) for name, array in given.items()}
    diagnosis = conv2d_arrays(
        **given, w=form.to_theirs("w", convolution.w), layout=layout, weight_layout=weight_layout
    )
    where = "dx[1, 2, 3, 1] =" if layout == "NHWC" else "dx[1, 1, 2, 3] ="
    assert any(where in fact for fact in diagnosis.findings[0].facts)
