"""The directive ``{commands}``: runs command lines while the site is built, and shows their output.

They run in a copy of the gallery, one for each page, so that one command finds what another wrote.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import rot180


class Commands(SphinxDirective):
    """Each line of the content is a command; one that ends in a backslash goes on."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return what a terminal would show."""
        data = self.env.temp_data  # of this page
        folder = data.get("gallery") or data.setdefault("gallery", _copy_of_the_gallery())
        lines: list[str] = []
        for command in "\n".join(self.content).replace("\\\n", "\\\0").splitlines():
            shown = command.replace("\0", "\n")
            lines += [f"$ {shown}", *_output(shown, Path(folder.name)).splitlines()]
        block = nodes.literal_block("\n".join(lines), "\n".join(lines))
        block["language"] = "console"
        return [block]


def _copy_of_the_gallery() -> tempfile.TemporaryDirectory[str]:
    folder = tempfile.TemporaryDirectory(prefix="rot180-docs-")
    source = Path(__file__).parent.parent / "gallery"
    for path in (*source.glob("m*.py"), *source.glob("cpp/*")):
        shutil.copy(path, folder.name)
    # The command of this very package, whether it is installed or not.
    command = Path(folder.name, "bin", "rot180")
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rot180 "$@"\n')
    command.chmod(0o755)
    return folder


def _output(command: str, folder: Path) -> str:
    package = Path(rot180.__file__).parent.parent
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{package}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode not in (0, 1):  # 1 says that there is a mistake
        raise RuntimeError(f"{command}\nfailed: {done.stdout}")
    return done.stdout


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directive."""
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
