"""The training loop."""

from __future__ import annotations

import math
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.arguments import class_labels
from rot180.callbacks import Callback
from rot180.geometry import positive_int
from rot180.history import History
from rot180.layers import Layer
from rot180.losses import CrossEntropy, Loss
from rot180.optim import Optimizer

Array = npt.NDArray[Any]


class NonFiniteLossError(FloatingPointError):
    """The loss became NaN or infinite; the parameters are those before the step."""


class Trainer:
    """Trains a model, by mini-batches, and applies it.

    Parameters
    ----------
    model
        A `Sequential`, or any layer.
    optimizer
        Built with this model's parameters.
    loss
        `CrossEntropy` (labels as targets; accuracy is reported too) or another loss.

    Raises
    ------
    ValueError
        If none of the optimizer's parameters is the model's.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2)).astype(np.float32)
    >>> labels = (x[:, 0] > x[:, 1]).astype(int)
    >>> model = rot180.Sequential([rot180.Linear(2, 2, rng=rng)])
    >>> adam = rot180.optim.Adam(model.parameters(), lr=0.1)
    >>> trainer = rot180.Trainer(model, adam, rot180.losses.CrossEntropy())
    >>> history = trainer.fit(x, labels, epochs=5)
    >>> list(history)
    ['loss', 'accuracy', 'seconds']
    >>> trainer.evaluate(x, labels)["accuracy"] > 0.97
    True
    >>> trainer.predict(x).shape
    (200, 2)
    """

    def __init__(self, model: Layer, optimizer: Optimizer, loss: Loss) -> None:
        trained = {id(parameter) for parameter in optimizer.parameters}
        if not any(id(parameter) in trained for parameter in model.parameters()):
            raise ValueError(
                "the optimizer has no parameter of this model: build it with model.parameters()"
            )
        self.model = model
        self.optimizer = optimizer
        self.loss = loss

    def fit(
        self,
        x: Array,
        y: Array,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: tuple[Array, Array] | None = None,
        callbacks: Sequence[Callback] = (),
        shuffle: bool = True,
        seed: int | None = 0,
        progress: bool | None = None,
    ) -> History:
        """Train for some epochs. The same seed gives the same bits.

        Everything about the data is checked before the first step. Ctrl-C ends the step that is
        under way and then raises KeyboardInterrupt: the model is as that step left it.

        Parameters
        ----------
        x
            Samples, (N, ...), of the model's dtype.
        y
            Targets: (N,) integer labels for `CrossEntropy`, otherwise what the loss takes.
        epochs
            Passes over the data, at least 1.
        batch_size
            Samples in a step; the last batch of an epoch may be smaller.
        validation_data
            (x, y) to evaluate after every epoch.
        callbacks
            See `rot180.callbacks.Callback`.
        shuffle
            Draw a new order for every epoch.
        seed
            For `numpy.random.default_rng`, which draws the orders.
        progress
            True shows a bar on stderr (needs tqdm), False does not; None shows it if stderr is a
            terminal and tqdm is installed.

        Returns
        -------
        History
            ``"loss"`` and ``"accuracy"`` are means over an epoch's batches, each computed before
            its step; ``"val_loss"`` and ``"val_accuracy"`` are computed after the last one.

        Raises
        ------
        ValueError, TypeError
            If x and y do not fit each other or the model, a label is out of range or not an
            integer, there are no samples, or an option is out of range.
        NonFiniteLossError
            A FloatingPointError: the loss of a batch is NaN or infinite. Names the epoch and the
            step; that step has not changed the parameters.
        ImportError
            If ``progress=True`` and tqdm is missing.
        """
        x, y = self._checked_data("x", x, "y", y)
        epochs = positive_int("epochs", epochs)
        batch_size = positive_int("batch_size", batch_size)
        if validation_data is not None:
            validation_data = self._checked_validation(validation_data)
        rng = np.random.default_rng(seed)
        bars = _Bars(progress, epochs)
        history = History()

        for callback in callbacks:
            callback.on_train_begin(self)
        for epoch in range(1, epochs + 1):
            for callback in callbacks:
                callback.on_epoch_begin(self, epoch)
            start = time.perf_counter()
            order = rng.permutation(len(x)) if shuffle else np.arange(len(x))
            batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
            with bars.epoch(epoch, len(batches)) as bar:
                logs = self._train_epoch(x, y, batches, epoch, callbacks, bar)
                if validation_data is not None:
                    figures = self._evaluate(*validation_data, batch_size=256)
                    logs |= {f"val_{name}": number for name, number in figures.items()}
                logs["seconds"] = time.perf_counter() - start
                bar.show(logs)
            history.append(logs)
            for callback in callbacks:
                callback.on_epoch_end(self, epoch, logs)
        for callback in callbacks:
            callback.on_train_end(self)
        return history

    def evaluate(self, x: Array, y: Array, batch_size: int = 256) -> dict[str, float]:
        """Compute the mean loss over some data, and the accuracy with `CrossEntropy`.

        Parameters
        ----------
        x, y
            As in `fit`.
        batch_size
            Samples in one forward pass.

        Returns
        -------
        dict
            ``{"loss": ..., "accuracy": ...}``

        Raises
        ------
        ValueError, TypeError
            As in `fit`.
        """
        x, y = self._checked_data("x", x, "y", y)
        return self._evaluate(x, y, positive_int("batch_size", batch_size))

    def predict(self, x: Array, batch_size: int = 256) -> Array:
        """Compute the model's output: logits, if it was trained with `CrossEntropy`.

        Parameters
        ----------
        x
            Samples, (N, ...).
        batch_size
            Samples in one forward pass.

        Returns
        -------
        Array
            (N, ...). ``trainer.predict(x).argmax(axis=1)`` are the predicted labels.
        """
        x = np.asarray(x)
        batch_size = positive_int("batch_size", batch_size)
        starts = range(0, max(len(x), 1), batch_size)  # no samples: one empty batch
        return np.concatenate([self.model.forward(x[i : i + batch_size]) for i in starts])

    def _train_epoch(
        self,
        x: Array,
        y: Array,
        batches: list[Array],
        epoch: int,
        callbacks: Sequence[Callback],
        bar: _Bar,
    ) -> dict[str, float]:
        means = _Means()
        for number, chosen in enumerate(batches, start=1):
            target = y[chosen]
            output = self.model.forward(x[chosen], training=True)
            loss = self.loss.forward(output, target)
            if not math.isfinite(loss):
                raise NonFiniteLossError(
                    f"the loss is {loss} in epoch {epoch}, step {number} of {len(batches)}: "
                    "check x for NaN and inf, lower the learning rate, or clip the gradients"
                )
            self.optimizer.zero_grad()
            self.model.backward(self.loss.backward(), input_grad=False)
            with _uninterrupted():
                self.optimizer.step()
            means.add(self._figures(loss, output, target), len(chosen))
            logs = means.result()
            for callback in callbacks:
                callback.on_batch_end(self, epoch, number, logs)
            bar.advance(logs)
        return means.result()

    def _evaluate(self, x: Array, y: Array, batch_size: int) -> dict[str, float]:
        means = _Means()
        for start in range(0, len(x), batch_size):
            output = self.model.forward(x[start : start + batch_size])
            target = y[start : start + batch_size]
            loss = self.loss.forward(output, target)
            means.add(self._figures(loss, output, target), len(target))
        return means.result()

    def _figures(self, loss: float, output: Array, target: Array) -> dict[str, float]:
        if not isinstance(self.loss, CrossEntropy):
            return {"loss": loss}
        return {"loss": loss, "accuracy": float(np.mean(output.argmax(axis=1) == target))}

    def _checked_validation(self, data: tuple[Array, Array]) -> tuple[Array, Array]:
        if not isinstance(data, tuple | list) or len(data) != 2:
            raise TypeError(f"validation_data must be a pair (x, y), got {type(data).__name__}")
        return self._checked_data("validation x", data[0], "validation y", data[1])

    def _checked_data(self, x_name: str, x: Array, y_name: str, y: Array) -> tuple[Array, Array]:
        x, y = np.asarray(x), np.asarray(y)
        if x.ndim == 0 or y.ndim == 0 or len(x) == 0:
            raise ValueError(
                f"{x_name} has shape {x.shape} and {y_name} has shape {y.shape}: "
                "expected at least one sample along the first axis"
            )
        if len(x) != len(y):
            raise ValueError(
                f"{x_name} has {len(x)} samples and {y_name} has {len(y)}, expected as many"
            )
        output_shape = self.model.output_shape(x.shape[1:])
        if isinstance(self.loss, CrossEntropy):
            _check_labels(y_name, y, output_shape)
        return x, y


def _check_labels(name: str, labels: Array, output_shape: tuple[int, ...]) -> None:
    """Check all labels at once, so that a bad one is found before the first step."""
    if len(output_shape) != 1:
        raise ValueError(
            f"the model's output for one sample has shape {output_shape}, expected (classes,) "
            "for CrossEntropy: end the model with Flatten() and Linear(features, classes)"
        )
    class_labels(name, labels, len(labels), output_shape[0])


class _Means:
    """Means over samples of figures that come as means over batches."""

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._samples = 0

    def add(self, figures: dict[str, float], samples: int) -> None:
        for name, figure in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + figure * samples
        self._samples += samples

    def result(self) -> dict[str, float]:
        return {name: total / self._samples for name, total in self._sums.items()}


class _Bars:
    """Makes one progress bar for each epoch, or none."""

    def __init__(self, progress: bool | None, epochs: int) -> None:
        self._epochs = epochs
        self._tqdm: Any = None
        if progress or (progress is None and sys.stderr.isatty()):
            try:
                from tqdm import tqdm
            except ImportError:
                if progress:
                    raise ImportError(
                        'the progress bar needs tqdm: pip install "rot180[train]"'
                    ) from None
            else:
                self._tqdm = tqdm

    @contextmanager
    def epoch(self, epoch: int, batches: int) -> Iterator[_Bar]:
        if self._tqdm is None:
            yield _Bar(None)
            return
        with self._tqdm(
            total=batches, desc=f"epoch {epoch}/{self._epochs}", unit="batch", file=sys.stderr
        ) as bar:
            yield _Bar(bar)


class _Bar:
    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def advance(self, logs: dict[str, float]) -> None:
        if self._bar is not None:
            self._bar.set_postfix(_shown(logs), refresh=False)
            self._bar.update()

    def show(self, logs: dict[str, float]) -> None:
        if self._bar is not None:
            self._bar.set_postfix(_shown(logs))


def _shown(logs: dict[str, float]) -> dict[str, str]:
    return {name: f"{number:.4f}" for name, number in logs.items() if name != "seconds"}


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended, so that no step is left half taken."""
    previous = signal.getsignal(signal.SIGINT)
    # Signals reach the main thread only; a handler that Python did not set cannot be put back.
    if threading.current_thread() is not threading.main_thread() or previous is None:
        yield
        return
    held: list[tuple[int, Any]] = []
    signal.signal(signal.SIGINT, lambda number, frame: held.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
    if held and callable(previous):
        previous(*held[0])
