"""What a diagnosis is made of, whatever was judged: mistakes, findings, one report."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 100  # of a report's lines, but for code, which is not broken

RED, GREEN, YELLOW, BOLD, PLAIN = "\033[31m", "\033[32m", "\033[33m", "\033[1m", "\033[0m"


@dataclass(frozen=True)
class Mistake:
    """A mistake of the catalogue.

    Attributes
    ----------
    code : its number in the catalogue, "M12"
    name : the mistake in a clause, "the stride is forgotten in dx"
    reason : why it is wrong, in two sentences
    remedy : the line of NumPy that is right
    page : the page of the documentation that derives it, "rotation"
    """

    code: str
    name: str
    reason: str
    remedy: str
    page: str

    @property
    def page_path(self) -> str:
        """Where the page is in the repository."""
        return "docs/gallery.md" if self.page == "gallery" else f"docs/questions/{self.page}.md"


@dataclass(frozen=True)
class Finding:
    """What was found of one array that the user's code made.

    Attributes
    ----------
    array : its name, "dx", "dw", "db", "param"
    right : whether it is right on every probe
    mistakes : those that together reproduce the array to rounding; empty where it is right, and
        where none of the catalogue does
    facts : what is known of a wrong array, most telling first: its shape, where it is right, by
        which factor it is off, the terms of the first wrong cell
    alternatives : other mistakes that reproduce the array as well, where the probe cannot tell
    """

    array: str
    right: bool
    mistakes: tuple[Mistake, ...] = ()
    facts: tuple[str, ...] = ()
    alternatives: tuple[tuple[Mistake, ...], ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All findings; `problem` says why code or arrays could not be judged, else it is None."""

    findings: tuple[Finding, ...]
    problem: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether something was judged and all of it is right."""
        return self.problem is None and all(finding.right for finding in self.findings)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """The mistakes of all findings, each once."""
        found = [mistake for finding in self.findings for mistake in finding.mistakes]
        return tuple(dict.fromkeys(found))

    @property
    def exit_status(self) -> int:
        """0 for right, 1 for mistaken, 2 for what could not be judged."""
        return 2 if self.problem is not None else 0 if self.right else 1

    def text(self, *, colour: bool = False) -> str:
        """Return the report: for each array whether it is right, or its mistake and the mend."""
        paint = _paint if colour else _leave
        lines: list[str] = []
        if self.problem is not None:
            lines += _wrapped(f"{paint('cannot be judged', YELLOW)}: {self.problem}")
        for finding in self.findings:
            lines += _report(finding, paint)
        for note in self.notes:
            lines += _wrapped(f"note: {note}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def to_json(self) -> str:
        """Return everything as JSON; `from_json` reads it."""
        verdict = {"right": self.right, "exit_status": self.exit_status}
        return json.dumps({**verdict, **asdict(self)}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Diagnosis:
        """Read what `to_json` returned."""
        values = json.loads(text)
        return cls(
            tuple(_finding(finding) for finding in values["findings"]),
            values["problem"],
            tuple(values["notes"]),
        )


def _finding(values: dict[str, Any]) -> Finding:
    return Finding(
        values["array"],
        values["right"],
        _mistakes(values["mistakes"]),
        tuple(values["facts"]),
        tuple(_mistakes(mistakes) for mistakes in values["alternatives"]),
    )


def _mistakes(values: list[dict[str, str]]) -> tuple[Mistake, ...]:
    return tuple(Mistake(**mistake) for mistake in values)


def _report(finding: Finding, paint: Any) -> Iterator[str]:
    name = paint(finding.array, BOLD)
    if finding.right:
        yield f"{name}: {paint('right', GREEN)}"
    elif finding.mistakes:
        codes = _codes(finding.mistakes)
        either = "either " * bool(finding.alternatives)
        names = ", and ".join(mistake.name for mistake in finding.mistakes)
        yield from _wrapped(f"{name}: {paint(f'{either}{codes}', RED)}: {names}.")
        for mistakes in finding.alternatives:
            names = ", and ".join(mistake.name for mistake in mistakes)
            yield from _wrapped(f"or {paint(_codes(mistakes), RED)}: {names}.", 4)
    else:
        yield f"{name}: {paint('wrong', RED)}"
    for fact in finding.facts:
        first, *terms = fact.split("\n")
        yield from _wrapped(first, 4)
        yield from ("      " + term for term in terms)
    for mistake in finding.mistakes:
        yield from _wrapped(mistake.reason, 4)
        yield f"    right: {mistake.remedy}"
        yield f"    read:  {mistake.page_path}"


def _codes(mistakes: tuple[Mistake, ...]) -> str:
    return " with ".join(dict.fromkeys(mistake.code for mistake in mistakes))


def _wrapped(text: str, indent: int = 0) -> list[str]:
    lines = textwrap.wrap(
        text,
        WIDTH - indent,
        subsequent_indent="" if indent else "    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [" " * indent + line for line in lines]


def _paint(text: str, style: str) -> str:
    return f"{style}{text}{PLAIN}"


def _leave(text: str, style: str) -> str:
    return text
