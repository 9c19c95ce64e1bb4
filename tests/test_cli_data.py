"""``rot180 train`` on each kind of data as a new user would try it, and ``rot180 predict``."""

from __future__ import annotations

import csv
import re
import signal

import numpy as np
import pytest
from PIL import Image

from data_files import (
    cifar10_files,
    cifar100_files,
    write_archive,
    write_files,
    write_image_folder,
    write_mnist,
    write_npz,
)
from rot180 import data, io, models
from rot180.cli import main
from rot180.cli.optimizers import SCHEDULES

RESULTS = {"weights.safetensors", "history.csv", "curves.png", "confusion.png", "samples"}


def run(capsys, *arguments):
    """Run a command that succeeds and return what it printed."""
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert (status, captured.err) == (0, "")
    return captured.out


def refused(capsys, *arguments):
    """Run a command that fails and return the line that says why."""
    assert main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def predicted(capsys, folder, *paths):
    """The predicted class of every file, by its name."""
    paths = paths or sorted((folder / "samples").iterdir())
    lines = run(capsys, "predict", folder / "weights.safetensors", *paths).splitlines()
    found = [re.fullmatch(r"(.+?) {2,}(.+?) +(\d+\.\d\d) %.*", line).groups() for line in lines]
    return {path.rpartition("/")[2]: name for path, name, _ in found}


def accuracy(printed):
    return float(re.search(r"held-out accuracy: (\S+) %", printed)[1])


def check_results(folder, epochs):
    assert {path.name for path in folder.iterdir()} == RESULTS
    with (folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == epochs
    for name in ("curves.png", "confusion.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")


def test_mnist(tmp_path, capsys):
    write_mnist(tmp_path / "files", zipped=True)
    out = tmp_path / "run"
    options = ["--data", tmp_path / "files", "--epochs", 6, "--lr", 0.003, "--out", out]
    printed = run(capsys, "train", "mnist", *options)
    assert printed.startswith("mnist_cnn: 200 images to train on, 60 held out\n")
    assert accuracy(printed) > 90
    check_results(out, 6)
    metadata = io.read_metadata(out / "weights.safetensors")
    assert metadata["model"] == "mnist_cnn"
    assert metadata["input_shape"] == "28 28 1"
    assert metadata["pictures"] == "mnist"
    assert "mean" not in metadata
    assert {path.name for path in (out / "samples").iterdir()} == {
        f"digit-{digit}.png" for digit in range(10)
    }
    mnist = data.load_mnist(tmp_path / "files")
    np.save(tmp_path / "ten.npy", mnist.x_test[:10, :, :, 0])
    found = predicted(capsys, out, tmp_path / "ten.npy")
    assert sum(name == str(i) for i, name in enumerate(found.values())) >= 9
    np.save(tmp_path / "floats.npy", mnist.x_test[:10] / 255)
    assert list(predicted(capsys, out, tmp_path / "floats.npy").values()) == list(found.values())


def test_fashion_mnist(tmp_path, capsys):
    write_mnist(tmp_path)
    options = ["--data", tmp_path, "--model", "lenet5", "--epochs", 8, "--augment", "none"]
    printed = run(capsys, "train", "fashion_mnist", *options, "--out", tmp_path / "run")
    assert accuracy(printed) > 80
    assert predicted(capsys, tmp_path / "run").keys() == {
        f"{label}-{re.sub('[ /]', '_', name)}.png"
        for label, name in enumerate(
            [
                "T-shirt_top",
                "Trouser",
                "Pullover",
                "Dress",
                "Coat",
                "Sandal",
                "Shirt",
                "Sneaker",
                "Bag",
                "Ankle_boot",
            ]
        )
    }


@pytest.mark.parametrize("archived", [False, True])
def test_cifar10(tmp_path, capsys, archived):
    path = tmp_path / "files"
    if archived:
        write_archive(path, cifar10_files())
    else:
        write_files(path, cifar10_files())
    out = tmp_path / "run"
    options = ["--data", path, "--epochs", 5, "--augment", "crop", "--lr", 0.003, "--out", out]
    printed = run(capsys, "train", "cifar10", *options, "--model", "mnist_cnn")
    assert "120 images to train on, 40 held out" in printed
    assert accuracy(printed) > 60
    check_results(out, 5)
    metadata = io.read_metadata(out / "weights.safetensors")
    assert metadata["classes"].split()[9] == "truck"
    expected = data.Normalise.of(data.load_cifar10(path).x_train)
    assert [float(word) for word in metadata["mean"].split()] == expected.mean
    assert [float(word) for word in metadata["std"].split()] == expected.std


def test_predictions_are_those_of_the_held_out_accuracy(tmp_path, capsys):
    write_files(tmp_path / "files", cifar10_files())
    out = tmp_path / "run"
    options = ["--data", tmp_path / "files", "--epochs", 2, "--augment", "flip,crop,cutout"]
    printed = run(capsys, "train", "cifar10", *options, "--out", out)
    cifar = data.load_cifar10(tmp_path / "files")
    for index, image in enumerate(cifar.x_test):
        Image.fromarray(image).save(tmp_path / f"{index:03d}.png")
    found = predicted(capsys, out, *sorted(tmp_path.glob("*.png")))
    labels = [cifar.class_names.index(name) for name in found.values()]
    right = int((labels == cifar.y_test).sum())
    assert f"({right} of 40)" in printed
    np.save(tmp_path / "all.npy", cifar.x_test)
    assert list(predicted(capsys, out, tmp_path / "all.npy").values()) == list(found.values())


def test_cifar100(tmp_path, capsys):
    write_files(tmp_path / "files", cifar100_files())
    out = tmp_path / "run"
    options = ["--data", tmp_path / "files", "--epochs", 1, "--batch-size", 64, "--out", out]
    printed = run(capsys, "train", "cifar100", *options)
    assert "300 images to train on, 100 held out" in printed
    check_results(out, 1)
    assert len(predicted(capsys, out)) == 100


@pytest.mark.parametrize("parts", [False, True])
def test_folder(tmp_path, capsys, parts):
    names = ("big dog", "cat", "Züge")
    if parts:
        write_image_folder(tmp_path / "files" / "train", names, each=30, size=(40, 30))
        write_image_folder(tmp_path / "files" / "val", names, each=8, size=(30, 40), seed=1)
    else:
        write_image_folder(tmp_path / "files", names, each=40, size=(40, 30))
    out = tmp_path / "run"
    options = ["--data", tmp_path / "files", "--size", 24, "--augment", "shift", "--epochs", 8]
    options += ["--model", "mnist_cnn"]
    printed = run(capsys, "train", "folder", *options, "--out", out)
    assert "90 images to train on" in printed
    assert accuracy(printed) > (60 if parts else 85)
    check_results(out, 8)
    metadata = io.read_metadata(out / "weights.safetensors")
    assert metadata["input_shape"] == "24 24 3"
    assert metadata["classes"] == "'Züge' 'big dog' cat"
    samples = {"0-Züge.png", "1-big_dog.png", "2-cat.png"}
    assert {path.name for path in (out / "samples").iterdir()} == samples
    assert set(predicted(capsys, out).values()) <= set(names)
    broken = tmp_path / "files" / ("train/cat" if parts else "cat") / "new.png"
    broken.write_bytes(b"hello")
    assert "new.png is not a readable picture" in refused(capsys, "train", "folder", *options)


def test_folder_of_grey_pictures_of_one_size(tmp_path, capsys):
    write_image_folder(tmp_path / "files", each=20, size=(16, 20), grey=True)
    out = tmp_path / "run"
    options = ["--data", tmp_path / "files", "--epochs", 2, "--out", out]
    run(capsys, "train", "folder", *options, "--model", "digits_cnn", "--schedule", "cosine")
    assert io.read_metadata(out / "weights.safetensors")["input_shape"] == "16 20 1"
    assert len(predicted(capsys, out)) == 2


def test_npz_with_channels_that_no_picture_has(tmp_path, capsys):
    write_npz(tmp_path / "data.npz", class_names=np.array(["a", "b", "c"]))
    out = tmp_path / "run"
    options = ["--data", tmp_path / "data.npz", "--epochs", 6, "--lr", 0.003, "--out", out]
    printed = run(capsys, "train", "npz", *options)
    assert accuracy(printed) > 85
    check_results(out, 6)
    assert printed.endswith("samples/*.npy\n")
    assert predicted(capsys, out).keys() == {"0-a.npy", "1-b.npy", "2-c.npy"}
    Image.new("L", (10, 12), 9).save(tmp_path / "a.png")
    error = refused(capsys, "predict", out / "weights.safetensors", tmp_path / "a.png")
    assert "the network takes 2 channels: pass an NPY file" in error


def test_npz_of_floats_in_a_range_of_their_own(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 120)
    x = (rng.normal(size=(120, 8, 8)) + 4 * y[:, None, None] - 30).astype(np.float32)
    write_npz(tmp_path / "data.npz", x_train=x[:90], y_train=y[:90], x_test=x[90:], y_test=y[90:])
    out = tmp_path / "run"
    options = ["--data", tmp_path / "data.npz", "--model", "digits_cnn", "--epochs", 3]
    assert accuracy(run(capsys, "train", "npz", *options, "--out", out)) > 95
    np.save(tmp_path / "x.npy", x[90:])
    found = list(predicted(capsys, out, tmp_path / "x.npy").values())
    assert (np.array(found, int) == y[90:]).mean() > 0.95
    assert predicted(capsys, out) == {"0-0.png": "0", "1-1.png": "1"}


@pytest.mark.parametrize("model", models.CLASSIFIERS)
def test_every_model_of_the_zoo_can_be_trained(tmp_path, capsys, model):
    write_files(tmp_path / "files", cifar10_files(train=40, test=10))
    options = ["--data", tmp_path / "files", "--model", model, "--epochs", 1]
    printed = run(capsys, "train", "cifar10", *options, "--out", tmp_path / "run")
    assert printed.startswith(f"{model}: 40 images to train on, 10 held out\n")
    assert len(predicted(capsys, tmp_path / "run")) == 10


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule(tmp_path, capsys, monkeypatch, schedule):
    rates = []
    monkeypatch.setattr(
        "rot180.cli.train.EpochKeeper.on_train_batch_end",
        lambda self, trainer, *others: rates.append(trainer.optimizer.lr),
    )
    write_mnist(tmp_path, train=64, test=10)
    options = ["--data", tmp_path, "--epochs", 4, "--schedule", schedule, "--lr", 0.002]
    run(capsys, "train", "mnist", *options, "--out", tmp_path / "run")
    assert len(rates) == 8
    assert max(rates) <= 0.002
    if schedule in ("constant", "plateau"):
        assert rates == [0.002] * 8
    else:
        assert rates[-1] < 0.001


def test_mnist_pictures_are_cut_as_its_digits_were(tmp_path, capsys):
    """A stroke of any size, anywhere, comes out as one of 20 pixels about the middle."""
    from rot180.cli.images import Inputs, read_images

    inputs = Inputs((28, 28, 1), (0.0, 1.0), "mnist", None)
    bar = np.zeros((300, 200), np.uint8)
    bar[30:130, 20:60] = 255
    prepared = np.zeros((28, 28), np.uint8)
    prepared[4:24, 10:18] = 255
    for image, notes in (
        (bar, ("cropped to the strokes",)),
        (255 - bar, ("dark on light: inverted", "cropped to the strokes")),
        (prepared, ()),
        (prepared.repeat(7, axis=0).repeat(7, axis=1), ()),
    ):
        Image.fromarray(image).save(tmp_path / "bar.png")
        found = read_images(tmp_path / "bar.png", inputs)
        assert found.notes == notes
        np.testing.assert_allclose(found.x[0, :, :, 0], prepared / 255, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 9])
def test_a_picture_of_the_networks_size_is_taken_as_it_is_cut(tmp_path, scale):
    """Data of one's own may be cut otherwise than MNIST: here strokes fill the height.

    rot180 train enlarges the samples that it writes.
    """
    from rot180.cli.images import Inputs, read_images

    inputs = Inputs((28, 28, 1), (0.0, 1.0), "mnist", None)
    image = np.zeros((28, 28), np.uint8)
    image[:, 3:9] = 255
    Image.fromarray(image.repeat(scale, 0).repeat(scale, 1)).save(tmp_path / "bar.png")
    found = read_images(tmp_path / "bar.png", inputs)
    assert found.notes == ()
    np.testing.assert_array_equal(found.x[0, :, :, 0], image / np.float32(255))


class TestResume:
    def options(self, tmp_path, out, *others):
        return [
            "train",
            "mnist",
            "--data",
            tmp_path / "files",
            "--epochs",
            3,
            "--out",
            out,
            *others,
        ]

    @pytest.fixture
    def stopped(self, tmp_path, monkeypatch, capsys):
        """The folder of a training that was stopped in the middle of its second epoch."""
        write_mnist(tmp_path / "files", train=100, test=20)
        seen = []

        def interrupt(self, trainer, epoch, batch, logs):
            seen.append(batch)
            if len(seen) == 6:
                signal.raise_signal(signal.SIGINT)

        out = tmp_path / "stopped"
        with monkeypatch.context() as context:
            context.setattr("rot180.cli.train.EpochKeeper.on_train_batch_end", interrupt)
            assert main(list(map(str, self.options(tmp_path, out)))) == 130
        assert capsys.readouterr().err == (
            f"rot180: stopped: {out}/weights.safetensors holds the weights after epoch 1; "
            "--resume goes on\n"
        )
        return out

    def test_to_the_same_bits(self, tmp_path, stopped, capsys):
        whole = tmp_path / "whole"
        run(capsys, *self.options(tmp_path, whole))
        printed = run(capsys, *self.options(tmp_path, stopped, "--resume"))
        assert "  2/3" in printed
        assert "  1/3" not in printed
        check_results(stopped, 3)
        for name in ("weights.safetensors", "confusion.png"):
            assert (stopped / name).read_bytes() == (whole / name).read_bytes()

    def test_it_is_not_begun_anew_by_mistake(self, tmp_path, stopped, capsys):
        error = refused(capsys, *self.options(tmp_path, stopped))
        assert f"{stopped}/checkpoints holds a training that was stopped" in error
        assert len(list((stopped / "checkpoints").iterdir())) == 2

    @pytest.mark.parametrize(
        ("others", "words"),
        [
            (["--lr", 0.5], "goes on with --lr 0.001, got --lr 0.5"),
            (["--augment", "none"], "goes on with --augment"),
            (["--seed", 5], "seed"),
            (["--epochs", 9], "--epochs 3, got --epochs 9"),
            (["--batch-size", 50], "batch_size=32, this fit has 50"),
            (["--model", "lenet5"], "another model"),
            (["--optimizer", "sgd"], "SGD"),
            (["--weight-decay", 0.5], "--weight-decay 0.0, got --weight-decay 0.5"),
        ],
    )
    def test_other_settings_are_refused(self, tmp_path, stopped, capsys, others, words):
        before = (stopped / "weights.safetensors").read_bytes()
        assert words in refused(capsys, *self.options(tmp_path, stopped, "--resume", *others))
        assert (stopped / "weights.safetensors").read_bytes() == before

    def test_nothing_to_resume(self, tmp_path, capsys):
        write_mnist(tmp_path / "files", train=100, test=20)
        out = tmp_path / "new"
        assert str(out) in refused(capsys, *self.options(tmp_path, out, "--resume"))
        assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mnist"], "mnist needs --data PATH, the folder with train-images-idx3-ubyte"),
        (["folder"], "folder needs --data PATH, the folder with a folder of pictures"),
        (["digits", "--data", "somewhere"], "digits come with scikit-learn: leave --data away"),
        (["mnist", "--data", ".", "--size", "8"], "--size is for folder"),
        (["folder", "--data", ".", "--size", "8x"], "expected a size as 32 or 32x48, got '8x'"),
        (["folder", "--data", ".", "--size", "0"], "expected a size as 32 or 32x48, got '0'"),
        (["digits", "--augment", "flip,fly"], "expected none, or flip, crop, shift, affine, cut"),
        (["digits", "--augment", ""], "expected none, or flip"),
        (["digits", "--model", "resnet9000"], "--model"),
        (["digits", "--schedule", "slow"], "--schedule"),
        (["imagenet"], "no data are called imagenet, expected digits, mnist"),
        (["mnist", "--data", "nowhere"], "nowhere"),
        (["cifar10", "--data", "nowhere"], "nowhere: No such file or directory"),
        (["npz", "--data", "."], ". is a folder: expected a file"),
        (["digits", "--model", "blog_cnn"], "layer 2"),
    ],
)
def test_mistakes(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    assert words in refused(capsys, "train", *arguments)
    assert list(tmp_path.iterdir()) == []
