"""The command line, end to end: what a user types, sees, and finds on the disk."""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rot180
from rot180 import data, io, models
from rot180.cli import main

MODULE = [sys.executable, "-W", "error", "-m", "rot180"]
RESULTS = {"weights.safetensors", "history.csv", "curves.png", "confusion.png", "samples"}


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """What five epochs of training leave behind."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    assert main(["train", "--epochs", "5", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def weights(run_folder):
    return str(run_folder / "weights.safetensors")


@pytest.fixture(scope="module")
def sevens():
    """A held-out seven of the data set as uint8 (64, 64), bright on dark."""
    digits = data.load_digits()
    image = digits.x_test[np.flatnonzero(digits.y_test == 7)[0], :, :, 0]
    return np.rint(255 * image).astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)


def error_line(capsys):
    """The one line on stderr, without its beginning."""
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1, captured.err
    assert captured.err.startswith("rot180: error: ")
    return captured.err.removeprefix("rot180: error: ").rstrip("\n")


def predictions(capsys):
    """(path, class, probability in percent, notes) of every line on stdout."""
    pattern = re.compile(r"(.+?) +(\d)  +(\d+\.\d\d) %(.*)")
    lines = capsys.readouterr().out.splitlines()
    return [pattern.fullmatch(line).groups() for line in lines]


class TestTrain:
    def test_writes_everything_and_nothing_else(self, run_folder):
        assert {path.name for path in run_folder.iterdir()} == RESULTS
        samples = {path.name for path in (run_folder / "samples").iterdir()}
        assert samples == {f"digit-{i}.png" for i in range(10)}

    def test_the_weights_say_what_they_are(self, weights):
        assert io.read_metadata(weights) == {
            "format": "rot180 weights, version 1",
            "rot180_version": rot180.__version__,
            "model": "digits_cnn",
            "input_shape": "8 8 1",
            "input_range": "0 1",
            "pictures": "digits",
            "classes": "0 1 2 3 4 5 6 7 8 9",
        }

    def test_history_has_a_row_an_epoch(self, run_folder):
        with (run_folder / "history.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]
        assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
        assert float(rows[-1]["val_accuracy"]) > 0.9

    def test_what_it_prints(self, tmp_path, capsys):
        out = tmp_path / "a folder"
        assert main(["train", "--epochs", "1", "--seed", "5", "--out", str(out)]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
        lines = captured.out.splitlines()
        assert lines[0] == "digits_cnn: 1347 images to train on, 450 held out"
        assert lines[1].split("  ")[0] == "epoch"
        assert len(lines[1]) == len(lines[2])
        assert re.fullmatch(r" +1/1 +\d\.\d+ +\d+\.\d+ % +\d\.\d+ +\d+\.\d+ % +\d+\.\d+", lines[2])
        accuracy, right = re.search(
            r"held-out accuracy: (\S+) % \((\d+) of 450\)", lines[4]
        ).groups()
        assert float(accuracy) == pytest.approx(100 * int(right) / 450, abs=0.005)
        for name in RESULTS:
            assert str(out / name) in captured.out
        assert lines[-1] == (f"  rot180 predict '{out}/weights.safetensors' '{out}/samples'/*.png")

    def test_at_least_98_9_percent_with_the_defaults(self, tmp_path, capsys):
        assert main(["train", "--out", str(tmp_path)]) == 0
        accuracy = re.search(r"held-out accuracy: (\S+) %", capsys.readouterr().out)[1]
        assert float(accuracy) >= 98.9

    def test_the_weights_are_those_of_the_printed_accuracy(self, run_folder, weights):
        digits = data.load_digits()
        model = models.digits_cnn()
        io.load_weights(weights, model)
        right = (model.forward(digits.x_test).argmax(axis=1) == digits.y_test).mean()
        with (run_folder / "history.csv").open(newline="") as file:
            last = list(csv.DictReader(file))[-1]
        assert float(last["val_accuracy"]) == pytest.approx(right)

    def test_rows_of_the_confusion_matrix_are_the_true_digits(self, tmp_path, monkeypatch):
        drawn = []
        monkeypatch.setattr(
            "rot180.plots.plot_confusion", lambda *arguments: drawn.append(arguments)
        )
        assert main(["train", "--epochs", "1", "--out", str(tmp_path)]) == 0
        ((matrix, names, path),) = drawn
        digits = data.load_digits()
        assert matrix.sum(axis=1).tolist() == np.bincount(digits.y_test).tolist()
        model = models.digits_cnn()
        io.load_weights(tmp_path / "weights.safetensors", model)
        predicted = model.forward(digits.x_test).argmax(axis=1)
        assert matrix.sum(axis=0).tolist() == np.bincount(predicted, minlength=10).tolist()
        assert (names, path) == (digits.class_names, tmp_path / "confusion.png")

    def test_same_seed_same_bits_whatever_the_threads(self, tmp_path, num_threads):
        def train(name, *options):
            out = tmp_path / name
            assert main(["train", "--epochs", "1", "--out", str(out), *options]) == 0
            return (out / "weights.safetensors").read_bytes()

        num_threads(1)
        one = train("one", "--threads", "1", "--seed", "3")
        assert train("again", "--threads", "1", "--seed", "3") == one
        assert train("three", "--threads", "3", "--seed", "3") == one
        assert rot180.get_num_threads() == 3
        assert train("other seed", "--threads", "1", "--seed", "4") != one

    def test_as_a_process_the_same_bits_and_no_bar_without_a_terminal(self, tmp_path, run_folder):
        done = subprocess.run(
            [*MODULE, "train", "--epochs", "5"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "\r" not in done.stdout
        assert done.stdout.endswith("  rot180 predict run/weights.safetensors run/samples/*.png\n")
        ours = (tmp_path / "run" / "weights.safetensors").read_bytes()
        assert ours == (run_folder / "weights.safetensors").read_bytes()

    @pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "rmsprop"])
    def test_options_are_obeyed(self, tmp_path, capsys, optimizer):
        options = ["--epochs", "4", "--batch-size", "64", "--augment", "none"]
        options += ["--optimizer", optimizer]
        assert main(["train", *options, "--out", str(tmp_path / "deep" / "er")]) == 0
        out = capsys.readouterr().out
        assert "4/4" in out
        assert float(re.search(r"held-out accuracy: (\S+) %", out)[1]) > 70

    @pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
    def test_nan_loss_keeps_the_last_good_weights(self, tmp_path, capsys, weights):
        shutil.copy(weights, tmp_path / "weights.safetensors")
        assert main(["train", "--lr", "1e30", "--out", str(tmp_path)]) == 1
        assert re.match(r"the loss is \S+ in epoch 1, step \d+ of 43", error := error_line(capsys))
        assert error.endswith("no weights were saved before the end of the first epoch")
        assert (tmp_path / "weights.safetensors").read_bytes() == Path(weights).read_bytes()

    def test_nan_loss_in_a_later_epoch(self, tmp_path, capsys, monkeypatch):
        def on_epoch_begin(self, trainer, epoch):
            if epoch == 2:
                trainer.model[0].weight.value[...] = np.nan

        monkeypatch.setattr("rot180.cli.train.EpochKeeper.on_epoch_begin", on_epoch_begin)
        assert main(["train", "--epochs", "3", "--out", str(tmp_path)]) == 1
        assert "weights.safetensors holds the weights after epoch 1" in error_line(capsys)
        model = models.digits_cnn()
        io.load_weights(tmp_path / "weights.safetensors", model)
        assert np.isfinite(model.forward(data.load_digits().x_test)).all()

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (["--epochs", "0"], "--epochs"),
            (["--epochs", "-1"], "--epochs"),
            (["--epochs", "1.5"], "--epochs"),
            (["--batch-size", "0"], "--batch-size"),
            (["--lr", "0"], "--lr"),
            (["--lr", "nan"], "--lr"),
            (["--lr", "inf"], "--lr"),
            (["--lr", "fast"], "'fast'"),
            (["--weight-decay", "-1"], "--weight-decay"),
            (["--weight-decay", "nan"], "--weight-decay"),
            (["--seed", "-1"], "--seed"),
            (["--threads", "0"], "--threads"),
            (["--optimizer", "lion"], "adam"),
            (["--epoch", "3"], "--epoch"),
            (["surplus"], "surplus"),
        ],
    )
    def test_wrong_options(self, tmp_path, monkeypatch, capsys, options, words):
        monkeypatch.chdir(tmp_path)
        assert main(["train", *options]) == 2
        assert words in error_line(capsys)
        assert list(tmp_path.iterdir()) == []

    def test_out_is_a_file(self, tmp_path, capsys):
        (tmp_path / "run").write_text("mine")
        assert main(["train", "--out", str(tmp_path / "run")]) == 2
        assert str(tmp_path / "run") in error_line(capsys)
        assert (tmp_path / "run").read_text() == "mine"

    def test_missing_extras_are_named_before_the_training(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        assert main(["train", "--out", str(tmp_path / "run")]) == 2
        assert 'scikit-learn, tqdm: pip install "rot180[train]"' in error_line(capsys)
        assert list(tmp_path.iterdir()) == []


class TestInterrupt:
    def test_ctrl_c_keeps_the_last_whole_epoch(self, tmp_path):
        with subprocess.Popen(
            [*MODULE, "train", "--epochs", "100000", "--out", "run"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            (tmp_path / "run").mkdir(exist_ok=True)
            (tmp_path / "run" / "curves.png").write_text("of an earlier run")
            while "2/100000" not in process.stdout.readline():
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 130
        kept = re.fullmatch(
            r"rot180: stopped: (\S+) holds the weights after epoch (\d+); --resume goes on\n",
            errors,
        )
        assert kept[1] == os.path.join("run", "weights.safetensors")  # noqa: PTH118
        io.load_weights(tmp_path / kept[1], models.digits_cnn())
        with (tmp_path / "run" / "history.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) in (int(kept[2]), int(kept[2]) - 1)
        found = {path.name for path in (tmp_path / "run").iterdir()}
        assert found == {"weights.safetensors", "history.csv", "checkpoints"}

    def test_ctrl_c_before_the_first_epoch_ends(self, tmp_path, capsys, monkeypatch):
        def interrupt(*arguments):
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr("rot180.cli.train.EpochKeeper.on_train_batch_end", interrupt)
        assert main(["train", "--out", str(tmp_path)]) == 130
        assert capsys.readouterr().err == (
            "rot180: stopped: no weights were saved before the end of the first epoch; "
            "--resume goes on\n"
        )
        assert [path.name for path in tmp_path.iterdir()] == ["checkpoints"]

    def test_ctrl_c_elsewhere(self, capsys, monkeypatch):
        def interrupt(*arguments):
            raise KeyboardInterrupt

        monkeypatch.setattr("rot180.build_info", interrupt)
        assert main(["info"]) == 130
        assert capsys.readouterr().err == "rot180: stopped\n"


class TestPredict:
    def test_the_samples(self, run_folder, weights, capsys):
        paths = sorted(map(str, (run_folder / "samples").iterdir()))
        assert main(["predict", weights, *paths]) == 0
        lines = predictions(capsys)
        assert [line[0] for line in lines] == paths
        assert sum(line[1] == str(digit) for digit, line in enumerate(lines)) >= 9
        assert all(10 <= float(line[2]) <= 100 and line[3] == "" for line in lines)

    def test_png_agrees_with_the_data_set(self, weights, sevens, tmp_path, capsys):
        Image.fromarray(sevens).save(tmp_path / "seven.png")
        np.save(tmp_path / "seven.npy", sevens[::8, ::8])
        arguments = ["predict", weights, str(tmp_path / "seven.png"), str(tmp_path / "seven.npy")]
        assert main(arguments) == 0
        png, npy = predictions(capsys)
        assert png[1] == npy[1] == "7"
        assert abs(float(png[2]) - float(npy[2])) < 2

    @pytest.mark.parametrize(
        ("make", "notes"),
        [
            (lambda a: Image.fromarray(255 - a), "  (dark on light: inverted)"),
            (lambda a: Image.fromarray(a).resize((1000, 1000), Image.Resampling.NEAREST), ""),
            (lambda a: Image.fromarray(a[::8, ::8]), ""),
            (lambda a: Image.fromarray(a).convert("RGB"), ""),
            (lambda a: Image.fromarray(a).convert("P"), ""),
            (lambda a: Image.fromarray(a).convert("LA"), ""),
            (lambda a: Image.fromarray(a.astype(np.uint16) * 257), ""),
            (lambda a: Image.fromarray(100 + a // 4), ""),
            (lambda a: Image.fromarray(np.pad(a, 40)), "  (cropped to the strokes)"),
            (lambda a: Image.fromarray(np.pad(a, ((0, 0), (9, 30)))), "  (cropped to the strokes)"),
            (
                lambda a: Image.fromarray(np.pad(255 - a, 40, constant_values=255)),
                "  (dark on light: inverted)  (cropped to the strokes)",
            ),
            (lambda a: transparent(a, 255), ""),
            (lambda a: transparent(a, 0), "  (dark on light: inverted)"),
        ],
    )
    def test_pictures_of_any_kind(self, weights, sevens, tmp_path, capsys, make, notes):
        make(sevens).save(tmp_path / "seven.png")
        assert main(["predict", weights, str(tmp_path / "seven.png")]) == 0
        ((_, digit, probability, said),) = predictions(capsys)
        assert (digit, said) == ("7", notes)
        assert float(probability) > 50

    def test_npy_ranges_and_shapes_mean_the_same(self, weights, sevens, tmp_path, capsys):
        image = sevens[::8, ::8] / 255
        arrays = [
            image,
            image.astype(np.float32),
            np.asfortranarray(image)[..., np.newaxis][np.newaxis],
            image * 16,
            (image * 16).round().astype(np.int64),
            image * 255,
            (image * 255).astype(np.uint8),
            (image * 255).astype(">i4"),
        ]
        for array in arrays:
            np.save(tmp_path / "seven.npy", array)
            assert main(["predict", weights, str(tmp_path / "seven.npy")]) == 0
            ((path, digit, probability, _),) = predictions(capsys)
            assert path == str(tmp_path / "seven.npy")
            assert digit == "7"
            assert float(probability) > 50

    @pytest.mark.parametrize("axes", [3, 4])
    def test_many_images_in_one_file(self, weights, tmp_path, capsys, axes):
        digits = data.load_digits()
        x = digits.x_test[:300] if axes == 4 else digits.x_test[:300, :, :, 0]
        np.save(tmp_path / "many.npy", x)
        assert main(["predict", weights, str(tmp_path / "many.npy")]) == 0
        lines = predictions(capsys)
        assert [line[0] for line in lines] == [f"{tmp_path}/many.npy[{i}]" for i in range(300)]
        model = models.digits_cnn()
        io.load_weights(weights, model)
        expected = model.forward(digits.x_test[:300]).argmax(axis=1)
        assert [int(line[1]) for line in lines] == expected.tolist()

    def test_a_wrong_file_does_not_keep_the_others(self, run_folder, weights, tmp_path, capsys):
        good = str(run_folder / "samples" / "digit-0.png")
        assert main(["predict", weights, good, str(tmp_path / "nowhere.png"), good]) == 2
        captured = capsys.readouterr()
        assert captured.out.count("digit-0.png") == 2
        assert captured.err == f"rot180: error: {tmp_path}/nowhere.png: No such file or directory\n"

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("text.png", b"hello", "is not a readable picture (PNG, "),
            ("empty.png", b"", "is not a readable picture (PNG, "),
            ("cut.png", lambda image: image[: len(image) // 2], "is not a readable picture (PNG, "),
            (
                "flipped.png",
                lambda image: image[:60] + b"\xff" + image[61:],
                "is not a readable picture (PNG, ",
            ),
            ("vector.svg", b"<svg></svg>", "is not a readable picture (PNG, "),
            ("cut.npy", b"\x93NUMPY", "damaged or not a plain NPY file"),
            ("zip.npz", b"PK\x03\x04", "is not a readable picture (PNG, "),
        ],
    )
    def test_broken_files(self, weights, sevens, tmp_path, capsys, name, content, words):
        Image.fromarray(sevens).save(tmp_path / "good.png")
        if callable(content):
            content = content((tmp_path / "good.png").read_bytes())
        (tmp_path / name).write_bytes(content)
        assert main(["predict", weights, str(tmp_path / name)]) == 2
        error = error_line(capsys)
        assert error.startswith(str(tmp_path / name))
        assert words in error

    @pytest.mark.parametrize(
        ("array", "words"),
        [
            (np.zeros((8, 9)), "(8, 9)"),
            (np.zeros((8, 8, 8, 8)), "(8, 8, 8, 8)"),
            (np.zeros((2, 8, 8, 3)), "(2, 8, 8, 3)"),
            (np.zeros(64), "(64,)"),
            (np.zeros(()), "()"),
            (np.zeros((0, 8, 8)), "0, 8, 8"),
            (np.full((8, 8), -1), "-1"),
            (np.full((8, 8), 256), "256"),
            (np.full((8, 8), np.nan), "nan"),
            (np.full((8, 8), np.inf), "inf"),
            (np.zeros((8, 8), complex), "complex128"),
            (np.full((8, 8), "a"), "<U1"),
            (np.full((8, 8), None), "Python objects"),
        ],
    )
    def test_wrong_arrays(self, weights, tmp_path, capsys, array, words):
        np.save(tmp_path / "a.npy", array, allow_pickle=True)
        assert main(["predict", weights, str(tmp_path / "a.npy")]) == 2
        error = error_line(capsys)
        assert error.startswith(str(tmp_path / "a.npy"))
        assert words in error

    def test_an_array_that_promises_more_than_the_file_holds(self, weights, tmp_path, capsys):
        np.save(tmp_path / "a.npy", np.zeros((9, 8, 8)))
        header = (tmp_path / "a.npy").read_bytes()[:128]
        huge = header.replace(b"(9, 8, 8), }      ", b"(9999999999, 8, 8)}")[:128]
        (tmp_path / "a.npy").write_bytes(huge)
        assert main(["predict", weights, str(tmp_path / "a.npy")]) == 2
        assert "damaged" in error_line(capsys)

    def test_blank_folder_pipe_and_too_many_pixels(self, weights, tmp_path, capsys, monkeypatch):
        Image.new("L", (64, 64), 200).save(tmp_path / "blank.png")
        Image.new("1", (3000, 3000)).save(tmp_path / "large.png")
        (tmp_path / "folder.png").mkdir()
        os.mkfifo(tmp_path / "pipe.png")
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
        for name, words in (
            ("blank.png", "is blank"),
            ("large.png", "has too many pixels"),
            ("folder.png", "is a folder"),
            ("pipe.png", "is not a regular file"),
        ):
            assert main(["predict", weights, str(tmp_path / name)]) == 2
            assert f"{name} {words}" in error_line(capsys)


class TestWrongWeights:
    @pytest.fixture
    def image(self, run_folder):
        return str(run_folder / "samples" / "digit-0.png")

    def refused(self, path, image, capsys):
        assert main(["predict", str(path), image]) == 2
        error = error_line(capsys)
        assert str(path) in error
        return error

    def test_missing(self, tmp_path, image, capsys):
        error = self.refused(tmp_path / "nowhere", image, capsys)
        assert error == f"{tmp_path}/nowhere: No such file or directory"

    def test_a_folder(self, tmp_path, image, capsys):
        assert "is a folder" in self.refused(tmp_path, image, capsys)

    def test_a_picture(self, image, capsys):
        assert "safetensors" in self.refused(image, image, capsys)

    def test_truncated(self, weights, tmp_path, image, capsys):
        whole = Path(weights).read_bytes()
        for length in (0, 7, 8, 100, len(whole) // 2, len(whole) - 1):
            (tmp_path / "w").write_bytes(whole[:length])
            self.refused(tmp_path / "w", image, capsys)

    def test_a_huge_header(self, weights, tmp_path, image, capsys):
        whole = Path(weights).read_bytes()
        (tmp_path / "w").write_bytes((2**63).to_bytes(8, "little") + whole[8:])
        assert "header" in self.refused(tmp_path / "w", image, capsys)

    def test_a_flipped_bit_in_the_header(self, weights, tmp_path, image, capsys):
        damaged = bytearray(Path(weights).read_bytes())
        damaged[8] ^= 1
        (tmp_path / "w").write_bytes(damaged)
        assert "damaged" in self.refused(tmp_path / "w", image, capsys)

    @pytest.mark.parametrize(
        ("change", "words"),
        [
            ({"model": "resnet"}, "expected one of digits_cnn"),
            ({"model": "lenet5"}, "layer 2"),
            ({"model": "os.system"}, "no model is called 'os.system'"),
            ({"input_shape": "9999 9999 1"}, "do not fit"),
            (
                {"input_shape": "1 1 1"},
                "layer 2, MaxPool2d(2, activation='relu'): the kernel covers 2 in height",
            ),
            ({"input_range": "0 light"}, "input_range is '0 light', expected 2 numbers"),
            ({"input_range": "0 inf"}, "input_range is '0 inf'"),
            ({"pictures": "os.system"}, "pictures is 'os.system', expected one of digits, mnist"),
            ({"mean": "0.5"}, "std is '', expected 1 numbers"),
            ({"mean": "0.5", "std": "0"}, "std must be above 0"),
            ({"classes": ""}, "do not fit"),
            ({"classes": "0 '1"}, "No closing quotation"),
            ({"input_shape": "8 8"}, "input_shape is '8 8'"),
            ({"input_shape": "8 8 99999999999"}, "input_shape"),
            ({"classes": "0 1"}, "another model"),
        ],
    )
    def test_metadata_that_does_not_fit(self, tmp_path, image, capsys, change, words):
        metadata = {
            "model": "digits_cnn",
            "input_shape": "8 8 1",
            "classes": "0 1 2 3 4 5 6 7 8 9",
        }
        io.save_weights(tmp_path / "w", models.digits_cnn(), metadata | change)
        assert words in self.refused(tmp_path / "w", image, capsys)

    def test_no_metadata(self, tmp_path, image, capsys):
        io.save_weights(tmp_path / "w", models.digits_cnn())
        assert "which model" in self.refused(tmp_path / "w", image, capsys)

    def test_another_models_tensors(self, tmp_path, image, capsys):
        metadata = {"model": "digits_cnn", "input_shape": "8 8 1", "classes": "0123456789"}
        metadata["classes"] = " ".join(metadata["classes"])
        io.save_weights(tmp_path / "w", models.blog_cnn(), metadata)
        assert "another model" in self.refused(tmp_path / "w", image, capsys)


class TestMain:
    def test_info(self, capsys):
        assert main(["info"]) == 0
        facts = dict(re.split("  +", line) for line in capsys.readouterr().out.splitlines())
        assert facts["rot180"] == rot180.__version__
        assert facts["threads"] == str(rot180.get_num_threads())
        assert facts["NumPy"] == np.__version__
        assert facts["instruction set"].startswith(rot180.instruction_set())
        assert {"compiler", "OpenMP", "Python"} <= set(facts)

    def test_version_and_help(self, capsys):
        for option in ("--version", "--help"):
            assert main([option]) == 0
        version, text = capsys.readouterr().out.split("\n", 1)
        assert version == f"rot180 {rot180.__version__}"
        for command in ("train", "predict", "info"):
            assert re.search(rf"^ +{command}  ", text, re.MULTILINE)
            assert main([command, "--help"]) == 0
            assert f"usage: rot180 {command}" in capsys.readouterr().out

    @pytest.mark.parametrize(
        "arguments", [[], ["fly"], ["predict"], ["predict", "w"], ["info", "x"]]
    )
    def test_wrong_commands(self, capsys, arguments):
        assert main(arguments) == 2
        assert "--help" in error_line(capsys)

    def test_a_reader_that_leaves(self, weights, run_folder, tmp_path):
        np.save(tmp_path / "many.npy", np.zeros((20_000, 8, 8)))
        with subprocess.Popen(
            [*MODULE, "predict", weights, str(tmp_path / "many.npy")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            process.stdout.readline()
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 0


def transparent(strokes, brightness):
    """Strokes of one brightness on a transparent ground."""
    rgba = np.full((*strokes.shape, 4), brightness, np.uint8)
    rgba[..., 3] = strokes
    return Image.fromarray(rgba)
