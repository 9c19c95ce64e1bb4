"""The scripts in examples/ run and do what they say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

EXAMPLES = Path(__file__).parent.parent / "examples"


# The figure that each script prints last and what it must be at least or at most, and its pictures.
ABOUT_ALL = {
    "training_loop": (r"held-out images: (\S+)%", 97, ">=", []),
    "digits": (r"held-out images: (\S+)%", 98, ">=", ["digits-curves", "digits-doubts"]),
    "autoencoder": (r"variance: (\S+)%", 8, "<=", ["autoencoder"]),
    "feature_maps": (r"held-out images: (\S+)%", 97, ">=", ["feature_maps"]),
    "saliency": (r"held-out images: (\S+)%", 97, ">=", ["saliency"]),
    "fully_convolutional": (r"640: (\S+)", 1e-3, "<=", ["fully_convolutional"]),
}


def test_every_script_is_tested_here():
    assert set(ABOUT_ALL) == {path.stem for path in EXAMPLES.glob("*.py")}


@pytest.mark.parametrize("script", ABOUT_ALL)
def test_script(script, tmp_path):
    pattern, limit, relation, pictures = ABOUT_ALL[script]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / f"{script}.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    figure = float(re.search(pattern, done.stdout)[1])
    assert figure >= limit if relation == ">=" else figure <= limit, done.stdout
    losses = [float(text) for text in re.findall(r"loss (\S+)", done.stdout)]
    assert bool(losses) == (script == "training_loop")
    assert not losses or losses[-1] < 0.1 * losses[0]
    assert sorted(path.stem for path in tmp_path.glob("*.png")) == pictures
    for picture in pictures:
        with Image.open(tmp_path / f"{picture}.png") as image:
            assert image.width >= 800
            assert len(image.convert("RGB").getcolors(2**24)) > 100  # something is drawn


def test_the_python_in_the_readme():
    text = (EXAMPLES.parent / "README.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        exec(block, {})
