"""A small training with everything in it that a checkpoint must keep, and the bits it comes to."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

import rot180
from rot180.callbacks import EarlyStopping, LearningRateSchedule, MovingAverage
from rot180.optim import ExponentialMovingAverage
from rot180.optim.schedules import CosineAnnealingLR
from rot180.training.checkpoint import read_checkpoint

EPOCHS, BATCHES, BATCH_SIZE = 4, 5, 6  # the last batch has three samples


def brightened(x, rng):
    """An augmentation."""
    return x if rng is None else x * rng.uniform(0.9, 1.1, (len(x), 1, 1, 1)).astype(x.dtype)


def images(samples, seed=0):
    """Images with a bright row or a bright column, and which of the two."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.5, (samples, 6, 5, 1)).astype(np.float32)
    labels = rng.integers(0, 2, samples)
    x[labels == 0, 2, :, :] += 1
    x[labels == 1, :, 2, :] += 1
    return x, labels


def dataset():
    """27 samples with an augmentation."""
    return rot180.data.Dataset(*images(27), [brightened])


def build(seed=0, filters=4, optimizer=rot180.optim.Adam, loss=None, **options):
    """A trainer of a classifier with batch normalisation and dropout."""
    rng = np.random.default_rng(seed)
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, filters, 3, activation="relu", rng=rng),
            rot180.BatchNorm2d(filters),
            rot180.Dropout(0.2, rng=np.random.default_rng(seed)),
            rot180.Flatten(),
            rot180.Linear(filters * 4 * 3, 2, rng=rng),
        ]
    )
    return rot180.Trainer(
        model,
        optimizer(model.parameters(), lr=0.01),
        loss or rot180.losses.CrossEntropy(),
        **options,
    )


def fit(trainer, callbacks=(), epochs=EPOCHS, **options):
    """The training, with callbacks that keep a state each."""
    options = {"batch_size": BATCH_SIZE, "validation_data": images(10, 1), "seed": 7} | options
    schedule = CosineAnnealingLR(trainer.optimizer, T_max=EPOCHS * BATCHES, per="step")
    stateful = [
        EarlyStopping("loss", patience=1000, restore_best_weights=True),
        LearningRateSchedule(schedule),
        MovingAverage(ExponentialMovingAverage(trainer.model, decay=0.9)),
    ]
    return trainer.fit(dataset(), epochs=epochs, callbacks=[*callbacks, *stateful], **options)


def bits(trainer):
    """All that a checkpoint keeps, arrays as bytes; but not the seconds, which always differ."""
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_checkpoint(Path(folder) / "c")
        state = read_checkpoint(Path(folder) / "c")
    del state["position"]["seconds"], state["history"]["columns"]["seconds"]
    return _with_bytes(state)


def _with_bytes(value):
    if isinstance(value, dict):
        return {name: _with_bytes(part) for name, part in value.items()}
    return value.tobytes() if isinstance(value, np.ndarray) else value
