"""The documentation: its examples run, its links lead somewhere, and it can be built."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "mistakes" not in path.parts)
QUESTIONS = [
    "rotation",
    "correlation-or-convolution",
    "stride-in-backward",
    "caffe-col2im",
    "channels-back",
    "bias-gradient",
    "activation-derivative",
    "softmax-delta",
    "pooling",
    "weight-sharing",
    "exploding-gradients",
    "ceil-and-clamp",
    "vectorise",
    "adam-and-backprop",
    "full-mode",
]


def blocks(path: Path, language: str) -> list[str]:
    """Return what stands between the fences of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", path.read_text(), re.DOTALL | re.MULTILINE)


def named(path: Path) -> str:
    return path.relative_to(DOCS).with_suffix("").as_posix()


@pytest.mark.parametrize("path", [p for p in PAGES if blocks(p, "pycon")], ids=named)
def test_examples(path, algorithm, tmp_path, monkeypatch):
    """A page's examples run one after the other, and print what the page says."""
    algorithm("auto")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks(path, "pycon"):
        test = doctest.DocTestParser().get_doctest(block, names, named(path), str(path), 0)
        assert test.examples
        said: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
        runner.run(test, out=said.append, clear_globs=False)
        assert not said, "".join(said)
        names = test.globs


def test_every_question_has_its_page():
    assert {path.stem for path in (DOCS / "questions").glob("*.md")} == set(QUESTIONS)


@pytest.mark.parametrize("slug", QUESTIONS)
def test_a_question_is_answered_before_it_is_derived_and_shown(slug):
    text = (DOCS / "questions" / f"{slug}.md").read_text()
    marks = [text.index(mark) for mark in ("# ", "\n> ", "**In short.**", "## ", "```pycon")]
    assert marks == sorted(marks)
