"""Let OpenMP's idle threads sleep after some microseconds of waiting, not after milliseconds.

A thread that spins uses up its share of the CPU while it waits; when another program wants the
core, the kernel that needs the thread next waits for it. GCC's OpenMP reads its settings once, as
it is loaded: this module, imported before all others, sets one while it loads the extension, and
takes it back. OMP_WAIT_POLICY and GOMP_SPINCOUNT are obeyed where the user has set them.
"""

from __future__ import annotations

import importlib
import os

# Rounds of waiting: more than lies between two layers, less than a wake-up costs.
SPIN_COUNT = "1000"

if "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
    os.environ["GOMP_SPINCOUNT"] = SPIN_COUNT
    try:
        importlib.import_module("rot180._core")
    finally:
        del os.environ["GOMP_SPINCOUNT"]
