"""Judging a function of a user's file in a process of its own.

Whatever the file does (exit, crash, print without end, wait for input, never return), the process
that asked survives and learns in which call it happened.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from rot180.diagnose.callables import RaisedError
from rot180.diagnose.diagnosis import Diagnosis
from rot180.diagnose.kinds import judge_of

SECONDS = 60.0

# Options that name a function, in the same file or as OTHER.py:NAME.
FUNCTIONS = ("forward",)


def diagnose_file(
    function: str,
    kind: str = "conv2d",
    options: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
) -> Diagnosis:
    """Judge ``FILE.py:FUNCTION`` in a process of its own.

    Parameters
    ----------
    function
        The file, and the function's name in it; dots lead into a class: ``layer.py:Conv.backward``.
        Its imports are searched for in the file's folder first.
    kind
        A key of `rot180.diagnose.kinds.KINDS`.
    options
        Of the function that judges the kind, as JSON can hold them; forward names a function.
    seconds
        When to give up.

    Returns
    -------
    Diagnosis
        `problem` is set where the file cannot be run, or does not come to an end.
    """
    request = json.dumps({"function": function, "kind": kind, "options": dict(options or {})})
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report"
        process = subprocess.Popen(
            [sys.executable, "-m", "rot180.diagnose.isolation", str(report), request],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return _unfinished(report, f"{function} did not come to an end in {seconds:g} s")
        finally:
            # Also what it may have started.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        lines = _lines(report)
        if lines and "diagnosis" in lines[-1]:
            return Diagnosis.from_json(lines[-1]["diagnosis"])
        return _unfinished(report, f"{function} {_ended(process.returncode)}")


def _ended(status: int) -> str:
    if status >= 0:
        return f"ended its process (exit status {status}) before it returned"
    name = signal.Signals(-status).name
    meaning = " (an index outside an array, in compiled code)" if name == "SIGSEGV" else ""
    return f"crashed with {name}{meaning}"


def _unfinished(report: Path, what: str) -> Diagnosis:
    calls = [line["call"] for line in _lines(report) if "call" in line]
    where = f" in {calls[-1]}" if calls else ", before it was called"
    return Diagnosis((), what + where)


def _lines(report: Path) -> list[dict[str, str]]:
    if not report.exists():
        return []
    text = report.read_text(encoding="utf-8", errors="replace")
    lines = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):  # one that was cut off
            lines.append(json.loads(line))
    return lines


def main(report: str, request: str) -> None:
    """Judge what the request names, in this process, and write down each call and the diagnosis."""
    asked = json.loads(request)
    with Path(report).open("w", encoding="utf-8") as file:

        def tell(**line: str) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        diagnosis = _judged(asked["function"], asked["kind"], asked["options"], tell)
        tell(diagnosis=diagnosis.to_json())


def _judged(
    function: str, kind: str, options: dict[str, Any], tell: Callable[..., None]
) -> Diagnosis:
    path, _, name = function.rpartition(":")
    try:
        module = _imported(path)
        judged = _watched(_found(module, path, name), name, tell)
        for option in FUNCTIONS:
            if option in options:
                other, _, other_name = options[option].rpartition(":")
                where = _imported(other) if other else module
                called = _found(where, other or path, other_name)
                options[option] = _watched(called, other_name, tell)
    except LookupError as error:
        return Diagnosis((), str(error.args[0]))
    try:
        return judge_of(kind)(judged, **options)
    except Exception as error:
        return Diagnosis(
            (), f"{function} cannot be judged as {kind}: {type(error).__name__}: {error}"
        )


def _imported(path: str) -> ModuleType:
    """Run a file as a module."""
    file = Path(path)
    if not file.is_file():
        raise LookupError(f"{path} is no file")
    sys.path.insert(0, str(file.resolve().parent))
    name = f"diagnosed_{file.stem}" if file.stem in sys.modules else file.stem
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise LookupError(f"{path} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise LookupError(f"{path} cannot be imported: it {RaisedError(error)}") from None
    return module


def _found(module: ModuleType, path: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            functions = [n for n, v in vars(module).items() if callable(v) and n[0] != "_"]
            there = f": it has {', '.join(functions[:8])}" if functions else ""
            raise LookupError(f"{path} has no {name}{there}")
        found = getattr(found, part)
    return found


def _watched(function: Any, name: str, tell: Callable[..., None]) -> Any:
    """Return the function, which tells of each call before it begins."""
    if not callable(function):
        return function

    @functools.wraps(function, updated=())  # an object has no __qualname__
    def called(*args: Any, **named: Any) -> Any:
        given = [_shown(value) for value in args]
        given += [f"{key}={_shown(value)}" for key, value in named.items()]
        tell(call=f"the call {name}({', '.join(given)})")
        return function(*args, **named)

    called.__qualname__ = getattr(function, "__qualname__", name)
    return called


def _shown(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}"
    return repr(value)[:80]


if __name__ == "__main__":
    main(*sys.argv[1:])
    os._exit(0)  # threads that the file has started may never end
