"""Folders of pictures, one folder for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from rot180.data.image_data import ImageData
from rot180.data.pictures import SUFFIXES, fit, has_colour, open_picture, upright_size
from rot180.geometry import int_pair
from rot180.io import PathLike

HELD_OUT = ("test", "val")

Files = dict[str, list[Path]]  # the pictures of each class


def load_image_folder(
    folder: PathLike,
    size: int | tuple[int, int] | None = None,
    *,
    channels: int | None = None,
    held_out: float = 0.25,
    seed: int = 0,
) -> ImageData:
    """Load pictures from a folder that has a folder for each class.

    Either ``train/CLASS/*.png`` with ``test/CLASS/*.png`` (or ``val/``), or ``CLASS/*.png``, of
    which a part is held out. PNG, JPEG, BMP, PPM, PGM and WebP files are read; other files beside
    them are left alone. Pictures are turned as their EXIF data say, cut to the right proportions
    around their middle, and resized.

    Parameters
    ----------
    folder
        Where the folders are.
    size
        Height and width that all get, or one number for both. None: they all have one size.
    channels
        1 for grey, 3 for colour; None: grey, if no picture has colour.
    held_out
        Share of each class that is held out, drawn by the seed, where there is no ``test/`` and no
        ``val/``.
    seed
        What it is drawn by.

    Returns
    -------
    ImageData
        Images as uint8, a quarter of the memory of float32, and classes in the order of their
        names.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If a picture is damaged, or there are no classes or no pictures, or a size is missing:
        names the file or the folder.
    ImportError
        If Pillow is not installed.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import rot180
    >>> from PIL import Image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("cat", "dog"):
    ...         (pathlib.Path(folder) / name).mkdir()
    ...         for number in range(4):
    ...             Image.new("RGB", (40, 30)).save(f"{folder}/{name}/{number}.png")
    ...     pets = rot180.data.load_image_folder(folder, 16, channels=3)
    >>> pets.x_train.shape, pets.y_test.tolist(), pets.class_names
    ((6, 16, 16, 3), [0, 1], ('cat', 'dog'))
    """
    train, test = _parts(Path(folder), held_out, seed)
    names = tuple(train)
    files = [path for part in (train, test) for name in names for path in part.get(name, ())]
    height, width, channels = _shape(files, size, channels)
    x = _read(files, height, width, channels)
    counts = [[len(part.get(name, ())) for name in names] for part in (train, test)]
    y_train, y_test = (np.arange(len(names)).repeat(count) for count in counts)
    return ImageData(x[: len(y_train)], y_train, x[len(y_train) :], y_test, names)


def _parts(folder: Path, held_out: float, seed: int) -> tuple[Files, Files]:
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be between 0 and 1, got {held_out}")
    rng = np.random.default_rng(seed)
    if not any(entry.is_dir() for entry in folder.glob("train/*")):
        return _split(folder, held_out, rng)
    train = _classes(folder / "train")
    for name in HELD_OUT:
        if (folder / name).is_dir():
            test = _classes(folder / name)
            surplus = sorted(test.keys() - train.keys())
            if surplus:
                raise ValueError(
                    f"{folder / name} has the classes {surplus}, which {folder / 'train'} has not"
                )
            return train, test
    return _split(folder / "train", held_out, rng)


def _classes(folder: Path) -> Files:
    """Return the pictures of each class, in the order of their names."""
    found = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir() and not entry.name.startswith("."):
            pictures = [path for path in sorted(entry.iterdir()) if _is_picture(path)]
            if not pictures:
                raise ValueError(f"{entry} holds no pictures ({', '.join(SUFFIXES)})")
            found[entry.name] = pictures
    if len(found) < 2:
        raise ValueError(
            f"{folder} holds {len(found)} folders, expected a folder of pictures for each class"
        )
    return found


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _split(folder: Path, held_out: float, rng: np.random.Generator) -> tuple[Files, Files]:
    """Hold out a share of each class, but not the only picture of one."""
    train: Files = {}
    test: Files = {}
    for name, paths in _classes(folder).items():
        count = min(max(1, round(held_out * len(paths))), len(paths) - 1)
        drawn = set(rng.permutation(len(paths))[:count].tolist())
        train[name] = [path for index, path in enumerate(paths) if index not in drawn]
        test[name] = [path for index, path in enumerate(paths) if index in drawn]
    if not any(test.values()):
        raise ValueError(f"{folder} has one picture of each class: none can be held out")
    return train, test


def _shape(
    files: list[Path], size: int | tuple[int, int] | None, channels: int | None
) -> tuple[int, int, int]:
    if channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1, 3 or None, got {channels!r}")
    if size is not None and channels is not None:
        return (*int_pair("size", size), channels)
    looks = [
        open_picture(path, lambda image: (upright_size(image), has_colour(image))) for path in files
    ]
    if channels is None:
        channels = 3 if any(coloured for _, coloured in looks) else 1
    if size is not None:
        return (*int_pair("size", size), channels)
    (width, height), _ = looks[0]
    for path, (found, _) in zip(files, looks, strict=True):
        if found != (width, height):
            raise ValueError(
                f"{path} has {found[0]}x{found[1]} pixels and {files[0]} has {width}x{height}: "
                "pass the size that all of them are to have"
            )
    return height, width, channels


def _read(files: list[Path], height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    images = np.empty((len(files), height, width, channels), np.uint8)
    for image, path in zip(images, files, strict=True):
        image[...] = open_picture(path, lambda picture: fit(picture, height, width, channels))
    return images
