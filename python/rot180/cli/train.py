"""``rot180 train``: train a small network on handwritten digits and keep what came out."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import rot180
from rot180 import data, io, losses, models, optim, plots
from rot180.callbacks import Callback
from rot180.cli.parser import Commands, UsageError, non_negative_int, positive_float, positive_int
from rot180.history import History
from rot180.layers import Sequential
from rot180.trainer import NonFiniteLossError, Trainer

MODEL = "digits_cnn"
LEARNING_RATES = {"adam": 0.003, "sgd": 0.1}
MOMENTUM = 0.9
SAMPLE_SCALE = 8  # sample pictures are 8 times as large as the images, for people to look at

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

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
    keeper = _EpochKeeper(out, model, digits, arguments.epochs, steps)
    try:
        start = time.perf_counter()
        trainer = Trainer(model, optimizer, losses.CrossEntropy())
        trainer.fit(
            digits.x_train,
            digits.y_train,
            epochs=arguments.epochs,
            batch_size=arguments.batch_size,
            validation_data=(digits.x_test, digits.y_test),
            callbacks=[_LinearDecay(optimizer.lr, arguments.epochs), keeper],
            seed=arguments.seed,
            progress=False,  # the keeper has one bar for all epochs
        )
        seconds = time.perf_counter() - start
        predicted = trainer.predict(digits.x_test).argmax(axis=1)
        right = int((predicted == digits.y_test).sum())
        print(
            f"\nheld-out accuracy: {100 * right / len(predicted):.2f} % "
            f"({right} of {len(predicted)}), trained in {seconds:.1f} s"
        )
        _write_results(out, keeper, predicted, digits)
    except KeyboardInterrupt:
        print(f"rot180: stopped: {keeper.kept()}", file=sys.stderr)
        return EXIT_INTERRUPTED
    except NonFiniteLossError as error:
        print(f"rot180: error: {error}; {keeper.kept()}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        keeper.close()
    _print_paths(out)
    return 0


class _LinearDecay(Callback):
    """Let the learning rate fall evenly towards 0, a step each epoch."""

    def __init__(self, lr: float, epochs: int) -> None:
        self.lr = lr
        self.epochs = epochs

    def on_epoch_begin(self, trainer: Trainer, epoch: int) -> None:
        trainer.optimizer.lr = self.lr * (1 - (epoch - 1) / self.epochs)


class _EpochKeeper(Callback):
    """Shows the progress, and after each epoch prints a line and saves the weights and figures."""

    def __init__(
        self, out: Path, model: Sequential, digits: data.ImageData, epochs: int, steps: int
    ) -> None:
        from tqdm import tqdm

        self.weights = out / "weights.safetensors"
        self.table = out / "history.csv"
        self.history = History()
        self._model = model
        self._metadata = {
            "model": MODEL,
            "input_shape": " ".join(map(str, digits.x_train.shape[1:])),
            "input_range": "0 1",
            "classes": " ".join(digits.class_names),
        }
        self._epochs = epochs
        # disable=None: only on a terminal.
        self._bar = tqdm(total=steps, unit="step", leave=False, disable=None)
        self._print("epoch    loss  accuracy  val loss  val accuracy  seconds")

    def on_batch_end(
        self, trainer: Trainer, epoch: int, batch: int, logs: Mapping[str, float]
    ) -> None:
        self._bar.update()

    def on_epoch_end(self, trainer: Trainer, epoch: int, logs: Mapping[str, float]) -> None:
        io.save_weights(self.weights, self._model, self._metadata)
        self.history.append(logs)
        self.history.to_csv(self.table)
        self._print(
            f"{f'{epoch}/{self._epochs}':>5}  {logs['loss']:6.4f}  {100 * logs['accuracy']:6.2f} %"
            f"  {logs['val_loss']:8.4f}  {100 * logs['val_accuracy']:10.2f} %"
            f"  {logs['seconds']:7.2f}"
        )

    def kept(self) -> str:
        """Say what of this run is on the disk."""
        if not self.history.epochs:
            return "nothing was saved before the end of the first epoch"
        return f"{self.weights} holds the weights after epoch {self.history.epochs}"

    def close(self) -> None:
        """Take the bar away, so that the terminal is as it was."""
        self._bar.close()

    def _print(self, line: str) -> None:
        self._bar.write(line, file=sys.stdout)
        sys.stdout.flush()


def _optimizer(arguments: argparse.Namespace, model: Sequential) -> optim.Optimizer:
    lr = getattr(arguments, "lr", LEARNING_RATES[arguments.optimizer])
    if arguments.optimizer == "sgd":
        return optim.SGD(model.parameters(), lr, momentum=MOMENTUM)
    return optim.Adam(model.parameters(), lr)


def _write_results(
    out: Path, keeper: _EpochKeeper, predicted: npt.NDArray[Any], digits: data.ImageData
) -> None:
    plots.plot_history(keeper.history, out / "curves.png")
    matrix = np.zeros((len(digits.class_names),) * 2, np.int64)
    np.add.at(matrix, (digits.y_test, predicted), 1)
    plots.plot_confusion(matrix, digits.class_names, out / "confusion.png")
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
