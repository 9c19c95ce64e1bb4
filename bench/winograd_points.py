"""Which points Winograd's algorithm should take: ``python -m bench.winograd_points``.

F(m, r) computes m outputs of a correlation with r taps, y[i] = sum over k of d[i + k] g[k], from
m + r - 1 products, y = A^T [(G g) * (B^T d)]. Cook and Toom's construction: for polynomials s of
degree m - 1 and g of degree r - 1, s g is known from its values at m + r - 2 points p and from its
leading coefficient, its "value at infinity". Interpolation by Lagrange is linear, and so is its
transpose, which takes m + r - 1 numbers d to the m outputs y:

    A^T[i, p] = p^i                                                  s evaluated,
    G[p, k] = p^k / product over the other points q of (p - q)       g evaluated, and scaled,
    B^T[p, :] = coefficients of product over the others of (x - q)   Lagrange's polynomials,

and for infinity A^T and G have a 1 in the last row, B^T the coefficients of the product over all
points of (x - q). In two dimensions each transform is applied to rows, then to columns.

In exact arithmetic any points do. In float32 large powers lose digits in sums, and points close to
one another in differences. 0, +-a, +-b and infinity serve F(4x4, 3x3), the forward pass and the
gradient by the input, and F(3x3, 4x4), the gradient by the weight; 0, +-a, b and infinity likewise
F(4x4, 2x2) and F(2x2, 4x4). All is computed in float32, the sum over channels or tiles too, and
compared with the direct sum in float64.
"""

from __future__ import annotations

from itertools import combinations, permutations
from typing import Any, NamedTuple

import numpy as np

from bench.markdown import table

POINTS = {
    "1/2": 1 / 2,
    "5/8": 5 / 8,
    "2/3": 2 / 3,
    "3/4": 3 / 4,
    "1": 1.0,
    "5/4": 5 / 4,
    "4/3": 4 / 3,
    "3/2": 3 / 2,
    "7/4": 7 / 4,
    "2": 2.0,
}
ROWS, COLUMNS = 96, 128  # of outputs: many, so that the largest error is no accident


class Problem(NamedTuple):
    """Correlations of windows d (rows, terms, size, size) with taps g (terms, columns, r, r), all
    terms summed up: channels in the forward pass, tiles in the gradient by the weight.
    """

    d: Any
    g: Any
    exact: Any

    @classmethod
    def random(cls, window: int, taps: int, terms: int) -> Problem:
        """Standard normal numbers of float32, and the sum in float64."""
        rng = np.random.default_rng(0)
        d = rng.standard_normal((ROWS, terms, window, window), np.float32)
        g = rng.standard_normal((terms, COLUMNS, taps, taps), np.float32)
        return cls(d, g, direct(d.astype(np.float64), g.astype(np.float64)))

    def errors(self, y: Any) -> tuple[float, float]:
        """The largest error relative to the largest output, and the same of root mean squares."""
        error = y - self.exact
        largest = np.abs(error).max() / np.abs(self.exact).max()
        return float(largest), float(
            np.sqrt(np.square(error).mean() / np.square(self.exact).mean())
        )


def direct(d: Any, g: Any) -> Any:
    """The sum as it stands, in the dtype of its operands."""
    taps = g.shape[-1]
    outputs = d.shape[-1] + 1 - taps
    y = np.zeros((d.shape[0], g.shape[1], outputs, outputs), d.dtype)
    for i in range(outputs):
        for j in range(outputs):
            for r in range(taps):
                for s in range(taps):
                    y[:, :, i, j] += d[:, :, i + r, j + s] @ g[:, :, r, s]
    return y


def transforms(points: list[float], outputs: int, taps: int) -> tuple[Any, Any, Any]:
    """A^T, G and B^T for these points and infinity."""
    size = len(points) + 1
    a, g, b = np.zeros((outputs, size)), np.zeros((size, taps)), np.zeros((size, size))
    for column, p in enumerate(points):
        others = [q for q in points if q != p]
        a[:, column] = p ** np.arange(outputs)
        g[column] = p ** np.arange(taps) / np.prod([p - q for q in others])
        b[column, :-1] = np.poly(others)[::-1]
    a[-1, -1] = g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


def on_both_axes(matrix: Any, tiles: Any) -> Any:
    """The matrix applied to the last two axes, each product and each sum rounded to float32."""
    factors = matrix.astype(np.float32)
    for axis in (-1, -2):
        slices = np.moveaxis(tiles, axis, 0)
        rows = []
        for row in factors:
            sum_ = np.zeros_like(slices[0])
            for factor, slice_ in zip(row, slices, strict=True):
                if factor:
                    sum_ += factor * slice_
            rows.append(sum_)
        tiles = np.moveaxis(np.stack(rows), 0, axis)
    return tiles


def winograd(problem: Problem, points: list[float]) -> Any:
    """The outputs in float32, with these points and infinity."""
    window, taps = problem.d.shape[-1], problem.g.shape[-1]
    to_outputs, of_taps, of_window = transforms(points, window + 1 - taps, taps)
    d, g = on_both_axes(of_window, problem.d), on_both_axes(of_taps, problem.g)
    products = np.stack(
        [
            np.stack([np.ascontiguousarray(d[..., i, j]) @ g[..., i, j] for j in range(window)], -1)
            for i in range(window)
        ],
        -2,
    )
    return on_both_axes(to_outputs, products)


def print_errors(problems: dict[str, Problem], points: dict[str, list[float]]) -> None:
    """Print the errors of every set of points, the smallest in the mean first."""
    errors = {
        name: [error for p in problems.values() for error in p.errors(winograd(p, values))]
        for name, values in points.items()
    }
    errors["direct"] = [error for p in problems.values() for error in p.errors(direct(p.d, p.g))]
    lines = [
        [name, *(f"{1e7 * error:.1f}" for error in errors[name])]
        for name in sorted(errors, key=lambda name: np.prod(errors[name]))
    ]
    columns = [f"{title}: {kind}" for title in problems for kind in ("largest", "RMS")]
    print(table(["a, b", *columns], lines) + "\n")


def main() -> None:
    """Print the errors of every pair of points, of six and of five."""
    print("Relative errors, in units of 1e-7. Six points:\n")
    print_errors(
        {
            "F(4x4, 3x3), 64 channels": Problem.random(6, 3, 64),
            "F(4x4, 3x3), 512 channels": Problem.random(6, 3, 512),
            "F(3x3, 4x4), 512 tiles": Problem.random(6, 4, 512),
        },
        {
            f"{name_a}, {name_b}": [0, a, -a, b, -b]
            for (name_a, a), (name_b, b) in combinations(POINTS.items(), 2)
        },
    )
    print("Five points:\n")
    print_errors(
        {
            "F(4x4, 2x2), 256 channels": Problem.random(5, 2, 256),
            "F(2x2, 4x4), 512 tiles": Problem.random(5, 4, 512),
        },
        {
            f"{name_a}, {name_b}": [0, a, -a, b]
            for (name_a, a), (name_b, b) in permutations(POINTS.items(), 2)
        },
    )


if __name__ == "__main__":
    main()
