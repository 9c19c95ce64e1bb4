"""Where a step's time goes: whose it is, what it is compared with, and the command that tells."""

from __future__ import annotations

import csv
import re

import numpy as np
import pytest
from PIL import Image

import rot180
from rot180 import functional, losses, models, optim, plots
from rot180.cli import main
from rot180.profiling import PassTime, Profile, profile


class Clock:
    """Stands still unless told otherwise."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("rot180.profiling.time", clock)
    return clock


class Takes(rot180.Layer):
    """A layer whose passes take as many seconds as it is told, a number for each step."""

    def __init__(self, clock, forward, backward):
        self.clock = clock
        self.times = {"forward": list(forward), "backward": list(backward)}

    def forward(self, x, training=False):
        self.clock.now += self.times["forward"].pop(0)
        self._save()
        return x * 1

    def backward(self, dy, *, input_grad=True):
        self._take_saved()
        self.clock.now += self.times["backward"].pop(0)
        return dy * 1 if input_grad else None

    def output_shape(self, input_shape):
        return input_shape


def measure(model, x, *, kind=optim.SGD, loss=None, **options):
    optimizer = kind(model.parameters(), lr=1e-3)
    loss = loss or losses.MeanSquaredError()
    target = np.zeros((len(x), *model.output_shape(x.shape[1:])), x.dtype)
    return profile(model, optimizer, loss, x, target, **options)


def times(measured):
    return {
        (each.layer, each.which): each.milliseconds / 1000
        for each in measured.passes
        if each.milliseconds
    }


def test_each_layer_has_its_own_time_alone(clock):
    class Twice(rot180.Residual):
        def forward(self, x, training=False):
            clock.now += 0.5
            return super().forward(x, training)

    model = rot180.Sequential(
        [
            rot180.Linear(3, 3, dtype=np.float64),
            rot180.Sequential([Takes(clock, [3], [5])]),
            Twice(rot180.Sequential([Takes(clock, [1], [2]), Takes(clock, [7], [11])])),
        ]
    )

    class SlowLoss(losses.MeanSquaredError):
        def backward(self):
            clock.now += 0.25
            return super().backward()

    measured = measure(model, np.ones((2, 3)), steps=1, warmup=0, loss=SlowLoss())
    assert times(measured) == {
        ("1.0", "forward"): 3,
        ("1.0", "backward"): 5,
        ("2", "forward"): 0.5,
        ("2.body.0", "forward"): 1,
        ("2.body.0", "backward"): 2,
        ("2.body.1", "forward"): 7,
        ("2.body.1", "backward"): 11,
        ("loss", "backward"): 0.25,
    }
    assert measured.milliseconds == 29_750
    assert sum(each.share for each in measured.passes) == pytest.approx(1)
    names = list(dict.fromkeys(each.layer for each in measured.passes))
    assert names == [
        *("0", "1.0", "2", "2.body.0", "2.body.1", "2.shortcut", "loss", "optimizer", "rest"),
    ]
    assert {each.layer: each.what for each in measured.passes}["2"] == "Twice"


def test_medians_without_the_warmup(clock):
    model = rot180.Sequential(
        [
            rot180.Linear(1, 1, dtype=np.float64),
            Takes(clock, [500, 600, 1, 9, 2], [0, 0, 1, 2, 2]),
        ]
    )
    measured = measure(model, np.ones((4, 1)), steps=3, warmup=2)
    assert times(measured) == {("1", "forward"): 2, ("1", "backward"): 2}
    assert measured.milliseconds == 4000
    assert measured.images_per_second == 1
    assert (measured.steps, measured.batch_size) == (3, 4)


def test_shares_add_up_where_each_step_was_disturbed_in_another_pass(clock):
    model = rot180.Sequential(
        [rot180.Linear(1, 1, dtype=np.float64), Takes(clock, [1, 9, 1], [12, 3, 3])]
    )
    measured = measure(model, np.ones((1, 1)), steps=3, warmup=0)
    assert times(measured) == {("1", "forward"): 1, ("1", "backward"): 3}
    assert measured.milliseconds == 12_000
    shares = {(each.layer, each.which): each.share for each in measured.passes if each.share}
    assert shares == {("1", "forward"): 0.25, ("1", "backward"): 0.75}


def test_what_no_layer_takes_is_the_rest(clock):
    class Slow(rot180.Sequential):
        def forward(self, x, training=False):
            clock.now += 3
            return super().forward(x, training)

    model = rot180.Sequential([Slow([rot180.Linear(1, 1, dtype=np.float64)])])
    assert times(measure(model, np.ones((1, 1)), steps=1)) == {("rest", "step"): 3}


# Whose time each function's is, in the network below.
OWNERS = {
    "conv2d": {("0", "forward"), ("1", "forward")},
    "conv2d_grad_input": {("1", "grad_input")},
    "conv2d_grad_weight": {("0", "grad_weight"), ("1", "grad_weight")},
    "conv_transpose2d": {("2", "forward")},
    "conv_transpose2d_grad_input": {("2", "grad_input")},
    "conv_transpose2d_grad_weight": {("2", "grad_weight")},
    "relu_grad_input": {("2", "grad_weight")},
    "linear": {("4", "forward")},
    "linear_grad_input": {("4", "grad_input")},
    "linear_grad_weight": {("4", "grad_weight")},
    "mean_squared_error": {("loss", "forward")},
    "mean_squared_error_grad_input": {("loss", "backward")},
    "sgd_step": {("optimizer", "step")},
}


@pytest.mark.parametrize("name", OWNERS)
def test_the_gradients_of_the_input_are_told_apart(name, clock, monkeypatch):
    """Where one function takes a second, and the others no time."""
    right = getattr(functional, name)

    def slow(*args, **options):
        clock.now += 1
        return right(*args, **options)

    monkeypatch.setattr(functional, name, slow)
    model = rot180.Sequential(
        [
            rot180.Conv2d(1, 2, 3, activation="relu"),
            rot180.Conv2d(2, 2, 3, activation="tanh"),
            rot180.ConvTranspose2d(2, 2, 3, activation="relu"),
            rot180.Flatten(),
            rot180.Linear(32, 4),
        ]
    )
    found = times(measure(model, np.ones((2, 6, 6, 1), np.float32), steps=2, warmup=0))
    assert found == dict.fromkeys(OWNERS[name], 1)


def costs(measured):
    return {(each.layer, each.which): (each.flops, each.nbytes) for each in measured.passes}


def test_operations_and_bytes_by_hand():
    """float32, so four bytes a number; two images."""
    model = rot180.Sequential(
        [
            rot180.Conv2d(4, 6, (3, 2), stride=2, groups=2),  # 9x8 to 4x4
            rot180.MaxPool2d(2),
            rot180.ConvTranspose2d(6, 2, 3, stride=2, activation="tanh", bias=False),  # 2x2 to 5x5
            rot180.ReLU(),
            rot180.Flatten(),
            rot180.Linear(50, 7, activation="relu"),
        ]
    )
    found = costs(measure(model, np.ones((2, 9, 8, 4), np.float32), kind=optim.Adam, steps=1))
    x0, y0, y1, y2, y5 = 2 * 9 * 8 * 4, 2 * 4 * 4 * 6, 2 * 2 * 2 * 6, 2 * 5 * 5 * 2, 2 * 7
    w0, w2, w5 = 3 * 2 * 2 * 6 + 6, 3 * 3 * 2 * 6, 50 * 7 + 7
    flops0, flops2, flops5 = 2 * 2 * 4 * 4 * 6 * 3 * 2 * 2, 2 * 2 * 2 * 2 * 6 * 9 * 2, 2 * 2 * 350
    assert found.pop(("0", "forward")) == (flops0, 4 * (x0 + y0 + w0))
    assert found.pop(("0", "grad_weight")) == (flops0, 4 * (x0 + y0 + w0))
    assert found.pop(("1", "forward")) == (0, 4 * (y0 + y1))
    indices = model[1].forward(np.ones((2, 4, 4, 6), np.float32), training=True)
    indices = sum(a.nbytes for a in model[1]._saved if isinstance(a, np.ndarray))
    assert indices > 0
    assert found.pop(("1", "backward")) == (0, 4 * (y0 + y1) + indices)
    assert found.pop(("2", "forward")) == (flops2, 4 * (y1 + y2 + w2))
    assert found.pop(("2", "grad_weight")) == (flops2, 4 * (y1 + 2 * y2 + w2))
    assert found.pop(("2", "grad_input")) == (flops2, 4 * (y1 + 2 * y2 + w2))
    assert found.pop(("3", "forward")) == (0, 4 * 2 * y2)
    assert found.pop(("3", "backward")) == (0, 4 * 3 * y2)
    for which in ("forward", "backward"):
        assert found.pop(("4", which)) == (0, 0)  # the same numbers, seen otherwise
        assert found.pop(("loss", which)) == (0, 0)
    assert found.pop(("5", "forward")) == (flops5, 4 * (y2 + y5 + w5))
    assert found.pop(("5", "grad_weight")) == (flops5, 4 * (y2 + 2 * y5 + w5))
    assert found.pop(("5", "grad_input")) == (flops5, 4 * (2 * y5 + w5 + y2))
    assert found.pop(("optimizer", "step")) == (0, 7 * 4 * (w0 + w2 + w5))
    assert found.pop(("rest", "step")) == (0, 0)
    assert not found


@pytest.mark.parametrize(
    ("kind", "options", "passes"),
    [
        (optim.SGD, {}, 3),
        (optim.SGD, {"momentum": 0.5}, 5),
        (optim.RMSprop, {"centered": True, "momentum": 0.5}, 9),
    ],
)
def test_bytes_of_optimizers(kind, options, passes):
    model = rot180.Linear(3, 2)
    measured = measure(
        model,
        np.ones((1, 3), np.float32),
        kind=lambda parameters, lr: kind(parameters, lr=lr, **options),
        steps=1,
    )
    assert costs(measured)["optimizer", "step"] == (0, passes * 4 * 8)
    assert measured.passes[0].layer == "model"


def test_rates():
    each = PassTime("0", "Linear(8, 4)", "forward", 0.5, 0.25, 3_000_000, 2_000_000)
    assert (each.gflops, each.gbytes) == (6, 4)
    nothing = PassTime("0", "Flatten()", "forward", 0.0, 0.0, 0, 0)
    assert (nothing.gflops, nothing.gbytes) == (0, 0)


def test_it_trains_to_the_same_bits_and_leaves_no_trace():
    def make():
        model = models.digits_cnn(rng=3)
        return model, optim.Adam(model.parameters()), losses.CrossEntropy()

    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(5, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 5)
    model, adam, loss = make()
    before = {name: getattr(functional, name) for name in functional.__all__}
    own = [dict(vars(layer)) for layer in model]
    profile(model, adam, loss, x, labels, steps=3, warmup=1)
    assert {name: getattr(functional, name) for name in functional.__all__} == before
    assert [set(vars(layer)) for layer in model] == [set(o) | {"_saved"} for o in own]

    other, adam, loss = make()
    for _ in range(4):
        loss.forward(other.forward(x, training=True), labels)
        adam.zero_grad()
        other.backward(loss.backward(), input_grad=False)
        adam.step()
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(one.value, two.value)


def test_it_leaves_no_trace_after_an_error_either():
    model = rot180.Sequential([rot180.Linear(3, 2), rot180.Linear(2, 1)])
    before = functional.linear_grad_input
    with pytest.raises(ValueError, match="layer 0"):
        measure(model, np.ones((2, 4), np.float32).reshape(2, 4)[:, :3][:, ::-1][..., None])
    assert functional.linear_grad_input is before
    assert not any("forward" in vars(layer) or "backward" in vars(layer) for layer in model)


def test_a_layer_of_ones_own_that_calls_a_convolution_is_not_split():
    class Own(rot180.Layer):
        def forward(self, x, training=False):
            self._save(x.shape)
            return functional.conv2d(x, np.ones((2, 2, 1, 1), x.dtype))

        def backward(self, dy, *, input_grad=True):
            (shape,) = self._take_saved()
            return functional.conv2d_grad_input(dy, np.ones((2, 2, 1, 1), dy.dtype), shape)

        def output_shape(self, input_shape):
            return (input_shape[0] - 1, input_shape[1] - 1, 1)

    model = rot180.Sequential([rot180.Conv2d(1, 1, 1), Own()])
    measured = measure(model, np.ones((1, 4, 4, 1), np.float32), steps=1)
    assert [each.which for each in measured.passes if each.layer == "1"] == ["forward", "backward"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"steps": 0}, ValueError, "steps must be from 1"),
        ({"warmup": -1}, ValueError, "warmup must be from 0"),
        ({"steps": 1.5}, TypeError, "steps must be an int"),
    ],
)
def test_wrong_options(options, error, message):
    with pytest.raises(error, match=message):
        measure(rot180.Linear(1, 1), np.ones((1, 1), np.float32), **options)


PASSES = (
    PassTime("0", "Conv2d(1, 2, 3)", "forward", 0.5, 0.125, 1_000_000, 2_500_000),
    PassTime("0", "Conv2d(1, 2, 3)", "grad_weight", 1.5, 0.375, 3_000_000, 4_500_000),
    PassTime("1", "Flatten()", "forward", 0.0, 0.0, 0, 0),
    PassTime("optimizer", "Adam", "step", 2.0, 0.5, 0, 4_000_000),
)


def test_the_table():
    assert Profile(PASSES, 4.0, 16, 20).table().splitlines() == [
        "layer                       pass            ms    share  GFLOP/s  GB/s",
        "0          Conv2d(1, 2, 3)  forward      0.500   12.5 %      2.0   5.0",
        "                            grad_weight  1.500   37.5 %      2.0   3.0",
        "1          Flatten()        forward      0.000    0.0 %",
        "optimizer  Adam             step         2.000   50.0 %            2.0",
        "step                                     4.000  100.0 %",
    ]
    long = PassTime("0", "Conv2d(\n    " + 30 * "1, " + ")", "forward", 1.0, 0.5, 0, 0)
    (line,) = Profile((long,), 2.0, 1, 1).table().splitlines()[1:-1]
    assert "Conv2d( 1, 1," in line
    assert "1..." in line or "1, ..." in line or ",..." in line
    assert len(line) < 80


def picture(path):
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("RGB")).astype(int)


def has_colour(pixels, which):
    colour = plots.PASS_COLOURS[which].lstrip("#")
    return bool((pixels == [int(colour[i : i + 2], 16) for i in (0, 2, 4)]).all(axis=-1).any())


def test_the_picture(tmp_path):
    plots.plot_profile(Profile(PASSES, 4.0, 16, 20), "a title", tmp_path / "profile.png")
    pixels = picture(tmp_path / "profile.png")
    shown = {which for which in plots.PASS_COLOURS if has_colour(pixels, which)}
    assert shown == {"forward", "grad_weight", "step"}


def test_the_picture_of_a_long_network_is_not_endless(tmp_path):
    def network(layers):
        passes = [
            PassTime(str(i), "ReLU()", which, 1.0 + i % 7, 0.01, 0, 0)
            for i in range(layers)
            for which in ("forward", "backward")
        ]
        return Profile(tuple(passes), 100.0, 16, 20)

    for layers in (39, 40, 41, 300):
        plots.plot_profile(network(layers), "a title", tmp_path / f"{layers}.png")
    heights = [len(picture(tmp_path / f"{n}.png")) for n in (39, 40, 41, 300)]
    assert heights[0] < heights[1] == heights[2] == heights[3]


def error_line(capsys):
    """The one line on stderr, without its beginning."""
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("rot180: error: ")
    return captured.err.removeprefix("rot180: error: ").rstrip("\n")


class TestCommand:
    def test_what_it_prints_and_writes(self, tmp_path, capsys):
        out = tmp_path / "a folder"
        options = ["--batch-size", "4", "--steps", "3", "--warmup", "1", "--out", str(out)]
        assert main(["profile", "digits_cnn", *options]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        lines = captured.out.splitlines()
        assert re.fullmatch(r"digits_cnn, batches of 4, float32, adam, \d+ threads?, \w+", lines[0])
        assert lines[2].split() == ["layer", "pass", "ms", "share", "GFLOP/s", "GB/s"]
        assert re.search(r"(?m)^[\d.]+ ms a step, [\d,]+ images/s$", captured.out)
        for name in ("profile.csv", "profile.png"):
            assert str(out / name) in captured.out
        assert {path.name for path in out.iterdir()} == {"profile.csv", "profile.png"}
        picture(out / "profile.png")
        with (out / "profile.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [(row["layer"], row["which"]) for row in rows][:5] == [
            ("0", "forward"),
            ("0", "grad_weight"),
            ("1", "forward"),
            ("1", "grad_input"),
            ("1", "grad_weight"),
        ]
        assert [row["layer"] for row in rows][-4:] == ["loss", "loss", "optimizer", "rest"]
        conv = rows[2]
        assert conv["what"].startswith("Conv2d(32, 64, 3")
        assert int(conv["flops"]) == 2 * 4 * 8 * 8 * 64 * 3 * 3 * 32
        seconds = float(conv["milliseconds"]) / 1000
        assert float(conv["gflops"]) == pytest.approx(int(conv["flops"]) / seconds / 1e9)
        assert float(conv["gbytes"]) == pytest.approx(int(conv["nbytes"]) / seconds / 1e9)
        assert 0 < float(conv["share"]) < 1

    @pytest.mark.parametrize("name", models.MODELS)
    def test_any_model_of_the_zoo(self, tmp_path, capsys, name):
        options = ["--batch-size", "2", "--steps", "1", "--warmup", "0", "--out", str(tmp_path)]
        assert main(["profile", name, *options]) == 0
        assert capsys.readouterr().out.startswith(f"{name}, batches of 2, float32")

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "rmsprop", "sgd"])
    def test_options_are_obeyed(self, tmp_path, capsys, num_threads, optimizer):
        num_threads(1)
        options = ["--optimizer", optimizer, "--dtype", "float64", "--threads", "3"]
        options += ["--steps", "1", "--out", str(tmp_path)]
        assert main(["profile", "digits_cnn", *options]) == 0
        first, *rest = capsys.readouterr().out.splitlines()
        assert first.startswith(f"digits_cnn, batches of 32, float64, {optimizer}, 3 threads, ")
        names = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
        assert any(line.startswith(f"optimizer  {names[optimizer]} ") for line in rest)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ([], "MODEL"),
            (["lenet"], "no model is called 'lenet': expected one of digits_cnn"),
            (["lenet5", "--steps", "0"], "--steps"),
            (["lenet5", "--warmup", "-1"], "--warmup"),
            (["lenet5", "--batch-size", "0"], "--batch-size"),
            (["lenet5", "--dtype", "float16"], "--dtype"),
            (["lenet5", "--optimizer", "lion"], "--optimizer"),
            (["lenet5", "--threads", "0"], "--threads"),
            (["lenet5", "surplus"], "surplus"),
        ],
    )
    def test_wrong_arguments(self, tmp_path, monkeypatch, capsys, arguments, words):
        monkeypatch.chdir(tmp_path)
        assert main(["profile", *arguments]) == 2
        assert words in error_line(capsys)
        assert list(tmp_path.iterdir()) == []

    def test_out_is_a_file(self, tmp_path, capsys):
        (tmp_path / "run").write_text("mine")
        assert main(["profile", "digits_cnn", "--out", str(tmp_path / "run")]) == 2
        assert str(tmp_path / "run") in error_line(capsys)
        assert (tmp_path / "run").read_text() == "mine"

    def test_missing_matplotlib_is_named_before_the_work(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert main(["profile", "digits_cnn", "--out", str(tmp_path / "run")]) == 2
        assert 'matplotlib: pip install "rot180[train]"' in error_line(capsys)
        assert list(tmp_path.iterdir()) == []
