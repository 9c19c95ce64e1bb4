"""The package as a whole: what it imports, what it exports, what its documentation says."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import rot180
from rot180 import functional, reference

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(rot180.__path__, "rot180.")
    if not module.name.endswith("__main__")
)


def test_importing_it_imports_no_extra():
    program = "import sys, rot180; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    extras = {"tqdm", "matplotlib", "sklearn", "safetensors", "PIL", "argparse"}
    assert extras.isdisjoint(loaded), extras.intersection(loaded)


def test_import_loads_no_module_before_its_first_use():
    code = "import sys, rot180; print(*(name for name in sys.modules if 'rot180.' in name))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["rot180._core"]
    with pytest.raises(AttributeError, match="has no attribute 'conv3d'"):
        rot180.conv3d  # noqa: B018
    assert set(rot180.__all__) <= set(dir(rot180))


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name, algorithm):
    algorithm("auto")  # which the examples take for granted
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    results = doctest.testmod(importlib.import_module(name), optionflags=options)
    assert results.failed == 0


def test_functional_and_reference_are_twins():
    # It computes nothing, but tells how functional does.
    assert set(functional.__all__) - {"conv2d_algorithm"} == set(reference.__all__)
    for name in reference.__all__:
        ours = inspect.signature(getattr(functional, name)).parameters
        theirs = inspect.signature(getattr(reference, name)).parameters
        extra = [p for p in ours if p not in theirs]
        assert set(extra) <= {"algorithm", "out", "weight_out", "bias_out"}, name
        assert [p for p in ours if p not in extra] == list(theirs), name
        for parameter in theirs:
            assert ours[parameter].default == theirs[parameter].default, (name, parameter)


@pytest.mark.parametrize("module", [functional, reference])
def test_every_function_has_an_example(module):
    for name in module.__all__:
        assert "Examples\n" in (getattr(module, name).__doc__ or ""), name


def test_everything_that_is_exported_exists():
    for name in rot180.__all__:
        assert getattr(rot180, name).__doc__, name


def test_it_says_that_it_is_typed():
    assert Path(rot180.__file__).with_name("py.typed").exists()
    assert Path(rot180.__file__).with_name("_core.pyi").exists()


def test_the_core_refuses_what_functional_would():
    """rot180._core is the last line: a wrong call raises, whatever it passes."""
    from rot180 import _core

    shape = _core.Conv2dShape((1, 4, 4, 1), (3, 3, 1, 1), (1, 2, 2, 1), (1, 1), (0, 0), (1, 1), 1)
    x, weight = np.zeros((1, 4, 4, 1), "f"), np.zeros((3, 3, 1, 1), "f")
    y = np.zeros((1, 2, 2, 1), "f")
    none, auto = _core.Activation.none, _core.Algorithm.auto
    _core.conv2d(shape, x, weight, None, none, y, auto)
    read_only = y.copy()
    read_only.flags.writeable = False
    for wrong in (
        (shape, x[:, 1:], weight, None, none, y, auto),
        (shape, x[:, ::-1], weight, None, none, y, auto),
        (shape, x.astype(int), weight, None, none, y, auto),
        (shape, x, weight.astype(float), None, none, y, auto),
        (shape, x, weight, y, none, y, auto),
        (shape, x, weight, None, none, y[:, 1:], auto),
        (shape, x, weight, None, none, read_only, auto),
        (shape, x, weight, None, "relu", y, auto),
        (None, x, weight, None, none, y, auto),
        (shape, x, weight, None, none, y, "auto"),
        (shape, x, weight, None, none, y, None),
        (shape, x, weight, None, none, y),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.conv2d(*wrong)
    _core.conv_transpose2d(shape, y, weight, None, none, x, auto)
    for wrong in (
        (shape, x, weight, None, none, x, auto),
        (shape, y, weight, None, none, y, auto),
        (shape, y, weight[1:], None, none, x, auto),
        (shape, y, weight, x, none, x, auto),
        (shape, y, weight, None, none, x[:, ::-1], auto),
        (shape, y.astype(float), weight, None, none, x, auto),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.conv_transpose2d(*wrong)
    relu = _core.Activation.relu
    db = np.zeros(1, "f")
    _core.conv2d_grad_input(shape, y, relu, y, weight, x, auto)
    _core.conv2d_grad_weight(shape, x, y, relu, y, weight, db, auto)
    for activation, saved in ((relu, None), (none, y), (relu, x), (relu, y.astype(float))):
        with pytest.raises((ValueError, TypeError)):
            _core.conv2d_grad_input(shape, y, activation, saved, weight, x, auto)
        with pytest.raises((ValueError, TypeError)):
            _core.conv2d_grad_weight(shape, x, y, activation, saved, weight, db, auto)
    for sums in (np.zeros(2, "f"), np.zeros(1), read_only[0, 0, 0, :1]):
        with pytest.raises((ValueError, TypeError)):
            _core.conv2d_grad_weight(shape, x, y, none, None, weight, sums, auto)
    for wrong in (
        ((1, 4, 4, 1), (3, 3, 1, 1), (1, 2**30, 2, 1), (2**30, 1), (0, 0), (1, 1), 1),
        ((1, 4, 4, 1), (3, 3, 1, 1), (1, 2, 2, 1), (0, 1), (0, 0), (1, 1), 1),
        ((1, 4, 4, 1), (3, 3, 1, 1), (1, 2, 2, 1), (1, 1), (-1, 0), (1, 1), 1),
        ((1, 4, 4, 3), (3, 3, 1, 2), (1, 2, 2, 2), (1, 1), (0, 0), (1, 1), 2),
        ((2**40, 4, 4, 1), (3, 3, 1, 1), (1, 2, 2, 1), (1, 1), (0, 0), (1, 1), 1),
    ):
        with pytest.raises((ValueError, TypeError)):
            _core.Conv2dShape(*wrong)
