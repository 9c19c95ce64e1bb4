"""The convolutions on which a function is judged, from the simplest to the most awkward."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from rot180 import reference
from rot180.diagnose.convolution import Convolution
from rot180.geometry import IntOrPair, Padding, conv2d_geometry


@dataclass(frozen=True)
class Probe:
    """Sizes and options of one convolution; the numbers are small integers."""

    batch: int = 2
    height: int = 6
    width: int = 8
    channels: int = 3
    filters: int = 4
    kernel_h: int = 2
    kernel_w: int = 3
    stride: IntOrPair = 1
    padding: Padding = 0
    dilation: IntOrPair = 1
    groups: int = 1

    @property
    def parameters(self) -> frozenset[str]:
        """Which of stride, padding, dilation and groups a function must take."""
        return frozenset(
            name
            for name, usual in (("stride", 1), ("padding", 0), ("dilation", 1), ("groups", 1))
            if getattr(self, name) != usual
        )

    @property
    def possible(self) -> bool:
        """Whether a window fits into the padded image."""
        try:
            self.convolution()
        except ValueError:
            return False
        return True

    @property
    def options(self) -> dict[str, Any]:
        """Stride, padding, dilation and groups."""
        return {name: getattr(self, name) for name in ("stride", "padding", "dilation", "groups")}

    def __str__(self) -> str:
        sizes = (
            f"x of {self.batch} image{'s' * (self.batch > 1)} {self.height}x{self.width} "
            f"with {self.channels} channel{'s' * (self.channels > 1)}, "
            f"{self.filters} filter{'s' * (self.filters > 1)} {self.kernel_h}x{self.kernel_w}"
        )
        return f"{sizes}, {self.told_options}" if self.parameters else sizes

    @property
    def told_options(self) -> str:
        """Those of stride, padding, dilation and groups that are not usual."""
        return ", ".join(
            f"{n} {value}" for n, value in self.options.items() if n in self.parameters
        )

    def convolution(
        self, activation: str | None = None, flipped: bool = False, bias: bool = False
    ) -> Convolution:
        """Draw the numbers: integers from -4 to 4, none of them 0, the same each time.

        With an activation z is made small, so that no derivative vanishes, and dy is 0 where z is:
        which derivative a ReLU has there is a choice. Where the forward is a
        true convolution, the same numbers are those of the kernel turned by 180 degrees.
        """
        geometry = conv2d_geometry(
            (self.batch, self.height, self.width, self.channels),
            (self.kernel_h, self.kernel_w, self.channels // self.groups, self.filters),
            **self.options,
        )
        rng = np.random.default_rng(180)

        def integers(shape: tuple[int, ...]) -> Any:
            return rng.integers(1, 5, shape) * rng.choice([-1.0, 1.0], shape)

        x, w, dy = map(
            integers, (geometry.input_shape, geometry.weight_shape, geometry.output_shape)
        )
        b = integers((self.filters,)) if bias else None
        if activation:
            # Sums of n products of about 2.7 * 2.7: z is then about 1.
            spread = 8 * (self.kernel_h * self.kernel_w * self.channels / self.groups) ** 0.5
            power = 2.0 ** round(np.log2(spread))
            w = w / power
            b = None if b is None else b / 8
        y = None
        if activation:
            dy[reference.conv2d(x, w, b, **self.options) == 0] = 0
            y = reference.conv2d(x, w, b, activation=activation, **self.options)
        return Convolution(x, w, dy, geometry, b, activation, y, flipped)


@dataclass(frozen=True)
class Limits:
    """What a function turned out to refuse."""

    square_images: bool = False
    square_kernels: bool = False
    equal_channels: bool = False
    one_image: bool = False
    one_channel: bool = False

    def within(self, probe: Probe) -> Probe:
        """Return the probe with what is refused taken out of it."""
        changes: dict[str, Any] = {}
        if self.square_images:
            changes["height"] = probe.width
        if self.square_kernels:
            changes["kernel_h"] = probe.kernel_w
        if self.equal_channels:
            changes["filters"] = probe.channels
        if self.one_image:
            changes["batch"] = 1
        if self.one_channel:
            changes |= {"channels": 1, "filters": 1}
        return replace(probe, **changes)

    def also(self, other: Limits) -> Limits:
        """Return both limits together."""
        return Limits(*(getattr(self, f.name) or getattr(other, f.name) for f in fields(Limits)))

    def __str__(self) -> str:
        said = [
            text
            for refused, text in (
                (self.square_images, "square images"),
                (self.square_kernels, "square kernels"),
                (self.equal_channels, "as many filters as channels"),
                (self.one_channel, "one channel and one filter"),
                (self.one_image, "a single image"),
            )
            if refused
        ]
        return ", ".join(said)


# From what most can do to what few can.
LIMITS = (
    Limits(),
    Limits(square_kernels=True),
    Limits(square_images=True),
    Limits(square_images=True, square_kernels=True),
    Limits(equal_channels=True),
    Limits(one_image=True),
    Limits(one_image=True, square_images=True, square_kernels=True),
    Limits(equal_channels=True, square_images=True, square_kernels=True),
    Limits(equal_channels=True, one_image=True, square_images=True, square_kernels=True),
    Limits(one_channel=True, one_image=True),
    Limits(one_channel=True, one_image=True, square_images=True, square_kernels=True),
)

WIDEST = Probe()

SIMPLE = (
    Probe(1, 4, 4, 1, 1, 2, 2),
    Probe(1, 4, 5, 1, 1, 2, 3),
    Probe(1, 4, 5, 2, 1, 2, 3),
    Probe(1, 4, 5, 1, 2, 2, 3),
    Probe(2, 4, 5, 1, 1, 2, 3),
    Probe(2, 5, 6, 3, 2, 2, 3),
    Probe(2, 5, 6, 3, 3, 3, 2),
    Probe(1, 6, 5, 2, 3, 3, 3),
    WIDEST,
)

AWKWARD = (
    Probe(height=6, width=7, kernel_h=2, kernel_w=3, stride=2),
    Probe(height=7, width=8, kernel_h=2, kernel_w=3, stride=2),
    Probe(height=9, width=10, kernel_h=2, kernel_w=2, stride=3),
    Probe(height=5, width=6, padding=1),
    Probe(height=5, width=6, kernel_h=3, kernel_w=4, padding=2),
    Probe(height=6, width=7, stride=2, padding=1),
    Probe(height=7, width=9, kernel_h=4, kernel_w=3, stride=3, padding=2),
    Probe(height=7, width=8, dilation=2),
    Probe(height=9, width=10, stride=2, padding=1, dilation=2),
    Probe(channels=4, filters=6, groups=2),
    Probe(channels=6, filters=6, groups=3, height=5, width=6),
    Probe(channels=4, filters=6, groups=2, stride=2, padding=1, height=6, width=7),
)

# With numbers for rows and columns, or for each side, which many functions do not take.
ROWS_AND_COLUMNS = (
    Probe(height=8, width=9, stride=(2, 3)),
    Probe(height=5, width=6, padding=(1, 2)),
    Probe(height=9, width=10, dilation=(2, 1)),
    Probe(height=7, width=9, stride=(3, 2), padding=(2, 1)),
)
SIDES = (
    Probe(height=5, width=6, padding=((1, 0), (0, 2))),
    Probe(height=7, width=8, stride=(2, 3), padding=((2, 1), (0, 2))),
)

ALL = (*SIMPLE, *AWKWARD, *ROWS_AND_COLUMNS, *SIDES)


def smaller(probe: Probe) -> Iterator[Probe]:
    """Yield probes that are a little smaller than this one, and possible."""
    for name in ("batch", "channels", "filters", "height", "width", "kernel_h", "kernel_w"):
        value = getattr(probe, name)
        step = probe.groups if name in ("channels", "filters") else 1
        for fewer in dict.fromkeys((step, value - step)):
            if 0 < fewer < value:
                changed = replace(probe, **{name: fewer})
                if changed.possible:
                    yield changed
    for name in probe.parameters:
        changed = replace(probe, **{name: 0 if name == "padding" else 1})
        if changed.possible:
            yield changed


def within(probes: tuple[Probe, ...], limits: Limits, accepted: frozenset[str]) -> Iterator[Probe]:
    """Yield those of the probes, each once, that need no parameter which is not accepted."""
    seen = set()
    for probe in probes:
        probe = limits.within(probe)
        if limits.one_channel and "groups" in probe.parameters:
            continue
        if probe.parameters <= accepted and probe not in seen:
            seen.add(probe)
            yield probe
