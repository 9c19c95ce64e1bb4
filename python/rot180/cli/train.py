"""``rot180 train``: train a small network on handwritten digits and keep what came out."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rot180
from rot180 import data, io, losses, models, optim, plots
from rot180.cli import exit_status
from rot180.cli.epochs import PICTURES, EpochKeeper, LinearDecay
from rot180.cli.parser import Commands, UsageError, non_negative_int, positive_float, positive_int
from rot180.layers import Sequential
from rot180.trainer import NonFiniteLossError, Trainer

MODEL = "digits_cnn"
LEARNING_RATES = {"adam": 0.003, "sgd": 0.1}
MOMENTUM = 0.9
SAMPLE_SCALE = 8  # sample pictures are 8 times as large as the images, for people to look at

# Modules of the "train" extra, looked for before the training rather than after it.
EXTRAS = {
    "matplotlib": "matplotlib",
    "PIL": "pillow",
    "safetensors": "safetensors",
    "sklearn": "scikit-learn",
    "tqdm": "tqdm",
}


def add_parser(commands: Commands) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "train",
        help="train a network on scikit-learn's handwritten digits",
        description="Train a small convolutional network on the 1797 handwritten digits that come "
        "with scikit-learn (no download). A quarter is held out, always the same one. Writes "
        "weights.safetensors, history.csv, curves.png, confusion.png and samples/ into a folder.",
        epilog="The same seed gives the same weights, bit for bit, with any number of threads. "
        "Ctrl-C keeps the weights and the history of the last whole epoch.",
    )
    add = parser.add_argument
    add("--epochs", type=positive_int, default=15, metavar="N", help="passes over the data")
    add("--batch-size", type=positive_int, default=32, metavar="N", help="images in a step")
    add(
        "--lr",
        type=positive_float,
        default=argparse.SUPPRESS,
        metavar="X",
        help="learning rate of the first epoch; it falls evenly towards 0 "
        f"(default: {LEARNING_RATES['adam']} for adam, {LEARNING_RATES['sgd']} for sgd)",
    )
    add("--optimizer", choices=list(LEARNING_RATES), default="adam", help="sgd has momentum 0.9")
    add(
        "--seed",
        type=non_negative_int,
        default=0,
        metavar="N",
        help="of the first weights and of the order of the images",
    )
    add(
        "--threads",
        type=positive_int,
        default=argparse.SUPPRESS,
        metavar="N",
        help="threads (default: as many as this process may use)",
    )
    add("--out", type=Path, default=Path("run"), metavar="DIR", help="folder for the results")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, write the results, and say what to do next."""
    _check_extras()
    if "threads" in arguments:
        rot180.set_num_threads(arguments.threads)
    out: Path = arguments.out
    out.mkdir(parents=True, exist_ok=True)

    digits = data.load_digits()
    model = models.build(MODEL, rng=arguments.seed)
    optimizer = _optimizer(arguments, model)
    print(
        f"{MODEL}: {len(digits.x_train)} images to train on, {len(digits.x_test)} held out",
        flush=True,
    )
    steps = arguments.epochs * -(-len(digits.x_train) // arguments.batch_size)
    keeper = EpochKeeper(out, model, _metadata(digits), arguments.epochs, steps)
    try:
        start = time.perf_counter()
        trainer = Trainer(model, optimizer, losses.CrossEntropy())
        with contextlib.closing(keeper):  # the bar goes before anything else is printed
            trainer.fit(
                digits.x_train,
                digits.y_train,
                epochs=arguments.epochs,
                batch_size=arguments.batch_size,
                validation_data=(digits.x_test, digits.y_test),
                callbacks=[LinearDecay(optimizer.lr, arguments.epochs), keeper],
                seed=arguments.seed,
                progress=False,  # the keeper has one bar for all epochs
            )
        seconds = time.perf_counter() - start
        predicted = trainer.predict(digits.x_test).argmax(axis=1)
        _print_accuracy(predicted, digits, seconds)
        _write_results(out, keeper, predicted, digits)
    except KeyboardInterrupt:
        print(f"rot180: stopped: {keeper.kept()}", file=sys.stderr)
        return exit_status.INTERRUPTED
    except NonFiniteLossError as error:
        print(f"rot180: error: {error}; {keeper.kept()}", file=sys.stderr)
        return exit_status.FAILED
    _print_paths(out)
    return exit_status.SUCCESS


def _optimizer(arguments: argparse.Namespace, model: Sequential) -> optim.Optimizer:
    lr = getattr(arguments, "lr", LEARNING_RATES[arguments.optimizer])
    if arguments.optimizer == "sgd":
        return optim.SGD(model.parameters(), lr, momentum=MOMENTUM)
    return optim.Adam(model.parameters(), lr)


def _metadata(digits: data.ImageData) -> dict[str, str]:
    """What ``rot180 predict`` must know about the weights."""
    return {
        "model": MODEL,
        "input_shape": " ".join(map(str, digits.x_train.shape[1:])),
        "input_range": "0 1",
        "classes": " ".join(digits.class_names),
    }


def _print_accuracy(predicted: npt.NDArray[Any], digits: data.ImageData, seconds: float) -> None:
    right, total = int((predicted == digits.y_test).sum()), len(predicted)
    print(
        f"\nheld-out accuracy: {100 * right / total:.2f} % ({right} of {total}), "
        f"trained in {seconds:.1f} s"
    )


def _write_results(
    out: Path, keeper: EpochKeeper, predicted: npt.NDArray[Any], digits: data.ImageData
) -> None:
    curves, confusion = (out / name for name in PICTURES)
    plots.plot_history(keeper.history, curves)
    matrix = np.zeros((len(digits.class_names),) * 2, np.int64)
    np.add.at(matrix, (digits.y_test, predicted), 1)
    plots.plot_confusion(matrix, digits.class_names, confusion)
    _write_samples(out / "samples", digits)


def _write_samples(folder: Path, digits: data.ImageData) -> None:
    """Write the first held-out image of each class, enlarged so that one can look at it."""
    from PIL import Image

    folder.mkdir(exist_ok=True)
    for label, name in enumerate(digits.class_names):
        image = digits.x_test[int(np.flatnonzero(digits.y_test == label)[0]), :, :, 0]
        grey = np.rint(255 * image).astype(np.uint8)
        enlarged = grey.repeat(SAMPLE_SCALE, axis=0).repeat(SAMPLE_SCALE, axis=1)
        with io.atomic_write(folder / f"digit-{name}.png") as file:
            Image.fromarray(enlarged).save(file, format="PNG")


def _print_paths(out: Path) -> None:
    print("\nwritten:")
    for name, what in (
        ("weights.safetensors", ""),
        ("history.csv", "the figures of every epoch"),
        ("curves.png", "loss and accuracy by epoch"),
        ("confusion.png", "which digit was taken for which"),
        ("samples", "one held-out image of each digit"),
    ):
        print(f"  {out / name!s:<{len(str(out)) + 22}}{what}".rstrip())
    weights = shlex.quote(str(out / "weights.safetensors"))
    print(f"\nnext:\n  rot180 predict {weights} {shlex.quote(str(out / 'samples'))}/*.png")


def _check_extras() -> None:
    missing = [name for module, name in EXTRAS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f'train needs {", ".join(missing)}: pip install "rot180[train]"')
