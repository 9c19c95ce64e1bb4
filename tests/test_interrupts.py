"""Ctrl-C: held back in a training, and nothing else changed (F24)."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from rot180.training.interrupts import Interrupts


def press():
    signal.raise_signal(signal.SIGINT)


def test_it_is_noted_and_delivered():
    with Interrupts() as interrupts:
        assert not interrupts.pending
        press()
        assert interrupts.pending
        with pytest.raises(KeyboardInterrupt):
            interrupts.deliver()
        assert not interrupts.pending
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def block(*happenings):
    """Let things happen inside the context, and return those that did."""
    happened = []
    try:
        with Interrupts():
            for happening in happenings:
                happened.append(happening)
                happening()
    except (KeyboardInterrupt, ZeroDivisionError) as error:
        happened.append(type(error))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return happened


def go_on():
    pass


def fail():
    raise ZeroDivisionError


def test_the_second_one_acts_at_once():
    assert block(press, press, go_on) == [press, press, KeyboardInterrupt]


def test_one_that_nobody_has_looked_at_is_delivered_at_the_end():
    assert block(press, go_on) == [press, go_on, KeyboardInterrupt]


def test_an_error_comes_before_it():
    assert block(press, fail) == [press, fail, ZeroDivisionError]


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL])
def test_where_it_is_ignored_or_ends_the_process(handler):
    before = signal.signal(signal.SIGINT, handler)
    try:
        with Interrupts():
            assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread():
    handlers = []

    def enter():
        with Interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert handlers == [signal.default_int_handler]


def test_a_training_in_a_process_of_its_own(tmp_path):
    """From a terminal: a checkpoint is there, and the bar has left the line."""
    program = """
        import sys, numpy as np, rot180
        model = rot180.Sequential([rot180.Linear(2, 1, rng=np.random.default_rng(0))])
        adam = rot180.optim.Adam(model.parameters())
        trainer = rot180.Trainer(model, adam, rot180.losses.MeanSquaredError())
        x, y = np.ones((4, 2), "f"), np.ones((4, 1), "f")
        class Tell(rot180.callbacks.Callback):
            def on_train_batch_end(self, trainer, epoch, batch, logs):
                print(trainer.optimizer.step_count, flush=True)
        keep = rot180.callbacks.Checkpoints(sys.argv[1], every_steps=10**9)
        try:
            trainer.fit(x, y, epochs=10**6, progress=True, callbacks=[keep, Tell()])
        except KeyboardInterrupt:
            print("stopped after", trainer.optimizer.step_count, flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(5):
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    steps = int(output.splitlines()[-1].removeprefix("stopped after "))
    assert [path.name for path in tmp_path.iterdir()] == [f"checkpoint-{steps:09d}.safetensors"]
    assert errors.endswith("\n")
    assert process.returncode == 0
