"""NumPy's archives of arrays."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.data.files import LARGEST_EXPANSION, DataFile, regular_file_size
from rot180.data.image_data import ImageData, checked_labels, numbered
from rot180.io import PathLike

# What zipfile raises where the bytes of an archive are not what they should be.
DAMAGED = (
    EOFError,
    OSError,
    RuntimeError,  # and NotImplementedError, which is one
    UnicodeDecodeError,
    struct.error,
    zlib.error,
)

ARRAYS = ("x_train", "y_train", "x_test", "y_test")
CLASS_NAMES = "class_names"

# With labels from here on, and no names, something else was meant.
MOST_CLASSES = 1 << 16


def load_npz(path: PathLike) -> ImageData:
    """Load a data set from an ``.npz`` archive that `numpy.savez` has written.

    Parameters
    ----------
    path
        An archive of ``x_train``, ``y_train``, ``x_test`` and ``y_test``: images (N, H, W, C) or
        (N, H, W), labels (N,) or (N, 1). uint8 images count from 0 to 255; other integers are
        taken for them where they fit; floats are kept as float32. An array ``class_names`` of
        strings may stand beside them. Nothing that is pickled is read.

    Returns
    -------
    ImageData
        Classes without names are called by number, up to the largest label.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is something else, damaged, or lacks an array, or one does not fit the others: names
        the path and the array.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np, rot180
    >>> x, y = np.zeros((6, 4, 4), np.uint8), np.arange(6) % 2
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "blank.npz"
    ...     np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    ...     blank = rot180.data.load_npz(path)
    >>> blank.x_train.shape, blank.class_names
    ((6, 4, 4, 1), ('0', '1'))
    """
    arrays = _arrays(path)
    missing = [name for name in ARRAYS if name not in arrays]
    if missing:
        raise ValueError(f"{path} lacks {', '.join(missing)}, expected {', '.join(ARRAYS)}")
    x_train, x_test = (_images(f"{path}: {name}", arrays[name]) for name in ("x_train", "x_test"))
    if x_train.shape[1:] != x_test.shape[1:] or x_train.dtype != x_test.dtype:
        raise ValueError(
            f"{path}: x_train has images {x_train.shape[1:]} of {x_train.dtype}, "
            f"x_test {x_test.shape[1:]} of {x_test.dtype}, expected the same"
        )
    y_train, y_test = (_labels(f"{path}: {name}", arrays[name]) for name in ("y_train", "y_test"))
    names = _class_names(f"{path}: {CLASS_NAMES}", arrays.get(CLASS_NAMES), y_train, y_test)
    return ImageData(
        x_train,
        checked_labels(f"{path}: y_train", y_train, len(x_train), len(names)),
        x_test,
        checked_labels(f"{path}: y_test", y_test, len(x_test), len(names)),
        names,
    )


def _arrays(path: PathLike) -> dict[str, npt.NDArray[Any]]:
    import zipfile  # takes 3 ms: not with the package

    arrays = {}
    most = LARGEST_EXPANSION * regular_file_size(path)
    with Path(path).open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                for member in archive.infolist():
                    name = member.filename.removesuffix(".npy")
                    if name not in (*ARRAYS, CLASS_NAMES):
                        continue
                    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                        raise zipfile.BadZipFile(f"{name} is compressed as NumPy does not")
                    with archive.open(member) as content:
                        size = min(member.file_size, most)
                        arrays[name] = _read(f"{path}: {name}", content, size)
        except (zipfile.BadZipFile, *DAMAGED) as error:
            raise ValueError(f"{path} is damaged or no .npz archive: {error}") from None
    return arrays


def _read(name: str, content: Any, size: int) -> npt.NDArray[Any]:
    """Read an array, which `numpy.load` would allocate before it looks whether it is there."""
    formats = np.lib.format
    try:
        version = formats.read_magic(content)
        read_header = (
            formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
        )
        shape, by_columns, dtype = read_header(content)
    except ValueError as error:
        raise ValueError(f"{name} is not as numpy.savez writes arrays: {error}") from None
    if dtype.kind not in "biufU" or not dtype.itemsize:
        raise ValueError(f"{name} has dtype {dtype}, expected numbers")
    file = DataFile(name, content, size)
    array = file.array(shape[::-1] if by_columns else shape, dtype)
    file.expect_end()
    return array.transpose() if by_columns else array


def _images(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or not array.size:
        raise ValueError(
            f"{name} has shape {array.shape}, expected images (N, H, W, C) or (N, H, W)"
        )
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            array = array.astype(np.float32, copy=False)
        if not np.isfinite(array).all():
            raise ValueError(f"{name} holds NaN, infinite or too large numbers")
        return np.ascontiguousarray(array)
    if array.dtype.kind not in "biu" or array.min() < 0 or array.max() > 255:
        raise ValueError(
            f"{name} has dtype {array.dtype}: expected floats, or integers from 0 to 255"
        )
    return np.ascontiguousarray(array, np.uint8)


def _labels(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ValueError(
            f"{name} has shape {array.shape} and dtype {array.dtype}, expected integers (N,)"
        )
    return array


def _class_names(
    name: str, names: npt.NDArray[Any] | None, *labels: npt.NDArray[Any]
) -> tuple[str, ...]:
    if names is None:
        largest = max(int(array.max(initial=0)) for array in labels)
        if largest >= MOST_CLASSES:
            raise ValueError(
                f"{name} is missing and the largest label is {largest}: name the classes"
            )
        return numbered(1 + largest)
    if names.ndim != 1 or names.dtype.kind != "U" or not names.size:
        raise ValueError(f"{name} has dtype {names.dtype}, expected strings, one for each class")
    return tuple(names.tolist())
