"""The passes of a convolution, in rot180 and in PyTorch, on the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.shapes import Shape
from bench.variant import Variant


def operands(shape: Shape, dtype: str) -> tuple[Any, Any, Any, Any]:
    """The same x, weight, bias and dy in every process; NHWC and HWIO. x and dy are normal,
    the weight is He's, and the bias small, as in a network. float64 has the numbers of float32.
    """
    rng = np.random.default_rng(0)

    def normal(*sizes: int) -> Any:
        return rng.standard_normal(sizes, np.float32)

    weight = normal(*shape.weight_shape)
    weight *= np.sqrt(2 / weight[..., 0].size, dtype=np.float32)
    arrays = (
        normal(shape.n, shape.h, shape.w, shape.c),
        weight,
        normal(shape.k) / 8,
        normal(shape.n, *shape.out, shape.k),
    )
    x, weight, bias, dy = (array.astype(dtype, copy=False) for array in arrays)
    return x, weight, bias, dy


def options_of(shape: Shape) -> dict[str, Any]:
    """What the functions of rot180 are told of a shape: only what differs from the defaults, as one
    would write it.
    """
    top, bottom, left, right = shape.p
    options: dict[str, Any] = {}
    if shape.x != (1, 1):
        options["stride"] = shape.x
    if any(shape.p):
        options["padding"] = ((top, bottom), (left, right))
    if shape.d != (1, 1):
        options["dilation"] = shape.d
    if shape.g != 1:
        options["groups"] = shape.g
    return options


def algorithms(shape: Shape, which: str, dtype: str) -> dict[str, bool]:
    """The algorithms that can compute a pass, and of each whether "auto" comes to it."""
    import rot180

    name = {"forward": "conv2d"}.get(which, f"conv2d_{which}")
    input_shape = (shape.n, shape.h, shape.w, shape.c)
    if shape.transposed:  # the passes of the convolution that takes its y to its x
        name = {"forward": "conv2d_grad_input", "grad_input": "conv2d"}.get(which, name)
        input_shape = (shape.n, *shape.out, shape.k)

    def choice() -> str:
        return rot180.functional.conv2d_algorithm(
            name, input_shape, shape.weight_shape, dtype=dtype, **options_of(shape)
        )

    chosen, before = choice(), rot180.algorithm()
    rot180.set_algorithm("winograd")  # which stays direct where the shape does not admit it
    admitted = dict.fromkeys(["direct", choice()])
    rot180.set_algorithm(before)
    return {algorithm: algorithm == chosen for algorithm in admitted}


def rot180_variants(shape: Shape, which: str, dtype: str) -> dict[str, Variant]:
    """The pass as a user of rot180 calls it, by each algorithm that can compute it."""
    arrays = operands(shape, dtype)
    return {
        algorithm: _rot180_variant(shape, which, arrays, algorithm, auto)
        for algorithm, auto in algorithms(shape, which, dtype).items()
    }


def _rot180_variant(
    shape: Shape, which: str, arrays: tuple[Any, Any, Any, Any], algorithm: str, auto: bool
) -> Variant:
    from rot180 import functional

    x, weight, bias, dy = arrays
    size = (shape.r, shape.s)
    options = options_of(shape) | {"algorithm": algorithm}

    def grad_weight(function: Any) -> Any:
        db = np.empty(shape.k, x.dtype)
        return function(x, dy, size, bias_out=db, **options), db

    if shape.transposed:
        runs = {
            "forward": lambda: functional.conv_transpose2d(x, weight, bias, **options),
            "grad_input": lambda: functional.conv_transpose2d_grad_input(dy, weight, **options),
            "grad_weight": lambda: grad_weight(functional.conv_transpose2d_grad_weight),
        }
    else:
        runs = {
            "forward": lambda: functional.conv2d(x, weight, bias, **options),
            "grad_input": lambda: functional.conv2d_grad_input(dy, weight, x.shape, **options),
            "grad_weight": lambda: grad_weight(functional.conv2d_grad_weight),
        }
    as_list = list if which == "grad_weight" else lambda result: [result]
    return Variant(runs[which], as_list, auto)


def torch_variants(shape: Shape, which: str, dtype: str) -> dict[str, Variant]:
    """The pass in PyTorch, with contiguous NCHW and with channels_last tensors."""
    import torch

    return {
        "NCHW": _torch_variant(shape, which, dtype, torch.contiguous_format),
        "channels_last": _torch_variant(shape, which, dtype, torch.channels_last),
    }


def _torch_variant(shape: Shape, which: str, dtype: str, layout: Any) -> Variant:
    import torch
    from torch.nn import functional

    def tensor(array: Any, axes: tuple[int, ...]) -> Any:
        return torch.from_numpy(array.transpose(axes).copy()).contiguous(memory_format=layout)

    x, weight, bias, dy = operands(shape, dtype)
    x, dy = tensor(x, (0, 3, 1, 2)), tensor(dy, (0, 3, 1, 2))
    weight, bias = tensor(weight, (3, 2, 0, 1)), torch.from_numpy(bias)
    stride, dilation, output_padding = list(shape.x), list(shape.d), [0, 0]
    # PyTorch pads opposite sides alike; where they differ, its users pad x before.
    top, bottom, left, right = shape.p
    even = (top, left) == (bottom, right)
    padding = [top, left] if even else [0, 0]
    sides = [] if even else [left, right, top, bottom]

    def padded(image: Any, sides: list[int]) -> Any:
        return functional.pad(image, sides) if sides else image

    def forward() -> Any:
        if shape.transposed:
            return functional.conv_transpose2d(
                x, weight, bias, stride, padding, output_padding, shape.g, dilation
            )
        image = padded(x, sides)
        return functional.conv2d(image, weight, bias, stride, padding, dilation, shape.g)

    saved = padded(x, sides)  # the forward pass left it
    which_gradients = [which == "grad_input", which == "grad_weight", which == "grad_weight"]

    def backward() -> Any:
        return torch.ops.aten.convolution_backward.default(
            dy,
            saved,
            weight,
            [shape.k],
            stride,
            padding,
            dilation,
            shape.transposed,
            output_padding,
            shape.g,
            which_gradients,
        )

    def grad_input() -> Any:
        return padded(backward()[0], [-side for side in sides])

    if which == "grad_weight":
        return Variant(
            backward, lambda grads: [grads[1].permute(2, 3, 1, 0).numpy(), grads[2].numpy()]
        )
    run = forward if which == "forward" else grad_input
    return Variant(run, lambda image: [image.permute(0, 2, 3, 1).numpy()])
