"""Convolutions by name: one string says all, in benchmarks, tests and bug reports alike.

``n128 h28 w28 c1 k6 r5 s5 p2`` is a batch of 128 images of 28 x 28 with 1 channel, 6 filters of
5 x 5 and padding 2; ``x2`` adds stride 2 and ``g32`` 32 groups.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Sizes of one convolution, square in stride and padding."""

    n: int
    h: int
    w: int
    c: int
    k: int
    r: int
    s: int
    p: int = 0
    x: int = 1
    g: int = 1

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read a name such as ``n8 h56 w56 c64 k64 r3 s3 p1``."""
        fields = {}
        for word in text.split():
            match = re.fullmatch(r"([nhwckrspxg])(\d+)", word)
            if match is None:
                raise ValueError(f"{word!r} in {text!r} is no field: expected one such as 'c64'")
            fields[match[1]] = int(match[2])
        return cls(**fields)

    def __str__(self) -> str:
        fields = {name: getattr(self, name) for name in "nhwckrs"}
        fields |= {"p": self.p} if self.p else {}
        fields |= {"x": self.x} if self.x > 1 else {}
        fields |= {"g": self.g} if self.g > 1 else {}
        return " ".join(f"{name}{value}" for name, value in fields.items())

    @property
    def out(self) -> tuple[int, int]:
        """Height and width of y."""
        return (
            (self.h + 2 * self.p - self.r) // self.x + 1,
            (self.w + 2 * self.p - self.s) // self.x + 1,
        )

    @property
    def flops(self) -> int:
        """Operations of the direct algorithm, two for a multiplication and an addition."""
        oh, ow = self.out
        return 2 * self.n * oh * ow * self.k * self.r * self.s * self.c // self.g


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
    # The forward partners of DCGAN's transposed convolutions, whose input gradient is the
    # transposed convolution itself.
    "dcgan": [
        "n64 h16 w16 c128 k256 r4 s4 p1 x2",
        "n64 h32 w32 c64 k128 r4 s4 p1 x2",
        "n64 h64 w64 c3 k64 r4 s4 p1 x2",
    ],
    "awkward": [
        "n128 h13 w13 c19 k33 r3 s3 p1",
        "n4 h161 w700 c1 k32 r5 s20 x2",
        "n128 h60 w60 c16 k16 r1 s1",
    ],
}
