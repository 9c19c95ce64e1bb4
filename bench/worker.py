"""One library in a process of its own: it computes and times what `bench.compare` asks for.

Reads one JSON request a line on stdin, answers with one JSON object a line on stdout.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.shapes import Shape

PASSES = ("forward", "grad_input", "grad_weight")

Run = Callable[[], Any]


def operands(shape: Shape, dtype: str) -> dict[str, Any]:
    """The same x, weight, bias and dy in every process; NHWC and HWIO."""
    rng = np.random.default_rng(0)

    def normal(*sizes: int) -> Any:
        return rng.standard_normal(sizes, np.float32).astype(dtype)

    return {
        "x": normal(shape.n, shape.h, shape.w, shape.c),
        "weight": normal(shape.r, shape.s, shape.c // shape.g, shape.k)
        / np.sqrt(shape.r * shape.s * shape.c),
        "bias": normal(shape.k),
        "dy": normal(shape.n, *shape.out, shape.k),
    }


def rot180_runs(shape: Shape, which: str, dtype: str) -> dict[str, Run]:
    """The pass as a user of rot180 calls it."""
    from rot180 import functional

    data = operands(shape, dtype)
    x, dy = data["x"], data["dy"]
    weight, bias = data["weight"].astype(dtype), data["bias"]
    options = {"stride": shape.x, "padding": shape.p, "groups": shape.g}
    if which == "forward":
        return {"": lambda: functional.conv2d(x, weight, bias, **options)}
    if which == "grad_input":
        return {"": lambda: functional.conv2d_grad_input(dy, weight, x.shape, **options)}

    def grad_weight() -> Any:
        functional.conv2d_grad_bias(dy)
        return functional.conv2d_grad_weight(x, dy, (shape.r, shape.s), **options)

    return {"": grad_weight}


def torch_runs(shape: Shape, which: str, dtype: str) -> dict[str, Run]:
    """The pass in PyTorch, with contiguous NCHW and with channels_last tensors."""
    import torch

    data = operands(shape, dtype)
    runs: dict[str, Run] = {}
    for name, layout in (
        ("NCHW", torch.contiguous_format),
        ("channels_last", torch.channels_last),
    ):

        def tensor(array: Any, axes: tuple[int, ...], layout: Any = layout) -> Any:
            return torch.from_numpy(array.transpose(axes).copy()).contiguous(memory_format=layout)

        x, dy = (tensor(data[key], (0, 3, 1, 2)) for key in ("x", "dy"))
        weight = tensor(data["weight"].astype(dtype), (3, 2, 0, 1))
        bias = torch.from_numpy(data["bias"])
        stride, padding = [shape.x] * 2, [shape.p] * 2

        def run(
            x: Any = x,
            dy: Any = dy,
            weight: Any = weight,
            bias: Any = bias,
            stride: Any = stride,
            padding: Any = padding,
        ) -> Any:
            if which == "forward":
                with torch.no_grad():
                    y = torch.nn.functional.conv2d(x, weight, bias, stride, padding, groups=shape.g)
                return y.permute(0, 2, 3, 1)
            mask = [which == "grad_input", which == "grad_weight", which == "grad_weight"]
            dx, dw, _ = torch.ops.aten.convolution_backward(
                dy, x, weight, [shape.k], stride, padding, [1, 1], False, [0, 0], shape.g, mask
            )
            return dx.permute(0, 2, 3, 1) if which == "grad_input" else dw.permute(2, 3, 1, 0)

        runs[name] = run
    return runs


def serve(library: str) -> None:
    """Answer requests until stdin ends."""
    runs: dict[str, Run] = {}
    for line in sys.stdin:
        request = json.loads(line)
        answer: dict[str, Any] = {}
        if "shape" in request:
            make = rot180_runs if library == "rot180" else torch_runs
            runs = make(Shape.parse(request["shape"]), request["pass"], request["dtype"])
            result = np.asarray(next(iter(runs.values()))(), order="C")
            np.save(request["result"], result)
            answer["variants"] = list(runs)
        else:
            run = runs[request["variant"]]
            run()  # wakes the threads: in training, one kernel follows another
            start = time.perf_counter()
            run()
            answer["seconds"] = time.perf_counter() - start
        print(json.dumps(answer), flush=True)


def main() -> None:
    """Parse the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", choices=["rot180", "torch"])
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    if arguments.library == "rot180":
        import rot180

        rot180.set_num_threads(arguments.threads)
    else:
        import torch

        torch.set_num_threads(arguments.threads)
    serve(arguments.library)


if __name__ == "__main__":
    main()
