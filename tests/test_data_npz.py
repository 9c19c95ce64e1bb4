"""Archives of arrays: what is read, and what is refused before memory is spent on it."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest

from data_files import images, write_npz
from rot180.data import load_npz

PART = {"x_train": ((90, 0), "x"), "x_test": ((30, 1), "x")}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data.npz"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_bytes(path, monkeypatch, save):
    monkeypatch.setattr(np, "savez", save)
    found = load_npz(str(write_npz(path)))
    for x, y, count, seed in (
        (found.x_train, found.y_train, 90, 0),
        (found.x_test, found.y_test, 30, 1),
    ):
        expected_x, expected_y = images(count, (12, 10, 2), 3, seed=seed)
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(x, expected_x)
        np.testing.assert_array_equal(y, expected_y)
    assert found.class_names == ("0", "1", "2")


def change(path, **arrays):
    write_npz(path, **arrays)
    return load_npz(path)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("<f4", np.float32),
        (">f4", np.float32),
        ("f8", np.float32),
        ("f2", np.float32),
        ("i8", np.uint8),
        (">u2", np.uint8),
        ("bool", np.uint8),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_dtypes_and_orders(path, dtype, expected, order):
    rng = np.random.default_rng(0)
    arrays = {
        name: np.asarray(rng.integers(0, 200, (count, 5, 4)).astype(dtype), order=order)
        for name, count in (("x_train", 90), ("x_test", 30))
    }
    found = change(path, **arrays)
    assert found.x_train.shape == (90, 5, 4, 1)
    for x, name in ((found.x_train, "x_train"), (found.x_test, "x_test")):
        assert x.dtype == expected
        assert x.dtype.isnative
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(x[..., 0], arrays[name])


def test_labels_as_keras_has_them_and_names(path):
    names = np.array(["cat", "big dog", "bird", "none of this"])
    found = change(path, y_test=np.ones((30, 1), np.uint8), class_names=names)
    assert found.y_test.tolist() == [1] * 30
    assert found.class_names == ("cat", "big dog", "bird", "none of this")
    assert change(path, y_test=np.full(30, 6)).class_names == tuple("0123456")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y_test": np.zeros(29, int)}, r"y_test has labels of shape \(29,\), expected 30"),
        ({"y_test": np.zeros((30, 2), int)}, r"y_test has shape \(30, 2\) and dtype int64"),
        ({"y_train": np.zeros(90)}, r"y_train has shape \(90,\) and dtype float64, expected int"),
        ({"y_train": np.full(90, -1)}, "y_train has the label -1 at index 0, expected 0 to"),
        ({"y_train": np.full(90, 2**62)}, f"the largest label is {2**62}: name the classes"),
        ({"class_names": np.array(["a", "b"])}, "has the label 2 at index 2, expected 0 to 1"),
        ({"class_names": np.arange(3)}, "class_names has dtype int64, expected strings"),
        ({"class_names": np.array([["a"]])}, "class_names"),
        ({"x_train": np.zeros((90, 12))}, r"x_train has shape \(90, 12\), expected images"),
        ({"x_train": np.zeros((0, 12, 10, 2))}, r"x_train has shape \(0, 12, 10, 2\)"),
        ({"x_train": np.zeros((90, 12, 10, 2))}, "float32, x_test .* of uint8, expected the same"),
        ({"x_train": np.zeros((90, 12, 9, 2), "u1")}, r"images \(12, 9, 2\) of uint8, x_test"),
        ({"x_train": np.full((90, 2, 2), 256)}, "x_train has dtype int64: expected floats, or int"),
        ({"x_train": np.full((90, 2, 2), -1)}, "x_train has dtype int64"),
        ({"x_train": np.ones((90, 2, 2), complex)}, "x_train has dtype complex128, expected num"),
        ({"x_train": np.full((90, 2, 2), np.nan)}, "x_train holds NaN, infinite or too large"),
        ({"x_train": np.full((90, 2, 2), 1e300)}, "x_train holds NaN, infinite or too large"),
        ({"x_train": np.full((90, 2, 2), None)}, "x_train has dtype object, expected numbers"),
        ({"x_train": np.zeros((90, 2, 2), "f4,f4")}, "x_train has dtype .*, expected numbers"),
    ],
)
def test_arrays_that_cannot_be_right(path, arrays, words):
    with pytest.raises(ValueError, match=words) as error:
        change(path, **arrays)
    assert str(path) in str(error.value)


def test_missing_arrays_and_files(path):
    np.savez(path, x=np.zeros(3), y_test=np.zeros(3))
    with pytest.raises(ValueError, match="lacks x_train, y_train, x_test, expected x_train, y_tr"):
        load_npz(path)
    with pytest.raises(FileNotFoundError):
        load_npz(path.with_name("nowhere.npz"))
    with pytest.raises(ValueError, match="is a folder"):
        load_npz(path.parent)
    np.save(path.with_name("one.npy"), np.zeros(3))
    with pytest.raises(ValueError, match=r"one\.npy is damaged or no .npz archive"):
        load_npz(path.with_name("one.npy"))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_cut_off_or_damaged_anywhere(path, monkeypatch, save):
    monkeypatch.setattr(np, "savez", save)
    write_npz(path, shape=(3, 2, 1), train=6, test=3)
    content = path.read_bytes()
    whole = load_npz(path)
    for length in range(0, len(content), 17):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match=str(path)):
            load_npz(path)
    refused = 0
    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0x24]) + content[place + 1 :])
        try:
            found = load_npz(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017
            refused += 1
        else:  # dates and the like
            for a, b in zip(found[:4], whole[:4], strict=True):
                np.testing.assert_array_equal(a, b)
    assert refused > len(content) / 2


def archive(path, name, content, compression=zipfile.ZIP_STORED):
    write_npz(path)
    with zipfile.ZipFile(path) as old:
        members = {member: old.read(member) for member in old.namelist()}
    with zipfile.ZipFile(path, "w", compression) as new:
        for member, data in (members | {name: content}).items():
            new.writestr(member, data)


def header(shape, descr="|u1", version=(1, 0)):
    """A header that describes more than follows it."""
    buffer = io.BytesIO()
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    buffer.write(b"\x93NUMPY" + bytes(version) + size + text)
    return buffer.getvalue() + bytes(100)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize(
    "content",
    [
        header("(10000000000000, 28, 28, 3)"),
        header("(100000000, 28, 28, 3)"),
        header("(90, 12, 10, 99999999999999999999999)"),
        header("(0, 12, 10, 99999999999999999999999)"),
        header("(-5, -20, 1)"),
        header("(-1, 12, 10)"),
        header("(90, 12, 10)", "|S0"),
        header("(90, 12, 10)", "|V0"),
        header("(100000000000, 1, 1)", "<U0"),
        header("(90, 12, 10)", "|O"),
        header("(90, 12, 10)", "no type"),
        header("__import__('os')"),
        header("(1, 10, 10)", version=(9, 9)),
        header("(1, 10, 9)"),
        header("(1, 10, 11)"),
        b"\x93NUMPY\x01\x00\xff\xff",
        b"",
        b"hello",
    ],
)
def test_headers_that_are_not_believed(path, content, compression):
    archive(path, "x_train.npy", content, compression)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"data\.npz: x_train"):
        load_npz(path)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
