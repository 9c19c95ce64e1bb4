"""Mistakes written by hand, as people make them, and not by the recipes that find them."""

from __future__ import annotations

import numpy as np
import pytest

import right_backwards
from rot180.diagnose import conv2d_backward


def windows(x, w, dy, stride=1, padding=0):
    """Yield the padded x, and each output's place in it."""
    kernel_h, kernel_w = w.shape[:2]
    for i, j in np.ndindex(dy.shape[1:3]):
        yield i, j, np.s_[:, i * stride : i * stride + kernel_h, j * stride : j * stride + kernel_w]


def pad(x, padding):
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))


def full(dy, kernel):
    """Full-mode correlation of dy with a kernel (KH, KW, K, C)."""
    kernel_h, kernel_w = kernel.shape[:2]
    edges = ((0, 0), (kernel_h - 1, kernel_h - 1), (kernel_w - 1, kernel_w - 1), (0, 0))
    seen = np.lib.stride_tricks.sliding_window_view(np.pad(dy, edges), kernel.shape[:2], (1, 2))
    return np.einsum("npqkrs,rskc->npqc", seen, kernel)


def spread(dy, stride, zeros):
    batch, rows, columns, filters = dy.shape
    step = zeros + 1
    out = np.zeros((batch, (rows - 1) * step + 1, (columns - 1) * step + 1, filters))
    out[:, ::step, ::step] = dy
    return out


def fitted(full_dx, x):
    """Cut or fill with zeros to the shape of x."""
    dx = np.zeros_like(x)
    part = full_dx[:, : x.shape[1], : x.shape[2]]
    dx[:, : part.shape[1], : part.shape[2]] = part
    return dx


def m1(x, w, dy):
    return full(dy, w.swapaxes(2, 3))


def m1_transposed(x, w, dy):
    """np.rot90 once and not twice: for a square kernel neither a flip nor a rotation by 180."""
    return full(dy, np.flipud(w).swapaxes(2, 3))


def m2_flip(x, w, dy):
    return full(dy, np.flip(w).swapaxes(2, 3))


def m4_assigned(x, w, dy):
    for k in range(w.shape[3]):
        dx = full(dy[..., k : k + 1], w[::-1, ::-1, :, k : k + 1].swapaxes(2, 3))
    return dx


def m4_mean(x, w, dy):
    return full(dy, w[::-1, ::-1].swapaxes(2, 3)) / w.shape[3]


def m4_apart(x, w, dy):
    return np.stack(
        [full(dy[..., [k]], w[::-1, ::-1, :, [k]].swapaxes(2, 3)) for k in range(w.shape[3])]
    )


def m5(x, w, dy):
    dw = np.zeros_like(w)
    for r, s in np.ndindex(w.shape[:2]):
        for i in range(dy.shape[1] - r):
            for j in range(dy.shape[2] - s):
                dw[r, s] += x[:, i + r, j + s].T @ dy[:, i + r, j + s]
    return {"dw": dw}


def m6_edges(x, w, dy, padding):
    padded = np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)), mode="edge")
    return {"dw": right_backwards.im2col(padded, w, dy)["dw"]}


def m7(x, w, dy):
    return {"dw": np.einsum("nijcrs,nijk->rsck",
                            np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], (1, 2)), dy)
            / dy[0, :, :, 0].size}  # fmt: skip


def m8(x, w, dy):
    made = right_backwards.im2col(x, w, dy)
    return {name: array / len(x) for name, array in made.items() if name != "dx"}


def m9(x, w, dy):
    return {"db": np.full(w.shape[3], dy.sum())}


def m9_per_weight(x, w, dy):
    db = np.zeros(w.shape[3])
    for k, _, _, _ in np.ndindex(w.shape[3], *w.shape[:3]):
        db[k] += dy[..., k].sum()
    return {"db": db}


def m9_per_channel(x, w, dy):
    return {"db": sum(dy.sum(axis=(0, 1, 2)) for _ in range(x.shape[3]))}


def m9_axes(x, w, dy):
    """Those of NCHW are NHWC's in another order."""
    return {"db": dy.sum(axis=(0, 2, 3))}


def m4_each_summed(x, w, dy):
    turned = w[::-1, ::-1].sum(axis=3, keepdims=True)
    return full(dy.sum(axis=3, keepdims=True), turned.swapaxes(2, 3))


def m11(x, w, dy):
    dx = np.zeros_like(x)
    for i, j, window in windows(x, w, dy):
        for k in range(w.shape[3]):
            c = k % x.shape[3]
            dx[window][..., c] += dy[:, i, j, k, None, None] * w[:, :, c, k]
    return dx


def m12_forgotten(x, w, dy, stride):
    return fitted(full(dy, w[::-1, ::-1].swapaxes(2, 3)), x)


def m12_zeros(x, w, dy, stride):
    if stride == 1:
        return full(dy, w[::-1, ::-1].swapaxes(2, 3))
    return fitted(full(spread(dy, stride, stride), w[::-1, ::-1].swapaxes(2, 3)), x)


def m12_repeated(x, w, dy, stride):
    repeated = dy.repeat(stride, axis=1).repeat(stride, axis=2)
    return fitted(full(repeated, w[::-1, ::-1].swapaxes(2, 3)), x)


def m12_not_tested(x, w, dy, stride, padding):
    """Whether an output of the stride lies at this distance."""
    dx = np.zeros_like(x)
    for p, q, r, s in np.ndindex(*x.shape[1:3], *w.shape[:2]):
        if p + padding < r or q + padding < s:
            continue
        i, j = (p + padding - r) // stride, (q + padding - s) // stride
        if i < dy.shape[1] and j < dy.shape[2]:
            dx[:, p, q] += dy[:, i, j] @ w[r, s].T
    return dx


def m12_dw(x, w, dy, stride):
    dw = np.zeros_like(w)
    for r, s in np.ndindex(w.shape[:2]):
        dw[r, s] = np.einsum("nijc,nijk->ck", x[:, r : r + dy.shape[1], s : s + dy.shape[2]], dy)
    return {"dw": dw}


def m13(x, w, dy, stride):
    return full(spread(dy, stride, stride - 1), w[::-1, ::-1].swapaxes(2, 3))


def m13_cropped_before_only(x, w, dy, stride, padding):
    made = full(spread(dy, stride, stride - 1), w[::-1, ::-1].swapaxes(2, 3))
    return made[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]


def m12_cropped_before_only(x, w, dy, stride, padding):
    made = full(dy, w[::-1, ::-1].swapaxes(2, 3))
    return made[:, padding : padding + x.shape[1], padding : padding + x.shape[2]]


def m14(x, w, dy, padding):
    return full(dy, w[::-1, ::-1].swapaxes(2, 3))


def m16(x, w, dy):
    """Rows of a flat array counted by the number of rows."""
    height, width = x.shape[1:3]
    right = right_backwards.im2col(x, w, dy)["dx"]
    dx = np.zeros_like(x).reshape(len(x), height * width, -1)
    for p, q in np.ndindex(height, width):
        dx[:, q * height + p] = right[:, p, q]
    return dx.reshape(x.shape)


def m19(x, w, dy, y):
    return right_backwards.im2col(x, w, dy)["dx"]


def m20(x, w, dy):
    return {"dw": right_backwards.im2col(x, w, dy)["dw"][::-1, ::-1]}


def m21(x, w, dy):
    dx = np.zeros_like(x)
    for i, j, window in windows(x, w, dy):
        dx[window] = np.einsum("nk,rsck->nrsc", dy[:, i, j], w)
    return dx


def m1_with_m4(x, w, dy):
    for k in range(w.shape[3]):
        dx = full(dy[..., k : k + 1], w[:, :, :, k : k + 1].swapaxes(2, 3))
    return dx


def m12_with_m14(x, w, dy, stride, padding):
    """Neither interleaved nor cropped."""
    wide = np.zeros((len(x), x.shape[1] + 2 * padding, x.shape[2] + 2 * padding, x.shape[3]))
    return fitted(full(dy, w[::-1, ::-1].swapaxes(2, 3)), wide)


def m7_with_m20(x, w, dy):
    return {"dw": m7(x, w, dy)["dw"][::-1, ::-1]}


WRONG = [m1, m1_transposed, m2_flip, m4_assigned, m4_mean, m4_apart, m4_each_summed, m5, m6_edges,
         m7, m9, m9_per_weight, m9_per_channel, m9_axes, m11, m12_forgotten,
         m12_zeros, m12_dw, m12_repeated, m12_not_tested, m12_cropped_before_only,
         m13, m13_cropped_before_only, m14, m16, m20, m21, m1_with_m4, m12_with_m14,
         m7_with_m20]  # fmt: skip


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_it_is_named(function):
    diagnosis = conv2d_backward(function)
    assert diagnosis.problem is None
    expected = {part.upper() for part in function.__name__.split("_") if part[1:].isdigit()}
    assert {mistake.code for mistake in diagnosis.mistakes} == expected, diagnosis.text()


def test_one_in_two_gradients():
    diagnosis = conv2d_backward(m8)
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M8", "M8"]


def test_a_missing_derivative():
    diagnosis = conv2d_backward(m19, activation="tanh")
    assert [mistake.code for mistake in diagnosis.mistakes] == ["M19"]
    assert "missing" in diagnosis.mistakes[0].name
