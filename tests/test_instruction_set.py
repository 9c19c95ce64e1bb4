"""Choosing the instruction set, from Python and from the environment."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rot180
from rot180 import functional

AVAILABLE = rot180.build_info()["instruction_sets"]
X86_64 = platform.machine() in ("x86_64", "AMD64", "amd64")


def forced(name):
    return subprocess.run(
        [sys.executable, "-c", "import rot180; print(rot180.instruction_set())"],
        env=os.environ | {"ROT180_INSTRUCTION_SET": name},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_baseline_is_always_there_and_the_best_comes_first():
    assert AVAILABLE[-1] == "baseline"
    assert forced("").stdout.strip() == AVAILABLE[0]


@pytest.mark.parametrize("name", AVAILABLE)
def test_each_can_be_forced(name, instruction_set):
    instruction_set(name)
    assert rot180.instruction_set() == name
    assert forced(name).stdout.strip() == name


def test_unknown_names_raise():
    with pytest.raises(ValueError, match=r"'sse9' is unknown or not supported.*baseline"):
        rot180.set_instruction_set("sse9")
    result = forced("sse9")
    assert result.returncode != 0
    assert "ROT180_INSTRUCTION_SET 'sse9' is unknown" in result.stderr


def long_sum():
    """Sums of 4608 products in float32, which round otherwise with fused multiply-adds."""
    rng = np.random.default_rng(0)
    x, weight = rng.normal(size=(1, 3, 3, 512)), rng.normal(size=(3, 3, 512, 16))
    return functional.conv2d(x.astype(np.float32), weight.astype(np.float32))


# Elsewhere the baseline fuses too, or is all there is.
@pytest.mark.skipif(not X86_64 or len(AVAILABLE) == 1, reason="needs x86-64 with AVX2")
@pytest.mark.parametrize("name", [name for name in AVAILABLE if name != "baseline"])
def test_the_choice_takes_effect(name, instruction_set):
    instruction_set(name)
    fused = long_sum()
    instruction_set("baseline")
    assert (long_sum() != fused).any()
    np.testing.assert_allclose(long_sum(), fused, rtol=0, atol=1e-3)
    instruction_set(name)
    np.testing.assert_array_equal(long_sum(), fused)


def test_the_environments_choice_takes_effect(instruction_set):
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_instruction_set as test; "
        "sys.stdout.write(test.long_sum().tobytes().hex())"
    )
    for name in AVAILABLE:
        instruction_set(name)
        result = subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            env=os.environ | {"ROT180_INSTRUCTION_SET": name},
            capture_output=True,
            text=True,
            check=True,
        )
        assert result.stdout == long_sum().tobytes().hex(), name


# .ci/run builds the kernels and says where.
OBJECTS = os.environ.get("ROT180_KERNEL_OBJECTS")
NEEDS_OBJECTS = pytest.mark.skipif(
    not OBJECTS, reason="needs ROT180_KERNEL_OBJECTS, a folder built by CMake"
)


def kernel_objects():
    """The object file of each instruction set that was compiled, by its name."""
    paths = Path(str(OBJECTS)).glob("**/rot180_kernels_*.dir/**/*.o")
    found = {re.search(r"rot180_kernels_(\w+)\.dir", str(path))[1]: path for path in paths}
    assert set(AVAILABLE) <= set(found)
    return found


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@NEEDS_OBJECTS
def test_kernel_objects_export_one_symbol_each_and_nothing_weak():
    """A weak function that the linker took from the AVX-512 object would crash an older CPU."""
    for name, path in kernel_objects().items():
        symbols = [
            line.split()[-2:]
            for line in output_of("nm", "--defined-only", "--extern-only", str(path)).splitlines()
        ]
        assert len(symbols) == 1, f"{path} exports {symbols}"
        kind, symbol = symbols[0]
        assert kind in "BDRS", f"{path} exports {symbols}: expected strong data"
        assert symbol.lstrip("_") == f"rot180_kernels_{name}"


@pytest.mark.skipif(not X86_64, reason="needs x86-64")
@NEEDS_OBJECTS
def test_kernel_objects_use_the_registers_of_their_instruction_set():
    widest = {"baseline": "xmm", "avx2": "ymm", "avx512": "zmm"}
    for name, path in kernel_objects().items():
        used = set(re.findall(r"%([xyz]mm)", output_of("objdump", "-d", str(path))))
        assert max(used) == widest[name], f"{path} uses {used}"
