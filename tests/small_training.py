"""A small training with everything in it that a checkpoint must keep, and the bits it comes to."""

from __future__ import annotations

import numpy as np

import rot180
from rot180.callbacks import EarlyStopping

EPOCHS, BATCHES, BATCH_SIZE = 4, 5, 6  # the last batch has three samples


class Noise(rot180.Layer):
    """Multiplies by random numbers near 1, as dropout does by 0 and others."""

    def __init__(self, seed):
        self.rng = np.random.Generator(np.random.PCG64(seed))

    def forward(self, x, training=False):
        if not training:
            return x
        factors = self.rng.normal(1, 0.1, x.shape).astype(x.dtype)
        self._save(factors)
        return x * factors

    def backward(self, dy, *, input_grad=True):
        (factors,) = self._take_saved()
        return dy * factors if input_grad else None

    def output_shape(self, input_shape):
        return input_shape

    def named_generators(self):
        return {"rng": self.rng}


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
    """A trainer of a classifier with batch normalisation and noise."""
    rng = np.random.default_rng(seed)
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, filters, 3, activation="relu", rng=rng),
            rot180.BatchNorm2d(filters),
            Noise(seed),
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
    """The training, with callbacks of which one keeps a state."""
    options = {"batch_size": BATCH_SIZE, "validation_data": images(10, 1), "seed": 7} | options
    stop = EarlyStopping(patience=100, restore_best_weights=True)
    return trainer.fit(dataset(), epochs=epochs, callbacks=[*callbacks, stop], **options)


def bits(trainer):
    """All that training has changed, but for the seconds."""
    state = trainer.optimizer.state_dict()
    history = {name: column for name, column in trainer.history.items() if name != "seconds"}
    return {
        "model": {name: a.tobytes() for name, a in rot180.io.model_tensors(trainer.model).items()},
        "m": {name: array.tobytes() for name, array in state["m"].items()},
        "v": {name: array.tobytes() for name, array in state["v"].items()},
        "step": state["step"],
        "generators": {
            name: rng.bit_generator.state for name, rng in trainer.model.named_generators().items()
        },
        "history": history,
    }
