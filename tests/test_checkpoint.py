"""Checkpoints: the same bits after an interruption, and what is refused (F19 to F21, F23, F24)."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import rot180
from rot180.callbacks import Callback, Checkpoints, EarlyStopping
from rot180.losses import MeanSquaredError
from rot180.training.checkpoint import checkpoints_in, read_checkpoint, write_checkpoint
from small_training import BATCH_SIZE, BATCHES, EPOCHS, bits, build, dataset, fit, images


class StopAt(Callback):
    """Sends Ctrl-C after that many steps."""

    def __init__(self, step):
        self.step = step

    def on_train_batch_end(self, trainer, epoch, batch, logs):
        if trainer.optimizer.step_count == self.step:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture(scope="module")
def whole():
    """A training that was not interrupted, on two threads."""
    trainer = build()
    before = rot180.get_num_threads()
    rot180.set_num_threads(2)
    fit(trainer)
    rot180.set_num_threads(before)
    return bits(trainer)


@pytest.fixture
def stopped(tmp_path):
    """A folder with one checkpoint, of a training that was stopped in the middle of an epoch."""
    with pytest.raises(KeyboardInterrupt):
        fit(build(), [StopAt(BATCHES + 2), Checkpoints(tmp_path)])
    (tmp_path / "checkpoint-000000005.safetensors").unlink()
    return tmp_path


def only_path(folder):
    (path,) = checkpoints_in(folder).values()
    return path


def changed(path, **sections):
    """Write a checkpoint again with other sections; None leaves one out."""
    state = read_checkpoint(path) | sections
    write_checkpoint(path, {name: part for name, part in state.items() if part is not None})


class TestTheSameBits:
    @pytest.mark.parametrize("step", [1, 3, BATCHES, BATCHES + 1, 2 * BATCHES - 1, 3 * BATCHES])
    def test_stopped_by_ctrl_c_and_resumed_on_other_threads(
        self, tmp_path, whole, num_threads, step
    ):
        num_threads(1)
        with pytest.raises(KeyboardInterrupt):
            fit(build(), [StopAt(step), Checkpoints(tmp_path)])
        num_threads(3)
        trainer = build(seed=1)  # with other first weights
        assert trainer.resume(tmp_path) == max(tmp_path.iterdir())
        assert trainer.optimizer.step_count == step
        history = fit(trainer, [Checkpoints(tmp_path)])
        assert bits(trainer) == whole
        assert history.epochs == EPOCHS

    def test_stopped_in_a_validation(self, tmp_path, whole):
        """In which the model has its averaged weights, which no checkpoint may hold."""

        class Stop(Callback):
            def on_test_begin(self, trainer):
                if trainer.history.epochs == 1:
                    signal.raise_signal(signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            fit(build(), [Stop(), Checkpoints(tmp_path)])
        trainer = build(seed=1)
        assert trainer.resume(tmp_path).name == "checkpoint-000000010.safetensors"
        fit(trainer, [Checkpoints(tmp_path)])
        assert bits(trainer) == whole

    def test_from_every_checkpoint_there_is(self, tmp_path, whole):
        trainer = build()
        fit(trainer, [Checkpoints(tmp_path, every_steps=1, keep=None)])
        assert bits(trainer) == whole
        paths = checkpoints_in(tmp_path)
        assert list(paths) == list(range(1, EPOCHS * BATCHES + 1))
        for step, path in paths.items():
            trainer = build(seed=1)
            trainer.resume(path)
            assert trainer.optimizer.step_count == step
            fit(trainer)
            assert bits(trainer) == whole, step

    def test_from_before_the_validation_of_an_epoch(self, tmp_path, whole):
        class Save(Callback):
            last = True

            def on_train_batch_end(self, trainer, epoch, batch, logs):
                if (epoch, batch) == (2, BATCHES):
                    trainer.save_checkpoint(tmp_path / "c")

        fit(build(), [Save()])
        trainer = build(seed=1)
        trainer.resume(tmp_path / "c")
        fit(trainer)
        assert bits(trainer) == whole

    def test_a_schedule_by_hand(self, tmp_path):
        class Decay(Callback):
            def on_train_batch_end(self, trainer, epoch, batch, logs):
                trainer.optimizer.lr *= 0.9

        def train(trainer, *callbacks):
            trainer.fit(dataset(), epochs=3, batch_size=6, callbacks=[Decay(), *callbacks])

        trainer, resumed = build(), build()
        train(trainer)
        with pytest.raises(KeyboardInterrupt):
            train(build(), StopAt(7), Checkpoints(tmp_path))
        resumed.resume(tmp_path)
        assert resumed.optimizer.lr == pytest.approx(0.01 * 0.9**7)
        train(resumed)
        assert bits(resumed) == bits(trainer)

    def test_a_seed_that_nobody_gave(self, tmp_path):
        class Save(Callback):
            last = True

            def on_train_batch_end(self, trainer, epoch, batch, logs):
                if (epoch, batch) == (2, 2):
                    trainer.save_checkpoint(tmp_path / "c")

        trainer, resumed = build(), build()
        fit(trainer, [Save()], seed=None)
        resumed.resume(tmp_path / "c")
        fit(resumed, seed=None)
        assert bits(resumed) == bits(trainer)

    def test_a_validation_split(self, tmp_path):
        options = {"validation_data": None, "validation_split": 0.3}
        trainer, resumed = build(), build()
        fit(trainer, **options)
        with pytest.raises(KeyboardInterrupt):
            fit(build(), [StopAt(6), Checkpoints(tmp_path)], **options)
        resumed.resume(tmp_path)
        fit(resumed, **options)
        assert bits(resumed) == bits(trainer)

    def test_more_epochs_than_before(self, tmp_path, whole):
        fit(build(), [Checkpoints(tmp_path)], epochs=2)
        trainer = build(seed=1)
        trainer.resume(tmp_path)
        fit(trainer)
        assert bits(trainer) == whole

    def test_a_training_that_had_come_to_its_end(self, tmp_path, whole):
        fit(build(), [Checkpoints(tmp_path)])
        trainer = build(seed=1)
        trainer.resume(tmp_path)
        fit(trainer)
        assert bits(trainer) == whole

    def test_a_training_that_was_stopped_early(self, tmp_path):
        class Stop(Callback):
            def on_epoch_end(self, trainer, epoch, logs):
                trainer.stop_training = epoch == 2

        trainer = build()
        fit(trainer, [Checkpoints(tmp_path), Stop()])
        resumed = build(seed=1)
        resumed.resume(tmp_path)
        assert fit(resumed, [Stop()]).epochs == 2
        assert bits(resumed) == bits(trainer)

    def test_a_second_fit_begins_anew(self, stopped):
        trainer = build()
        trainer.resume(stopped)
        fit(trainer)
        assert fit(trainer, epochs=1).epochs == 1
        assert trainer.optimizer.step_count == (EPOCHS + 1) * BATCHES

    def test_the_weights_are_there_at_once(self, stopped):
        trainer, model = build(seed=1), build(seed=2).model
        trainer.resume(stopped)
        rot180.io.load_weights(only_path(stopped), model)
        x = images(3)[0]
        assert np.array_equal(trainer.predict(x), model.forward(x))


TRAINING = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from rot180.callbacks import Callback, Checkpoints
    from small_training import bits, build, fit

    class Tell(Callback):
        last = True

        def on_train_batch_end(self, trainer, epoch, batch, logs):
            print(trainer.optimizer.step_count, flush=True)

    folder, every = sys.argv[1], int(sys.argv[2])
    trainer = build(seed=int(os.path.exists(folder)))
    trainer.resume(folder, missing_ok=True)
    fit(trainer, [Checkpoints(folder, every_steps=every, keep=2), Tell()], epochs=250)
    print(bits(trainer))
"""


def test_killed_at_thirty_moments(tmp_path):
    """Each time by SIGKILL, and resumed on another number of threads."""
    program = textwrap.dedent(TRAINING.format(tests=str(Path(__file__).parent)))

    def start(folder, every, threads):
        return subprocess.Popen(
            [sys.executable, "-c", program, str(folder), str(every)],
            env=os.environ | {"ROT180_NUM_THREADS": str(threads)},
            stdout=subprocess.PIPE,
            text=True,
        )

    rng = np.random.default_rng(0)
    steps = []
    for life in range(30):
        with start(tmp_path / "killed", 1, 1 + life % 3) as process:
            for _ in range(rng.integers(1, 12)):
                line = process.stdout.readline()
            time.sleep(rng.uniform(0, 0.004))
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
        steps.append(int(line))
    assert len(set(steps)) > 20, "it went on each time"
    with (
        start(tmp_path / "killed", 1000, 1) as resumed,
        start(tmp_path / "whole", 1000, 2) as whole,
    ):
        outputs = [process.communicate(timeout=100)[0].splitlines() for process in (resumed, whole)]
    assert len(outputs[0]) < len(outputs[1]) == 250 * BATCHES + 1
    assert outputs[0][-1] == outputs[1][-1]


class TestResume:
    def test_nothing_to_resume_from(self, tmp_path):
        trainer = build()
        for path in (tmp_path, tmp_path / "nowhere"):
            with pytest.raises(FileNotFoundError, match=str(path)):
                trainer.resume(path)
            assert trainer.resume(path, missing_ok=True) is None
        assert fit(trainer, epochs=1).epochs == 1

    def test_a_damaged_one_is_passed_over_with_a_warning(self, tmp_path, whole):
        fit(build(), [Checkpoints(tmp_path, keep=None)], epochs=3)
        *_, good, bad = checkpoints_in(tmp_path).values()
        bad.write_bytes(bad.read_bytes()[:-1])
        trainer = build(seed=1)
        with pytest.warns(UserWarning, match=f"resumed from {good}: {bad} is damaged"):
            assert trainer.resume(tmp_path) == good
        fit(trainer, [Checkpoints(tmp_path)])  # which overwrites the damaged one
        assert bits(trainer) == whole
        for path in checkpoints_in(tmp_path).values():
            read_checkpoint(path)

    def test_a_damaged_one_of_later_steps_drives_no_good_one_out(self, tmp_path):
        fit(build(), [Checkpoints(tmp_path, keep=2)], epochs=3)
        max(tmp_path.iterdir()).write_bytes(b"")
        trainer = build()
        with pytest.warns(UserWarning, match="resumed from"):
            trainer.resume(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            fit(trainer, [Checkpoints(tmp_path, every_steps=1, keep=1), StopAt(12)])
        assert list(checkpoints_in(tmp_path)) == [12, 15]
        with pytest.warns(UserWarning, match="resumed from"):
            assert build().resume(tmp_path) == checkpoints_in(tmp_path)[12]

    def test_when_all_are_damaged_it_says_what_is_wrong_with_the_last(self, tmp_path):
        fit(build(), [Checkpoints(tmp_path)], epochs=2)
        for path in checkpoints_in(tmp_path).values():
            path.write_bytes(b"")
        for missing_ok in (False, True):
            with pytest.raises(ValueError, match=r"checkpoint-000000010\.safetensors has 0 bytes"):
                build().resume(tmp_path, missing_ok=missing_ok)

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            ({"filters": 3}, ["0.weight has shape (3, 3, 1, 4)", "another model"]),
            ({"optimizer": rot180.optim.SGD}, ["the state is of optimizer 'Adam'", "'SGD'"]),
        ],
    )
    def test_another_model_or_optimizer_is_refused(self, stopped, options, words):
        trainer = build(**options)
        before = {name: a.copy() for name, a in rot180.io.model_tensors(trainer.model).items()}
        with pytest.raises(ValueError) as caught:
            trainer.resume(stopped)
        for word in [str(only_path(stopped)), *words]:
            assert word in str(caught.value)
        for name, array in rot180.io.model_tensors(trainer.model).items():
            assert np.array_equal(array, before[name])
        assert trainer.optimizer.step_count == 0

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"batch_size": 7}, "batch_size=6, this fit has 7"),
            ({"seed": 8}, "seed=7, this fit has 8"),
            ({"shuffle": False}, "shuffle=True, this fit has False"),
            ({"validation_data": None}, "its history has .*'val_loss'"),
            (
                {"validation_data": None, "validation_split": 0.2},
                "samples=27, this fit has 22",
            ),
            ({"epochs": 1}, None),
        ],
    )
    def test_another_training_is_refused_and_the_same_then_goes_on(
        self, tmp_path, whole, options, message
    ):
        with pytest.raises(KeyboardInterrupt):
            fit(build(), [StopAt(2 * BATCHES + 1), Checkpoints(tmp_path)])
        trainer = build(seed=1)
        trainer.resume(tmp_path)
        with pytest.raises(ValueError, match=message or "it has 2 epochs behind it"):
            fit(trainer, **options)
        fit(trainer)
        assert bits(trainer) == whole

    def test_other_metrics_are_refused(self, stopped):
        trainer = build(metrics=[])
        trainer.resume(stopped)
        with pytest.raises(ValueError, match=r"the figures \['loss', 'accuracy'\]"):
            fit(trainer)

    def test_a_callback_that_is_missing_is_named(self, stopped, whole):
        trainer = build(seed=1)
        trainer.resume(stopped)
        with pytest.raises(ValueError, match="a state of 'EarlyStopping'"):
            trainer.fit(
                dataset(),
                epochs=EPOCHS,
                batch_size=BATCH_SIZE,
                validation_data=images(10, 1),
                seed=7,
            )
        fit(trainer)
        assert bits(trainer) == whole

    def test_callbacks_without_a_state_may_come_and_go(self, stopped, whole):
        trainer = build(seed=1)
        trainer.resume(stopped)
        fit(trainer, [Callback()])
        assert bits(trainer) == whole

    def test_nothing_to_save_before_a_training(self, stopped, tmp_path):
        trainer = build()
        with pytest.raises(RuntimeError, match="no training has begun"):
            trainer.save_checkpoint(tmp_path / "c")
        trainer.resume(stopped)
        with pytest.raises(RuntimeError, match="no training has begun"):
            trainer.save_checkpoint(tmp_path / "c")
        assert not (tmp_path / "c").exists()


class TestBadFiles:
    def assert_refused(self, folder, *words):
        trainer = build(seed=1)
        before = [parameter.value.copy() for parameter in trainer.model.parameters()]
        path = only_path(folder)
        with pytest.raises(ValueError) as caught:
            trainer.resume(path)
        for word in (str(path), *words):
            assert word in str(caught.value)
        for array, parameter in zip(before, trainer.model.parameters(), strict=True):
            assert np.array_equal(array, parameter.value)
        assert trainer.optimizer.step_count == 0
        assert fit(trainer, epochs=1).epochs == 1, "it begins anew"

    @pytest.mark.parametrize(
        "section", ["model", "optimizer", "generators", "position", "history", "callbacks"]
    )
    @pytest.mark.parametrize("wrong", [None, 3, [1]])
    def test_sections_that_are_missing_or_no_sections(self, stopped, section, wrong):
        changed(only_path(stopped), **{section: wrong})
        self.assert_refused(stopped, f"misses '{section}'")

    def test_arrays_that_are_missing(self, stopped):
        path = only_path(stopped)
        state = read_checkpoint(path)
        del state["model"]["1.running_mean"], state["optimizer"]["m"]["0.bias"]
        write_checkpoint(path, state)
        self.assert_refused(stopped, "misses '1.running_mean'")
        state["model"]["1.running_mean"] = np.zeros(4, np.float32)
        write_checkpoint(path, state)
        self.assert_refused(stopped, "misses 'm' of '0.bias'")

    def test_something_else_where_arrays_should_be(self, stopped):
        path = only_path(stopped)
        state = read_checkpoint(path)
        state["model"]["0.bias"] = [0.0] * 4
        write_checkpoint(path, state)
        self.assert_refused(stopped, "something else than arrays")

    @pytest.mark.parametrize(
        "position",
        [
            {"seed": -1},
            {"seed": "7"},
            {"batch": BATCHES + 1},
            {"batch": 1.5},
            {"batch_size": 0},
            {"epoch": 0},
            {"epoch": True},
            {"samples": 0},
            {"shuffle": 1},
            {"names": "loss"},
            {"names": [1, 2]},
            {"sums": [1.0]},
            {"sums": ["a", "b"]},
            {"averaged": None},
            {"seconds": float("nan")},
            {"seconds": -1.0},
        ],
    )
    def test_positions(self, stopped, position):
        path = only_path(stopped)
        changed(path, position=read_checkpoint(path)["position"] | position)
        self.assert_refused(stopped, next(iter(position)))

    @pytest.mark.parametrize(
        "history",
        [
            {},
            {"names": ["loss"], "columns": {}},
            {"names": [["loss"]], "columns": {"loss": np.zeros(1)}},
            {"names": ["loss"], "columns": {"loss": np.zeros((1, 1))}},
            {"names": ["loss"], "columns": {"loss": np.zeros(1, np.int64)}},
            {"names": ["a", "b"], "columns": {"a": np.zeros(1), "b": np.zeros(2)}},
        ],
    )
    def test_histories(self, stopped, history):
        changed(only_path(stopped), history=history)
        self.assert_refused(stopped, "history")

    @pytest.mark.parametrize(
        "generators",
        [
            {},
            {"2.rng": {}, "3.rng": {}},
            {"2.rng": 3},
            {"2.rng": {}},
            {"2.rng": {"bit_generator": "PCG64"}},
            {"2.rng": {"bit_generator": "PCG64", "state": {"state": -1, "inc": 1}}},
            {"2.rng": {"bit_generator": "MT19937", "state": {"key": np.zeros(3), "pos": 0}}},
        ],
    )
    def test_random_generators(self, stopped, generators):
        changed(only_path(stopped), generators=generators)
        self.assert_refused(stopped, "random generator")

    @pytest.mark.parametrize("lr", [None, -1.0, float("nan"), "fast"])
    def test_learning_rates(self, stopped, lr):
        path = only_path(stopped)
        optimizer = read_checkpoint(path)["optimizer"]
        optimizer["groups"][0]["lr"] = lr
        changed(path, optimizer=optimizer)
        self.assert_refused(stopped, "groups[0]: lr must be")

    def test_weights_are_no_checkpoint(self, stopped):
        rot180.io.save_weights(only_path(stopped), build().model)
        self.assert_refused(stopped, "has the format 'rot180 weights, version 1'")

    def test_truncated_anywhere(self, stopped):
        path = only_path(stopped)
        data = path.read_bytes()
        trainer = build()
        for length in range(0, len(data), 97):
            path.write_bytes(data[:length])
            with pytest.raises(ValueError, match=str(path)):
                trainer.resume(path)

    @pytest.mark.parametrize(
        "text", ["", "[]", "3", "{", "[" * 100_000, '{"model":', '{"model": 1e999}']
    )
    def test_states_that_are_no_json(self, stopped, text):
        rot180.io.write_tensors(
            only_path(stopped), {}, {"format": rot180.io.CHECKPOINT_FORMAT, "state": text}
        )
        self.assert_refused(stopped)

    def test_arrays_without_a_place(self, tmp_path):
        for name in ("a/b", "c/d", "e/f/g", "x"):
            rot180.io.write_tensors(
                tmp_path / "c",
                {name: np.zeros(1)},
                {"format": rot180.io.CHECKPOINT_FORMAT, "state": '{"c": 1, "e": {}, "x": 0}'},
            )
            with pytest.raises(ValueError, match=f"no place for '{name}'"):
                read_checkpoint(tmp_path / "c")


class TestStates:
    def test_what_comes_back(self, tmp_path):
        state = {
            "none": None,
            "flag": True,
            "number": 2**100,
            "tenth": 0.1,
            "infinite": float("-inf"),
            "text": "é",
            "list": [1, [2.5, "a"], {"b": None}],
            "nested": {"empty": {}, "array": np.arange(6, dtype=np.uint32).reshape(2, 3)},
            "scalar": np.float64(1.5),
            "zero-dimensional": np.array(3, np.int8),
        }
        write_checkpoint(tmp_path / "c", state)
        back = read_checkpoint(tmp_path / "c")
        array = back["nested"].pop("array")
        scalar = back.pop("zero-dimensional")
        assert array.dtype == np.uint32
        assert np.array_equal(array, state["nested"].pop("array"))
        assert (scalar.shape, scalar.dtype, int(scalar)) == ((), np.int8, 3)
        assert back == {name: part for name, part in state.items() if name in back}
        assert type(back["scalar"]) is float

    @pytest.mark.parametrize(
        ("state", "error", "message"),
        [
            ({"a": {"b": object()}}, TypeError, "object at 'a/b'"),
            ({"a": {1: 2}}, ValueError, "the key 1"),
            ({"a/b": 1}, ValueError, "the key 'a/b'"),
            ({"a": [np.zeros(1)]}, TypeError, "ndarray at 'a'"),
            ({"a": [{"b": np.zeros(1)}]}, TypeError, "an array in a list at 'a'"),
            ({"a": np.array(["x"])}, TypeError, "a has dtype <U1"),
            ({"a": "x" * 2**20}, ValueError, "a header of"),
        ],
    )
    def test_what_is_refused(self, tmp_path, state, error, message):
        with pytest.raises(error, match=message):
            write_checkpoint(tmp_path / "c", state)
        assert list(tmp_path.iterdir()) == []


class TestCheckpoints:
    def test_the_last_ones_are_kept(self, tmp_path):
        fit(build(), [Checkpoints(tmp_path / "a" / "b", every_steps=2, keep=4)])
        assert list(checkpoints_in(tmp_path / "a" / "b")) == [14, 16, 18, 20]
        fit(build(), [Checkpoints(tmp_path / "c", every_epochs=3, keep=None)])
        assert list(checkpoints_in(tmp_path / "c")) == [3 * BATCHES]
        fit(build(), [Checkpoints(tmp_path / "d", keep=1)])
        assert [path.name for path in (tmp_path / "d").iterdir()] == [
            "checkpoint-000000020.safetensors"
        ]

    @pytest.mark.parametrize("option", ["every_steps", "every_epochs", "keep"])
    def test_options(self, tmp_path, option):
        with pytest.raises(ValueError, match=f"{option} must be from 1"):
            Checkpoints(tmp_path, **{option: 0})

    def test_another_trainings_folder_is_refused(self, tmp_path):
        fit(build(), [Checkpoints(tmp_path)])
        with pytest.raises(ValueError, match=r"was written after 10 steps.*after 0: call trainer"):
            fit(build(), [Checkpoints(tmp_path)])
        assert list(checkpoints_in(tmp_path)) == [10, 15, 20]

    def test_other_files_in_the_folder_are_left_alone(self, tmp_path):
        names = ["checkpoint-1.safetensors", "checkpoint-000000001.safetensors.bak", "notes.txt"]
        for name in names:
            (tmp_path / name).touch()
        fit(build(), [Checkpoints(tmp_path, keep=1)])
        assert {path.name for path in tmp_path.iterdir()} == {
            *names,
            "checkpoint-000000020.safetensors",
        }

    def test_what_killed_processes_have_left_is_removed_when_it_is_old(self, tmp_path):
        for name, age in ((".rot180-old.tmp", 3700), (".rot180-new.tmp", 60)):
            (tmp_path / name).touch()
            moment = time.time() - age
            os.utime(tmp_path / name, (moment, moment))
        fit(build(), [Checkpoints(tmp_path)], epochs=1)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            ".rot180-new.tmp",
            "checkpoint-000000005.safetensors",
        ]

    def test_a_full_disk(self, tmp_path, monkeypatch):
        class Fill(Callback):
            def on_epoch_end(self, trainer, epoch, logs):
                if epoch == 3:
                    monkeypatch.setattr(os, "fsync", full)

        def full(descriptor):
            raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.raises(OSError, match="No space left"):
            fit(build(), [Fill(), Checkpoints(tmp_path, keep=1)])
        monkeypatch.undo()
        trainer = build()
        assert trainer.resume(tmp_path).name == "checkpoint-000000010.safetensors"
        assert len(list(tmp_path.iterdir())) == 1

    def test_a_short_write(self, tmp_path):
        class Limit(Callback):
            def on_epoch_end(self, trainer, epoch, logs):
                if epoch == 2:  # files may have 2000 bytes: the system writes so many and no more
                    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))

        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        try:
            with pytest.raises(OSError, match="File too large"):
                fit(build(), [Limit(), Checkpoints(tmp_path, keep=1)])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert build().resume(tmp_path).name == "checkpoint-000000005.safetensors"
        assert len(list(tmp_path.iterdir())) == 1

    def test_two_writers_and_a_reader(self, tmp_path):
        path = tmp_path / "c"
        states = [{"number": n, "array": np.full(50_000, n)} for n in (1, 2)]
        write_checkpoint(path, states[0])
        done = threading.Event()

        def write(state):
            while not done.is_set():
                write_checkpoint(path, state)

        threads = [threading.Thread(target=write, args=(state,)) for state in states]
        for thread in threads:
            thread.start()
        try:
            for _ in range(40):
                state = read_checkpoint(path)
                assert (state["array"] == state["number"]).all()
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert [entry.name for entry in tmp_path.iterdir()] == ["c"]

    def test_a_loss_that_is_not_finite_keeps_the_last_good_one(self, tmp_path):
        class Poison(Callback):
            def on_train_batch_end(self, trainer, epoch, batch, logs):
                if (epoch, batch) == (2, 3):
                    trainer.model[0].weight.value[0, 0] = np.inf

        with pytest.raises(FloatingPointError, match="the loss is nan in epoch 2, step 4 of 5"):
            fit(build(), [Poison(), Checkpoints(tmp_path, every_steps=1)])
        trainer = build()
        assert trainer.resume(tmp_path).name == "checkpoint-000000007.safetensors"
        assert all(np.isfinite(p.value).all() for p in trainer.model.parameters())

    def test_it_comes_after_the_others(self, tmp_path, whole):
        class Count(Callback):
            steps = 0

            def on_train_batch_end(self, trainer, epoch, batch, logs):
                self.steps += 1

            def state_dict(self):
                return {"steps": self.steps}

        fit(build(), [Checkpoints(tmp_path, every_steps=3, keep=None), Count()])
        for step, path in checkpoints_in(tmp_path).items():
            assert read_checkpoint(path)["callbacks"]["Count"] == {"steps": step}


def test_callbacks_of_one_class_each_get_their_own_state(tmp_path):
    def stops():
        return [EarlyStopping("loss", patience=50), EarlyStopping("accuracy", patience=60)]

    trainer = build()
    options = {"epochs": 2, "batch_size": BATCH_SIZE}
    trainer.fit(dataset(), callbacks=stops(), **options)
    trainer.save_checkpoint(tmp_path / "c")
    states = read_checkpoint(tmp_path / "c")["callbacks"]
    assert states["EarlyStopping"]["best"] == min(trainer.history["loss"])
    assert states["EarlyStopping#2"]["best"] == max(trainer.history["accuracy"])
    resumed = build()
    resumed.resume(tmp_path / "c")
    callbacks = stops()
    resumed.fit(dataset(), callbacks=callbacks, **options)
    assert [callback.state_dict()["best"] for callback in callbacks] == [
        min(trainer.history["loss"]),
        max(trainer.history["accuracy"]),
    ]


def test_float64_and_another_loss(tmp_path):
    def make():
        rng = np.random.default_rng(0)
        model = rot180.Sequential([rot180.Linear(3, 1, rng=rng, dtype=np.float64)])
        sgd = rot180.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        return rot180.Trainer(model, sgd, MeanSquaredError(), metrics=["mean_absolute_error"])

    x = np.random.default_rng(1).normal(size=(20, 3))
    whole, stopped, resumed = make(), make(), make()
    for trainer, epochs in ((whole, 5), (stopped, 3)):
        trainer.fit(x, x[:, :1], epochs=epochs, batch_size=6)
    stopped.save_checkpoint(tmp_path / "c")
    resumed.resume(tmp_path / "c")
    resumed.fit(x, x[:, :1], epochs=5, batch_size=6)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert one.value.tobytes() == other.value.tobytes()
    assert whole.history["mean_absolute_error"] == resumed.history["mean_absolute_error"]
