"""What ``rot180 train`` leaves behind when it is done: pictures, and some held-out images."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180 import io, plots
from rot180.cli.epochs import PICTURES
from rot180.cli.images import Inputs
from rot180.data import ImageData
from rot180.history import History

# Small images are enlarged to about this many pixels, for people to look at.
SAMPLE_SIDE = 64


def write_results(
    out: Path, history: History, predicted: npt.NDArray[Any], images: ImageData, inputs: Inputs
) -> None:
    """Draw curves and confusion matrix, and write an image of each class."""
    curves, confusion = (out / name for name in PICTURES)
    plots.plot_history(history, curves)
    matrix = np.zeros((len(images.class_names),) * 2, np.int64)
    np.add.at(matrix, (images.y_test, predicted), 1)
    plots.plot_confusion(matrix, images.class_names, confusion)
    _write_samples(out / "samples", images, inputs)


def print_accuracy(predicted: npt.NDArray[Any], images: ImageData, seconds: float) -> None:
    """Print how many of the held-out images were classified right."""
    right, total = int((predicted == images.y_test).sum()), len(predicted)
    print(
        f"\nheld-out accuracy: {100 * right / total:.2f} % ({right} of {total}), "
        f"trained in {seconds:.1f} s"
    )


def print_paths(out: Path, inputs: Inputs) -> None:
    """Print what was written, and the command to run next."""
    print("\nwritten:")
    for name, what in (
        ("weights.safetensors", ""),
        ("history.csv", "the figures of every epoch"),
        ("curves.png", "loss and accuracy by epoch"),
        ("confusion.png", "which class was taken for which"),
        ("samples", "one held-out image of each class"),
    ):
        print(f"  {out / name!s:<{len(str(out)) + 22}}{what}".rstrip())
    weights = shlex.quote(str(out / "weights.safetensors"))
    samples = shlex.quote(str(out / "samples"))
    print(f"\nnext:\n  rot180 predict {weights} {samples}/*{_suffix(inputs)}")


def _write_samples(folder: Path, images: ImageData, inputs: Inputs) -> None:
    """Write the first held-out image of each class, enlarged so that one can look at it."""
    folder.mkdir(exist_ok=True)
    digits = inputs.pictures in ("digits", "mnist")
    width = len(str(len(images.class_names) - 1))
    for label, name in enumerate(images.class_names):
        found = np.flatnonzero(images.y_test == label)
        if not found.size:
            continue
        harmless = re.sub(r"[^\w.-]+", "_", name)[:80]
        stem = f"digit-{name}" if digits else f"{label:0{width}}-{harmless}"
        with io.atomic_write(folder / (stem + _suffix(inputs))) as file:
            _write_image(file, images.x_test[found[0]], inputs)


def _write_image(file: Any, image: npt.NDArray[Any], inputs: Inputs) -> None:
    if _suffix(inputs) == ".npy":
        np.save(file, image)
        return
    from PIL import Image

    pixels = image
    if image.dtype != np.uint8:
        low, high = inputs.range
        pixels = np.rint(255 * np.clip((image - low) / (high - low), 0, 1)).astype(np.uint8)
    scale = max(1, SAMPLE_SIDE // max(pixels.shape))
    enlarged = pixels.repeat(scale, axis=0).repeat(scale, axis=1)
    Image.fromarray(enlarged[..., 0] if enlarged.shape[2] == 1 else enlarged).save(file, "PNG")


def _suffix(inputs: Inputs) -> str:
    """Pictures have one channel or three; images of any other kind are written as arrays."""
    return ".png" if inputs.shape[2] in (1, 3) else ".npy"
