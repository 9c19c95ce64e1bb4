"""``rot180 diagnose`` as it is typed: functions in files, arrays in files, files that misbehave."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import numpy as np
import pytest

from rot180 import reference
from rot180.cli import main

FUNCTIONS = """
import ctypes, os, sys, threading, time
import numpy as np
import beside
from rot180 import reference

print("printed at import")

def forward(x, w, stride=1, padding=0):
    return reference.conv2d(x, w, stride=stride, padding=padding)

def backward(x, w, dy, stride=1, padding=0):
    print("printed in a call")
    options = {"stride": stride, "padding": padding}
    dx = reference.conv2d_grad_input(dy, w, x.shape, **options)
    return dx, reference.conv2d_grad_weight(x, dy, w.shape[:2], **options), dy.sum((0, 1, 2))

def mean(x, w, dy, stride=1, padding=0):
    dx, dw, db = backward(x, w, dy, stride, padding)
    return dx, dw / (dy.shape[1] * dy.shape[2]), db

class Layer:
    backward = staticmethod(backward)

def crash(x, w, dy):
    ctypes.string_at(0)

def leave(x, w, dy):
    os._exit(0)

def hang(x, w, dy):
    while True:
        pass

def shout(x, w, dy):
    while True:
        print("x" * 1000)

def leave_a_thread(x, w, dy):
    threading.Thread(target=time.sleep, args=(600,)).start()
    return backward(x, w, dy)

def ask(x, w, dy):
    return input("what is dx?")

def breed(x, w, dy):
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("diagnose")
    (folder / "layer.py").write_text(FUNCTIONS)
    (folder / "beside.py").write_text("")
    (folder / "broken.py").write_text("import nothing_of_the_kind\n")
    (folder / "leaves.py").write_text("import sys\nsys.exit(0)\n")
    return folder


def told(capsys):
    captured = capsys.readouterr()
    return captured.out + captured.err


class TestFunctions:
    def test_one_that_is_right(self, folder, capsys):
        assert main(["diagnose", f"{folder}/layer.py:backward", "--forward", "forward"]) == 0
        out = capsys.readouterr().out
        assert out.startswith("y: right\ndx: right\ndw: right\ndb: right\n")
        assert "printed" not in out

    def test_one_that_leaves_a_thread_behind(self, folder, capsys):
        assert main(["diagnose", f"{folder}/layer.py:leave_a_thread", "--time-limit", "30"]) == 0
        assert "dx: right" in told(capsys)

    def test_one_with_a_mistake(self, folder, capsys):
        assert main(["diagnose", f"{folder}/layer.py:mean"]) == 1
        out = capsys.readouterr().out
        assert "dw: M7: dw is divided by the number of output positions" in out
        assert "docs/questions/weight-sharing.md" in out

    def test_as_json(self, folder, capsys):
        assert main(["diagnose", f"{folder}/layer.py:mean", "--json"]) == 1
        values = json.loads(capsys.readouterr().out)
        assert [f["array"] for f in values["findings"] if not f["right"]] == ["dw"]

    def test_options_reach_the_judge(self, folder, capsys):
        assert main(["diagnose", f"{folder}/layer.py:Layer.backward", "--returns", "db,dw,dx"]) == 2
        assert "pass returns=('dx', 'dw', 'db')" in told(capsys).replace("\n    ", " ")

    @pytest.mark.parametrize(
        ("function", "problem"),
        [
            ("crash", "crashed with SIGSEGV"),
            ("leave", "ended its process (exit status 0) before it returned in the call leave("),
            ("breed", "ended its process (exit status 3) before it returned"),
            ("ask", "raised EOFError"),
            ("nothing", "has no nothing: it has"),
            ("np", "expected a function"),
        ],
    )
    def test_one_that_misbehaves(self, folder, function, problem, capsys):
        assert main(["diagnose", f"{folder}/layer.py:{function}"]) == 2
        assert problem in " ".join(told(capsys).split())

    @pytest.mark.parametrize("function", ["hang", "shout"])
    def test_one_that_never_returns(self, folder, function, capsys):
        assert main(["diagnose", f"{folder}/layer.py:{function}", "--time-limit", "4"]) == 2
        out = " ".join(told(capsys).split())
        assert f"did not come to an end in 4 s in the call {function}(x=array of shape" in out

    @pytest.mark.parametrize(
        ("file", "problem"),
        [
            ("broken.py", "cannot be imported: it raised ModuleNotFoundError"),
            ("leaves.py", "cannot be imported: it raised SystemExit"),
            ("missing.py", "is no file"),
        ],
    )
    def test_a_file_that_cannot_be_imported(self, folder, file, problem, capsys):
        assert main(["diagnose", f"{folder}/{file}:backward"]) == 2
        assert problem in " ".join(told(capsys).split())


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    """Files of one convolution with stride 2 and padding 1; dx is right, dw is not."""
    folder = tmp_path_factory.mktemp("arrays")
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 7, 8, 3)), rng.normal(size=(2, 3, 3, 4))
    options = {"stride": 2, "padding": 1}
    dy = rng.normal(size=reference.conv2d(x, w, **options).shape)
    dw = reference.conv2d_grad_weight(x, dy, (2, 3), **options)
    made = {
        "x": x,
        "w": w,
        "dy": dy,
        "db": dy.sum((0, 1, 2)),
        "dw": dw[::-1, ::-1],
        "dx": reference.conv2d_grad_input(dy, w, x.shape, **options),
    }
    for name, array in made.items():
        np.save(folder / f"{name}.npy", array)
        flat = " ".join(f"{value:.9g}" for value in array.ravel())
        (folder / f"{name}.txt").write_text(flat)
    np.savez(folder / "all.npz", **made)
    return folder


OPTIONS = ["--stride", "2", "--padding", "1"]


class TestArrays:
    def test_npy(self, arrays, capsys):
        files = [part for name in ("x", "w", "dy", "dx", "dw", "db")
                 for part in (f"--{name}", f"{arrays}/{name}.npy")]  # fmt: skip
        assert main(["diagnose", *files, *OPTIONS]) == 1
        out = capsys.readouterr().out
        assert "dx: right\n" in out
        assert "dw: M20: dw is rotated by 180 degrees" in out
        assert "db: right\n" in out

    def test_npz_and_text_with_shapes(self, arrays, capsys):
        shapes = {"x": "2x7x8x3", "w": "2x3x3x4", "dy": "2x4x4x4", "dw": "2x3x3x4"}
        files = [part for name, shape in shapes.items()
                 for part in (f"--{name}", f"{arrays}/{name}.txt:{shape}")]  # fmt: skip
        assert main(["diagnose", *files, *OPTIONS, "--json"]) == 1
        (finding,) = json.loads(capsys.readouterr().out)["findings"]
        assert [mistake["code"] for mistake in finding["mistakes"]] == ["M20"]
        files = [part for name in ("x", "w", "dy", "dx")
                 for part in (f"--{name}", f"{arrays}/all.npz:{name}")]  # fmt: skip
        assert main(["diagnose", *files, "--stride", "2,2", "--padding", "1,1,1,1"]) == 0

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "expected FILE.py:FUNCTION, or arrays"),
            (["layer.py"], "layer.py: expected FILE.py:FUNCTION"),
            (["layer.py:f", "--x", "x.npy"], "--x has no meaning for a function of kind conv2d"),
            (["layer.py:f", "--stride", "2"], "--stride has no meaning for a function"),
            (["--x", "missing.npy"], "missing.npy: No such file"),
            (["--x", "x.npy", "--ndim", "3"], "--ndim is for a function"),
            (["--x", "x.npy", "--stride", "a"], "expected 2, or 2,3, got 'a'"),
            (["--x", "x.npy", "--padding", "1,2,3"], "top,bottom,left,right"),
            (["layer.py:f", "--kind", "magic"], "--kind"),
        ],
    )
    def test_wrong_arguments_are_told_in_a_line(self, arguments, message, capsys):
        assert main(["diagnose", *arguments]) == 2
        captured = capsys.readouterr()
        assert captured.err.startswith("rot180: error: ")
        assert captured.err.count("\n") == 1
        assert message in captured.err

    def test_what_cannot_be_judged_has_status_2(self, arrays, capsys):
        files = [part for name in ("x", "w", "dy", "dx")
                 for part in (f"--{name}", f"{arrays}/{name}.npy")]  # fmt: skip
        assert main(["diagnose", *files]) == 2
        assert "It would fit with stride=2, padding=1" in " ".join(told(capsys).split())


def test_as_a_process(folder):
    command = [sys.executable, "-W", "error", "-m", "rot180", "diagnose", "layer.py:mean"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "dw: M7" in done.stdout
    assert "\033" not in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_only_and_not_against_no_color(folder, no_color, coloured):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "rot180", "diagnose", "layer.py:mean"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        env={**os.environ, "NO_COLOR": no_color},
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 4096):
            shown += part
    except OSError:  # Linux: the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 1
    assert (b"\033[31m" in shown) == coloured
    assert b"M7" in shown
