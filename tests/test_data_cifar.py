"""CIFAR's binary files, in folders and in archives."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc

import numpy as np
import pytest

from data_files import cifar10_files, cifar100_files, images, write_archive, write_files
from rot180.data import load_cifar10, load_cifar100

RECORD = 3073


@pytest.fixture
def files():
    return cifar10_files()


def same(found, train, test, classes):
    for x, y, count, seed in (
        (found.x_train, found.y_train, train, 0),
        (found.x_test, found.y_test, test, 1),
    ):
        expected_x, expected_y = images(count, (32, 32, 3), classes, seed=seed)
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)


@pytest.mark.parametrize("inner", ["", "cifar-10-batches-bin"])
def test_cifar10_in_a_folder(tmp_path, files, inner):
    (tmp_path / "aaa").mkdir()
    write_files(tmp_path / inner, files)
    cifar = load_cifar10(str(tmp_path))
    same(cifar, 120, 40, 10)
    assert cifar.class_names[:2] == ("airplane", "automobile")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_cifar10_in_an_archive(tmp_path, files, mode):
    # In the order in which no file comes before those that it is told apart by.
    disordered = dict(sorted(files.items(), reverse=True))
    same(load_cifar10(write_archive(tmp_path / "a", disordered, mode=mode)), 120, 40, 10)
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("archived", [False, True])
def test_cifar100(tmp_path, archived):
    files = cifar100_files()
    path = write_files(tmp_path / "c", files)
    if archived:
        path = write_archive(tmp_path / "a.tar.gz", files)
    cifar = load_cifar100(path)
    same(cifar, 300, 100, 100)
    assert cifar.class_names[99] == "class_99"


def test_classes_without_names_go_by_number(tmp_path, files):
    del files["batches.meta.txt"]
    assert load_cifar10(write_files(tmp_path, files)).class_names == tuple("0123456789")


@pytest.mark.parametrize("archived", [False, True])
@pytest.mark.parametrize("name", ["data_batch_2.bin", "test_batch.bin"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (lambda old: old[:-1], "expected records of 3073"),
        (lambda old: old + b"\0", "expected records of 3073"),
        (lambda old: b"", "has 0 bytes, expected records"),
        (lambda old: old[:RECORD] + b"\x0a" + old[RECORD + 1 :], "has the label 10 at index 1"),
        (lambda old: gzip.compress(old), "bytes, expected records"),
    ],
)
def test_damaged_images(tmp_path, files, name, content, words, archived):
    files[name] = content(files[name])
    path = write_files(tmp_path / "c", files)
    if archived:
        path = write_archive(tmp_path / "a", files)
    with pytest.raises(ValueError, match=f"{name} .*{words}"):
        load_cifar10(path)


@pytest.mark.parametrize("text", ["one\ntwo\n", "", 70_000 * "x", 11 * "name\n"])
def test_damaged_names(tmp_path, files, text):
    files["batches.meta.txt"] = text.encode()
    with pytest.raises(ValueError, match=r"batches\.meta\.txt has \d+ (bytes|names), expected 10"):
        load_cifar10(write_files(tmp_path, files))


@pytest.mark.parametrize("archived", [False, True])
def test_missing_files(tmp_path, files, archived):
    def refused(kept, load, words):
        path = write_files(tmp_path / f"c{len(kept)}", kept)
        if archived:
            path = write_archive(tmp_path / f"a{len(kept)}", kept)
        with pytest.raises(FileNotFoundError, match=words):
            load(path)

    without_test = {name: files[name] for name in files if name != "test_batch.bin"}
    without_train = {name: files[name] for name in files if "data_batch" not in name}
    refused(without_test, load_cifar10, r"there is no test_batch\.bin")
    refused(without_train, load_cifar10, r"there is no data_batch_1\.bin")
    refused({}, load_cifar10, r"there is no data_batch_1\.bin")
    refused(files, load_cifar100, r"there is no train\.bin")
    with pytest.raises(FileNotFoundError):
        load_cifar10(tmp_path / "nowhere")


def test_an_archive_cut_off_or_damaged_anywhere(tmp_path, files):
    for name in files:  # no more than must be, as each is read from its beginning
        files[name] = files[name][:RECORD] if name.endswith(".bin") else files[name]
    path = write_archive(tmp_path / "a.tar.gz", files)
    content = path.read_bytes()
    for length in range(0, len(content) - 200, len(content) // 40):
        path.write_bytes(content[:length])
        with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
            load_cifar10(path)
    rng = np.random.default_rng(0)
    for place in rng.integers(10, len(content) - 200, 40):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
        with pytest.raises((ValueError, FileNotFoundError), match=str(path)):
            load_cifar10(path)


def test_a_member_that_promises_too_much_is_not_believed(tmp_path):
    member = tarfile.TarInfo("data_batch_1.bin")
    member.size = 10**13
    for mode in ("w", "w:gz"):
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode=mode) as archive:
            archive.fileobj.write(member.tobuf())
            archive.fileobj.write(bytes(20_000))
        (tmp_path / "a").write_bytes(buffer.getvalue())
        tracemalloc.start()
        with pytest.raises(ValueError, match=r"data_batch_1\.bin is damaged: it says that it has"):
            load_cifar10(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
        tracemalloc.stop()
