"""How good "auto" is: its choice beside the algorithm that turned out to be the faster one."""

from __future__ import annotations

from typing import Any


def shares_of_the_better(results: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """The time of the faster algorithm over that of auto's choice, for each pass of a row that more
    than one can compute: 1 where auto comes to the faster one.
    """
    times: dict[tuple[str, str], dict[bool, float]] = {}
    for result in results:
        key = result["row"], result["pass"]
        times.setdefault(key, {})[result["auto"]] = result["milliseconds"]
    return {key: min(both.values()) / both[True] for key, both in times.items() if len(both) > 1}
