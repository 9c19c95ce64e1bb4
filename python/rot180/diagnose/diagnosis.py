"""What a diagnosis is made of, whatever was judged: mistakes, findings, one report."""

from __future__ import annotations

from dataclasses import dataclass


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
    """

    array: str
    right: bool
    mistakes: tuple[Mistake, ...] = ()
    facts: tuple[str, ...] = ()


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
