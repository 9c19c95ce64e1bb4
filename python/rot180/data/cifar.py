"""CIFAR-10 and CIFAR-100, in their binary version, which takes no pickle to read."""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.data.files import GZIP, LARGEST_EXPANSION, DataFile, regular_file_size
from rot180.data.image_data import ImageData, checked_labels, numbered
from rot180.io import PathLike

SIDE = 32
PIXELS = 3 * SIDE * SIDE  # all the red ones of an image, then the green, then the blue

# The names of the classes are in a text file, a line each. More than this is something else.
LARGEST_TEXT = 1 << 16


def load_cifar10(path: PathLike) -> ImageData:
    """Load CIFAR-10, binary version: 60,000 colour images of 32x32 pixels in ten classes.

    Parameters
    ----------
    path
        The folder with ``data_batch_1.bin`` and so on, ``test_batch.bin`` and
        ``batches.meta.txt``, or one that holds this folder; or the archive
        ``cifar-10-binary.tar.gz`` as it was downloaded, which is read without being unpacked.

    Returns
    -------
    ImageData
        ``x_train`` (50000, 32, 32, 3) and ``x_test`` (10000, 32, 32, 3), uint8, and their labels.
        Classes are called by number where ``batches.meta.txt`` is missing.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file is damaged: names it.

    Examples
    --------
    >>> import rot180
    >>> cifar10 = rot180.data.load_cifar10("cifar-10-binary.tar.gz")  # doctest: +SKIP
    >>> cifar10.class_names[:3]  # doctest: +SKIP
    ('airplane', 'automobile', 'bird')
    """
    return _load(
        Path(path),
        r"data_batch_[1-5]\.bin",
        "test_batch.bin",
        "batches.meta.txt",
        10,
        label_bytes=1,
    )


def load_cifar100(path: PathLike) -> ImageData:
    """Load CIFAR-100, binary version: 60,000 colour images of 32x32 pixels in a hundred classes.

    Parameters
    ----------
    path
        The folder with ``train.bin``, ``test.bin`` and ``fine_label_names.txt``, or one that holds
        this folder; or the archive ``cifar-100-binary.tar.gz``.

    Returns
    -------
    ImageData
        As from `load_cifar10`, with the fine labels 0..99.

    Raises
    ------
    FileNotFoundError, ValueError
        As `load_cifar10` does.
    """
    return _load(Path(path), r"train\.bin", "test.bin", "fine_label_names.txt", 100, label_bytes=2)


def _load(
    path: Path, train: str, test: str, text: str, classes: int, *, label_bytes: int
) -> ImageData:
    names = numbered(classes)
    parts: dict[str, Any] = {}
    for name, file in _files(path, f"{train}|{re.escape(test)}|{re.escape(text)}"):
        if name == text:
            names = _class_names(file, classes)
        else:
            parts[name] = _read_images(file, label_bytes, classes)
    to_train_on = [parts[name] for name in sorted(parts) if name != test]
    for name, found in ((train, to_train_on), (test, parts.get(test))):
        if not found:
            missing = name.replace("\\", "").replace("[1-5]", "1")
            raise FileNotFoundError(
                f"{path}: there is no {missing}: expected the files of the binary version"
            )
    x_train, y_train = (np.concatenate(arrays) for arrays in zip(*to_train_on, strict=True))
    x_test, y_test = parts[test]
    return ImageData(x_train, y_train, x_test, y_test, names)


def _files(path: Path, wanted: str) -> Iterator[tuple[str, DataFile]]:
    """Open each file whose name fits: in the folder, in a folder in it, or in the archive."""
    if not path.is_dir():
        yield from _archived_files(path, wanted)
        return
    for folder in [path, *sorted(entry for entry in path.iterdir() if entry.is_dir())]:
        found = [file for file in sorted(folder.iterdir()) if re.fullmatch(wanted, file.name)]
        for file_path in found:
            size = regular_file_size(file_path)
            with file_path.open("rb") as file:
                yield file_path.name, DataFile(str(file_path), file, size)
        if found:
            return


def _archived_files(path: Path, wanted: str) -> Iterator[tuple[str, DataFile]]:
    import tarfile  # takes 2 ms: not with the package

    size = regular_file_size(path)
    with path.open("rb") as file:
        zipped = file.read(len(GZIP)) == GZIP
    most = LARGEST_EXPANSION * size if zipped else size
    try:
        with tarfile.open(path, "r:gz" if zipped else "r:") as archive:
            for member in archive:
                base = member.name.rpartition("/")[2]
                if not member.isfile() or not re.fullmatch(wanted, base):
                    continue
                name = f"{path}: {member.name}"
                if member.size > most:
                    raise ValueError(f"{name} is damaged: it says that it has {member.size} bytes")
                content = archive.extractfile(member)
                assert content is not None  # as it is for every regular file
                data = content.read()
                yield base, DataFile(name, io.BytesIO(data), len(data))
            while archive.fileobj.read(1 << 20):  # to the end, where gzip has its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged or no tar archive: {error}") from None


def _read_images(
    file: DataFile, label_bytes: int, classes: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Read the records of a file: labels, of which the last one counts, and planes of colours."""
    count, rest = divmod(file.size, label_bytes + PIXELS)
    if rest or not count:
        raise ValueError(
            f"{file.name} has {file.size} bytes, expected records of {label_bytes + PIXELS}: "
            "it is cut off or something else"
        )
    records = file.array((count, label_bytes + PIXELS), np.dtype(np.uint8))
    labels = checked_labels(file.name, records[:, label_bytes - 1], count, classes)
    planes = records[:, label_bytes:].reshape(count, 3, SIDE, SIDE)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    for channel in range(3):
        images[..., channel] = planes[:, channel]
    return images, labels


def _class_names(file: DataFile, classes: int) -> tuple[str, ...]:
    if file.size > LARGEST_TEXT:
        raise ValueError(f"{file.name} has {file.size} bytes, expected {classes} names")
    names = tuple(file.read(file.size).decode("utf-8", "replace").split())
    if len(names) != classes:
        raise ValueError(f"{file.name} has {len(names)} names, expected {classes}: a line each")
    return names
