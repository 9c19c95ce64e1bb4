"""The gallery of mistakes: each one is named rightly, in Python and in C++."""

from __future__ import annotations

import ctypes
import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from rot180 import diagnose, reference

GALLERY = Path(__file__).parent.parent / "docs" / "gallery"
sys.path.insert(0, str(GALLERY))

from exhibits import exhibits  # noqa: E402
from training import parts_with, train, without_mistake  # noqa: E402

ALL = {exhibit.name: exhibit for exhibit in exhibits()}
CPP = sorted(path.stem for path in (GALLERY / "cpp").glob("*.cpp"))


def codes(diagnosis):
    return {mistake.code for mistake in diagnosis.mistakes}


def test_every_mistake_of_the_catalogue_is_there():
    assert {exhibit.code for exhibit in ALL.values()} == {f"M{i}" for i in range(1, 31)}


@pytest.mark.parametrize("name", ALL)
def test_it_is_named(name):
    diagnosis = ALL[name].diagnosis()
    assert diagnosis.problem is None
    assert codes(diagnosis) == {ALL[name].code}, str(diagnosis)


@pytest.mark.parametrize("name", ALL)
def test_its_docstring_tells_the_mistake_and_the_symptom(name):
    exhibit = ALL[name]
    assert exhibit.story
    assert "Symptom: " in inspect.getdoc(exhibit.module)
    assert "#" in exhibit.source  # a comment points at the line


def ours(exhibit):
    """The exhibit's backward, on NHWC and HWIO."""
    if "layout" not in exhibit.options:
        return exhibit.function

    def backward(x, w, dy, stride, padding):
        images = (array.transpose(0, 3, 1, 2) for array in (x, dy))
        x, dy = images
        dx, dw, db = exhibit.function(x, w.transpose(3, 2, 0, 1), dy, stride, padding)
        return dx.transpose(0, 2, 3, 1), dw.transpose(2, 3, 1, 0), db

    return backward


def wrong_gradients(exhibit):
    """Which of dx, dw, db it gets wrong: 0, 1, 2."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 8, 7, 3)), rng.normal(size=(3, 2, 3, 4))
    options = {"stride": 2, "padding": 1}
    dy = rng.normal(size=reference.conv2d(x, w, **options).shape)
    right = (
        reference.conv2d_grad_input(dy, w, x.shape, **options),
        reference.conv2d_grad_weight(x, dy, (3, 2), **options),
        reference.conv2d_grad_bias(dy),
    )
    found = ours(exhibit)(x, w, dy, 2, 1)
    return [
        i
        for i, (a, b) in enumerate(zip(found, right, strict=True))
        if a.shape != b.shape or not np.allclose(a, b)
    ]


# Dilation and groups are not asked of the others: M15 and M18 cannot be joined with them.
PLAIN = [
    e
    for e in ALL.values()
    if e.kind == "backward" and len(inspect.signature(e.function).parameters) == 5
]
WRONG = [[e for e in PLAIN if i in wrong_gradients(e)] for i in range(3)]


@pytest.mark.parametrize("wrong_dx", WRONG[0], ids=lambda exhibit: exhibit.name)
def test_mistakes_in_different_gradients_are_named_together(wrong_dx):
    """Each dx with each dw, and the mistakes of db in turn: every two of them meet."""
    for i, wrong_dw in enumerate(WRONG[1]):
        wrong_db = WRONG[2][(WRONG[0].index(wrong_dx) + i) % len(WRONG[2])]

        def backward(x, w, dy, stride, padding, parts=(wrong_dx, wrong_dw, wrong_db)):
            return tuple(ours(part)(x, w, dy, stride, padding)[k] for k, part in enumerate(parts))

        diagnosis = diagnose.conv2d_backward(backward)
        found = [[m.code for m in finding.mistakes] for finding in diagnosis.findings]
        assert found == [[wrong_dx.code], [wrong_dw.code], [wrong_db.code]], str(diagnosis)


def test_every_two_mistakes_in_different_gradients_have_met():
    assert len(WRONG[0]) >= 10
    assert len(WRONG[1]) >= 10
    assert len(WRONG[2]) == 3
    assert min(len(WRONG[0]), len(WRONG[1])) >= len(WRONG[2])


def compiled(name, folder, *options):
    program = folder / name
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    command = [compiler, "-std=c++17", "-Wall", "-Wextra", "-Werror", *options, "-o", str(program)]
    subprocess.run([*command, str(GALLERY / "cpp" / f"{name}.cpp")], check=True, timeout=60)
    return program


def test_the_mistakes_that_are_there_in_cpp():
    assert {name[:3] for name in CPP} == {"m03", "m05", "m06", "m07", "m09", "m11", "m24", "m26"}
    assert set(CPP) <= set(ALL)


@pytest.mark.parametrize("name", [name for name in CPP if name < "m2"])
def test_a_layer_in_cpp_is_named_by_the_command(name, tmp_path):
    subprocess.run([compiled(name, tmp_path)], cwd=tmp_path, check=True, timeout=60)
    command = [sys.executable, "-m", "rot180", "diagnose", "--json"]
    for array in ("x", "w", "dy", "dx", "dw", "db"):
        command += [f"--{array}", f"{array}.npy"]
    command += ["--stride", "2", "--padding", "1", "--layout", "NCHW", "--weight-layout", "OIHW"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert codes(diagnose.Diagnosis.from_json(done.stdout)) == {ALL[name].code}, done.stdout


def test_adam_in_cpp_is_named_by_its_steps(tmp_path):
    program = compiled("m24_moments_made_anew", tmp_path)
    subprocess.run([program], cwd=tmp_path, check=True, timeout=60)
    params, gradients = (np.load(tmp_path / f"{name}.npy") for name in ("params", "gradients"))
    assert codes(diagnose.adam_trajectory(list(params), list(gradients))) == {"M24"}


def test_a_layer_with_adam_in_cpp_is_named_through_ctypes(tmp_path):
    program = compiled("m26_adam_applied_to_delta", tmp_path, "-shared", "-fPIC")
    update = ctypes.CDLL(str(program)).update

    def layer(x, w, b, dy, state, t):
        m = state.setdefault("m", np.zeros(dy.shape))
        v = state.setdefault("v", np.zeros(dy.shape))
        arrays = [np.array(array, float, order="C") for array in (x, w, b, dy)]
        pointers = [array.ctypes.data_as(ctypes.c_void_p) for array in (*arrays, m, v)]
        update(*pointers, t, *x.shape, *np.array(w.shape)[[0, 2, 3]].tolist())
        return arrays[1].astype(w.dtype), arrays[2].astype(b.dtype)

    diagnosis = diagnose.adam_layer(layer, layout="NCHW", weight_layout="OIHW")
    assert codes(diagnosis) == {"M26"}, str(diagnosis)


def test_a_training_without_mistakes_learns_and_mistakes_do_what_their_symptoms_say():
    rotated = parts_with(ALL["m01_kernel_not_rotated"])
    right, wrong = train(without_mistake(rotated)), train(rotated)
    assert right.accuracy > 0.92
    assert right.loss < wrong.loss < 1.5 * right.loss  # nobody would notice
    assert "nan" in train(parts_with(ALL["m10_gradient_added"])).stopped
    assert "dx has shape" in train(parts_with(ALL["m14_padding_not_cropped_from_dx"])).stopped
