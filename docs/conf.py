"""The documentation: ``sphinx-build -W -b html docs build/site``. It needs no network."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE / "gallery")]

from sphinx.application import Sphinx  # noqa: E402

import rot180  # noqa: E402

project = "rot180"
author = "The rot180 authors"
copyright = author  # noqa: A001
version = release = rot180.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "mathml",  # from here on, those of docs/extensions
    "api_pages",
    "mistake_pages",
    "commands",
    "explainer",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["gallery", "extensions", "decisions/README.md"]

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings say it
autodoc_default_options = {"members": True}
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_preprocess_types = False

html_theme = "furo"
html_title = "rot180"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

# Links that lead to files of the repository on GitHub, and to pages here.
MOVED = {
    "../../bench/RESULTS.md": "../results.md",
    "../docs/": "",
    "[shapes.py](shapes.py)": "`bench/shapes.py`",
}


def setup(app: Sphinx) -> None:
    """Let what was written to be read in the repository be read here too."""
    app.connect("source-read", _links_within_the_site)


def _links_within_the_site(app: Sphinx, name: str, content: list[str]) -> None:
    if name == "results":
        content[0] = (HERE.parent / "bench" / "RESULTS.md").read_text()
    for there, here in MOVED.items():
        content[0] = content[0].replace(there, here)
