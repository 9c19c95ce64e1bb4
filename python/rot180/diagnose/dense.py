"""Names the mistake in the backward pass of a fully connected layer, y = x @ w + b."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rot180.arguments import FloatArray
from rot180.diagnose.candidates import Names, Way
from rot180.diagnose.diagnosis import Diagnosis, Mistake
from rot180.diagnose.judging import Gradient, Probe, judge, written_sum

_NAMES = {
    "x": ("x", "input", "inputs", "aprev", "a", "xin", "h"),
    "w": ("w", "weight", "weights", "kernel"),
    "dy": (
        *("dy", "dout", "grad", "delta", "deltas", "gradoutput", "gradout", "dz", "g", "upstream"),
        *("gradient", "dldy", "outputgrad", "d"),
    ),
    "b": ("b", "bias"),
    "y": ("y", "out", "output"),
}
_DX, _DW, _DB = "dx = dy @ w.T", "dw = x.T @ dy", "db = dy.sum(axis=0)"
_DIVIDED = (
    "The loss is a mean, so dy is divided by the batch already. A layer only sums over the batch; "
    "divided once more, every step is N times too short."
)
_NOT_SUMMED = (
    "One w and one b serve the whole batch, so each image adds its share to their gradients. "
    "Images that are left out, or overwritten by the next one, teach nothing."
)

NOT_TRANSPOSED = Mistake(
    "M17",
    "w is not transposed in dx",
    "Column k of w leads from all inputs to output k. Going back, input c collects dy[k] * "
    "w[c, k] over all k, which is the product with w transposed.",
    _DX,
    "channels-back",
)
DX_SUMMED = Mistake(
    "other",
    "dx mixes the images of the batch",
    "Each image has a dx of its own, made from its own dy. Only dw and db are sums over the batch.",
    _DX,
    "channels-back",
)
DX_ONE_OUTPUT = Mistake(
    "M4",
    "dx takes one output instead of the sum over all outputs",
    "Every input goes into every output, so its gradient is the sum over the outputs.",
    _DX,
    "channels-back",
)
DW_TRANSPOSED = Mistake(
    "M17",
    "dw is transposed",
    "dw has the shape of w, so that w -= lr * dw is possible. x.T @ dy has it, dy.T @ x the other.",
    _DW,
    "channels-back",
)
SUMMED_FIRST = Mistake(
    "other",
    "dw is the product of sums over the batch instead of the sum of products",
    "Each image has its own product of input and delta, and dw is their sum. The product of the "
    "sums also multiplies the input of one image with the delta of another.",
    _DW,
    "vectorise",
)
X_MISSING = Mistake(
    "other",
    "dw does not depend on x",
    "y[k] contains x[c] * w[c, k], so the derivative by w[c, k] is x[c]. Without x, dw is db.",
    _DW,
    "channels-back",
)
ONE_IMAGE = Mistake("M21", "only one image of the batch counts", _NOT_SUMMED, _DW, "vectorise")
DIVIDED = Mistake("M8", "divided by the batch", _DIVIDED, f"{_DW}; {_DB}", "softmax-delta")
DIVIDED_TWICE = Mistake(
    "M8", "divided by the batch twice", _DIVIDED, f"{_DW}; {_DB}", "softmax-delta"
)
MULTIPLIED = Mistake("M8", "multiplied by the batch", _DIVIDED, f"{_DW}; {_DB}", "softmax-delta")
NEGATIVE = Mistake(
    "M10",
    "the sign is wrong",
    "A gradient points to where the loss grows; the optimizer subtracts it. Turned round here, it "
    "is added in effect.",
    f"{_DX}; {_DW}; {_DB}",
    "adam-and-backprop",
)
DB_SCALAR = Mistake(
    "M9",
    "db is one number for all outputs",
    "Each output has a bias of its own. Its gradient is the sum of its own dy over the batch.",
    _DB,
    "bias-gradient",
)
DB_PER_INPUT = Mistake(
    "M9",
    "db is counted once for each input",
    "The bias is added once to each output, not once for each input that leads there.",
    _DB,
    "bias-gradient",
)
DB_NOT_SUMMED = Mistake(
    "M9",
    "db is not summed over the batch",
    "One b serves the whole batch, so its gradient is the sum over the batch, with the shape of b.",
    _DB,
    "bias-gradient",
)
DB_ONES = Mistake(
    "M9",
    "db does not depend on dy",
    "y contains b once, so the derivative of y is 1, and that of the loss is dy. Summed over the "
    "batch, it is not 1 and not N.",
    _DB,
    "bias-gradient",
)

_SCALES = {
    "divided": Way("scale", DIVIDED),
    "divided twice": Way("scale", DIVIDED_TWICE),
    "multiplied": Way("scale", MULTIPLIED),
    "negative": Way("sign", NEGATIVE),
}
_DX_WAYS = {
    "not transposed": Way("product", NOT_TRANSPOSED),
    "first output": Way("product", DX_ONE_OUTPUT),
    "last output": Way("product", DX_ONE_OUTPUT),
    "summed": Way("batch", DX_SUMMED),
    "averaged": Way("batch", DX_SUMMED),
    **_SCALES,
}
_DW_WAYS = {
    "transposed": Way("order", DW_TRANSPOSED),
    "summed first": Way("batch", SUMMED_FIRST),
    "without x": Way("x", X_MISSING),
    "first image": Way("batch", ONE_IMAGE),
    "last image": Way("batch", ONE_IMAGE),
    **_SCALES,
}
_DB_WAYS = {
    "not summed": Way("sum", DB_NOT_SUMMED),
    "one number": Way("sum", DB_SCALAR),
    "one number, repeated": Way("sum", DB_SCALAR),
    "for each input": Way("count", DB_PER_INPUT),
    "ones": Way("dy", DB_ONES),
    "first image": Way("batch", ONE_IMAGE),
    "last image": Way("batch", ONE_IMAGE),
    **_SCALES,
}


def linear_backward(fn: Callable[..., Any], *, weight_layout: str = "IO") -> Diagnosis:
    """Say whether the backward pass of a fully connected layer is right, or which mistake it has.

    Parameters
    ----------
    fn : callable
        ``backward(x, w, dy)``, or with fewer arguments, in any order and under the usual names:
        x (N, C), w (C, K), dy (N, K). Returns (dx, dw, db), None for what it does not compute; or a
        dict with some of these keys.
    weight_layout : str
        ``"IO"``: w is (C, K) and y = x @ w + b. ``"OI"``, as in PyTorch: w is (K, C) and
        y = x @ w.T + b.

    Returns
    -------
    Diagnosis
        A finding for each gradient that fn returns.

    Raises
    ------
    ValueError
        If weight_layout is neither.

    Examples
    --------
    >>> from rot180 import diagnose
    >>> def backward(x, w, dy):
    ...     return dy @ w.T, x.T @ dy / len(x), dy.sum(axis=0)
    >>> found = diagnose.linear_backward(backward)
    >>> [(finding.array, finding.right) for finding in found.findings]
    [('dx', True), ('dw', False), ('db', True)]
    >>> found.mistakes[0].name
    'divided by the batch'
    """
    if weight_layout not in ("IO", "OI"):
        raise ValueError(f"weight_layout is {weight_layout!r}, expected 'IO' or 'OI'")
    turned = weight_layout == "OI"
    made = [
        Gradient("dx", _DX_WAYS, lambda given, names: _dx(given, names, turned), _dx_terms(turned)),
        Gradient("dw", _DW_WAYS, lambda given, names: _dw(given, names, turned), _dw_terms(turned)),
        Gradient("db", _DB_WAYS, _db, _db_terms, [frozenset(), frozenset({"as a row"})]),
    ]
    return judge(fn, _NAMES, ("x", "w", "dy"), _probes(turned), made)


def _probes(turned: bool) -> list[Probe]:
    """Small integers: every sum is exact, in any order."""
    rng = np.random.default_rng(180)
    probes = []
    for shows, n, c, k in (
        ("one image, as many inputs as outputs", 1, 3, 3),
        ("one image", 1, 3, 2),
        ("a batch of 3, as many inputs as outputs", 3, 4, 4),
        ("a batch of 3", 3, 4, 5),
    ):
        x, w, dy = (
            rng.integers(1, 10, shape) * rng.choice([-1.0, 1.0], shape)
            for shape in ((n, c), (c, k), (n, k))
        )
        w = w.T.copy() if turned else w
        y = x @ (w.T if turned else w)
        probes.append(Probe(shows, {"x": x, "w": w, "dy": dy, "b": np.zeros(k), "y": y}))
    return probes


def _scale(names: Names, batch: int) -> float:
    scale = -1.0 if "negative" in names else 1.0
    power = 2 * ("divided twice" in names) + ("divided" in names) - ("multiplied" in names)
    return scale * float(batch) ** -power


def _dx(given: Mapping[str, Any], names: Names, turned: bool) -> tuple[FloatArray, FloatArray]:
    dy = given["dy"].astype(np.float64)
    w = given["w"].astype(np.float64)
    w = w.T if turned else w
    n = len(dy)
    if "summed" in names:
        dy = np.broadcast_to(dy.sum(axis=0), dy.shape)
    elif "averaged" in names:
        dy = np.broadcast_to(dy.mean(axis=0), dy.shape)
    if "first output" in names:
        dy, w = dy[:, :1], w[:, :1]
    elif "last output" in names:
        dy, w = dy[:, -1:], w[:, -1:]
    elif "not transposed" in names:
        if w.shape[0] != w.shape[1]:
            return np.full((0,), np.nan), np.zeros(0)  # cannot be computed
        w = w.T
    return _scale(names, n) * (dy @ w.T), w.shape[1] * (np.abs(dy) @ np.abs(w.T))


def _dw(given: Mapping[str, Any], names: Names, turned: bool) -> tuple[FloatArray, FloatArray]:
    x, dy = given["x"].astype(np.float64), given["dy"].astype(np.float64)
    n = len(dy)
    if "without x" in names:
        x = np.ones_like(x)
    if "summed first" in names:
        x, dy = x.sum(axis=0, keepdims=True), dy.sum(axis=0, keepdims=True)
    elif "first image" in names:
        x, dy = x[:1], dy[:1]
    elif "last image" in names:
        x, dy = x[-1:], dy[-1:]
    dw, rounding = _scale(names, n) * (x.T @ dy), n * (np.abs(x.T) @ np.abs(dy))
    if turned != ("transposed" in names):
        return dw.T, rounding.T
    return dw, rounding


def _db(given: Mapping[str, Any], names: Names) -> tuple[FloatArray, FloatArray]:
    dy = given["dy"].astype(np.float64)
    n = len(dy)
    if "ones" in names:
        dy = np.ones_like(dy)
    if "first image" in names:
        dy = dy[:1]
    elif "last image" in names:
        dy = dy[-1:]
    dy = dy * _scale(names, n) * (given["x"].shape[1] if "for each input" in names else 1)
    rounding = n * np.abs(dy).sum()
    if "not summed" in names:
        db = dy
    elif "one number" in names:
        db = dy.sum()
    elif "one number, repeated" in names:
        db = np.full(dy.shape[1], dy.sum())
    else:
        db = dy.sum(axis=0)
    if "as a row" in names:
        db = db.reshape(1, -1)
    return np.asarray(db), np.full(np.shape(db), rounding)


def _dx_terms(turned: bool) -> Callable[[Mapping[str, Any], tuple[int, ...]], str]:
    def terms(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
        n, c = at
        dy, w = given["dy"], given["w"].T if turned else given["w"]
        return written_sum(
            [
                (
                    f"dy[{n},{k}]*w[{k},{c}]" if turned else f"dy[{n},{k}]*w[{c},{k}]",
                    f"({dy[n, k]:g})*({w[c, k]:g})",
                )
                for k in range(dy.shape[1])
            ]
        )

    return terms


def _dw_terms(turned: bool) -> Callable[[Mapping[str, Any], tuple[int, ...]], str]:
    def terms(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
        c, k = at[::-1] if turned else at
        x, dy = given["x"], given["dy"]
        return written_sum(
            [(f"x[{n},{c}]*dy[{n},{k}]", f"({x[n, c]:g})*({dy[n, k]:g})") for n in range(len(dy))]
        )

    return terms


def _db_terms(given: Mapping[str, Any], at: tuple[int, ...]) -> str:
    dy = given["dy"]
    return written_sum([(f"dy[{n},{at[-1]}]", f"({dy[n, at[-1]]:g})") for n in range(len(dy))])
