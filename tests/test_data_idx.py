"""IDX files: what is read, and what is refused before memory is spent on it."""

from __future__ import annotations

import gzip
import os
import tracemalloc

import numpy as np
import pytest

from data_files import idx_bytes, images, write_mnist
from rot180 import data
from rot180.data import load_fashion_mnist, load_mnist, read_idx

IMAGES = "train-images-idx3-ubyte"
LABELS = "t10k-labels-idx1-ubyte"


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "i4", "f4", "f8"])
@pytest.mark.parametrize("shape", [(5,), (2, 3), (2, 0, 4), (2, 3, 4), (1, 2, 1, 2, 3)])
def test_every_type_and_number_of_axes(tmp_path, dtype, shape, zipped):
    array = np.random.default_rng(0).integers(-100, 100, shape).astype(dtype)
    content = idx_bytes(array)
    (tmp_path / "file").write_bytes(gzip.compress(content) if zipped else content)
    found = read_idx(tmp_path / "file")
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("separator", ["-", "."])
def test_mnist(tmp_path, zipped, separator):
    mnist = load_mnist(write_mnist(tmp_path, 50, 20, zipped, separator))
    for x, y, count, seed in (
        (mnist.x_train, mnist.y_train, 50, 0),
        (mnist.x_test, mnist.y_test, 20, 1),
    ):
        expected_x, expected_y = images(count, (28, 28, 1), seed=seed)
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)
    assert mnist.class_names == tuple("0123456789")


def test_the_content_tells_what_is_gzipped_and_not_the_name(tmp_path):
    write_mnist(tmp_path)
    content = (tmp_path / IMAGES).read_bytes()
    (tmp_path / IMAGES).write_bytes(gzip.compress(content))
    labels = (tmp_path / LABELS).read_bytes()
    (tmp_path / LABELS).unlink()
    (tmp_path / f"{LABELS}.gz").write_bytes(labels)
    mnist = load_mnist(str(tmp_path))
    np.testing.assert_array_equal(mnist.x_train[..., 0], read_idx(tmp_path / IMAGES))
    np.testing.assert_array_equal(mnist.y_test, images(60, (28, 28, 1))[1])


def test_other_class_names(tmp_path):
    fashion = load_fashion_mnist(write_mnist(tmp_path))
    assert fashion.class_names[9] == "Ankle boot"
    assert len(fashion.class_names) == 10
    names = [f"letter {i}" for i in range(27)]
    assert load_mnist(tmp_path, names).class_names == tuple(names)
    with pytest.raises(ValueError, match="has the label 3 at index 3, expected 0 to 2"):
        load_mnist(tmp_path, ["a", "b", "c"])


@pytest.mark.parametrize("name", [IMAGES, LABELS])
def test_a_missing_file(tmp_path, name):
    write_mnist(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"there is no {name}, with or without .gz"):
        load_mnist(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / name)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("change", [-1, -1000, 1])
def test_a_file_that_is_too_short_or_too_long(tmp_path, zipped, change):
    write_mnist(tmp_path)
    path = tmp_path / IMAGES
    content = path.read_bytes()
    content = content[:change] if change < 0 else content + b"\0"
    path.write_bytes(gzip.compress(content) if zipped else content)
    words = "is cut off or damaged" if change < 0 else "goes on after 156816 bytes"
    with pytest.raises(ValueError, match=f"{IMAGES} {words}"):
        load_mnist(tmp_path)


def test_every_length_and_every_damage_of_a_gzipped_file(tmp_path):
    content = gzip.compress(idx_bytes(np.arange(300, dtype="i4").reshape(3, 100)))
    path = tmp_path / "file"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            read_idx(path)
    for place in range(10, len(content)):  # from where the data begin
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x41]) + content[place + 1 :])
        with pytest.raises(ValueError, match=str(path)):
            read_idx(path)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "start",
    [
        b"\0\0\x08\x03" + 3 * b"\xff\xff\xff\xff",
        b"\0\0\x0e\x08" + 8 * b"\xff\xff\xff\xff",
        b"\0\0\x08\x03\x00\xff\xff\xff\0\0\x04\0\0\0\0\x04",
        b"\0\0\x0e\x08" + 4 * b"\0\0\0\0\xff\xff\xff\xff",
    ],
)
def test_a_header_that_promises_too_much_is_not_believed(tmp_path, start, zipped):
    content = start + bytes(1000)
    (tmp_path / "file").write_bytes(gzip.compress(content) if zipped else content)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"file (is cut off or|is) damaged"):
        read_idx(tmp_path / "file")
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is cut off"),
        (b"\0\0\x08", "is cut off"),
        (b"\0\0\x08\x01", "is cut off"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not an IDX file: it begins with the bytes 89 50"),
        (b"\0\0\x07\x01" + bytes(100), "is not an IDX file"),
        (b"\0\0\x08\0" + bytes(100), "is not an IDX file"),
        (b"\0\0\x08\x09" + bytes(100), "is not an IDX file"),
        (b"\x1f\x8b" + bytes(100), "is cut off or damaged"),
    ],
)
def test_something_else(tmp_path, content, words):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ValueError, match=f"file {words}"):
        read_idx(tmp_path / "file")


def test_a_folder_and_a_pipe(tmp_path):
    with pytest.raises(ValueError, match="is a folder: expected a file"):
        read_idx(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is not a regular file"):
        read_idx(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        (LABELS, np.zeros(59, "u1"), r"has labels of shape \(59,\), expected 60"),
        (LABELS, np.zeros((60, 1), "u1"), r"has labels of shape \(60, 1\), expected 60"),
        (LABELS, np.full(60, 10, "u1"), "has the label 10 at index 0, expected 0 to 9"),
        (LABELS, np.full(60, -1, "i1"), "has the label -1 at index 0, expected 0 to 9"),
        (LABELS, np.zeros(60, "f4"), "has dtype float32, expected integers"),
        (IMAGES, np.zeros((200, 784), "u1"), r"has shape \(200, 784\) and dtype uint8"),
        (IMAGES, np.zeros((200, 28, 28), "f4"), "has .* dtype float32, expected images"),
        (IMAGES, np.zeros((0, 28, 28), "u1"), r"has shape \(0, 28, 28\)"),
        (IMAGES, np.zeros((200, 28, 0), "u1"), r"has shape \(200, 28, 0\)"),
    ],
)
def test_files_that_do_not_fit_one_another(tmp_path, name, array, words):
    write_mnist(tmp_path)
    (tmp_path / name).write_bytes(idx_bytes(array))
    with pytest.raises(ValueError, match=f"{name} {words}"):
        load_mnist(tmp_path)


def test_held_out_images_of_another_size(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / IMAGES).write_bytes(idx_bytes(np.zeros((200, 20, 28), "u1")))
    with pytest.raises(ValueError, match=r"\(20, 28, 1\) and those of t10k \(28, 28, 1\)"):
        load_mnist(tmp_path)


def test_bytes_are_trained_on_as_they_are(tmp_path):
    mnist = load_mnist(write_mnist(tmp_path))
    x, y = data.Dataset(mnist.x_train, mnist.y_train).batch([0, 5])
    assert (x.dtype, float(x.max())) <= (np.float32, 1.0)
    np.testing.assert_allclose(x * 255, mnist.x_train[[0, 5]], rtol=1e-6)
    assert y.tolist() == [0, 5]
