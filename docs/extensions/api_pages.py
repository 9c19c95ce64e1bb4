"""Writes the pages of the API reference: one for each module that users call, from __all__."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

# Module and title.
MODULES = {
    "rot180.functional": "Functions on arrays",
    "rot180.reference": "The same in plain NumPy",
    "rot180.teaching": "Pieces of the derivation",
    "rot180.teaching.loops": "The passes as loops",
    "rot180.diagnose": "Naming mistakes",
    "rot180.explainer": "Showing the passes",
    "rot180.gradient_check": "Checking gradients by differences",
    "rot180.layers": "Layers",
    "rot180.losses": "Losses",
    "rot180.optim": "Optimizers",
    "rot180.optim.schedules": "Learning rates that change",
    "rot180.training.trainer": "Training",
    "rot180.callbacks": "Callbacks",
    "rot180.models": "The zoo",
    "rot180.data": "Data",
    "rot180.metrics": "Metrics",
    "rot180.init": "First weights",
    "rot180.io": "Files",
    "rot180.training.checkpoint": "Checkpoints",
    "rot180.memory": "Memory",
    "rot180.runtime": "Threads, instruction sets, algorithms",
}


def write_pages(app: Sphinx) -> None:
    """Write api/<module>.rst and api/index.md."""
    folder = Path(app.srcdir, "api")
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, title in MODULES.items():
        (folder / f"{name}.rst").write_text(_page(name, title))
    listed = "\n".join(f"{name}" for name in MODULES)
    (folder / "index.md").write_text(f"# API\n\n```{{toctree}}\n:maxdepth: 1\n\n{listed}\n```\n")


def _page(name: str, title: str) -> str:
    module = importlib.import_module(name)
    heading = f"{title}: {name.removeprefix('rot180.')}"
    lines = [heading, "=" * len(heading), "", f".. module:: {name}", "", inspect.getdoc(module), ""]
    members = [n for n in _names(module) if not inspect.ismodule(getattr(module, n))]
    members.sort(key=lambda n: inspect.isclass(getattr(module, n)))  # functions first
    for member in members:
        value = getattr(module, member)
        kind = "autoclass" if inspect.isclass(value) else "autofunction" if callable(value) else ""
        if kind:
            lines += [f".. {kind}:: {member}", ""]
    return "\n".join(lines)


def _names(module: object) -> list[str]:
    names = getattr(module, "__all__", None)
    if names is not None:
        return list(names)
    return [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", None) == module.__name__ and not name.startswith("_")
    ]


def escape_formulas(
    app: Sphinx, what: str, name: str, of: Any, options: Any, lines: list[str]
) -> None:
    """Keep a * b and |d| as they are: docstrings are for terminals too, and emphasise nothing."""
    in_example = False
    for i, line in enumerate(lines):
        in_example = bool(line.strip()) and (in_example or line.lstrip().startswith(">>>"))
        if not in_example:
            parts = re.split(r"(`+[^`]*`+)", line)
            lines[i] = "".join(
                part if part.startswith("`") else re.sub(r"([*|])", r"\\\1", part) for part in parts
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    app.connect("builder-inited", write_pages)
    app.connect("autodoc-process-docstring", escape_formulas, priority=100)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
