"""How far convolutions in float32 are from float64: ``python -m bench.accuracy``.

The layers of the nets in `bench.shapes` that Winograd's algorithm can compute, each pass by the
direct algorithm, by Winograd's and by PyTorch (contiguous NCHW), compared with PyTorch in float64
on the same numbers: x and dy are standard normal, the weight is He's. With ``--into
bench/RESULTS.md`` the tables replace what stands there between the comments ``begin accuracy`` and
``end accuracy``.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import geometric_mean
from typing import Any, NamedTuple

import numpy as np

from bench.conv2d import algorithms, rot180_variants, torch_variants
from bench.markdown import table, write_part
from bench.shapes import NETS, Shape
from bench.variant import Variant

# Images of the passes whose sums do not run over the batch.
IMAGES = 8


class Errors(NamedTuple):
    """The largest error relative to the largest output, and the same of root mean squares."""

    largest: float
    rms: float


def passes() -> Iterator[tuple[Shape, str]]:
    """What is measured: each layer's passes once."""
    shapes = [Shape.parse(name) for net, names in NETS.items() if net != "call" for name in names]
    layers = [shape for shape in shapes if "winograd" in algorithms(shape, "forward", "float32")]
    for which in ("forward", "grad_input"):
        for shape in dict.fromkeys(replace(shape, n=IMAGES) for shape in layers):
            yield shape, which
    for shape in dict.fromkeys(layers):
        yield shape, "grad_weight"


def errors(shape: Shape, which: str) -> dict[str, Errors]:
    """The errors of rot180's algorithms and of PyTorch."""

    def result(variant: Variant) -> Any:
        return variant.arrays(variant.run())[0].astype(np.float64)

    exact = result(torch_variants(shape, which, "float64")["NCHW"])
    variants = rot180_variants(shape, which, "float32")
    variants["PyTorch"] = torch_variants(shape, which, "float32")["NCHW"]
    measured = {}
    for name, variant in variants.items():
        error = result(variant) - exact
        measured[name] = Errors(
            float(np.abs(error).max() / np.abs(exact).max()),
            float(np.sqrt(np.square(error).mean() / np.square(exact).mean())),
        )
    return measured


def report(measured: dict[tuple[Shape, str], dict[str, Errors]]) -> str:
    """Markdown: each pass in short, then every layer."""
    import torch

    import rot180

    names = list(next(iter(measured.values())))
    summary = []
    for which in Shape.passes:
        chosen = [each for (_, own), each in measured.items() if own == which]
        summary.append(
            [
                which,
                str(len(chosen)),
                *(f"{max(each[name].largest for each in chosen):.1e}" for name in names),
                *(f"{geometric_mean(each[name].rms for each in chosen):.1e}" for name in names),
            ]
        )
    lines = [
        [
            f"`{shape}`",
            which,
            *(f"{each[name].largest:.1e}" for name in names),
            *(f"{each[name].rms:.1e}" for name in names),
        ]
        for (shape, which), each in measured.items()
    ]
    errors_of = [f"{kind}: {name}" for kind in ("largest", "RMS") for name in names]
    in_short = [f"{kind}: {name}" for kind in ("worst largest", "mean RMS") for name in names]
    return "\n\n".join(
        [
            f"rot180 {rot180.__version__} ({rot180.instruction_set()}) and PyTorch "
            f"{torch.__version__} ({torch.backends.cpu.get_cpu_capability()}). In short, the "
            "largest of the largest errors and the geometric mean of the others:",
            table(["pass", "layers", *in_short], summary),
            "Every layer:",
            table(["layer", "pass", *errors_of], lines),
        ]
    )


def main() -> None:
    """Measure, and print the tables or put them into a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--into", type=Path, help="a Markdown file with the two comments")
    arguments = parser.parse_args()
    import torch

    torch.set_grad_enabled(False)
    generated = report({(shape, which): errors(shape, which) for shape, which in passes()})
    if arguments.into:
        write_part(arguments.into, "accuracy", generated)
    else:
        print(generated)


if __name__ == "__main__":
    main()
