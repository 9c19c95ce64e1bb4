"""Where the time of a training step goes: by layer and pass."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import astuple, dataclass, fields
from statistics import median
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from rot180 import functional
from rot180.arguments import FloatArray
from rot180.geometry import non_negative_int, positive_int
from rot180.io import PathLike, atomic_write
from rot180.layers import Layer, Linear, Sequential
from rot180.layers.conv_transpose2d import ConvTranspose2d
from rot180.layers.convolution import Convolution
from rot180.losses import Loss
from rot180.optim import Optimizer

Result = TypeVar("Result")
Key: TypeAlias = tuple[int, str]  # whose time it is, by id, and the pass

PASSES = ("forward", "grad_input", "grad_weight", "backward", "step")

# What the backward pass of convolutions and dense layers calls for dx; the rest of it is for the
# weight and the bias.
GRAD_INPUTS = ("conv2d_grad_input", "conv_transpose2d_grad_input", "linear_grad_input")


@dataclass(frozen=True)
class PassTime:
    """The time of one pass of one layer in a step.

    Attributes
    ----------
    layer : str
        Its name, as in ``named_parameters``; or ``"loss"``, ``"optimizer"``, or ``"rest"``: what
        the step spends between them.
    what : str
        The layer itself: ``"Conv2d(1, 6, 5)"``.
    which : str
        ``"forward"``, ``"backward"``, which is told apart in ``"grad_weight"`` and ``"grad_input"``
        for convolutions and dense layers, or ``"step"``.
    milliseconds : float
        Median over the steps.
    share : float
        Of the sum of all passes, which is what a step takes where nothing disturbs it.
    flops : int
        Multiplications and additions of the direct sum; 0 where they are not counted.
    nbytes : int
        Each array that the pass reads or writes, once; 0 where it moves none.
    """

    layer: str
    what: str
    which: str
    milliseconds: float
    share: float
    flops: int
    nbytes: int

    @property
    def gflops(self) -> float:
        """10**9 multiplications and additions a second."""
        return self.flops / self.milliseconds / 1e6 if self.milliseconds else 0.0

    @property
    def gbytes(self) -> float:
        """10**9 bytes a second."""
        return self.nbytes / self.milliseconds / 1e6 if self.milliseconds else 0.0


@dataclass(frozen=True)
class Profile:
    """What `profile` has measured.

    Attributes
    ----------
    passes : tuple of PassTime
        In the order of the layers, then loss, optimizer, and what is left.
    milliseconds : float
        Median of a whole step.
    batch_size : int
    steps : int
        How many were measured. On a machine that is busy with something else, the medians of the
        passes add up to less than that of the step: another pass is disturbed in each.
    """

    passes: tuple[PassTime, ...]
    milliseconds: float
    batch_size: int
    steps: int

    @property
    def images_per_second(self) -> float:
        """Samples in a step by its time."""
        return 1000 * self.batch_size / self.milliseconds

    def table(self) -> str:
        """Return a table for people: layer, pass, time, share, GFLOP/s and GB/s."""
        rows = [("layer", "", "pass", "ms", "share", "GFLOP/s", "GB/s")]
        before = ""
        for each in self.passes:
            name = (each.layer, short(each.what)) if each.layer != before else ("", "")
            before = each.layer
            rows.append(
                (
                    *name,
                    each.which,
                    f"{each.milliseconds:.3f}",
                    f"{100 * each.share:.1f} %",
                    f"{each.gflops:.1f}" if each.flops else "",
                    f"{each.gbytes:.1f}" if each.nbytes else "",
                )
            )
        rows.append(("step", "", "", f"{self.milliseconds:.3f}", "100.0 %", "", ""))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                f"{cell:<{width}}" if i < 3 else f"{cell:>{width}}"
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in rows
        )

    def to_csv(self, path: PathLike) -> None:
        """Write one row a pass; whole or not at all.

        Parameters
        ----------
        path
            The file, replaced if it exists.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with atomic_write(path, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            names = [field.name for field in fields(PassTime)]
            writer.writerow([*names, "gflops", "gbytes"])
            for each in self.passes:
                writer.writerow([*astuple(each), each.gflops, each.gbytes])


def profile(
    model: Layer,
    optimizer: Optimizer,
    loss: Loss,
    x: FloatArray,
    y: npt.NDArray[Any],
    *,
    steps: int = 20,
    warmup: int = 3,
) -> Profile:
    """Train for some steps on one batch, and time each layer's passes.

    Nothing is slower when no profile is taken: layers and functions are wrapped for as long as it
    runs. Not to be called while another thread computes with rot180.

    Parameters
    ----------
    model
        It is trained, so its parameters change.
    optimizer
        Built with the model's parameters.
    loss
        Takes the model's output and y.
    x, y
        One batch.
    steps
        Steps to measure, at least 1.
    warmup
        Steps before those, not measured: the first ones fetch memory.

    Raises
    ------
    ValueError, TypeError
        If the batch does not fit the model, or an option is out of its range.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> from rot180.profiling import profile
    >>> model = rot180.Sequential([rot180.Linear(8, 4, activation="relu"), rot180.Linear(4, 2)])
    >>> sgd = rot180.optim.SGD(model.parameters(), lr=0.1)
    >>> x, labels = np.ones((16, 8), np.float32), np.zeros(16, int)
    >>> measured = profile(model, sgd, rot180.losses.CrossEntropy(), x, labels)
    >>> [each.which for each in measured.passes if each.layer == "1"]
    ['forward', 'grad_input', 'grad_weight']
    """
    steps, warmup = positive_int("steps", steps), non_negative_int("warmup", warmup)
    clock = _Clock()
    layers = dict(_named_layers("", model))
    with ExitStack() as wrapped:
        for layer in layers.values():
            wrapped.enter_context(_timed_layer(layer, clock))
        for name in GRAD_INPUTS:
            wrapped.enter_context(_timed_grad_input(name, clock))
        measured = [_step(model, optimizer, loss, x, y, clock) for _ in range(warmup + steps)]
    clock.costs[id(optimizer), "step"] = (0, _optimizer_bytes(optimizer))
    totals, times = zip(*measured[warmup:], strict=True)
    owners = [
        *((name, _kind(layer), layer) for name, layer in layers.items()),
        ("loss", repr(loss), loss),
        ("optimizer", type(optimizer).__name__, optimizer),
    ]
    keys = {
        (id(owner), which): (name, what, which)
        for name, what, owner in owners
        for which in PASSES
        if (id(owner), which) in times[0]
    }
    medians = {key: median(each[key] for each in times) for key in keys}
    rest = median(whole - sum(each.values()) for whole, each in measured[warmup:])
    total = sum(medians.values()) + rest
    passes = [
        PassTime(*keys[key], 1e3 * seconds, seconds / total, *clock.costs.get(key, (0, 0)))
        for key, seconds in medians.items()
    ]
    passes.append(PassTime("rest", "between the layers", "step", 1e3 * rest, rest / total, 0, 0))
    return Profile(tuple(passes), 1e3 * median(totals), len(x), steps)


def short(text: str, limit: int = 44) -> str:
    """Return a layer's text on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 3] + "..."


class _Clock:
    """Times calls. What a call inside another one takes counts for the inner one alone."""

    def __init__(self) -> None:
        self.seconds: dict[Key, float] = {}
        # Floating-point operations and bytes of a pass, by its first call.
        self.costs: dict[Key, tuple[int, int]] = {}
        self.running: Key | None = None
        self._inside = 0.0

    def run(self, key: Key, function: Callable[..., Result], *args: Any, **options: Any) -> Result:
        """Call the function, and add its time to the key's."""
        outer, outside = self.running, self._inside
        self.running, self._inside = key, 0.0
        start = time.perf_counter()
        try:
            return function(*args, **options)
        finally:
            elapsed = time.perf_counter() - start
            self.seconds[key] = self.seconds.get(key, 0.0) + elapsed - self._inside
            self.running, self._inside = outer, outside + elapsed


def _step(
    model: Layer,
    optimizer: Optimizer,
    loss: Loss,
    x: FloatArray,
    y: npt.NDArray[Any],
    clock: _Clock,
) -> tuple[float, dict[Key, float]]:
    """Train for a step; return its time, and that of each pass."""
    clock.seconds = {}
    start = time.perf_counter()
    output = model.forward(x, training=True)
    clock.run((id(loss), "forward"), loss.forward, output, y)
    optimizer.zero_grad()
    dy = clock.run((id(loss), "backward"), loss.backward)
    model.backward(dy, input_grad=False)
    clock.run((id(optimizer), "step"), optimizer.step)
    return time.perf_counter() - start, clock.seconds


def _named_layers(name: str, layer: Layer) -> Iterator[tuple[str, Layer]]:
    """Go through a model's layers, those made of others before those. A Sequential does nothing."""
    if not isinstance(layer, Sequential):
        yield name or "model", layer
    for child_name, child in layer.children().items():
        yield from _named_layers(f"{name}.{child_name}" if name else child_name, child)


@contextmanager
def _timed_layer(layer: Layer, clock: _Clock) -> Iterator[None]:
    """Let the clock run in a layer's passes."""
    forward, backward = layer.forward, layer.backward
    splits = isinstance(layer, Convolution | Linear)
    forward_key = (id(layer), "forward")
    backward_key = (id(layer), "grad_weight" if splits else "backward")

    def timed_forward(*args: Any, **options: Any) -> FloatArray:
        y = clock.run(forward_key, forward, *args, **options)
        if forward_key not in clock.costs and not layer.children():
            clock.costs[forward_key] = _forward_cost(layer, args[0], y, options.get("residual"))
        return y

    def timed_backward(*args: Any, **options: Any) -> FloatArray | None:
        saved = _arrays_saved(layer)
        dx = clock.run(backward_key, backward, *args, **options)
        if backward_key not in clock.costs and not layer.children():
            costs = _backward_costs(layer, args[0], dx, saved, clock.costs[forward_key][0])
            clock.costs |= {(id(layer), which): cost for which, cost in costs.items()}
        return dx

    with _replaced(layer, "forward", timed_forward), _replaced(layer, "backward", timed_backward):
        yield


@contextmanager
def _timed_grad_input(name: str, clock: _Clock) -> Iterator[None]:
    """Count a function's time apart from the backward pass that calls it."""
    function = getattr(functional, name)

    def timed(*args: Any, **options: Any) -> Any:
        if clock.running is None or clock.running[1] != "grad_weight":
            return function(*args, **options)
        return clock.run((clock.running[0], "grad_input"), function, *args, **options)

    with _replaced(functional, name, timed):
        yield


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Set an attribute of an object itself, and put back afterwards what was there."""
    own = vars(owner)
    had, before = name in own, own.get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if had:
            setattr(owner, name, before)
        else:
            delattr(owner, name)


def _forward_cost(
    layer: Layer, x: FloatArray, y: FloatArray, residual: FloatArray | None
) -> tuple[int, int]:
    if np.may_share_memory(x, y):  # another view of it
        return 0, 0
    arrays = [x, y] if residual is None else [x, residual, y]
    return _flops(layer, x, y), _bytes(arrays) + _parameter_bytes(layer)


def _backward_costs(
    layer: Layer, dy: FloatArray, dx: FloatArray | None, saved: list[FloatArray], flops: int
) -> dict[str, tuple[int, int]]:
    """For each pass, operations and bytes: dy, what forward has saved, dx, and the parameters'."""
    gradient, read = _parameter_bytes(layer), _bytes([dy, *saved])
    if not isinstance(layer, Convolution | Linear):
        if dx is not None and np.may_share_memory(dy, dx):
            return {"backward": (0, 0)}
        written = 0 if dx is None else dx.nbytes
        return {"backward": (0, read + written + gradient)}
    costs = {"grad_weight": (flops, read + gradient)}
    if dx is not None:
        x = saved[0]  # not needed for dx
        costs["grad_input"] = (flops, read - x.nbytes + dx.nbytes + gradient)
    return costs


def _flops(layer: Layer, x: FloatArray, y: FloatArray) -> int:
    """Operations of the direct sum; both gradients take as many."""
    if not isinstance(layer, Convolution | Linear):
        return 0
    pixels = x if isinstance(layer, ConvTranspose2d) else y
    return int(2 * layer.weight.value.size * (pixels.size // pixels.shape[-1]))


def _parameter_bytes(layer: Layer) -> int:
    return _bytes(parameter.value for parameter in layer.parameters())


def _bytes(arrays: Iterable[FloatArray]) -> int:
    return sum(int(array.nbytes) for array in arrays)


def _arrays_saved(layer: Layer) -> list[FloatArray]:
    return [array for array in layer._saved or () if isinstance(array, np.ndarray)]


def _optimizer_bytes(optimizer: Optimizer) -> int:
    """Read parameters, gradients and state; write parameters and state."""
    parameters = _bytes(parameter.value for parameter in optimizer.parameters)
    kinds = [kind for kind in optimizer.state_dict().values() if isinstance(kind, dict)]
    return 3 * parameters + 2 * sum(_bytes(arrays.values()) for arrays in kinds)


def _kind(layer: Layer) -> str:
    return type(layer).__name__ if layer.children() else repr(layer)
