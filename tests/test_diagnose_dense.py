"""rot180.diagnose.linear_backward: right implementations pass, wrong ones are named."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

import rot180
from rot180 import diagnose
from rot180.diagnose import dense


def loops(x, w, dy):
    dx, dw, db = np.zeros_like(x), np.zeros_like(w), np.zeros(w.shape[1], w.dtype)
    for n in range(len(x)):
        for k in range(w.shape[1]):
            db[k] += dy[n, k]
            for c in range(w.shape[0]):
                dx[n, c] += dy[n, k] * w[c, k]
                dw[c, k] += dy[n, k] * x[n, c]
    return dx, dw, db


def by_einsum(dout, inputs, weights):
    return {
        "grad_input": np.einsum("nk,ck->nc", dout, weights),
        "grad_weight": np.einsum("nc,nk->ck", inputs, dout),
        "grad_bias": dout.sum(0, keepdims=True),
    }


def by_rot180(x, w, dy):
    layer = rot180.Linear(*w.shape, dtype=w.dtype)
    layer.weight.value[...] = w.reshape(layer.weight.value.shape)
    layer.forward(x, training=True)
    dx = layer.backward(dy)
    return dx, layer.weight.grad, layer.bias.grad


@pytest.mark.parametrize("backward", [loops, by_einsum, by_rot180])
def test_right_implementations_pass(backward):
    found = diagnose.linear_backward(backward)
    assert found.right, found
    assert [finding.array for finding in found.findings] == ["dx", "dw", "db"]


def test_the_layout_of_the_weights():
    def backward(x, weight, grad_output):
        return grad_output @ weight, grad_output.T @ x, grad_output.sum(0)

    assert diagnose.linear_backward(backward, weight_layout="OI").right
    found = diagnose.linear_backward(backward)
    assert found.findings[0].mistakes == (dense.NOT_TRANSPOSED,)
    assert found.findings[1].mistakes == (dense.DW_TRANSPOSED,)
    assert found.findings[2].right
    assert "on 2 of the probes it raised ValueError: matmul" in found.notes[0]


DX = {
    dense.DX_SUMMED: lambda x, w, dy: np.tile(dy.sum(0), (len(dy), 1)) @ w.T,
    dense.DX_ONE_OUTPUT: lambda x, w, dy: np.outer(dy[:, 0], w[:, 0]),
    dense.DIVIDED: lambda x, w, dy: dy @ w.T / len(x),
    dense.MULTIPLIED: lambda x, w, dy: dy @ w.T * len(x),
    dense.DIVIDED_TWICE: lambda x, w, dy: dy @ w.T / len(x) ** 2,
    dense.NEGATIVE: lambda x, w, dy: -dy @ w.T,
}
DW = {
    dense.DW_TRANSPOSED: lambda x, w, dy: dy.T @ x,
    dense.SUMMED_FIRST: lambda x, w, dy: np.outer(x.sum(0), dy.sum(0)),
    dense.X_MISSING: lambda x, w, dy: np.tile(dy.sum(0), (x.shape[1], 1)),
    dense.ONE_IMAGE: lambda x, w, dy: np.outer(x[-1], dy[-1]),
    dense.DIVIDED: lambda x, w, dy: x.T @ dy / len(x),
    dense.NEGATIVE: lambda x, w, dy: -x.T @ dy,
}
DB = {
    dense.DB_NOT_SUMMED: lambda x, w, dy: dy,
    dense.DB_SCALAR: lambda x, w, dy: dy.sum(),
    dense.DB_PER_INPUT: lambda x, w, dy: dy.sum(0) * x.shape[1],
    dense.DB_ONES: lambda x, w, dy: np.full(dy.shape[1], float(len(dy))),
    dense.ONE_IMAGE: lambda x, w, dy: dy[0],
    dense.DIVIDED: lambda x, w, dy: dy.mean(0),
    dense.NEGATIVE: lambda x, w, dy: -dy.sum(0),
}
RIGHT = (
    lambda x, w, dy: dy @ w.T,
    lambda x, w, dy: x.T @ dy,
    lambda x, w, dy: dy.sum(0),
)


def backward_of(*parts):
    return lambda x, w, dy: tuple(part(x, w, dy) for part in parts)


@pytest.mark.parametrize("place", [0, 1, 2], ids=["dx", "dw", "db"])
def test_each_mistake_in_each_gradient_is_named(place):
    for mistake, wrong in (DX, DW, DB)[place].items():
        parts = list(RIGHT)
        parts[place] = wrong
        found = diagnose.linear_backward(backward_of(*parts))
        assert found.findings[place].mistakes == (mistake,), (mistake.name, found)
        assert [finding.right for finding in found.findings].count(False) == 1


def test_pairs_in_different_gradients_are_named():
    rows = [list(table.items()) for table in (DX, DW, DB)]
    for a, b in combinations(range(3), 2):
        for one, other in product(rows[a], rows[b]):
            parts = list(RIGHT)
            parts[a], parts[b] = one[1], other[1]
            found = diagnose.linear_backward(backward_of(*parts))
            assert found.findings[a].mistakes == (one[0],)
            assert found.findings[b].mistakes == (other[0],)
            assert found.findings[3 - a - b].right


@pytest.mark.parametrize(
    ("backward", "expected"),
    [
        (lambda x, w, dy: (None, -dy.T @ x), {dense.DW_TRANSPOSED, dense.NEGATIVE}),
        (lambda x, w, dy: (None, -dy.T @ x / len(x)), None),
        (lambda x, w, dy: (None, x[:1].T @ dy[:1] / len(x)), {dense.ONE_IMAGE, dense.DIVIDED}),
        (
            lambda x, w, dy: (None, None, dy.mean(0) * x.shape[1]),
            {dense.DIVIDED, dense.DB_PER_INPUT},
        ),
        (lambda x, w, dy: (None, None, -dy.mean()), None),
    ],
)
def test_several_mistakes_in_one_gradient(backward, expected):
    found = diagnose.linear_backward(backward)
    assert not found.right
    assert set(found.mistakes) == (expected or set())


# dw in parts, so that two of them can be wrong.
PARTS = {
    "inputs": {"x * 0 + 1": dense.X_MISSING},
    "images": {
        "a[-1:].T @ dy[-1:]": dense.ONE_IMAGE,
        "np.outer(a.sum(0), dy.sum(0))": dense.SUMMED_FIRST,
    },
    "order": {"dw.T": dense.DW_TRANSPOSED},
    "factor": {"/ n": dense.DIVIDED, "/ n**2": dense.DIVIDED_TWICE, "* n": dense.MULTIPLIED},
    "sign": {"-": dense.NEGATIVE},
}
# With ones in place of x, the product of the sums is N times the sum of the products.
ALIKE_WITHOUT_X = {dense.MULTIPLIED, dense.SUMMED_FIRST}
PARTS_RIGHT = {"inputs": "x", "images": "a.T @ dy", "order": "dw", "factor": "", "sign": ""}


def dw_in_parts(**wrong):
    lines = {**PARTS_RIGHT, **wrong}

    def backward(x, w, dy):
        scope = {"np": np, "x": x, "dy": dy, "n": len(x)}
        scope["a"] = eval(lines["inputs"], scope)
        scope["dw"] = eval(lines["images"], scope)
        return None, eval(f"{lines['sign']} {lines['order']} {lines['factor']}", scope)

    return backward


def test_pairs_in_one_gradient_are_named():
    assert diagnose.linear_backward(dw_in_parts()).right
    for one, other in combinations(PARTS, 2):
        for (line, mistake), (line2, mistake2) in product(PARTS[one].items(), PARTS[other].items()):
            found = diagnose.linear_backward(dw_in_parts(**{one: line, other: line2}))
            told, expected = set(found.mistakes), {mistake, mistake2}
            if dense.X_MISSING in expected and expected & ALIKE_WITHOUT_X:
                assert told - {dense.X_MISSING} <= ALIKE_WITHOUT_X
            else:
                assert told == expected, (line, line2)


def test_facts_where_no_mistake_of_the_catalogue_fits():
    found = diagnose.linear_backward(lambda x, w, dy: (dy @ w.T) * 3)
    (finding,) = found.findings
    assert not finding.right
    assert not finding.mistakes
    assert finding.facts[0] == "3 times what it should be, wherever it is wrong"
    assert "dx[0, 0] should be 32 and is 96" in finding.facts[1]
    assert "dx[0, 0] = dy[0,0]*w[0,0] + dy[0,1]*w[0,1] + dy[0,2]*w[0,2] = " in finding.facts[1]


def test_where_it_is_right():
    found = diagnose.linear_backward(lambda x, w, dy: dy @ w.T + (len(x) > 1))
    assert found.findings[0].facts[0].startswith("right on one image, as many inputs as outputs;")


def raises(x, w, dy):
    raise RuntimeError("not today")


@pytest.mark.parametrize(
    ("backward", "problem"),
    [
        (raises, "raised RuntimeError: not today"),
        (lambda x, w, dy: None, "returns None"),
        (lambda x, w, dy: "dx", "expected a NumPy array of real numbers"),
        (lambda x, w, dy: (dy @ w.T,) * 4, "returns 4 results"),
        (lambda x, w, dy, sauce: dy, "has the parameter sauce"),
        (3, "is a int, expected a function"),
    ],
)
def test_what_cannot_be_judged(backward, problem):
    found = diagnose.linear_backward(backward)
    assert problem in found.problem
    assert found.exit_status == 2
    assert not found.findings


def test_what_is_odd_but_right_is_noted():
    def backward(x, w, dy):
        dx, dw = dy @ w.T, (x.T @ dy).tolist()
        dy *= 0
        return dx, dw

    found = diagnose.linear_backward(backward)
    assert found.right
    assert found.notes == ("changes its argument dy in place: work on a copy",)


def test_single_precision_inside_is_no_mistake():
    def backward(x, w, dy):
        # 1/3 is no number of either dtype
        return ((dy / 3).astype(np.float32) @ w.astype(np.float32).T * 3).astype(np.float64)

    found = diagnose.linear_backward(backward)
    assert found.right
    assert found.notes == ("dx is right to single precision only, which is no mistake",)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="weight_layout is 'CK', expected 'IO' or 'OI'"):
        diagnose.linear_backward(loops, weight_layout="CK")
