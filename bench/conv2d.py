"""The passes of a convolution, in rot180 and in PyTorch, on the same numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.shapes import Shape
from bench.variant import Variant


def operands(shape: Shape, dtype: str) -> tuple[Any, Any, Any, Any]:
    """The same x, weight, bias and dy in every process; NHWC and HWIO."""
    rng = np.random.default_rng(0)

    def normal(*sizes: int) -> Any:
        return rng.standard_normal(sizes, np.float32).astype(dtype)

    weight = normal(*shape.weight_shape)
    weight /= np.sqrt(weight[..., 0].size)
    return (
        normal(shape.n, shape.h, shape.w, shape.c),
        weight,
        normal(shape.k),
        normal(shape.n, *shape.out, shape.k),
    )


def rot180_variants(shape: Shape, which: str, dtype: str) -> dict[str, Variant]:
    """The pass as a user of rot180 calls it."""
    from rot180 import functional

    x, weight, bias, dy = operands(shape, dtype)
    size = (shape.r, shape.s)
    top, bottom, left, right = shape.p
    options: dict[str, Any] = {}  # only what differs from the defaults, as one would write it
    if shape.x != (1, 1):
        options["stride"] = shape.x
    if any(shape.p):
        options["padding"] = ((top, bottom), (left, right))
    if shape.d != (1, 1):
        options["dilation"] = shape.d
    if shape.g != 1:
        options["groups"] = shape.g

    def grad_weight(function: Any) -> Any:
        db = np.empty(shape.k, dtype)
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
    return {"": Variant(runs[which], as_list)}


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
