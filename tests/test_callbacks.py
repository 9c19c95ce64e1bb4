"""Callbacks: what each of them does, in a training and in one that is resumed."""

from __future__ import annotations

import csv
import struct
import sys
import types

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

import rot180
from rot180.callbacks import (
    BestCheckpoint,
    Callback,
    Checkpoints,
    CSVLogger,
    EarlyStopping,
    LearningRateSchedule,
    LivePlot,
    MovingAverage,
    TensorBoard,
)
from rot180.callbacks.monitor import Monitor
from rot180.optim import ExponentialMovingAverage, schedules
from small_training import BATCHES, EPOCHS, bits, build, fit, images


class Figures(Callback):
    """Replaces a figure of each epoch, as if the training had gone like that."""

    def __init__(self, name, figures):
        self.name = name
        self.figures = figures

    def on_epoch_end(self, trainer, epoch, logs):
        logs[self.name] = self.figures[epoch - 1]


class Weights(Callback):
    """Notes the model's arrays after each epoch."""

    def __init__(self):
        self.epochs = []

    def on_epoch_end(self, trainer, epoch, logs):
        own = rot180.io.model_tensors(trainer.model)
        self.epochs.append({name: array.copy() for name, array in own.items()})


def train(callbacks, epochs=EPOCHS, trainer=None, **options):
    """A training of two batches an epoch, with these callbacks only."""
    trainer = trainer or build()
    options = {"validation_data": images(4, 1)} | options
    trainer.fit(*images(12), batch_size=6, epochs=epochs, callbacks=callbacks, **options)
    return trainer


class TestEarlyStopping:
    @pytest.mark.parametrize(
        ("losses", "options", "epochs"),
        [
            ([3, 2, 1, 0.5, 0.2], {}, 5),
            ([3, 2, 2, 1, 0.5], {}, 3),
            ([3, 2, 2.5, 1, 1], {"patience": 2}, 5),
            ([3, 2, 2.5, 2.1, 1], {"patience": 2}, 4),
            ([3, 2.95, 2.8, 2, 1], {"min_delta": 0.1}, 2),
            ([3, 2.95, 2.8, 2.75, 1], {"min_delta": 0.1, "patience": 2}, 5),
            ([3, 4, 5, 6, 5], {"mode": "max"}, 5),
            ([float("nan"), 4, float("nan"), 1, 1], {"patience": 2}, 5),
            ([float("nan")] * 5, {"patience": 3}, 3),
            ([4, float("inf"), float("-inf"), 1, 1], {"patience": 2}, 5),
        ],
    )
    def test_when_it_stops(self, losses, options, epochs):
        stop = EarlyStopping("loss", **options)
        trainer = train([Figures("loss", losses), stop], epochs=5)
        assert trainer.history.epochs == epochs
        assert trainer.stop_training == (epochs < 5 or stop.best_epoch <= 5 - stop.patience)

    def test_the_best_weights(self):
        weights = Weights()
        stop = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
        trainer = train([Figures("val_loss", [3, 1, 2, 2, 0]), weights, stop], epochs=5)
        assert trainer.history.epochs == 4
        assert stop.best_epoch == 2
        own = rot180.io.model_tensors(trainer.model)
        for name, array in own.items():
            assert np.array_equal(array, weights.epochs[1][name])
            assert not np.array_equal(array, weights.epochs[3][name])
        assert "1.running_var" in own

    def test_the_best_weights_also_where_it_does_not_stop(self):
        weights = Weights()
        stop = EarlyStopping("val_loss", patience=9, restore_best_weights=True)
        trainer = train([Figures("val_loss", [1, 2, 2]), weights, stop], epochs=3)
        for name, array in rot180.io.model_tensors(trainer.model).items():
            assert np.array_equal(array, weights.epochs[0][name])

    def test_without_them_the_last_weights_stay(self):
        weights = Weights()
        trainer = train([Figures("loss", [1, 2, 2]), weights, EarlyStopping("loss")], epochs=3)
        for name, array in rot180.io.model_tensors(trainer.model).items():
            assert np.array_equal(array, weights.epochs[1][name])

    def test_it_forgets_an_earlier_training(self):
        stop = EarlyStopping("loss")
        train([Figures("loss", [1, 0.5]), stop], epochs=2)
        trainer = train([Figures("loss", [3, 2, 2.5]), stop], epochs=3)
        assert trainer.history.epochs == 3
        assert stop.best_epoch == 2

    def test_it_goes_on_where_it_was(self, tmp_path):
        def callbacks():
            figures = Figures("loss", [4, 3, 3.5, 3.6, 3.7, 1])
            return [figures, EarlyStopping("loss", patience=3, restore_best_weights=True)]

        trainer = train([*callbacks()], epochs=6)
        assert trainer.history.epochs == 5
        train([*callbacks(), Checkpoints(tmp_path)], epochs=4)
        resumed = build(seed=1)
        resumed.resume(tmp_path)
        train(callbacks(), epochs=6, trainer=resumed)
        assert bits(resumed)["model"] == bits(trainer)["model"]
        assert resumed.history.epochs == 5

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"patience": 0}, "patience must be from 1"),
            ({"mode": "least"}, "mode='least' is unknown"),
            ({"min_delta": -1}, "min_delta must be at least 0"),
            ({"monitor": "score"}, "whether 'score' is better small or large"),
        ],
    )
    def test_wrong_options(self, options, message):
        with pytest.raises(ValueError, match=message):
            EarlyStopping(**options)


class TestMonitor:
    @pytest.mark.parametrize(
        ("name", "mode"),
        [
            ("loss", "min"),
            ("val_loss", "min"),
            ("val_mean_absolute_error", "min"),
            ("accuracy", "max"),
            ("val_top5_accuracy", "max"),
        ],
    )
    def test_what_is_better(self, name, mode):
        assert Monitor(name).mode == mode

    @pytest.mark.parametrize("make", [EarlyStopping, lambda m: BestCheckpoint("nowhere/best", m)])
    def test_a_figure_that_there_will_not_be(self, make):
        trainer = build()
        with pytest.raises(ValueError, match=r"'val_loss' is not among .*pass validation_data"):
            train([make("val_loss")], trainer=trainer, validation_data=None)
        with pytest.raises(ValueError, match=r"'f_error' is not among the figures \['loss', 'acc"):
            train([make("f_error")], trainer=trainer)
        assert trainer.optimizer.step_count == 0


class TestBestCheckpoint:
    def test_it_keeps_the_best(self, tmp_path):
        path = tmp_path / "best.safetensors"
        weights = Weights()
        best = BestCheckpoint(path, "val_accuracy", metadata={"model": "small"})
        train([Figures("val_accuracy", [0.5, 0.9, 0.7, 0.9]), weights, best])
        model = build(seed=1).model
        rot180.io.load_weights(path, model)
        for name, array in rot180.io.model_tensors(model).items():
            assert np.array_equal(array, weights.epochs[1][name])
        assert rot180.io.read_metadata(path)["model"] == "small"

    def test_in_a_training_that_is_resumed(self, tmp_path):
        path = tmp_path / "best.safetensors"
        figures = Figures("val_loss", [2, 1, 3, 2])
        train([figures, BestCheckpoint(path), Checkpoints(tmp_path / "c")], epochs=2)
        before = path.read_bytes()
        trainer = build(seed=1)
        trainer.resume(tmp_path / "c")
        train([figures, BestCheckpoint(path)], trainer=trainer)
        assert path.read_bytes() == before
        figures.figures[2] = 0.5
        trainer.resume(tmp_path / "c")
        train([figures, BestCheckpoint(path)], trainer=trainer)
        assert path.read_bytes() != before

    def test_averaged_weights(self, tmp_path):
        trainer = build()
        average = ExponentialMovingAverage(trainer.model, decay=0.9)
        best = BestCheckpoint(tmp_path / "best", average=average)
        figures = Figures("val_loss", [2, 1])
        train([MovingAverage(average), figures, best], epochs=2, trainer=trainer)
        model = build(seed=1).model
        rot180.io.load_weights(tmp_path / "best", model)
        x = images(4)[0]
        assert not np.array_equal(model.forward(x), trainer.model.forward(x))
        with average.applied():
            assert np.array_equal(model.forward(x), trainer.model.forward(x))


class TestLearningRateSchedule:
    class Rates(Callback):
        """Notes the learning rate that each step is taken with."""

        def __init__(self):
            self.rates = []

        def on_train_batch_begin(self, trainer, epoch, batch):
            self.rates.append(trainer.optimizer.lr)

    @pytest.mark.parametrize("per", ["step", "epoch"])
    def test_it_steps_when_the_schedule_says(self, per):
        trainer, rates = build(), self.Rates()
        schedule = schedules.ExponentialLR(trainer.optimizer, 0.5, per=per)
        train([LearningRateSchedule(schedule), rates], epochs=3, trainer=trainer)
        powers = {"step": [0, 1, 2, 3, 4, 5], "epoch": [0, 0, 1, 1, 2, 2]}[per]
        assert rates.rates == [0.01 * 0.5**power for power in powers]

    def test_as_many_steps_as_were_announced(self):
        trainer, rates = build(), self.Rates()
        schedule = schedules.OneCycleLR(trainer.optimizer, max_lr=0.1, total_steps=8)
        train([LearningRateSchedule(schedule), rates], epochs=4, trainer=trainer)
        assert rates.rates == [schedule.lr_at(0.1, step) for step in range(8)]

    def test_on_a_plateau(self):
        trainer, rates = build(), self.Rates()
        schedule = schedules.ReduceLROnPlateau(trainer.optimizer, factor=0.5, patience=1)
        figures = Figures("val_loss", [3, 2, 2, 2, 1])
        callbacks = [figures, LearningRateSchedule(schedule, "val_loss"), rates]
        train(callbacks, epochs=5, trainer=trainer)
        assert rates.rates[::2] == [0.01, 0.01, 0.01, 0.01, 0.005]

    def test_a_plateau_in_a_training_that_is_resumed(self, tmp_path):
        figures = [3, 2, 2, 2, 2, 2, 2]

        def callbacks(trainer):
            schedule = schedules.ReduceLROnPlateau(trainer.optimizer, factor=0.5, patience=1)
            return [Figures("loss", figures), LearningRateSchedule(schedule, "loss")]

        trainer, resumed = build(), build(seed=1)
        train(callbacks(trainer), epochs=7, trainer=trainer)
        stopped = build()
        train([*callbacks(stopped), Checkpoints(tmp_path)], epochs=3, trainer=stopped)
        resumed.resume(tmp_path)
        train(callbacks(resumed), epochs=7, trainer=resumed)
        assert bits(resumed) == bits(trainer)
        assert trainer.optimizer.lr == 0.01 * 0.25

    def test_what_it_refuses(self):
        trainer = build()
        plateau = schedules.ReduceLROnPlateau(trainer.optimizer)
        steps = schedules.StepLR(build().optimizer, 2)
        with pytest.raises(TypeError, match="schedule is Adam, expected one of"):
            LearningRateSchedule(trainer.optimizer)
        with pytest.raises(ValueError, match='pass monitor="val_loss"'):
            LearningRateSchedule(plateau)
        with pytest.raises(ValueError, match="'val_loss' is not among the figures"):
            train(
                [LearningRateSchedule(plateau, "val_loss")], trainer=trainer, validation_data=None
            )
        with pytest.raises(ValueError, match="the schedule is of another optimizer"):
            train([LearningRateSchedule(steps)], trainer=trainer)
        assert trainer.optimizer.step_count == 0


class TestMovingAverage:
    def test_the_average_is_by_hand(self):
        trainer, by_hand = build(), build()
        average = ExponentialMovingAverage(trainer.model, decay=0.9)
        train([MovingAverage(average)], trainer=trainer)

        expected = ExponentialMovingAverage(by_hand.model, decay=0.9)

        class Update(Callback):
            def on_train_batch_end(self, trainer, epoch, batch, logs):
                expected.update()

        train([Update()], trainer=by_hand)
        assert average.update_count == expected.update_count == 2 * EPOCHS
        for name, array in expected.averages.items():
            assert np.array_equal(average.averages[name], array)
        assert bits(by_hand)["model"] == bits(trainer)["model"], "the training is the same"

    def test_validation_is_of_the_average(self):
        trainer, other = build(), build()
        average = ExponentialMovingAverage(trainer.model, decay=0.9)
        train([MovingAverage(average)], trainer=trainer)
        train([], trainer=other)
        assert trainer.history["loss"] == other.history["loss"]
        assert trainer.history["val_loss"] != other.history["val_loss"]
        with average.applied():
            assert trainer.evaluate(*images(4, 1))["loss"] == trainer.history["val_loss"][-1]

    def test_an_error_in_validation_gives_the_weights_back(self):
        trainer = build()
        average = ExponentialMovingAverage(trainer.model, decay=0.9)
        x, y = images(4, 1)
        weights = Weights()

        class Fail(Callback):
            def on_test_begin(self, trainer):
                weights.on_epoch_end(trainer, 1, {})
                trainer.metrics["broken"] = None

        with pytest.raises(TypeError):
            train([Fail(), MovingAverage(average)], trainer=trainer, validation_data=(x, y))
        for name, array in rot180.io.model_tensors(trainer.model).items():
            assert np.array_equal(array, weights.epochs[0][name])
            assert array.any()
        assert not np.array_equal(average.averages["0.weight"], trainer.model[0].weight.value)

    def test_what_it_refuses(self):
        with pytest.raises(TypeError, match="average is Sequential, expected rot180"):
            MovingAverage(build().model)


class TestCSVLogger:
    def test_a_row_an_epoch(self, tmp_path):
        path = tmp_path / "log.csv"
        rows = []

        class Read(Callback):
            def on_epoch_end(self, trainer, epoch, logs):
                with path.open(newline="") as file:
                    rows.append(list(csv.DictReader(file)))

        trainer = train([CSVLogger(path), Read()], epochs=3)
        assert [len(epoch) for epoch in rows] == [1, 2, 3]
        assert [float(row["val_loss"]) for row in rows[-1]] == trainer.history["val_loss"]

    def test_in_a_training_that_is_resumed(self, tmp_path):
        path = tmp_path / "log.csv"
        trainer = train([CSVLogger(path), Checkpoints(tmp_path / "c", keep=None)], epochs=4)
        trainer.resume(tmp_path / "c" / "checkpoint-000000004.safetensors")
        train([CSVLogger(path)], trainer=trainer, epochs=3)
        with path.open(newline="") as file:
            found = [float(row["loss"]) for row in csv.DictReader(file)]
        assert found == trainer.history["loss"]
        assert len(found) == 3


class TestTensorBoard:
    @staticmethod
    def scalars(folder):
        """(tag, step) -> value of all event files in a folder, and the steps to be purged."""
        found, purged = {}, []
        for path in sorted(folder.iterdir()):
            data = path.read_bytes()
            while data:
                (length,) = struct.unpack("<Q", data[:8])
                event = Event.FromString(data[12 : 12 + length])
                data = data[12 + length + 4 :]
                if event.HasField("session_log"):
                    purged.append(event.step)
                for value in event.summary.value:
                    found[value.tag, event.step] = value.simple_value
        return found, purged

    def test_figures_of_every_epoch(self, tmp_path):
        trainer = train([TensorBoard(tmp_path)], epochs=2)
        training, _ = self.scalars(tmp_path / "training")
        validation, _ = self.scalars(tmp_path / "validation")
        assert set(training) == {
            (tag, epoch)
            for tag in ("loss", "accuracy", "seconds", "learning_rate")
            for epoch in (1, 2)
        }
        assert set(validation) == {(tag, epoch) for tag in ("loss", "accuracy") for epoch in (1, 2)}
        for epoch in (1, 2):
            history = trainer.history
            assert training["loss", epoch] == np.float32(history["loss"][epoch - 1])
            assert validation["loss", epoch] == np.float32(history["val_loss"][epoch - 1])
            assert training["learning_rate", epoch] == np.float32(0.01)

    def test_in_a_training_that_is_resumed(self, tmp_path):
        board, folder = tmp_path / "board", tmp_path / "c"
        trainer = train([TensorBoard(board), Checkpoints(folder, keep=None)], epochs=4)
        trainer.resume(folder / "checkpoint-000000004.safetensors")
        train([TensorBoard(board)], trainer=trainer, epochs=3)
        assert self.scalars(board / "training")[1] == [1, 3]

    @pytest.mark.parametrize("last", [False, True])
    def test_the_learning_rate_is_the_last_steps(self, tmp_path, last):
        trainer = build()
        schedule = schedules.ExponentialLR(trainer.optimizer, 0.5, per="step")
        callbacks = [LearningRateSchedule(schedule), TensorBoard(tmp_path)]
        train(callbacks[::-1] if last else callbacks, epochs=2, trainer=trainer)
        training, _ = self.scalars(tmp_path / "training")
        for epoch, power in ((1, 1), (2, 3)):
            assert training["learning_rate", epoch] == np.float32(0.01 * 0.5**power)

    def test_without_tensorboardx(self, monkeypatch, tmp_path):
        monkeypatch.setitem(sys.modules, "tensorboardX", None)
        with pytest.raises(ImportError, match=r'pip install "rot180\[tensorboard\]"'):
            train([TensorBoard(tmp_path)])


class TestLivePlot:
    def test_it_is_drawn_as_the_training_goes(self, tmp_path, monkeypatch):
        drawn = []
        monkeypatch.setattr(rot180.History, "plot", lambda self, path: drawn.append(self.epochs))
        train([LivePlot(tmp_path / "curves.png", every_seconds=0)])
        assert drawn == [1, 2, 3, 4]
        del drawn[:]
        train([LivePlot(tmp_path / "curves.png", every_seconds=1e6)])
        assert drawn == [1, 4]

    def test_the_picture(self, tmp_path):
        train([LivePlot(tmp_path / "curves.png")], epochs=2)
        assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")

    def test_in_a_notebook_it_is_replaced_in_place(self, tmp_path, monkeypatch):
        shown = []

        class Handle:
            def update(self, picture):
                shown.append(("updated", picture))

        def display(picture, display_id):
            assert display_id is True
            shown.append(("displayed", picture))
            return Handle()

        ipython = types.ModuleType("IPython")
        ipython.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
        module = types.ModuleType("IPython.display")
        module.display, module.Image = display, lambda filename: filename
        monkeypatch.setitem(sys.modules, "IPython", ipython)
        monkeypatch.setitem(sys.modules, "IPython.display", module)
        path = tmp_path / "curves.png"
        train([LivePlot(path, every_seconds=0)], epochs=3, progress=False)
        assert shown == [("displayed", str(path)), ("updated", str(path)), ("updated", str(path))]


class TestTheOrder:
    def test_moments_in_order_and_last_ones_last(self):
        events = []

        class Note(Callback):
            def __init__(self, name, last=False):
                self.name = name
                self.last = last

        def note(moment):
            def method(self, trainer, *arguments):
                events.append((self.name, moment, *arguments[:2]))

            return method

        for moment in vars(Callback):
            if moment.startswith("on_"):
                setattr(Note, moment, note(moment))
        train([Note("a", last=True), Note("b")], epochs=2)
        expected = [("on_train_begin",)]
        for epoch in (1, 2):
            expected.append(("on_epoch_begin", epoch))
            for batch in (1, 2):
                expected.append(("on_train_batch_begin", epoch, batch))
                expected.append(("on_train_batch_end", epoch, batch))
            expected += [("on_test_begin",), ("on_test_end",), ("on_epoch_end", epoch)]
        expected.append(("on_train_end",))
        found = [event[1:3] if event[1] == "on_epoch_end" else event[1:] for event in events]
        assert found == [event for event in expected for _ in "ba"]
        assert [event[0] for event in events] == ["b", "a"] * len(expected)

    def test_what_is_no_callback(self):
        with pytest.raises(TypeError, match=r"callbacks\[1\] is .*: write Callback\(\)"):
            train([Callback(), Callback])
        with pytest.raises(TypeError, match=r"callbacks\[0\] is 'stop', expected a Callback$"):
            train(["stop"])

    def test_an_epoch_that_is_resumed_does_not_begin_twice(self, tmp_path):
        begun = []

        class Note(Callback):
            def on_epoch_begin(self, trainer, epoch):
                begun.append(epoch)

        fit(build(), [Checkpoints(tmp_path, every_steps=1, keep=None)])
        trainer = build()
        trainer.resume(tmp_path / f"checkpoint-{BATCHES + 1:09d}.safetensors")
        fit(trainer, [Note()])
        assert begun == [3, 4]
