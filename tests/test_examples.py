"""The scripts in examples/ run and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_training_loop():
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / "training_loop.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    losses = [float(text) for text in re.findall(r"loss (\S+)", done.stdout)]
    assert losses[-1] < 0.1 * losses[0]
    accuracy = re.search(r"held-out images: (\S+)%", done.stdout)
    assert float(accuracy[1]) >= 97


def test_the_python_in_the_readme():
    text = (EXAMPLES.parent / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
