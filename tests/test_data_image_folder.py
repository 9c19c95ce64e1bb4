"""Folders of pictures: classes, parts, sizes, and what is wrong with a file."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest
from PIL import Image

from data_files import images, write_image_folder
from rot180.data import load_image_folder

RNG = np.random.default_rng(0)


def picture(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def two_classes(folder, image, **options):
    """A folder whose first picture of class a is `image`; the others are 8x8 and black."""
    for name, number in (("a", 1), ("b", 0), ("b", 1)):
        (folder / name).mkdir(exist_ok=True)
        Image.new("L", (8, 8)).save(folder / name / f"{number}.png")
    image.save(folder / "a" / "0.png", **options)
    return folder


def test_parts_of_their_own(tmp_path):
    for name, seed in (("train", 0), ("test", 1)):
        write_image_folder(tmp_path / name, each=5 - seed, seed=seed)
    found = load_image_folder(tmp_path)
    assert found.class_names == ("cat", "dog")
    for x, y, each, seed in (
        (found.x_train, found.y_train, 5, 0),
        (found.x_test, found.y_test, 4, 1),
    ):
        expected_x, expected_y = images(2 * each, (20, 16, 3), 2, seed=seed)
        order = np.argsort(expected_y, kind="stable")
        assert (x.dtype, y.dtype) == (np.uint8, np.int64)
        np.testing.assert_array_equal(x, expected_x[order])
        np.testing.assert_array_equal(y, expected_y[order])


def test_val_will_do_and_test_is_better(tmp_path):
    write_image_folder(tmp_path / "train")
    write_image_folder(tmp_path / "val", each=2, size=(20, 16))
    assert len(load_image_folder(tmp_path).x_test) == 4
    write_image_folder(tmp_path / "test", each=3)
    assert len(load_image_folder(tmp_path).x_test) == 6


def test_a_class_that_is_not_held_out_and_one_that_is_new(tmp_path):
    write_image_folder(tmp_path / "train", ("a", "b", "c"))
    write_image_folder(tmp_path / "test", ("a", "c"))
    assert np.bincount(load_image_folder(tmp_path).y_test).tolist() == [12, 0, 12]
    write_image_folder(tmp_path / "test", ("d", "e"))
    with pytest.raises(ValueError, match=r"test has the classes \['d', 'e'\], which .*train has"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("inner", ["", "train"])
def test_a_split_by_seed(tmp_path, inner):
    write_image_folder(tmp_path / inner, ("a", "b", "c"), each=9)
    all_of_them, _ = images(27, (20, 16, 3), 3)
    one, again = (load_image_folder(tmp_path, seed=1) for _ in range(2))
    other = load_image_folder(tmp_path, seed=2)
    for a, b in zip(one[:4], again[:4], strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.x_test != other.x_test).any()
    for found in (one, other):
        assert np.bincount(found.y_test).tolist() == [2, 2, 2]
        both = np.concatenate([found.x_train, found.x_test])
        assert sorted(map(bytes, both)) == sorted(map(bytes, all_of_them))
    assert np.bincount(load_image_folder(tmp_path, held_out=0.5).y_test).tolist() == [4, 4, 4]
    assert np.bincount(load_image_folder(tmp_path, held_out=0.01).y_test).tolist() == [1, 1, 1]
    assert np.bincount(load_image_folder(tmp_path, held_out=0.99).y_train).tolist() == [1, 1, 1]


def test_a_single_picture_is_trained_on(tmp_path):
    write_image_folder(tmp_path, ("a", "b"), each=4)
    write_image_folder(tmp_path, ("c",), each=1)
    assert load_image_folder(tmp_path).y_train.tolist() == [0, 0, 0, 1, 1, 1, 2]
    write_image_folder(tmp_path / "other", ("a", "b"), each=1)
    with pytest.raises(ValueError, match="other has one picture of each class: none can be held"):
        load_image_folder(tmp_path / "other")


def test_grey_or_colour(tmp_path):
    write_image_folder(tmp_path, grey=True)
    assert load_image_folder(tmp_path).x_train.shape == (18, 20, 16, 1)
    assert load_image_folder(tmp_path, channels=3).x_train.shape == (18, 20, 16, 3)
    coloured = picture(20, 16, 3)
    Image.fromarray(coloured).save(tmp_path / "cat" / "coloured.png")
    assert load_image_folder(tmp_path).x_train.shape == (19, 20, 16, 3)
    found = load_image_folder(tmp_path, channels=1)
    grey = np.concatenate([found.x_train, found.x_test])
    expected = np.asarray(Image.fromarray(coloured).convert("L"))
    assert any((image[..., 0] == expected).all() for image in grey)


def test_files_that_are_no_pictures_are_left_alone(tmp_path):
    write_image_folder(tmp_path)
    (tmp_path / "readme.txt").write_text("hello")
    (tmp_path / ".cache").mkdir()
    for name in ("Thumbs.db", ".hidden.png", "list.csv"):
        (tmp_path / "cat" / name).write_text("hello")
    assert len(load_image_folder(tmp_path).x_train) == 18


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "ppm", "webp", "jpg", "jpeg"])
def test_formats(tmp_path, suffix):
    lossless = {"lossless": True} if suffix == "webp" else {}
    x = np.broadcast_to(np.array([30, 90, 200], np.uint8), (8, 8, 3))
    for name in "ab":
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(x).save(tmp_path / name / f"{number}.{suffix}", **lossless)
    found = load_image_folder(tmp_path)
    np.testing.assert_allclose(found.x_train, x[np.newaxis].repeat(2, 0), atol=2)


def first(folder, *arguments, **options):
    """The picture that `two_classes` was given."""
    found = load_image_folder(folder, *arguments, **options)
    both = np.concatenate([found.x_train[found.y_train == 0], found.x_test[found.y_test == 0]])
    return max(both, key=lambda image: image.std())


def test_a_picture_that_was_enlarged_comes_out_as_it_was(tmp_path):
    x = picture(6, 4, 3)
    two_classes(tmp_path, Image.fromarray(x.repeat(7, axis=0).repeat(7, axis=1)))
    np.testing.assert_array_equal(first(tmp_path, (6, 4)), x)


def test_pictures_are_cut_around_their_middle(tmp_path):
    x = picture(8, 8, 1)
    wide = np.pad(x[..., 0], ((0, 0), (5, 5)))
    two_classes(tmp_path, Image.fromarray(wide))
    np.testing.assert_array_equal(first(tmp_path, 8), x)
    two_classes(tmp_path, Image.fromarray(wide.T))
    np.testing.assert_array_equal(first(tmp_path, 8)[..., 0], x[..., 0].T)


def test_sixteen_bits_of_grey(tmp_path):
    x = picture(8, 8)
    two_classes(tmp_path, Image.fromarray(x.astype(np.uint16) * 257))
    np.testing.assert_array_equal(first(tmp_path)[..., 0], x)


def test_palettes_and_transparency(tmp_path):
    x = np.where(picture(8, 8, 1) > 127, 255, 0).astype(np.uint8).repeat(3, axis=2)
    two_classes(tmp_path, Image.fromarray(x).convert("P"))
    np.testing.assert_array_equal(first(tmp_path), x)
    two_classes(tmp_path, Image.fromarray(np.dstack([x, x[..., :1]])))
    np.testing.assert_array_equal(first(tmp_path), x)


@pytest.mark.parametrize("size", [None, (8, 6)])
def test_the_orientation_that_the_camera_noted(tmp_path, size):
    x = picture(6, 8)
    exif = Image.Exif()
    exif[0x0112] = 6
    folder = two_classes(tmp_path, Image.fromarray(x), exif=exif)
    for path in folder.rglob("*.png"):
        if path != folder / "a" / "0.png":
            Image.new("L", (6, 8)).save(path)
    np.testing.assert_array_equal(first(folder, size)[..., 0], np.rot90(x, -1))


def test_a_large_photograph_gives_what_a_small_one_would(tmp_path):
    smooth = np.add.outer(np.arange(0, 128, 4), np.arange(0, 128, 4)).astype(np.uint8)
    two_classes(tmp_path, Image.fromarray(smooth))
    large = Image.fromarray(smooth.repeat(32, axis=0).repeat(32, axis=1))
    large.save(tmp_path / "a" / "0.jpg", quality=95)
    small = first(tmp_path, 32)
    (tmp_path / "a" / "0.png").unlink()
    np.testing.assert_allclose(first(tmp_path, 32), small, atol=4)


def test_different_sizes_need_a_size(tmp_path):
    two_classes(tmp_path, Image.fromarray(picture(9, 8)))
    with pytest.raises(ValueError, match=r"a/.\.png has 8x. pixels and .*a/.\.png has 8x.: pass"):
        load_image_folder(tmp_path)
    assert load_image_folder(tmp_path, (4, 5)).x_train.shape[1:] == (4, 5, 1)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.png", lambda png: b"hello"),
        ("empty.jpg", lambda png: b""),
        ("cut.png", lambda png: png[: len(png) // 2]),
        ("flipped.png", lambda png: png[:60] + bytes([png[60] ^ 255]) + png[61:]),
        ("tiff.png", lambda png: b"II*\0\x08\0\0\0" + bytes(50)),
    ],
)
def test_a_broken_picture(tmp_path, name, content):
    write_image_folder(tmp_path)
    png = (tmp_path / "cat" / "000.png").read_bytes()
    (tmp_path / "cat" / name).write_bytes(content(png))
    for size in (None, 8):
        with pytest.raises(ValueError, match=f"cat/{name} is not a readable picture"):
            load_image_folder(tmp_path, size)


def test_too_many_pixels_a_pipe_and_a_folder(tmp_path, monkeypatch):
    two_classes(tmp_path, Image.new("1", (3000, 3000)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000_000)
    with pytest.raises(ValueError, match=r"a/0\.png has too many pixels"):
        load_image_folder(tmp_path, 8)
    (tmp_path / "a" / "0.png").unlink()
    os.mkfifo(tmp_path / "a" / "0.png")
    with pytest.raises(ValueError, match=r"a/0\.png is not a regular file"):
        load_image_folder(tmp_path, 8)
    (tmp_path / "a" / "0.png").unlink()
    (tmp_path / "a" / "0.png").mkdir()
    with pytest.raises(ValueError, match=r"a/0\.png is a folder"):
        load_image_folder(tmp_path, 8)


def test_folders_that_cannot_be_right(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_image_folder(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds 0 folders, expected a folder of pictures for each"):
        load_image_folder(tmp_path)
    write_image_folder(tmp_path, ("a",))
    with pytest.raises(ValueError, match="holds 1 folders"):
        load_image_folder(tmp_path)
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match=r"b holds no pictures \(\.png, \.jpg"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"size": 0}, ValueError, "size"),
        ({"size": "8"}, TypeError, "size"),
        ({"size": (8, 8, 3)}, ValueError, "size"),
        ({"channels": 2}, ValueError, "channels must be 1, 3 or None, got 2"),
        ({"held_out": 0}, ValueError, "held_out must be between 0 and 1, got 0"),
        ({"held_out": 1.5}, ValueError, "held_out"),
    ],
)
def test_wrong_options(tmp_path, options, error, words):
    write_image_folder(tmp_path)
    with pytest.raises(error, match=words):
        load_image_folder(tmp_path, **options)


def test_missing_pillow_says_what_to_install(tmp_path, monkeypatch):
    write_image_folder(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r'pip install "rot180\[train\]"'):
        load_image_folder(tmp_path)
