"""Choosing the instruction set, from Python and from the environment."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import rot180

AVAILABLE = rot180.build_info()["instruction_sets"]


def forced(name):
    return subprocess.run(
        [sys.executable, "-c", "import rot180; print(rot180.instruction_set())"],
        env=os.environ | {"ROT180_INSTRUCTION_SET": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_baseline_is_always_there_and_the_best_comes_first():
    assert AVAILABLE[-1] == "baseline"
    assert forced("").stdout.strip() == AVAILABLE[0]


@pytest.mark.parametrize("name", AVAILABLE)
def test_each_can_be_forced(name, instruction_set):
    instruction_set(name)
    assert rot180.instruction_set() == name
    assert forced(name).stdout.strip() == name


def test_unknown_names_raise():
    with pytest.raises(ValueError, match=r"'sse9' is unknown or not supported.*baseline"):
        rot180.set_instruction_set("sse9")
    result = forced("sse9")
    assert result.returncode != 0
    assert "ROT180_INSTRUCTION_SET 'sse9' is unknown" in result.stderr
