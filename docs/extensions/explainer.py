"""The directive ``{explainer}``: a page of `rot180.explain`, made while the site is built.

````
```{explainer} name
:input: 5x5x2          as in the command rot180 explain
:view: full
```
````

or with ``:x:``, ``:w:`` and ``:dy:``, rows with ``;`` between them, for one channel and one filter.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import rot180
from rot180.cli import main

FOLDER = "explained"
COMMAND = ("input", "kernel", "filters", "stride", "padding", "dilation", "groups", "seed")
ARRAYS = ("x", "w", "dy")
SHOWN_FIRST = ("view", "mistake")


class Explainer(SphinxDirective):
    """Write the page into the site and show it in a frame."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = dict.fromkeys(
        (*COMMAND, *ARRAYS, *SHOWN_FIRST), directives.unchanged_required
    )

    def run(self) -> list[nodes.Node]:
        """Return the frame."""
        name = self.arguments[0]
        path = Path(self.env.app.outdir, FOLDER, f"{name}.html")
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, self.options)
        up = "../" * self.env.docname.count("/")
        return [nodes.raw("", _FRAME.format(url=f"{up}{FOLDER}/{name}.html"), format="html")]


_FRAME = """<div class="explainer">
<iframe src="{url}" title="The convolution and its gradients, term by term" loading="lazy"></iframe>
<p><a href="{url}">Open it on a page of its own</a></p>
</div>
"""


def _write(path: Path, options: dict[str, str]) -> None:
    first = {name: options[name] for name in SHOWN_FIRST if name in options}
    if "x" in options:
        x, w, dy = (_matrix(options[name]) for name in ARRAYS)
        rot180.explain(x, w, dy, **first).save(path)
        return
    given = {"filters": "1"} | {name: options[name] for name in COMMAND if name in options} | first
    arguments = [text for name, value in given.items() for text in (f"--{name}", value)]
    if main(["explain", *arguments, "--out", str(path)]) != 0:
        raise ValueError(f"rot180 explain {' '.join(arguments)} failed")


def _matrix(text: str) -> Any:
    return np.array([row.split() for row in text.split(";")], float)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("explainer", Explainer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
