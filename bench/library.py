"""rot180 or PyTorch in a process of its own, and what holds both to the same terms."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

# After a parallel region, threads spin for a while before they sleep: the other library waits.
SETTLE_SECONDS = 0.01

# glibc keeps what is freed, instead of giving it back and faulting it in anew.
RETAIN_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "4000000000"}

# What holds PyTorch and the libraries in it to what rot180 is held to; avx512 is no limit.
TORCH_INSTRUCTION_SETS = {
    "avx512": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    },
    "baseline": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    },
}


def environment(library: str, instruction_set: str | None, retain_memory: bool) -> dict[str, str]:
    """Environment variables for a library's process, on top of those there are."""
    variables = dict(RETAIN_MEMORY) if retain_memory else {}
    if instruction_set is not None:
        variables |= (
            {"ROT180_INSTRUCTION_SET": instruction_set}
            if library == "rot180"
            else TORCH_INSTRUCTION_SETS[instruction_set]
        )
    return variables


class Library:
    """A library in a process of its own, `bench.worker`.

    Attributes
    ----------
    about : dict
        What the library says of itself: threads, instruction_set and versions.
    """

    def __init__(self, name: str, threads: int | None, variables: dict[str, str]) -> None:
        self.name = name
        command = [sys.executable, "-m", "bench.worker", name]
        if threads is not None:
            command += ["--threads", str(threads)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | variables,
            text=True,
        )
        self.about = self._answer()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for the answer."""
        assert self._process.stdin is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        return self._answer()

    def time(self, variant: str) -> float:
        """Time one call."""
        time.sleep(SETTLE_SECONDS)
        seconds: float = self.ask(variant=variant)["seconds"]
        return seconds

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} has ended: its error is above")
        answer: dict[str, Any] = json.loads(line)
        return answer
