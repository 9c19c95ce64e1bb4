"""What the gallery holds: one file for each mistake, as somebody might have written it.

The name of the function in a file says what it is, and so which judge of `rot180.diagnose` it comes
before.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rot180 import diagnose

HERE = Path(__file__).parent

# Four digits, of 64 grey values each: a training step is judged by what it does to them.
DIGITS = np.random.default_rng(0).uniform(size=(4, 64))
LABELS = np.array([3, 1, 4, 1])

# What is judged, by its name: the call of rot180.diagnose, and what it is told beside the function.
JUDGES: dict[str, tuple[str, dict[str, Any]]] = {
    "backward": ("conv2d_backward", {}),
    "sigmoid_backward": ("activation_backward", {"name": "sigmoid"}),
    "max_pool_backward": ("max_pool2d_backward", {}),
    "avg_pool_backward": ("avg_pool2d_backward", {}),
    "softmax_cross_entropy_backward": ("softmax_cross_entropy_backward", {}),
    "Model": ("training_step", {"x": "DIGITS", "y": "LABELS", "lr": 0.1}),
    "sgd_step": ("sgd", {}),
    "adam_step": ("adam", {}),
    "Adam": ("adam", {}),
    "adam_layer": ("adam_layer", {}),
    "adamw_step": ("adam", {"weight_decay": 0.01, "decoupled": True}),
}
_NAMED: dict[Any, Any] = {"DIGITS": DIGITS, "LABELS": LABELS}


@dataclass(frozen=True)
class Exhibit:
    """One mistake: a file with a docstring that tells it, and the wrong code."""

    path: Path

    @property
    def name(self) -> str:
        """The file's name, "m01_kernel_not_rotated"."""
        return self.path.stem

    @property
    def code(self) -> str:
        """The mistake's number in the catalogue, "M1"."""
        return f"M{int(self.name[1:3])}"

    @cached_property
    def module(self) -> ModuleType:
        """The file, run."""
        spec = importlib.util.spec_from_file_location(self.name, self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    @property
    def kind(self) -> str:
        """What it is: a key of JUDGES."""
        return next(name for name in JUDGES if hasattr(self.module, name))

    @property
    def function(self) -> Callable[..., Any]:
        """The wrong function, or class."""
        return getattr(self.module, self.kind)

    @property
    def title(self) -> str:
        """The mistake in a line, without its full stop."""
        return self._paragraphs[0].rstrip(".")

    @property
    def story(self) -> list[str]:
        """The paragraphs between title and symptom."""
        return self._paragraphs[1:-1]

    @property
    def symptom(self) -> str:
        """What somebody who made it sees."""
        text = self._paragraphs[-1].removeprefix("Symptom: ")
        is_name = text.split()[0] in ("dx", "dw", "db", "y")
        return text if is_name else text[0].upper() + text[1:]

    @property
    def _paragraphs(self) -> list[str]:
        return [" ".join(part.split()) for part in inspect.getdoc(self.module).split("\n\n")]

    @property
    def source(self) -> str:
        """The code, without the docstring."""
        return self.path.read_text().split('"""', 2)[2].strip() + "\n"

    @property
    def options(self) -> dict[str, Any]:
        """What its judge is told beside the function."""
        return {**JUDGES[self.kind][1], **getattr(self.module, "LAYOUTS", {})}

    @property
    def call(self) -> str:
        """The call of its judge, as one would write it."""
        options = "".join(
            f", {name}={value if value in _NAMED else repr(value)}"
            for name, value in self.options.items()
        )
        return f"rot180.diagnose.{JUDGES[self.kind][0]}({self.kind}{options})"

    def diagnosis(self) -> diagnose.Diagnosis:
        """What its judge says."""
        judge: Callable[..., diagnose.Diagnosis] = getattr(diagnose, JUDGES[self.kind][0])
        options = {name: _NAMED.get(value, value) for name, value in self.options.items()}
        return judge(self.function, **options)


def exhibits() -> list[Exhibit]:
    """Return all of them, in the catalogue's order."""
    return [Exhibit(path) for path in sorted(HERE.glob("m[0-9][0-9]_*.py"))]
