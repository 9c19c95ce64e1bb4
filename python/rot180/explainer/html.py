"""The page as one string: markup, style, scripts and data put together; it asks for no other file.

The scripts share one scope, in the order given here: a constant comes before what uses it.
"""

from __future__ import annotations

import json
import math
from importlib import resources
from typing import Any

from numpy.typing import NDArray

SCRIPTS = (
    "numbers.js",
    "convolution.js",
    "mistakes.js",
    "colours.js",
    "elements.js",
    "grid.js",
    "terms_panel.js",
    "arrays_view.js",
    "full_mode_view.js",
    "matrix_view.js",
    "controls.js",
    "state.js",
    "rendering.js",
    "listeners.js",
    "page.js",
)


def page_html(data: dict[str, Any]) -> str:
    """Return the page that shows `data`, which `state.js` describes."""
    parts = {
        "style": _file("page.css"),
        "script": "\n".join(_file(name) for name in SCRIPTS),
        "data": _json(data),
    }
    before, *rest = _file("page.html").split("{{")
    pieces = [before]
    for piece in rest:  # in one pass, so that no part is searched for the marks of another
        name, after = piece.split("}}", 1)
        pieces += [parts[name], after]
    return "".join(pieces)


def numbers(array: NDArray[Any]) -> dict[str, Any]:
    """Return an array as JSON can hold it; what is not finite as a string that Number() reads."""
    # A float32 is written with the fewest digits that tell it from others, as str() does.
    values = [float(str(value)) for value in array.ravel()]
    return {
        "shape": list(array.shape),
        "values": [value if math.isfinite(value) else _not_finite(value) for value in values],
    }


def _not_finite(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _json(data: dict[str, Any]) -> str:
    """JSON that cannot end the script element that it stands in."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _file(name: str) -> str:
    return resources.files(__package__).joinpath("page", name).read_text(encoding="utf-8")
