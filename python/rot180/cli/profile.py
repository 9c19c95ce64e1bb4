"""``rot180 profile``: where the time of a training step goes."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rot180
from rot180 import losses, models, optim, plots
from rot180.cli import exit_status
from rot180.cli.parser import Commands, UsageError, non_negative_int, positive_int
from rot180.layers import Layer, Parameter
from rot180.losses import Loss
from rot180.optim import Optimizer
from rot180.profiling import profile

# With learning rates so low that numbers drawn by chance can be trained on for long.
LEARNING_RATE = 1e-4
OPTIMIZERS: dict[str, Callable[[Iterable[Parameter]], Optimizer]] = {
    "adam": lambda parameters: optim.Adam(parameters, LEARNING_RATE),
    "adamw": lambda parameters: optim.AdamW(parameters, LEARNING_RATE),
    "rmsprop": lambda parameters: optim.RMSprop(parameters, LEARNING_RATE),
    "sgd": lambda parameters: optim.SGD(parameters, LEARNING_RATE, momentum=0.9),
}


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "profile",
        help="time each layer of a network of the zoo in training",
        description="Train a network of the zoo for some steps on images drawn by chance, and "
        "print how long each pass of each layer takes, in milliseconds, GFLOP/s and GB/s. Writes "
        "profile.csv and profile.png into a folder.",
        epilog="GFLOP/s are of the direct sum, whatever the algorithm; GB/s count each array that "
        "a pass reads or writes once.",
    )
    add = parser.add_argument
    # Not as choices: a mistyped option would be reported as a wrong model.
    add("model", metavar="MODEL", help=f"one of {', '.join(models.MODELS)}")
    add("--batch-size", type=positive_int, default=32, metavar="N", help="images in a step")
    add("--steps", type=positive_int, default=50, metavar="N", help="steps to measure")
    add(
        "--warmup",
        type=non_negative_int,
        default=5,
        metavar="N",
        help="steps before those, not measured",
    )
    add("--dtype", choices=["float32", "float64"], default="float32", help="of all numbers")
    add("--optimizer", choices=list(OPTIMIZERS), default="adam", help="sgd has momentum 0.9")
    add(
        "--threads",
        type=positive_int,
        default=argparse.SUPPRESS,
        metavar="N",
        help="threads; as many as this process may use, if none is given",
    )
    add("--out", type=Path, default=Path("profile"), metavar="DIR", help="folder for the results")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Measure, print the table, and write it and its picture."""
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError('profile needs matplotlib: pip install "rot180[train]"')
    if "threads" in arguments:
        rot180.set_num_threads(arguments.threads)
    model = models.build(arguments.model, rng=0, dtype=arguments.dtype)
    shape = models.input_shape(arguments.model)
    loss, x, y = _batch(model, shape, arguments.batch_size, np.dtype(arguments.dtype))
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    threads = rot180.get_num_threads()
    setting = (
        f"{arguments.model}, batches of {len(x)}, {arguments.dtype}, {arguments.optimizer}, "
        f"{threads} thread{'s' * (threads > 1)}, {rot180.instruction_set()}"
    )
    print(f"{setting}\n", flush=True)
    optimizer = OPTIMIZERS[arguments.optimizer](model.parameters())
    measured = profile(model, optimizer, loss, x, y, steps=arguments.steps, warmup=arguments.warmup)
    speed = f"{measured.milliseconds:.4g} ms a step, {measured.images_per_second:,.0f} images/s"
    print(f"{measured.table()}\n\n{speed}")
    measured.to_csv(out / "profile.csv")
    plots.plot_profile(measured, f"{setting}\n{speed}", out / "profile.png")
    print(f"\nwritten:\n  {out / 'profile.csv'}\n  {out / 'profile.png'}")
    return exit_status.SUCCESS


def _batch(
    model: Layer, shape: tuple[int, ...], size: int, dtype: np.dtype[Any]
) -> tuple[Loss, npt.NDArray[Any], npt.NDArray[Any]]:
    """A loss that fits the model's output, and samples and targets drawn by chance."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(size, *shape)).astype(dtype)
    output_shape = model.output_shape(shape)
    if len(output_shape) == 1:
        return losses.CrossEntropy(), x, rng.integers(0, output_shape[0], size)
    target = rng.normal(size=(size, *output_shape)).astype(dtype)
    return losses.MeanSquaredError(), x, target
