"""Whether a network learns alike by Winograd's algorithm: ``python -m bench.winograd_training``.

A small network in the manner of VGG learns scikit-learn's digits, enlarged to 16x16, from the same
start with the same batches: by the direct algorithm, by Winograd's, and by the direct one with the
kernels of another instruction set, which differ in rounding alone. The losses of all runs, in means
of ten, and the distances from the first are drawn in docs/images/winograd-training.png.

Where the direct sum is of zeros alone, at black pixels and behind units that relu has shut,
Winograd's algorithm comes to 1e-10 to 1e-7 instead, of either sign. Adam divides a gradient by its
own size and makes steps of that, and relu lets gradients through where it is positive: so this run
parts sooner than the third. Whether it learns less shows in the accuracy of several starts.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import rot180

STEPS, BATCH, MEAN = 300, 32, 10
PICTURE = Path("docs/images/winograd-training.png")
COLOURS = ("black", "#1b7f5c", "#b0a99f")


def network(rng: np.random.Generator) -> rot180.Sequential:
    """Two convolutions of 32, 64 and 128 channels each, with pooling after each two."""
    layers: list[rot180.Layer] = []
    channels = 1
    for filters in (32, 64, 128):
        for _ in range(2):
            layers.append(
                rot180.Conv2d(channels, filters, 3, padding=1, activation="relu", rng=rng)
            )
            channels = filters
        layers.append(rot180.MaxPool2d(2))
    return rot180.Sequential([*layers, rot180.Flatten(), rot180.Linear(4 * 128, 10, rng=rng)])


def train(data: Any, algorithm: str, instruction_set: str, start: int) -> tuple[Any, float]:
    """The loss of each step from one start, and in the end the accuracy on the held-out digits."""
    rot180.set_algorithm(algorithm)
    rot180.set_instruction_set(instruction_set)
    rng = np.random.default_rng(start)
    model = network(rng)
    loss = rot180.losses.CrossEntropy()
    adam = rot180.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(STEPS):
        batch = rng.integers(len(data.x_train), size=BATCH)
        logits = model.forward(enlarged(data.x_train[batch]), training=True)
        losses.append(loss.forward(logits, data.y_train[batch]))
        adam.zero_grad()
        model.backward(loss.backward(), input_grad=False)
        adam.step()
    predicted = model.forward(enlarged(data.x_test)).argmax(axis=1)
    return np.array(losses), float(np.mean(predicted == data.y_test))


def enlarged(images: Any) -> Any:
    """Every pixel as 2x2: images (N, 8, 8, 1) as (N, 16, 16, 1)."""
    return images.repeat(2, axis=1).repeat(2, axis=2)


def draw(losses: dict[str, Any], path: Path) -> None:
    """Write a PNG: the curves above, their distances from the first one below."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5.6), layout="constrained")
    curves, distances = figure.subplots(2, 1, sharex=True)
    first, *others = losses
    for name, colour in zip(losses, COLOURS, strict=True):
        means = losses[name].reshape(-1, MEAN).mean(axis=1)
        steps = MEAN * np.arange(len(means)) + MEAN / 2
        curves.plot(steps, means, "o-", color=colour, linewidth=1.3, markersize=3, label=name)
    # The curve of interest last, so that it lies above the control.
    for name, colour in reversed(list(zip(others, COLOURS[1:], strict=True))):
        distances.plot(np.abs(losses[name] - losses[first]), color=colour, linewidth=1, label=name)
    curves.set_ylabel(f"loss, mean of {MEAN} steps")
    distances.set_ylabel(f"distance of a step's loss\nfrom {first}")
    distances.set_xlabel("step")
    for panel in (curves, distances):
        panel.set_yscale("log")
        panel.grid(color="#e8e8e8", linewidth=0.7)
        panel.spines[["top", "right"]].set_visible(False)
        panel.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)


def main() -> None:
    """Train, draw, and print how far the losses part."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--plot", type=Path, default=PICTURE, help="a PNG file to write")
    parser.add_argument("--starts", type=int, default=5, help="the first of them is drawn")
    arguments = parser.parse_args()
    data = rot180.data.load_digits()
    usual = rot180.instruction_set()
    other = rot180.build_info()["instruction_sets"][-1]
    runs = {
        f"direct ({usual})": ("direct", usual),
        f"winograd ({usual})": ("winograd", usual),
        f"direct ({other})": ("direct", other),
    }
    losses: dict[str, Any] = {}
    for name, how in runs.items():
        trained = [train(data, *how, start) for start in range(arguments.starts)]
        losses[name] = trained[0][0]
        accuracies = [accuracy for _, accuracy in trained]
        distance = np.abs(losses[name] - next(iter(losses.values())))
        print(
            f"{name}: accuracy {' '.join(f'{accuracy:.1%}' for accuracy in accuracies)}, "
            f"{np.mean(accuracies):.2%} in the mean; the losses of the first start are at most "
            f"{distance.max():.1e} from the first run's, at step {distance.argmax()}, and "
            f"{distance[:20].max():.1e} in the first 20 steps"
        )
    draw(losses, arguments.plot)


if __name__ == "__main__":
    main()
