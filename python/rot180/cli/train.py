"""``rot180 train``: train a network of the zoo on images and keep what came out."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import time
from pathlib import Path

import numpy as np

import rot180
from rot180 import losses, models
from rot180.callbacks import Checkpoints, LearningRateSchedule
from rot180.cli import exit_status
from rot180.cli.epochs import EpochKeeper
from rot180.cli.images import Inputs
from rot180.cli.network import metadata
from rot180.cli.optimizers import OPTIMIZERS, SCHEDULES
from rot180.cli.parser import (
    Commands,
    UsageError,
    image_size,
    names_of,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
)
from rot180.cli.results import print_accuracy, print_paths, write_results
from rot180.cli.sources import AUGMENTATIONS, SOURCES, Source, load
from rot180.data import Dataset, ImageData, Normalise
from rot180.training.checkpoint import checkpoints_in
from rot180.training.trainer import NonFiniteLossError, Trainer

# What must be the same when a training goes on.
SETTINGS = (
    "kind",
    "model",
    "augment",
    "optimizer",
    "lr",
    "weight_decay",
    "schedule",
    "epochs",
    "seed",
)

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
    kinds = "; ".join(f"{name}: {source.what}" for name, source in SOURCES.items())
    parser = commands.add_parser(
        "train",
        help="train a network on scikit-learn's digits, MNIST, CIFAR, or pictures of your own",
        description="Train a network of the zoo to classify images. Without arguments: a small one "
        "on the 1797 handwritten digits that come with scikit-learn (no download). What is held "
        "out is never trained on. Writes weights.safetensors, history.csv, curves.png, "
        f"confusion.png and samples/ into a folder. Kinds of data are {kinds}.",
        epilog="The same seed gives the same weights, bit for bit, with any number of threads. "
        "Ctrl-C keeps the weights and the history of the last whole epoch, and a checkpoint, from "
        "which --resume goes on to the same bits.",
    )
    add = parser.add_argument
    # Not as choices: a mistyped option would be reported as a wrong kind.
    add(
        "kind",
        nargs="?",
        default="digits",
        metavar="KIND",
        help=f"what to train on, one of {', '.join(SOURCES)}",
    )
    unset = argparse.SUPPRESS  # the default depends on the kind of data, or on the machine
    add(
        "--data",
        type=Path,
        default=unset,
        metavar="PATH",
        help="where the files are; digits need none",
    )
    add(
        "--size",
        type=image_size,
        default=unset,
        metavar="HxW",
        help="size to which the pictures of a folder are cut and resized; their own, if none is "
        "given and all have the same",
    )
    add(
        "--model",
        choices=list(models.CLASSIFIERS),
        default=unset,
        help="network of the zoo; each is built for the size of the images and their classes",
    )
    add(
        "--augment",
        type=names_of(AUGMENTATIONS),
        default=unset,
        metavar="NAMES",
        help=f"what is done to images by chance: some of {','.join(AUGMENTATIONS)} with commas "
        "between them, or none",
    )
    add("--epochs", type=positive_int, default=unset, metavar="N", help="passes over the data")
    add("--batch-size", type=positive_int, default=32, metavar="N", help="images in a step")
    add(
        "--lr",
        type=positive_float,
        default=unset,
        metavar="X",
        help="the highest learning rate",
    )
    add(
        "--weight-decay",
        type=non_negative_float,
        default=unset,
        metavar="X",
        help="in adam and sgd added to the gradient, in adamw apart from it",
    )
    add("--schedule", choices=list(SCHEDULES), default="linear", help="how it changes")
    add(
        "--optimizer",
        choices=list(OPTIMIZERS),
        default="adam",
        help="what takes the steps; sgd has Nesterov's momentum 0.9",
    )
    add(
        "--seed",
        type=non_negative_int,
        default=0,
        metavar="N",
        help="of the first weights, the order of the images and their augmentation",
    )
    add(
        "--threads",
        type=positive_int,
        default=unset,
        metavar="N",
        help="threads; as many as this process may use, if none is given",
    )
    add("--out", type=Path, default=Path("run"), metavar="DIR", help="folder for the results")
    add(
        "--resume",
        action="store_true",
        help="go on where the training in that folder was stopped; give the other arguments again",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Train, write the results, and say what to do next."""
    _check_extras()
    if arguments.kind not in SOURCES:
        raise UsageError(f"no data are called {arguments.kind}, expected {', '.join(SOURCES)}")
    source = SOURCES[arguments.kind]
    arguments = _with_defaults(arguments, source)
    if arguments.threads is not None:
        rot180.set_num_threads(arguments.threads)
    out: Path = arguments.out
    checkpoints = out / "checkpoints"
    if not arguments.resume and checkpoints.is_dir() and checkpoints_in(checkpoints):
        raise UsageError(
            f"{checkpoints} holds a training that was stopped: go on with --resume, or remove it"
        )
    images = load(arguments)
    inputs = _inputs(images, source)
    train, test = _data_sets(images, inputs, arguments.augment)
    model = models.build(
        arguments.model,
        input_shape=inputs.shape,
        classes=len(images.class_names),
        rng=arguments.seed,
    )
    recipe = OPTIMIZERS[arguments.optimizer]
    optimizer = recipe.make(model.parameters(), arguments.lr, arguments.weight_decay)
    trainer = Trainer(model, optimizer, losses.CrossEntropy())
    steps = -(-len(train) // arguments.batch_size)
    schedule = SCHEDULES[arguments.schedule](optimizer, arguments.epochs, steps)
    if arguments.resume:
        trainer.resume(checkpoints)
    out.mkdir(parents=True, exist_ok=True)
    print(f"{arguments.model}: {len(train)} images to train on, {len(test)} held out", flush=True)

    keeper = EpochKeeper(
        out,
        metadata(arguments.model, inputs, images.class_names),
        {name: str(getattr(arguments, name)) for name in SETTINGS},
        arguments.epochs,
        arguments.epochs * steps,
    )
    try:
        start = time.perf_counter()
        with contextlib.closing(keeper):  # the bar goes before anything else is printed
            trainer.fit(
                train,
                epochs=arguments.epochs,
                batch_size=arguments.batch_size,
                validation_data=test,
                callbacks=[
                    LearningRateSchedule(schedule, monitor="val_loss"),
                    keeper,
                    Checkpoints(checkpoints, keep=2),
                ],
                seed=arguments.seed,
                progress=False,  # the keeper has one bar for all epochs
            )
        seconds = time.perf_counter() - start
        predicted = trainer.predict(test).argmax(axis=1)
        print_accuracy(predicted, images, seconds)
        write_results(out, trainer.history, predicted, images, inputs)
    except KeyboardInterrupt:
        hint = "; --resume goes on" if checkpoints_in(checkpoints) else ""
        print(f"rot180: stopped: {keeper.kept()}{hint}", file=sys.stderr)
        return exit_status.INTERRUPTED
    except NonFiniteLossError as error:
        print(f"rot180: error: {error}; {keeper.kept()}", file=sys.stderr)
        return exit_status.FAILED
    _remove(checkpoints)
    print_paths(out, inputs)
    return exit_status.SUCCESS


def _with_defaults(arguments: argparse.Namespace, source: Source) -> argparse.Namespace:
    """Fill in what the command line leaves out and what depends on the kind of data."""
    recipe = OPTIMIZERS[arguments.optimizer]
    defaults = {
        "data": None,
        "size": None,
        "model": source.model,
        "augment": source.augment,
        "epochs": source.epochs,
        "lr": source.lr * recipe.lr,
        "weight_decay": recipe.weight_decay,
        "threads": None,
    }
    return argparse.Namespace(**(defaults | vars(arguments)))


def _inputs(images: ImageData, source: Source) -> Inputs:
    x = images.x_train
    low, high = (0.0, 1.0) if x.dtype == np.uint8 else (float(x.min()), float(x.max()))
    normalise = Normalise.of(x) if source.normalised else None
    height, width, channels = x.shape[1:]
    return Inputs((height, width, channels), (low, high), source.pictures, normalise)


def _data_sets(
    images: ImageData, inputs: Inputs, augment: tuple[str, ...]
) -> tuple[Dataset, Dataset]:
    """Data to train on, and those held out; what comes into an image from outside is its mean."""
    always = [inputs.normalise] if inputs.normalise else []
    by_chance = [AUGMENTATIONS[name](inputs.shape) for name in augment]
    return (
        Dataset(images.x_train, images.y_train, [*always, *by_chance]),
        Dataset(images.x_test, images.y_test, always),
    )


def _remove(checkpoints: Path) -> None:
    """Remove what is of no use once a training has come to its end."""
    for path in checkpoints_in(checkpoints).values():
        path.unlink()
    with contextlib.suppress(OSError):  # somebody else has put something there
        checkpoints.rmdir()


def _check_extras() -> None:
    missing = [name for module, name in EXTRAS.items() if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(f'train needs {", ".join(missing)}: pip install "rot180[train]"')
