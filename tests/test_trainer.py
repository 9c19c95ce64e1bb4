"""Trainer: learning, the same bits from the same seed, bad data, NaN, Ctrl-C, bars, History."""

from __future__ import annotations

import csv
import io
import signal
import sys
import threading
import types

import numpy as np
import pytest

import rot180
from rot180.callbacks import Callback
from rot180.losses import CrossEntropy, MeanSquaredError
from rot180.training.trainer import NonFiniteLossError


def blobs(samples=90, seed=0):
    """Images with a bright row or a bright column: separable."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.1, (samples, 6, 5, 1)).astype(np.float32)
    labels = rng.integers(0, 2, samples)
    x[labels == 0, 2, :, :] += 1
    x[labels == 1, :, 2, :] += 1
    return x, labels


def classifier(lr=0.01, seed=0, **options):
    rng = np.random.default_rng(seed)
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, 4, 3, activation="relu", rng=rng),
            rot180.Flatten(),
            rot180.Linear(4 * 4 * 3, 2, rng=rng),
        ]
    )
    adam = rot180.optim.Adam(model.parameters(), lr=lr, **options)
    return rot180.Trainer(model, adam, CrossEntropy())


def regression(lr=0.1):
    model = rot180.Sequential([rot180.Linear(3, 1, rng=np.random.default_rng(0), dtype=np.float64)])
    sgd = rot180.optim.SGD(model.parameters(), lr=lr)
    return rot180.Trainer(model, sgd, MeanSquaredError())


def values(trainer):
    return [parameter.value.copy() for parameter in trainer.model.parameters()]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_learns_a_separable_problem():
    trainer = classifier()
    x, labels = blobs()
    x_test, labels_test = blobs(seed=1)
    assert trainer.evaluate(x_test, labels_test)["accuracy"] < 0.9
    history = trainer.fit(x, labels, epochs=8, batch_size=16, validation_data=blobs(seed=2))
    assert trainer.evaluate(x_test, labels_test)["accuracy"] == 1.0
    assert history["loss"][-1] < 0.2 * history["loss"][0]
    assert history["val_accuracy"][-1] == 1.0
    assert history["val_loss"][-1] < history["val_loss"][0]
    assert (trainer.predict(x_test).argmax(axis=1) == labels_test).all()


def test_it_fits_a_line():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = x @ np.array([[1.0], [-2.0], [0.5]]) + 3
    trainer = regression()
    history = trainer.fit(x, y, epochs=30, batch_size=8)
    assert sorted(history) == ["loss", "seconds"]
    assert sorted(trainer.evaluate(x, y)) == ["loss"]
    weight, bias = values(trainer)
    np.testing.assert_allclose(weight, [[1.0], [-2.0], [0.5]], atol=1e-6)
    np.testing.assert_allclose(bias, [3.0], atol=1e-6)


def test_fit_is_the_loop_by_hand():
    x, labels = blobs(50)
    trainer, by_hand = classifier(), classifier()
    history = trainer.fit(x, labels, epochs=2, batch_size=16, seed=5)

    losses = []
    for epoch in (1, 2):
        order = np.random.default_rng([5, epoch]).permutation(50)
        total = 0.0
        for start in (0, 16, 32, 48):  # the last batch has two
            batch = order[start : start + 16]
            logits = by_hand.model.forward(x[batch], training=True)
            total += by_hand.loss.forward(logits, labels[batch]) * len(batch)
            by_hand.optimizer.zero_grad()
            by_hand.model.backward(by_hand.loss.backward())
            by_hand.optimizer.step()
        losses.append(total / 50)
    assert same(values(trainer), values(by_hand))
    assert history["loss"] == pytest.approx(losses, rel=1e-12)


def test_seeds():
    x, labels = blobs(40)
    runs = {}
    for name, seed in [("a", 3), ("again", 3), ("b", 4)]:
        trainer = classifier()
        history = trainer.fit(x, labels, epochs=2, batch_size=8, seed=seed)
        runs[name] = (values(trainer), history["loss"], history["accuracy"])
    assert same(runs["a"][0], runs["again"][0])
    assert runs["a"][1:] == runs["again"][1:]
    assert not same(runs["a"][0], runs["b"][0])


def test_threads_do_not_change_the_bits():
    x, labels = blobs(40)
    before = rot180.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3):
            rot180.set_num_threads(threads)
            trainer = classifier(clip_norm=1.0)
            trainer.fit(x, labels, epochs=1, batch_size=16)
            results.append(values(trainer))
    finally:
        rot180.set_num_threads(before)
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_without_shuffling_the_batches_come_in_order():
    x, labels = blobs(10)
    seen = []

    class SpyLoss(CrossEntropy):
        def forward(self, prediction, target):
            seen.append(target.tolist())
            return super().forward(prediction, target)

    trainer = classifier()
    trainer.loss = SpyLoss()
    trainer.fit(x, labels, batch_size=4, shuffle=False)
    assert seen == [labels[:4].tolist(), labels[4:8].tolist(), labels[8:].tolist()]


def test_every_sample_is_seen_once_an_epoch():
    seen = []

    class SpyMeanSquaredError(MeanSquaredError):
        def forward(self, prediction, target):
            seen.extend(target.ravel().tolist())
            return super().forward(prediction, target)

    trainer = regression(lr=1e-6)
    trainer.loss = SpyMeanSquaredError()
    trainer.fit(np.zeros((11, 3)), np.arange(11.0).reshape(11, 1), epochs=2, batch_size=4)
    assert sorted(seen[:11]) == sorted(seen[11:]) == list(range(11))
    assert seen[:11] != seen[11:] != sorted(seen[11:])


def test_means_are_weighted_by_the_batch_size():
    trainer = regression(lr=0.0)
    trainer.model[0].weight.value = np.zeros((3, 1))
    x, y = np.zeros((3, 3)), np.array([[1.0], [1.0], [4.0]])
    history = trainer.fit(x, y, batch_size=2, shuffle=False)
    assert history["loss"] == [6.0]
    assert trainer.evaluate(x, y, batch_size=2) == {"loss": 6.0}


def test_evaluate_and_predict_do_not_depend_on_the_batch_size():
    trainer = classifier()
    x, labels = blobs(23)
    before = values(trainer)
    whole = trainer.evaluate(x, labels)
    parts = trainer.evaluate(x, labels, batch_size=5)
    assert parts["accuracy"] == whole["accuracy"]
    assert parts["loss"] == pytest.approx(whole["loss"], rel=1e-6)
    np.testing.assert_allclose(trainer.predict(x, batch_size=5), trainer.predict(x), atol=1e-6)
    assert same(values(trainer), before)
    assert trainer.predict(x[:0]).shape == (0, 2)
    with pytest.raises(RuntimeError):
        trainer.model.backward(np.zeros((3, 2), np.float32))  # nothing was saved


def test_bytes_are_images_from_0_to_1_everywhere():
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (12, 6, 5, 1)).astype(np.uint8)
    labels = np.arange(12) % 2
    floats = data.astype(np.float32) / np.float32(255)
    trainers = classifier(), classifier()
    for trainer, x in zip(trainers, (data, floats), strict=True):
        trainer.fit(x, labels, validation_data=(x, labels))
    one, other = trainers
    assert one.history["val_loss"] == other.history["val_loss"]
    assert one.evaluate(data, labels) == other.evaluate(floats, labels)
    np.testing.assert_array_equal(one.predict(data), other.predict(floats))


def test_layers_before_the_first_parameters_are_not_asked_for_gradients(monkeypatch):
    trainer = classifier()
    monkeypatch.setattr(rot180.functional, "conv2d_grad_input", None)
    trainer.fit(*blobs(8))


X, LABELS = blobs(12)


def changed(labels, index, value):
    labels = labels.copy()
    labels[index] = value
    return labels


@pytest.mark.parametrize(
    ("x", "y", "error", "message"),
    [
        (X, LABELS[:-1], ValueError, "x has 12 samples and y has 11"),
        (X[:0], LABELS[:0], ValueError, r"x has shape \(0, 6, 5, 1\).*at least one sample"),
        (X, LABELS.astype(float), TypeError, "y has dtype float64, expected class numbers"),
        (X, changed(LABELS, 7, 2), ValueError, r"y\[7\] is 2, expected 0 to 1"),
        (X, changed(LABELS, 3, -1), ValueError, r"y\[3\] is -1, expected 0 to 1"),
        (X, np.eye(2, dtype=int)[LABELS], ValueError, "one-hot"),
        (X, 3, ValueError, "at least one sample"),
        (X[:, :5], LABELS, ValueError, r"layer 2, Linear\(48, 2\)"),
        (X[..., 0], LABELS, ValueError, r"layer 0, Conv2d.*expected \(H, W, C\)"),
    ],
)
def test_bad_data_is_refused_before_the_first_step(x, y, error, message):
    trainer = classifier()
    before = values(trainer)
    with pytest.raises(error, match=message):
        trainer.fit(x, y, batch_size=2)
    with pytest.raises(error, match=message):
        trainer.evaluate(x, y)
    with pytest.raises(error, match=f"validation_data: .*{message}"):
        trainer.fit(X, LABELS, validation_data=(x, y))
    assert same(values(trainer), before)
    assert trainer.optimizer.step_count == 0


def test_float64_data_for_a_float32_model():
    trainer = classifier()
    with pytest.raises(TypeError, match=r"layer 0.*float64"):
        trainer.fit(X.astype(np.float64), LABELS)
    assert trainer.optimizer.step_count == 0


def test_targets_of_the_wrong_shape_for_mean_squared_error():
    trainer = regression()
    with pytest.raises(ValueError, match="target"):
        trainer.fit(np.zeros((4, 3)), np.zeros(4))
    assert trainer.optimizer.step_count == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be from 1"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an int"),
        ({"epochs": 0}, ValueError, "epochs must be from 1"),
        ({"epochs": -1}, ValueError, "epochs must be from 1"),
        ({"validation_data": X}, TypeError, r"validation_data must be a pair \(x, y\)"),
        ({"validation_data": (X,)}, TypeError, r"validation_data must be a pair \(x, y\)"),
    ],
)
def test_wrong_options(options, error, message):
    trainer = classifier()
    with pytest.raises(error, match=message):
        trainer.fit(X, LABELS, **options)
    assert trainer.optimizer.step_count == 0


def test_wrong_batch_size_in_evaluate_and_predict():
    with pytest.raises(ValueError, match="batch_size"):
        classifier().evaluate(X, LABELS, batch_size=0)
    with pytest.raises(ValueError, match="batch_size"):
        classifier().predict(X, batch_size=-1)


def test_a_model_that_ends_in_an_image_is_no_classifier():
    model = rot180.Sequential([rot180.Conv2d(1, 2, 3)])
    trainer = rot180.Trainer(model, rot180.optim.Adam(model.parameters()), CrossEntropy())
    with pytest.raises(ValueError, match=r"has shape \(4, 3, 2\), expected \(classes,\)"):
        trainer.fit(X, LABELS)


def test_targets_of_cross_entropy_that_are_not_one_label_each():
    """A label for each pixel, and probabilities."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 6, 5, 1)).astype(np.float32)
    labels = (x[..., 0] > 0).astype(int)
    for target in (labels, np.eye(2, dtype=np.float32)[labels]):
        model = rot180.Sequential([rot180.Conv2d(1, 2, 1, rng=rng)])
        adam = rot180.optim.Adam(model.parameters(), lr=0.1)
        history = rot180.Trainer(model, adam, CrossEntropy()).fit(x, target, epochs=12)
        assert history["accuracy"][-1] > 0.97
    labels[3, 2, 1] = 2
    with pytest.raises(ValueError, match=r"y\[3, 2, 1\] is 2, expected 0 to 1"):
        rot180.Trainer(model, adam, CrossEntropy()).fit(x, labels)


def test_the_optimizer_must_be_this_models():
    with pytest.raises(ValueError, match="the optimizer has no parameter of this model"):
        rot180.Trainer(classifier().model, classifier().optimizer, CrossEntropy())


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_stops_before_the_step(bad):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 1))
    y[5] = bad
    trainer, good = regression(), regression()
    with pytest.raises(FloatingPointError, match=r"the loss is (nan|inf) in epoch 1, step 2 of 3"):
        trainer.fit(x, y, batch_size=4, shuffle=False)
    good.fit(x[:4], y[:4], batch_size=4, shuffle=False)
    assert same(values(trainer), values(good))
    assert trainer.optimizer.step_count == 1


def test_divergence_names_its_epoch():
    trainer = regression(lr=1e30)
    x = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.raises(NonFiniteLossError, match=r"in epoch \d+, step 1 of 1"):
        trainer.fit(x, x[:, :1] * 100, epochs=50, batch_size=4)
    assert all(np.isfinite(value).all() for value in values(trainer))


@pytest.mark.parametrize("progress", [False, True])
def test_ctrl_c_in_a_step_ends_the_step_first(progress, capsys):
    x, labels = blobs(24)

    class Interrupted(rot180.optim.Adam):
        def _update(self, values, grads, state, step, options):
            if step == 2:
                signal.raise_signal(signal.SIGINT)
            super()._update(values, grads, state, step, options)

    trainer, good = classifier(), classifier()
    trainer.optimizer = Interrupted(trainer.model.parameters(), lr=0.01)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, labels, batch_size=8, shuffle=False, progress=progress)
    good.fit(x[:16], labels[:16], batch_size=8, shuffle=False)
    assert same(values(trainer), values(good))
    assert trainer.optimizer.step_count == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if progress:
        assert capsys.readouterr().err.endswith("\n"), "the bar is closed"


def test_ctrl_c_between_steps():
    class Interrupt(Callback):
        def on_train_batch_end(self, trainer, epoch, batch, logs):
            if batch == 2:
                raise KeyboardInterrupt

    trainer, good = classifier(), classifier()
    x, labels = blobs(24)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, labels, batch_size=8, shuffle=False, callbacks=[Interrupt()])
    good.fit(x[:16], labels[:16], batch_size=8, shuffle=False)
    assert same(values(trainer), values(good))


def test_ctrl_c_lets_the_callbacks_save_first():
    events = []

    class Note(Callback):
        def on_train_batch_end(self, trainer, epoch, batch, logs):
            if batch == 2:
                signal.raise_signal(signal.SIGINT)
            events.append(batch)

        def on_interrupt(self, trainer):
            events.append("interrupted")

        def on_train_end(self, trainer):
            events.append("end")

    with pytest.raises(KeyboardInterrupt):
        classifier().fit(*blobs(24), batch_size=8, callbacks=[Note()])
    assert events == [1, 2, "interrupted"]


def test_ctrl_c_in_validation():
    seen = []

    class Model(rot180.Sequential):
        def forward(self, x, training=False):
            if not training:
                seen.append(len(x))
                signal.raise_signal(signal.SIGINT)
            return super().forward(x, training)

    trainer = classifier()
    trainer.model = Model(trainer.model.layers)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(*blobs(8), validation_data=blobs(600))
    assert seen == [256]


def test_ctrl_c_at_the_end():
    class Interrupt(Callback):
        def on_train_end(self, trainer):
            signal.raise_signal(signal.SIGINT)

    trainer = classifier()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(X, LABELS, callbacks=[Interrupt()])
    assert trainer.history.epochs == 1


def test_a_handler_of_the_users_own():
    caught = []
    before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))

    class Interrupt(Callback):
        def on_train_batch_end(self, trainer, epoch, batch, logs):
            signal.raise_signal(signal.SIGINT)

    try:
        history = classifier().fit(X, LABELS, batch_size=4, callbacks=[Interrupt()])
    finally:
        signal.signal(signal.SIGINT, before)
    assert caught == [signal.SIGINT] * 3
    assert history.epochs == 1, "it did not want to stop"


def test_it_trains_in_another_thread():
    trainer, good = classifier(), classifier()
    thread = threading.Thread(target=lambda: trainer.fit(*blobs(8), progress=False))
    thread.start()
    thread.join()
    good.fit(*blobs(8))
    assert same(values(trainer), values(good))


def test_callbacks_are_called_in_order():
    events = []

    class Note(Callback):
        def on_train_begin(self, trainer):
            events.append("begin")

        def on_epoch_begin(self, trainer, epoch):
            events.append(f"epoch {epoch}")

        def on_train_batch_end(self, trainer, epoch, batch, logs):
            events.append(f"batch {epoch}.{batch} {sorted(logs)}")

        def on_epoch_end(self, trainer, epoch, logs):
            events.append(f"end {epoch} {sorted(logs)}")

        def on_train_end(self, trainer):
            events.append("done")

    trainer = classifier()
    trainer.fit(X, LABELS, epochs=2, batch_size=8, validation_data=(X, LABELS), callbacks=[Note()])
    batch, epoch = ["accuracy", "loss"], ["accuracy", "loss", "seconds", "val_accuracy", "val_loss"]
    assert events == [
        "begin",
        *(
            event
            for n in (1, 2)
            for event in (
                f"epoch {n}",
                f"batch {n}.1 {batch}",
                f"batch {n}.2 {batch}",
                f"end {n} {epoch}",
            )
        ),
        "done",
    ]


def test_the_base_callback_does_nothing():
    trainer, good = classifier(), classifier()
    trainer.fit(X, LABELS, callbacks=[Callback()])
    good.fit(X, LABELS)
    assert same(values(trainer), values(good))


def test_stop_training_ends_it_after_the_epoch():
    class Stop(Callback):
        def on_train_batch_end(self, trainer, epoch, batch, logs):
            trainer.stop_training = epoch == 2

    trainer = classifier()
    assert trainer.fit(X, LABELS, epochs=5, batch_size=4, callbacks=[Stop()]).epochs == 2
    assert trainer.optimizer.step_count == 6
    assert trainer.fit(X, LABELS, epochs=3).epochs == 3, "the next training is another one"


def test_metrics():
    def spread(prediction, target):
        return prediction.max() - prediction.min()

    x, labels = blobs(10)
    trainer = classifier()
    trainer = rot180.Trainer(trainer.model, trainer.optimizer, trainer.loss, ["accuracy", spread])
    history = trainer.fit(x, labels, validation_data=(x, labels), shuffle=False)
    assert list(history) == [
        *("loss", "accuracy", "spread"),
        *("val_loss", "val_accuracy", "val_spread"),
        "seconds",
    ]
    logits = trainer.predict(x)
    assert trainer.evaluate(x, labels)["spread"] == float(logits.max() - logits.min())
    assert history["val_spread"] == [float(logits.max() - logits.min())]
    trainer = rot180.Trainer(trainer.model, trainer.optimizer, trainer.loss, [])
    assert list(trainer.evaluate(x, labels)) == ["loss"]


class TestDatasets:
    def test_the_same_as_arrays(self):
        trainer, other = classifier(), classifier()
        history = trainer.fit(X, LABELS, epochs=2, batch_size=5, validation_data=(X, LABELS))
        dataset = rot180.data.Dataset(X, LABELS)
        again = other.fit(dataset, epochs=2, batch_size=5, validation_data=dataset)
        assert same(values(trainer), values(other))
        assert history["val_loss"] == again["val_loss"]
        assert trainer.evaluate(X, LABELS) == other.evaluate(dataset)
        assert np.array_equal(trainer.predict(X), other.predict(dataset))

    def test_each_batch_draws_from_a_generator_of_its_own(self):
        drawn = []

        def augmented(x, rng):
            if rng is not None:
                drawn.append(rng.random())
            return x

        dataset = rot180.data.Dataset(X, LABELS, [augmented])
        classifier().fit(dataset, epochs=2, batch_size=4, seed=3, validation_data=dataset)
        expected = [
            np.random.default_rng([3, epoch, batch]).random()
            for epoch in (1, 2)
            for batch in (1, 2, 3)
        ]
        assert drawn == expected

    def test_augmentations_are_for_training_only(self):
        dataset = rot180.data.Dataset(X, LABELS, [lambda x, rng: x if rng is None else x + 1])
        trainer, other = classifier(), classifier()
        trainer.fit(dataset, shuffle=False)
        other.fit(X + 1, LABELS, shuffle=False)
        assert same(values(trainer), values(other))
        assert trainer.evaluate(dataset) == other.evaluate(X, LABELS)
        assert np.array_equal(trainer.predict(dataset), other.predict(X))

    def test_bytes_become_float32(self):
        pixels = (255 * (X - X.min()) / (X.max() - X.min())).astype(np.uint8)
        trainer, other = classifier(), classifier()
        trainer.fit(pixels, LABELS, batch_size=5)
        other.fit((pixels / np.float32(255)).astype(np.float32), LABELS, batch_size=5)
        assert same(values(trainer), values(other))

    def test_an_error_in_an_augmentation_ends_the_training(self):
        def broken(x, rng):
            if rng is not None:
                raise ZeroDivisionError("broken")
            return x

        threads = threading.active_count()
        with pytest.raises(ZeroDivisionError):
            classifier().fit(rot180.data.Dataset(X, LABELS, [broken]))
        assert threading.active_count() == threads

    def test_a_training_that_ends_early_leaves_no_thread(self):
        class Fail(Callback):
            def on_train_batch_end(self, trainer, epoch, batch, logs):
                raise RuntimeError("enough")

        threads = threading.active_count()
        dataset = rot180.data.Dataset(X, LABELS, [lambda x, rng: x])
        with pytest.raises(RuntimeError, match="enough"):
            classifier().fit(dataset, batch_size=1, callbacks=[Fail()])
        assert threading.active_count() == threads

    @pytest.mark.parametrize("call", ["fit", "evaluate"])
    def test_targets_once(self, call):
        trainer = classifier()
        with pytest.raises(TypeError, match="y is missing"):
            getattr(trainer, call)(X)
        with pytest.raises(TypeError, match="has its own targets: leave y out"):
            getattr(trainer, call)(rot180.data.Dataset(X, LABELS), LABELS)


class TestValidationSplit:
    def test_its_samples_are_not_trained_on(self):
        trained, held_out = [], []

        class SpyMeanSquaredError(MeanSquaredError):
            def forward(self, prediction, target):
                (trained if len(target) == 4 else held_out).extend(target.ravel().tolist())
                return super().forward(prediction, target)

        x, y = np.zeros((10, 3)), np.arange(10.0).reshape(10, 1)

        def split(seed, shuffle=True):
            del trained[:], held_out[:]
            trainer = regression(lr=1e-6)
            trainer.loss = SpyMeanSquaredError()
            history = trainer.fit(
                *(x, y), batch_size=4, validation_split=0.2, seed=seed, shuffle=shuffle
            )
            assert "val_loss" in history
            assert sorted(trained + held_out) == list(range(10))
            assert len(held_out) == 2
            return set(held_out), list(trained)

        assert split(0) == split(0)
        assert len({frozenset(split(seed)[0]) for seed in range(5)}) > 1
        _, order = split(0, shuffle=False)
        assert order == sorted(order)

    @pytest.mark.parametrize("share", [-0.1, 0.0, 0.01, 0.99, 1.0, np.nan, "a"])
    def test_shares_that_leave_nothing(self, share):
        with pytest.raises((ValueError, TypeError), match="validation_split"):
            classifier().fit(X, LABELS, validation_split=share)

    def test_one_or_the_other(self):
        with pytest.raises(ValueError, match="pass one"):
            classifier().fit(X, LABELS, validation_split=0.5, validation_data=(X, LABELS))


@pytest.mark.parametrize("seed", [-1, 1.5, "1"])
def test_wrong_seeds(seed):
    with pytest.raises((ValueError, TypeError), match="seed must be"):
        classifier().fit(X, LABELS, seed=seed)


def test_no_seed_is_another_one_each_time():
    trainers = [classifier(), classifier()]
    for trainer in trainers:
        trainer.fit(*blobs(40), batch_size=4, seed=None)
    assert not same(*map(values, trainers))


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_quiet_where_there_is_no_terminal(capsys):
    classifier().fit(X, LABELS)
    classifier().fit(X, LABELS, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", [None, True, False])
def test_progress_on_a_terminal(progress, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    classifier().fit(X, LABELS, epochs=2, batch_size=4, progress=progress)
    shown = sys.stderr.getvalue()
    if progress is False:
        assert shown == ""
    else:
        for text in ("epoch 1/2", "epoch 2/2", "3/3", "loss=", "accuracy="):
            assert text in shown
        assert shown.endswith("\n")


def test_progress_without_tqdm(monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    classifier().fit(X, LABELS)
    assert sys.stderr.getvalue() == ""
    with pytest.raises(ImportError, match=r'pip install "rot180\[train\]"'):
        classifier().fit(X, LABELS, progress=True)


def test_progress_in_a_notebook(monkeypatch, capsys):
    """There stderr is no terminal, and tqdm.auto picks the bar."""
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    classifier().fit(X, LABELS)
    assert "epoch 1/1" in capsys.readouterr().err
    shell.config = {}
    classifier().fit(X, LABELS)
    assert capsys.readouterr().err == ""


def test_progress_of_an_epoch_that_is_resumed(tmp_path, monkeypatch):
    class Save(Callback):
        def on_train_batch_end(self, trainer, epoch, batch, logs):
            if batch == 2:
                trainer.save_checkpoint(tmp_path / "c")

    classifier().fit(X, LABELS, batch_size=4, callbacks=[Save()])
    trainer = classifier()
    trainer.resume(tmp_path / "c")
    monkeypatch.setattr(sys, "stderr", Terminal())
    trainer.fit(X, LABELS, batch_size=4)
    shown = sys.stderr.getvalue()
    assert "2/3" in shown
    assert "1/3" not in shown
    assert "3/3" in shown


def test_history_is_a_mapping_of_lists():
    history = classifier().fit(X, LABELS, epochs=3, validation_data=(X, LABELS))
    assert list(history) == ["loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert len(history) == 5
    assert history.epochs == 3
    assert all(len(column) == 3 for column in history.values())
    assert all(type(number) is float for column in history.values() for number in column)
    assert all(seconds > 0 for seconds in history["seconds"])
    assert repr(history).startswith("History(3 epochs, last: loss=")


def test_history_as_csv(tmp_path):
    history = rot180.History()
    history.append({"loss": 0.1 + 0.2, "seconds": 1})
    history.append({"loss": 1e-30, "seconds": 2.5})
    history.to_csv(tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert [float(row["loss"]) for row in rows] == history["loss"]
    assert [float(row["seconds"]) for row in rows] == [1.0, 2.5]
    assert [path.name for path in tmp_path.iterdir()] == ["history.csv"]


def test_history_refuses_other_names():
    history = rot180.History()
    history.append({"loss": 1.0})
    with pytest.raises(ValueError, match=r"the epoch has \['accuracy'\], expected \['loss'\]"):
        history.append({"accuracy": 1.0})
    assert history.epochs == 1


def test_history_of_no_epochs():
    assert repr(rot180.History()) == "History(0 epochs)"
    assert dict(rot180.History()) == {}


def test_history_plot(tmp_path):
    history = classifier().fit(X, LABELS, epochs=2)
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    assert len(figure.axes) == len(history.plot().axes) == 2
    with pytest.raises(ValueError, match="no epoch"):
        rot180.History(["loss"]).plot()
