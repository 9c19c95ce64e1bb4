"""Arrays from files of every kind that a program may write."""

from __future__ import annotations

import numpy as np
import pytest

from rot180.diagnose.files import read_numbers

ARRAY = np.array([[1.5, -2.25, 3.0], [0.0, 1e-3, 7.0]])


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("1.5 -2.25 3\n0 1e-3 7\n", 3),
        ("1.5,-2.25,3\n0,0.001,7\n", 3),
        ("1.5, -2.25, 3.0,\n0.0, 1.0e-3, 7.0,\n", 3),
        ("# a comment\n1.5;-2.25;3 # and one here\n\n0;1E-3;7", 3),
        ("\ufeff1.500000\t-2.250000\t3.000000\r\n0.000000\t0.001000\t7.000000\r\n", 7),
    ],
)
def test_text(tmp_path, text, digits):
    path = tmp_path / "a.txt"
    path.write_text(text, encoding="utf-8")
    values, found = read_numbers(str(path))
    np.testing.assert_array_equal(values, ARRAY)
    assert found == digits
    reshaped = read_numbers(f"{path}:1x3x2x1").values
    np.testing.assert_array_equal(reshaped, ARRAY.reshape(1, 3, 2, 1))


def test_a_shape_is_given_to_lines_of_any_length(tmp_path):
    """As a program prints them, so many in a line."""
    path = tmp_path / "a.txt"
    path.write_text("1 2 3 4\n5 6\n")
    values, _ = read_numbers(f"{path}:3x2")
    assert values.tolist() == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(ValueError, match="give them their shape, FILE:2x6x7x3"):
        read_numbers(str(path))


def test_whole_numbers_are_exact(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1,-2,3000000\n")
    values, digits = read_numbers(str(path))
    assert values.tolist() == [1, -2, 3000000]
    assert digits is None


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_npy_and_npz_keep_their_dtype(tmp_path, dtype):
    array = ARRAY.astype(dtype)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "one.npz", array)
    np.savez(tmp_path / "two.npz", x=array, dy=2 * array)
    for name in ("a.npy", "one.npz", "two.npz:x"):
        values, digits = read_numbers(str(tmp_path / name))
        assert values.dtype == dtype
        assert digits is None
        np.testing.assert_array_equal(values, array)


def with_header(header):
    """An .npy file, as programs write it by hand."""
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(48)


def test_damaged_archives_are_refused(tmp_path):
    """Whatever the layers below raise: zipfile, zlib and struct have errors of their own."""
    np.savez_compressed(tmp_path / "whole.npz", x=np.arange(50.0))
    whole = (tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "damaged.npz"
    refused = []
    for place in range(6, len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        try:
            read_numbers(str(path))
        except ValueError as error:
            refused.append(str(error))
    assert len(refused) > len(whole) / 2
    assert all(str(path) in message for message in refused)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 2 3\n4 5\n", "its lines hold from 2 to 3 numbers"),
        (b"1 2 x\n", "could not convert string to float"),
        (b"\n# nothing\n", "it is empty"),
        (b"\x93NUMPY\x01\x00garbage", "cannot be read as an array"),
        (with_header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,3"), "cannot be read"),
        (b"PK\x03\x04garbage", "cannot be read as an array"),
        (b"\xff\xfe\x00", "cannot be read as an array"),
    ],
)
def test_what_is_no_array_is_refused(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_numbers(str(path))
    assert str(path) in str(caught.value)


def test_wrong_names_are_told(tmp_path):
    np.savez(tmp_path / "two.npz", x=ARRAY, dy=ARRAY)
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"it holds x, dy: say which, .*two\.npz:x"):
        read_numbers(str(tmp_path / "two.npz"))
    with pytest.raises(ValueError, match="it holds x, dy"):
        read_numbers(str(tmp_path / "two.npz:w"))
    with pytest.raises(ValueError, match="cannot be read as an array"):
        read_numbers(str(tmp_path / "objects.npy"))
    with pytest.raises(FileNotFoundError):
        read_numbers(str(tmp_path / "missing.npy"))
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(ValueError, match="holds 3 numbers, which do not make 2x2"):
        read_numbers(f"{tmp_path / 'a.txt'}:2x2")
