"""The documentation: its examples run, its links lead somewhere, and it can be built."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

from rot180 import diagnose
from rot180.diagnose import Mistake, catalogue

DOCS = Path(__file__).parent.parent / "docs"
PAGES = sorted(path for path in DOCS.rglob("*.md") if "mistakes" not in path.parts)
ROOT = DOCS.parent
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


def blocks(path: Path) -> list[tuple[str, str]]:
    """Return language and text of a page's examples: what is Python and no fragment of it."""
    fenced = re.compile(r"^```(pycon|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return fenced.findall(path.read_text())


def named(path: Path) -> str:
    return path.relative_to(DOCS).with_suffix("").as_posix()


@pytest.mark.parametrize("path", [path for path in PAGES if blocks(path)], ids=named)
def test_examples(path, algorithm, tmp_path, monkeypatch):
    """A page's examples run one after the other, and print what the page says."""
    algorithm("auto")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for language, text in blocks(path):
        if language == "python":
            exec(text, names)
            continue
        test = doctest.DocTestParser().get_doctest(text, names, named(path), str(path), 0)
        assert test.examples
        said: list[str] = []
        doctest.DocTestRunner().run(test, out=said.append, clear_globs=False)
        assert not said, "".join(said)
        names = test.globs


def test_every_question_has_its_page():
    assert {path.stem for path in (DOCS / "questions").glob("*.md")} == {"index", *QUESTIONS}


@pytest.mark.parametrize("slug", QUESTIONS)
def test_a_question_is_answered_before_it_is_derived_and_shown(slug):
    text = (DOCS / "questions" / f"{slug}.md").read_text()
    marks = [text.index(mark) for mark in ("# ", "\n> ", "**In short.**", "## ", "```pycon")]
    assert marks == sorted(marks)


def mistakes_named_by(package) -> set[Mistake]:
    """Return what the modules of rot180.diagnose may say."""
    modules = [
        importlib.import_module(module.name)
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    ]
    held = {value for m in modules for value in vars(m).values() if isinstance(value, Mistake)}
    return held | {variant.mistake for variant in catalogue.VARIANTS}


def test_every_page_that_a_diagnosis_names_is_there():
    pages = {mistake.page_path for mistake in mistakes_named_by(diagnose)}
    assert len(pages) > 8
    assert [page for page in pages if not (ROOT / page).is_file()] == []


def test_the_site_reads_no_network():
    """Neither in its pages nor in what it is built with."""
    for path in (*PAGES, DOCS / "conf.py", *(DOCS / "extensions").glob("*.py")):
        loaded = re.findall(r"(?:src|href)=[\"']https?:|!\[[^]]*\]\(https?:", path.read_text())
        assert loaded == [], path
