"""The training loop."""

from __future__ import annotations

import errno
import math
import operator
import warnings
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import class_labels
from rot180.callbacks.callback import Callback
from rot180.callbacks.callback_list import CallbackList
from rot180.data import Dataset
from rot180.data.dataset import as_floats
from rot180.geometry import positive_int
from rot180.history import History
from rot180.io import PathLike
from rot180.layers import Layer
from rot180.losses import CrossEntropy, Loss
from rot180.metrics import Means, Metric, named_metrics
from rot180.optim import Optimizer
from rot180.training.checkpoint import checkpoints_in, write_checkpoint
from rot180.training.interrupts import Interrupts
from rot180.training.position import Position
from rot180.training.progress import Bars
from rot180.training.samples import Samples, split
from rot180.training.state import Resumed, training_state

Array: TypeAlias = npt.NDArray[Any]

# Samples in one forward pass where nothing is trained and nobody says otherwise.
EVALUATION_BATCH = 256


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
        `CrossEntropy` (labels as targets) or another loss.
    metrics
        What to report beside the loss: names of `rot180.metrics`, ``"top5_accuracy"`` for one, and
        functions of (prediction, target), which go by their own name. None stands for
        ``["accuracy"]`` with `CrossEntropy` and for none with other losses.

    Attributes
    ----------
    history : History
        The figures of the epochs of the last `fit`, as far as it has come.
    stop_training : bool
        Set by a callback to end the training after the epoch.

    Raises
    ------
    ValueError
        If none of the optimizer's parameters is the model's, or a metric is unknown.

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

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        loss: Loss,
        metrics: Sequence[str | Metric] | None = None,
    ) -> None:
        trained = {id(parameter) for parameter in optimizer.parameters}
        if not any(id(parameter) in trained for parameter in model.parameters()):
            raise ValueError(
                "the optimizer has no parameter of this model: build it with model.parameters()"
            )
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.metrics = named_metrics(metrics, loss)
        self.history = History()
        self.stop_training = False
        self._position: Position | None = None
        self._callbacks = CallbackList([])
        self._resumed: Resumed | None = None

    def fit(
        self,
        x: Array | Dataset,
        y: Array | None = None,
        *,
        epochs: int = 1,
        batch_size: int = 32,
        validation_data: Dataset | tuple[Array, Array] | None = None,
        validation_split: float | None = None,
        callbacks: Sequence[Callback] = (),
        shuffle: bool = True,
        seed: int | None = 0,
        progress: bool | None = None,
    ) -> History:
        """Train for some epochs. The same seed gives the same bits.

        Everything about the data is checked before the first step. Ctrl-C ends the step that is
        under way, lets the callbacks save what they keep, and then raises KeyboardInterrupt; a
        second Ctrl-C stops at once.

        After `resume`, the same call goes on where the checkpoint was written.

        Parameters
        ----------
        x
            Samples, (N, ...), of the model's dtype; or a `rot180.data.Dataset`, without `y`.
        y
            Targets: (N,) integer labels for `CrossEntropy`, (N, H, W) where each pixel has one,
            otherwise what the loss takes.
        epochs
            Passes over the data, at least 1.
        batch_size
            Samples in a step; the last batch of an epoch may be smaller.
        validation_data
            (x, y), or a `Dataset`, to evaluate after every epoch.
        validation_split
            Share of the samples, between 0 and 1, to hold out for validation instead; drawn by the
            seed, and not augmented.
        callbacks
            See `rot180.callbacks`.
        shuffle
            Draw a new order for every epoch.
        seed
            What the orders and the augmentations are drawn from: epoch e has its order from
            ``numpy.random.default_rng([seed, e])``, and batch b of it what its augmentations draw
            from ``default_rng([seed, e, b])``. None takes another seed each time.
        progress
            True shows a bar on stderr (needs tqdm), False does not; None shows it if stderr is a
            terminal, or in a notebook, and tqdm is installed.

        Returns
        -------
        History
            ``"loss"`` and the metrics are means over an epoch's batches, each computed before its
            step; ``"val_loss"`` and the like are computed after the last one.

        Raises
        ------
        ValueError, TypeError
            If x and y do not fit each other or the model, a label is out of range or not an
            integer, there are no samples, or an option is out of range; after `resume`, if the
            training was another one.
        NonFiniteLossError
            A FloatingPointError: the loss of a batch is NaN or infinite. Names the epoch and the
            step; that step has not changed the parameters.
        ImportError
            If ``progress=True`` and tqdm is missing.
        """
        epochs = positive_int("epochs", epochs)
        batch_size = positive_int("batch_size", batch_size)
        seed = self._seed(seed)
        samples, held_out = self._parts(x, y, validation_data, validation_split, seed)
        names = ["loss", *self.metrics]
        position = Position(seed, batch_size, bool(shuffle), len(samples), names)
        held_out_names = [f"val_{name}" for name in names if held_out is not None]
        history = History([*names, *held_out_names, "seconds"])
        callback_list = CallbackList(callbacks)
        bars = Bars(progress, epochs)
        if self._resumed is not None:
            self._resumed.expect(position, history, epochs)
            position, history = self._resumed.position, self._resumed.history
        self._position, self.history, self._callbacks = position, history, callback_list
        with Interrupts() as interrupts:
            self.stop_training = False
            callback_list.call("on_train_begin", self)
            if self._resumed is not None:
                callback_list.load_state_dict(self._resumed.callbacks)
                self.stop_training = self._resumed.stop_training
                self._resumed = None
            position.start_clock()
            while position.epoch <= epochs and not self.stop_training:
                self._train_epoch(samples, held_out, bars, interrupts)
            callback_list.call("on_train_end", self)
        return history

    def evaluate(
        self,
        x: Array | Dataset,
        y: Array | None = None,
        batch_size: int = EVALUATION_BATCH,
    ) -> dict[str, float]:
        """Compute the mean loss over some data, and the metrics.

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
        samples = Samples(self._dataset(x, y))
        return self._evaluate(samples, positive_int("batch_size", batch_size))

    def predict(self, x: Array | Dataset, batch_size: int = EVALUATION_BATCH) -> Array:
        """Compute the model's output: logits, if it was trained with `CrossEntropy`.

        Parameters
        ----------
        x
            Samples, (N, ...), or a `Dataset`. Bytes are taken as in `fit`: from 0 to 1.
        batch_size
            Samples in one forward pass.

        Returns
        -------
        Array
            (N, ...). ``trainer.predict(x).argmax(axis=1)`` are the predicted labels.
        """
        batch_size = positive_int("batch_size", batch_size)
        if not isinstance(x, Dataset):
            x = np.asarray(x)
        starts = range(0, max(len(x), 1), batch_size)  # no samples: one empty batch
        slices = [slice(start, start + batch_size) for start in starts]
        if isinstance(x, Dataset):
            return np.concatenate([self.model.forward(x.batch(part)[0]) for part in slices])
        return np.concatenate([self.model.forward(as_floats(x[part])) for part in slices])

    def save_checkpoint(self, path: PathLike) -> None:
        """Write all that `resume` needs to a file, whole or not at all.

        `rot180.callbacks.Checkpoints` does it during a training, after all other callbacks.

        Parameters
        ----------
        path
            The file, replaced if it exists.

        Raises
        ------
        RuntimeError
            If no training has begun.
        OSError
            If the file cannot be written; one that was there before is untouched.
        """
        if self._position is None:
            raise RuntimeError("no training has begun: save the weights with rot180.io instead")
        state = training_state(
            self.model,
            self.optimizer,
            self._position,
            self.history,
            self._callbacks,
            self.stop_training,
        )
        write_checkpoint(path, state)

    def resume(self, path: PathLike, *, missing_ok: bool = False) -> Path | None:
        """Take over a checkpoint; the next `fit` goes on where it was written, to the same bits.

        Build model, optimizer and trainer, and call `fit`, as for the training that was
        interrupted; `epochs` may be more than then. The number of threads may be another one. The
        model and the optimizer are as they were at once, the rest from the beginning of `fit`.

        Parameters
        ----------
        path
            A file that `save_checkpoint` or `rot180.callbacks.Checkpoints` wrote; or a folder of
            them, of which the last one that loads is taken. A warning names those that do not.
        missing_ok
            Whether to return None if there is no checkpoint, so that the same program begins a
            training and goes on with it.

        Returns
        -------
        Path or None
            Which file was taken.

        Raises
        ------
        FileNotFoundError
            If there is no checkpoint, unless ``missing_ok=True``.
        ValueError
            If the file is damaged, or it is of another model or optimizer: names the path and what
            is wrong or missing. Nothing has changed then.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import numpy as np, rot180
        >>> def build():
        ...     model = rot180.Sequential([rot180.Linear(2, 1, rng=np.random.default_rng(0))])
        ...     adam = rot180.optim.Adam(model.parameters())
        ...     return rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
        >>> x, y = np.ones((8, 2), np.float32), np.ones((8, 1), np.float32)
        >>> whole, stopped, resumed = build(), build(), build()
        >>> _ = whole.fit(x, y, epochs=5)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "checkpoint.safetensors"
        ...     _ = stopped.fit(x, y, epochs=2)
        ...     stopped.save_checkpoint(path)
        ...     _ = resumed.resume(path)
        >>> resumed.fit(x, y, epochs=5)["loss"] == whole.history["loss"]
        True
        """
        path = Path(path)
        if not path.is_dir():
            if missing_ok and not path.exists():
                return None
            return self._take_over(path)
        first_error: Exception | None = None
        for candidate in reversed(checkpoints_in(path).values()):
            try:
                self._take_over(candidate)
            except FileNotFoundError:  # another process has removed it
                continue
            except (OSError, ValueError) as error:
                first_error = first_error or error
                continue
            if first_error is not None:
                warnings.warn(f"resumed from {candidate}: {first_error}", stacklevel=2)
            return candidate
        if first_error is not None:
            raise first_error
        if missing_ok:
            return None
        raise FileNotFoundError(errno.ENOENT, "there is no checkpoint in the folder", str(path))

    def _train_epoch(
        self, samples: Samples, held_out: Samples | None, bars: Bars, interrupts: Interrupts
    ) -> None:
        position, callbacks, metrics = self._position, self._callbacks, self.metrics.values()
        assert position is not None
        model, loss, optimizer, means = self.model, self.loss, self.optimizer, position.means
        epoch, total = position.epoch, position.batches_in_epoch
        if position.batch == 0:
            callbacks.call("on_epoch_begin", self, epoch)
        before = callbacks.hooks("on_train_batch_begin")
        after = callbacks.hooks("on_train_batch_end")
        with (
            bars.epoch(epoch, total, position.batch) as bar,
            closing(samples.to_train_on(position)) as batches,
        ):
            for batch, (x, y) in enumerate(batches, position.batch + 1):
                for hook in before:
                    hook(self, epoch, batch)
                output = model.forward(x, training=True)
                number = loss.forward(output, y)
                if not math.isfinite(number):
                    raise NonFiniteLossError(
                        f"the loss is {number} in epoch {epoch}, step {batch} of {total}: "
                        "check x for NaN and inf, lower the learning rate, or clip the gradients"
                    )
                optimizer.zero_grad()
                model.backward(loss.backward(), input_grad=False)
                optimizer.step()
                means.add([number, *[metric(output, y) for metric in metrics]], len(x))
                position.batch = batch
                if after:
                    logs = means.result()
                    for hook in after:
                        hook(self, epoch, batch, logs)
                bar.advance(means.result)
                if interrupts.pending:
                    self._interrupted(interrupts)
            logs = means.result()
            if held_out is not None:
                figures = self._validate(held_out, interrupts)
                logs |= {f"val_{name}": number for name, number in figures.items()}
            logs["seconds"] = position.seconds
            bar.show(logs)
        self.history.append(logs)
        position.next_epoch()
        callbacks.call("on_epoch_end", self, epoch, logs)
        if interrupts.pending:
            self._interrupted(interrupts)

    def _interrupted(self, interrupts: Interrupts) -> None:
        self._callbacks.call("on_interrupt", self)
        interrupts.deliver()

    def _validate(self, held_out: Samples, interrupts: Interrupts) -> dict[str, float]:
        while True:
            self._callbacks.call("on_test_begin", self)
            try:
                figures = self._evaluate(held_out, EVALUATION_BATCH, interrupts)
            finally:
                self._callbacks.call("on_test_end", self)
            if not interrupts.pending:
                return figures
            self._interrupted(interrupts)

    def _evaluate(
        self, samples: Samples, batch_size: int, interrupts: Interrupts | None = None
    ) -> dict[str, float]:
        """Compute the means over the samples, or over those before Ctrl-C."""
        means = Means(["loss", *self.metrics])
        for x, y in samples.in_order(batch_size):
            output = self.model.forward(x)
            number = self.loss.forward(output, y)
            means.add([number, *[metric(output, y) for metric in self.metrics.values()]], len(x))
            if interrupts is not None and interrupts.pending:
                break
        return means.result()

    def _take_over(self, path: Path) -> Path:
        self._resumed = Resumed.take_over(path, self.model, self.optimizer)
        self._position = None
        return path

    def _seed(self, seed: int | None) -> int:
        if seed is None:
            if self._resumed is not None:
                return self._resumed.position.seed
            return int(np.random.SeedSequence().entropy)  # type: ignore[arg-type]
        try:
            number = operator.index(seed)
        except TypeError:
            raise TypeError(f"seed must be an int or None, got {seed!r}") from None
        if number < 0:
            raise ValueError(f"seed must be at least 0, got {number}")
        return number

    def _parts(
        self,
        x: Array | Dataset,
        y: Array | None,
        validation_data: Dataset | tuple[Array, Array] | None,
        validation_split: float | None,
        seed: int,
    ) -> tuple[Samples, Samples | None]:
        """Return the samples to train on, and those that are held out."""
        dataset = self._dataset(x, y)
        if validation_split is not None:
            if validation_data is not None:
                raise ValueError("validation_data and validation_split are both given: pass one")
            return split(dataset, validation_split, seed)
        if validation_data is not None:
            return Samples(dataset), Samples(self._validation_dataset(validation_data))
        return Samples(dataset), None

    def _validation_dataset(self, data: Dataset | tuple[Array, Array]) -> Dataset:
        try:
            if isinstance(data, Dataset):
                return self._dataset(data, None)
            if isinstance(data, tuple | list) and len(data) == 2:
                return self._dataset(*data)
        except (TypeError, ValueError) as error:
            error.args = (f"validation_data: {error}",)
            raise
        raise TypeError(
            f"validation_data must be a pair (x, y) or a Dataset, got {type(data).__name__}"
        )

    def _dataset(self, x: Array | Dataset, y: Array | None) -> Dataset:
        """Return the data as a data set that fits the model and the loss."""
        if isinstance(x, Dataset):
            if y is not None:
                raise TypeError("x is a Dataset, which has its own targets: leave y out")
            dataset = x
        elif y is None:
            raise TypeError("y is missing: pass targets, or a rot180.data.Dataset as x")
        else:
            dataset = Dataset(x, y)
        output_shape = self.model.output_shape(dataset.input_shape)
        if isinstance(self.loss, CrossEntropy):
            _check_labels(dataset.y, output_shape)
        return dataset


def _check_labels(labels: Array, output_shape: tuple[int, ...]) -> None:
    """Check all labels at once, so that a bad one is found before the first step."""
    if len(output_shape) != 1 and labels.ndim == 1:
        raise ValueError(
            f"the model's output for one sample has shape {output_shape}, expected (classes,) "
            "for CrossEntropy: end the model with Flatten() and Linear(features, classes)"
        )
    class_labels("y", labels, len(labels), *output_shape)
