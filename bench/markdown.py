"""Generated Markdown: tables, and the parts of a file that are written anew by a program."""

from __future__ import annotations

from pathlib import Path


def table(columns: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rule = ["---"] * len(columns)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [columns, rule, *lines])


def write_part(path: Path, part: str, generated: str) -> None:
    """Exchange what stands in a file between the comments ``begin <part>`` and ``end <part>``."""
    begin, end = f"<!-- begin {part} -->", f"<!-- end {part} -->"
    before, found, rest = path.read_text().partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"{path} lacks {begin} with {end} after it")
    path.write_text(f"{before}{begin}\n\n{generated.rstrip()}\n\n{end}{after}")
