"""Every kind of function that the command judges: in a process of its own, with options."""

from __future__ import annotations

import pytest

from rot180 import cli, diagnose
from rot180.diagnose.kinds import KINDS, judge_of, options_of

FILE = """
import numpy as np

class Adam:
    def __init__(self, params, lr):
        self.params, self.lr, self.t = params, lr, 0
        self.m, self.v = ([np.zeros_like(p) for p in params] for _ in range(2))

    def step(self, grads):
        self.t += 1
        for p, g, m, v in zip(self.params, grads, self.m, self.v):
            m[...], v[...] = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
            root = np.sqrt(v / (1 - 0.999**self.t) + 1e-6)
            p -= self.lr * m / (1 - 0.9**self.t) / root

def relu(dy, z):
    return dy * (z >= 0)

def forever(dy, z):
    while True:
        pass
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_judge_that_is_exported(kind):
    judge = judge_of(kind)
    assert getattr(diagnose, judge.__name__) is judge
    assert "fn" not in options_of(kind)


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["Adam", "--kind", "adam", "--option", "lr=0.5", "--option", "eps=1e-6"], 1, "param: M29"),
        (["relu", "--kind", "activation", "--option", "name=relu"], 1, "the derivative at 0 is 1"),
        (
            ["forever", "--kind", "activation", "--option", "name=relu", "--time-limit", "3"],
            2,
            "come to an end in 3 s in the call forever(",
        ),
    ],
)
def test_a_function_of_a_file_is_judged(file, capsys, arguments, status, told):
    name, *options = arguments
    assert cli.main(["diagnose", f"{file}:{name}", *options]) == status
    assert told in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("option", "told"),
    [("lr", "expected NAME=VALUE, got 'lr'"), ("speed=1", "--speed is not for kind adam")],
)
def test_wrong_options_are_told(file, capsys, option, told):
    arguments = ["diagnose", f"{file}:Adam", "--kind", "adam", "--option", option]
    try:
        status = cli.main(arguments)
    except SystemExit as error:
        status = error.code
    assert status == 2
    assert told in capsys.readouterr().err
