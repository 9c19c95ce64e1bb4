"""Convolutions by name: one string says all, in benchmarks, tests and bug reports alike.

``n128 h28 w28 c1 k6 r5 s5 p2`` is a batch of 128 images of 28 x 28 with 1 channel, 6 filters of
5 x 5 and padding 2. ``x2`` adds stride 2, ``d2`` dilation 2 and ``g32`` 32 groups. Two numbers are
one for height and one for width, ``x2,3``; padding may have four, ``p1,0,2,1``: top, bottom, left
and right. ``transposed`` at the end makes it a transposed convolution.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_FIELD = re.compile(
    r"[nhwckrsg][1-9]\d{0,8}|[xd][1-9]\d{0,8}(,[1-9]\d{0,8})?|p\d{1,9}(,\d{1,9}|(,\d{1,9}){3})?"
)


@dataclass(frozen=True)
class Shape:
    """Sizes of one convolution."""

    n: int
    h: int
    w: int
    c: int
    k: int
    r: int
    s: int
    p: tuple[int, int, int, int] = (0, 0, 0, 0)
    x: tuple[int, int] = (1, 1)
    d: tuple[int, int] = (1, 1)
    g: int = 1
    transposed: bool = False

    passes = ("forward", "grad_input", "grad_weight")

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read a name such as ``n8 h56 w56 c64 k64 r3 s3 p1``."""
        fields: dict[str, Any] = {}
        for word in text.split():
            if word == "transposed":
                fields["transposed"] = True
                continue
            if not _FIELD.fullmatch(word):
                raise ValueError(f"{word!r} in {text!r} is no field: expected one such as 'c64'")
            numbers = [int(number) for number in word[1:].split(",")]
            first, last = numbers[0], numbers[-1]
            if word[0] == "p":
                fields["p"] = tuple(numbers) if len(numbers) == 4 else (first, first, last, last)
            else:
                fields[word[0]] = (first, last) if word[0] in "xd" else first
        missing = [name for name in "nhwckrs" if name not in fields]
        if missing:
            raise ValueError(f"{text!r} lacks {missing[0]}")
        return cls(**fields)

    def __str__(self) -> str:
        words = [f"{name}{getattr(self, name)}" for name in "nhwckrs"]
        top, bottom, left, right = self.p
        sides = self.p if (top, left) != (bottom, right) else (top, left)
        words += [_word("p", sides)] if any(sides) else []
        words += [_word(name, pair) for name in "xd" if (pair := getattr(self, name)) != (1, 1)]
        words += [f"g{self.g}"] if self.g > 1 else []
        words += ["transposed"] if self.transposed else []
        return " ".join(words)

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of y."""
        top, bottom, left, right = self.p
        # The window, less the padding: what an output needs of the image beyond its stride.
        rows = self.d[0] * (self.r - 1) + 1 - top - bottom
        columns = self.d[1] * (self.s - 1) + 1 - left - right
        if self.transposed:
            return (self.h - 1) * self.x[0] + rows, (self.w - 1) * self.x[1] + columns
        return (self.h - rows) // self.x[0] + 1, (self.w - columns) // self.x[1] + 1

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        """Shape of the weight; that of a transposed convolution has the channels exchanged."""
        if self.transposed:
            return self.r, self.s, self.k // self.g, self.c
        return self.r, self.s, self.c // self.g, self.k

    @property
    def depthwise(self) -> bool:
        """Whether each filter sees one channel of many."""
        return self.g == self.c > 1

    @property
    def memory_bound(self) -> bool:
        """Whether the limit is memory: a depthwise convolution has few operations for a byte."""
        return self.depthwise

    @property
    def flops(self) -> int:
        """Operations of the direct algorithm, two for a multiplication and an addition."""
        oh, ow = (self.h, self.w) if self.transposed else self.out
        return 2 * self.n * oh * ow * self.r * self.s * self.c * self.k // self.g

    @property
    def elements(self) -> int:
        """Sizes of x, y and the weight, or of their gradients: each pass touches all three."""
        oh, ow = self.out
        weight = self.r * self.s * self.c * self.k // self.g
        return self.n * (self.h * self.w * self.c + oh * ow * self.k) + weight


def _word(name: str, numbers: tuple[int, ...]) -> str:
    same = len(set(numbers)) == 1
    return name + ",".join(str(number) for number in (numbers[:1] if same else numbers))


def same3(n: int, size: int, c: int, k: int, stride: int = 1) -> str:
    """Name a 3x3 convolution with padding 1."""
    return f"n{n} h{size} w{size} c{c} k{k} r3 s3 p1" + (f" x{stride}" if stride > 1 else "")


def pointwise(n: int, size: int, c: int, k: int, stride: int = 1) -> str:
    """Name a 1x1 convolution."""
    return f"n{n} h{size} w{size} c{c} k{k} r1 s1" + (f" x{stride}" if stride > 1 else "")


def depthwise(n: int, size: int, c: int, stride: int = 1) -> str:
    """Name a 3x3 depthwise convolution with padding 1."""
    return same3(n, size, c, c, stride) + f" g{c}"


def resnet50(n: int) -> list[str]:
    """Name the kinds of layers of ResNet-50."""
    return [
        f"n{n} h224 w224 c3 k64 r7 s7 p3 x2",
        pointwise(n, 56, 64, 64),
        same3(n, 56, 64, 64),
        pointwise(n, 56, 64, 256),
        pointwise(n, 56, 256, 64),
        same3(n, 56, 128, 128, 2),
        same3(n, 28, 128, 128),
        pointwise(n, 56, 256, 512, 2),
        same3(n, 14, 256, 256),
        same3(n, 7, 512, 512),
        pointwise(n, 7, 2048, 512),
    ]


NETS: dict[str, list[str]] = {
    "lenet5": ["n128 h28 w28 c1 k6 r5 s5 p2", "n128 h14 w14 c6 k16 r5 s5"],
    "mnist_cnn": ["n128 h28 w28 c1 k32 r3 s3", "n128 h26 w26 c32 k64 r3 s3"],
    "vgg_small": [
        same3(128, 32, 3, 64),
        same3(128, 32, 64, 64),
        same3(128, 16, 64, 128),
        same3(128, 16, 128, 128),
        same3(128, 8, 128, 256),
        same3(128, 8, 256, 256),
    ],
    "resnet20": [
        same3(128, 32, 3, 16),
        same3(128, 32, 16, 16),
        same3(128, 32, 16, 32, 2),
        same3(128, 16, 32, 32),
        same3(128, 16, 32, 64, 2),
        same3(128, 8, 64, 64),
        pointwise(128, 32, 16, 32, 2),
        pointwise(128, 16, 32, 64, 2),
    ],
    "resnet50": resnet50(8),
    "resnet50_batch1": resnet50(1),
    "mobilenet": [
        depthwise(8, 112, 32),
        depthwise(8, 112, 64, 2),
        depthwise(8, 56, 128),
        depthwise(8, 14, 512),
        depthwise(8, 7, 1024),
        pointwise(8, 14, 512, 512),
    ],
    # The transposed convolutions of the generator, each after its partner in the discriminator.
    "dcgan": [
        "n64 h16 w16 c128 k256 r4 s4 p1 x2",
        "n64 h8 w8 c256 k128 r4 s4 p1 x2 transposed",
        "n64 h32 w32 c64 k128 r4 s4 p1 x2",
        "n64 h16 w16 c128 k64 r4 s4 p1 x2 transposed",
        "n64 h64 w64 c3 k64 r4 s4 p1 x2",
        "n64 h32 w32 c64 k3 r4 s4 p1 x2 transposed",
    ],
    "awkward": [
        "n128 h13 w13 c19 k33 r3 s3 p1",
        "n4 h161 w700 c1 k32 r5 s20 x2",
        "n128 h60 w60 c16 k16 r1 s1",
        "n128 h17 w9 c5 k7 r3 s2 p1,0,2,1 x2,3 d1,2",
    ],
    # Of the same kinds, but looked at by nobody who tunes: what they are slower is overfitting.
    "heldout": [
        "n16 h27 w27 c1 k10 r7 s7 p3",
        "n32 h48 w48 c3 k24 r3 s3 p1 x2",
        same3(16, 20, 96, 160),
        same3(32, 12, 64, 10),
        same3(32, 24, 80, 112, 2),
        "n16 h17 w17 c48 k72 r5 s5 p2",
        "n16 h15 w15 c64 k128 r3 s3 p2 d2",
        "n16 h9 w11 c40 k56 r3 s3 p1 g4",
        pointwise(16, 14, 192, 384),
        "n8 h28 w28 c144 k144 r5 s5 p2 g144",
        depthwise(8, 56, 96, 2),
        "n16 h12 w12 c192 k96 r4 s4 p1 x2 transposed",
        same3(1, 36, 112, 112),
        same3(1, 10, 384, 384),
    ],
    # Nothing to compute: what a call costs.
    "call": ["n1 h8 w8 c1 k4 r3 s3"],
}
