"""What a measurement ran on: the processor, how busy it was, and what it can do at best."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

# Bits of the widest vectors of each of rot180's instruction sets.
VECTOR_BITS = {"baseline": "128", "avx2": "256", "avx512": "512"}


def cpu_name() -> str:
    """Name of the processor, as the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.machine()


def load() -> list[float]:
    """Load averages over 1, 5 and 15 minutes."""
    return [round(average, 2) for average in os.getloadavg()]


def limits(program: Path, threads: int) -> dict[str, Any]:
    """Peak and bandwidth, measured by the program ``rot180_machine`` that CMake builds."""
    answer = subprocess.run(
        [program.resolve()],
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        check=True,
    )
    figures: dict[str, Any] = json.loads(answer.stdout)
    return figures


def larger(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """The larger of each figure: on a shared machine either measurement may be disturbed."""
    return {
        key: larger(value, second[key]) if isinstance(value, dict) else max(value, second[key])
        for key, value in first.items()
    }


def share(result: dict[str, Any], memory_bound: bool, run: dict[str, Any]) -> float | None:
    """What part of its limit a row reaches: of the triad's bytes where memory is the limit, else of
    the multiply-adds that the instruction set's widest vectors can do.
    """
    if "limits" not in run:
        return None
    if memory_bound:
        return float(result["gb_per_s"] / run["limits"]["triad_gb_per_s"])
    peaks = run["limits"]["peak_gflops"][run["dtype"]]
    return float(result["gflops"] / peaks[VECTOR_BITS[run["instruction_set"]]])


def forget_peak_memory() -> None:
    """Let `peak_memory` start from what the process holds now."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """The most bytes of memory that this process has held at a time. Linux tells it."""
    status = Path("/proc/self/status").read_text()
    (kilobytes,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    return 1024 * int(kilobytes)
