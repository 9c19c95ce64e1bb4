"""Arrays from the files that a program in any language can write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rot180.diagnose.convolution import Array


def read_array(name: str) -> Array:
    """Read file.npy, file.npz:key, file.csv, or numbers with white space between them."""
    path, _, key = name.rpartition(":") if ".npz:" in name else (name, "", "")
    if path.endswith(".npz"):
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[key])
    if path.endswith(".npy"):
        return np.asarray(np.load(path, allow_pickle=False))
    text = Path(path).read_text(encoding="utf-8")
    rows = [row.replace(",", " ").split() for row in text.splitlines() if row.strip()]
    return np.array(rows, float)
