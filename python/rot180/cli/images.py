"""Images from files as a digit network takes them: bright strokes on a dark ground."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

# Where a stroke begins, from 0 (ground) to 1 (the brightest pixel).
STROKE = 0.25

# Longer pictures are first made smaller: a photograph needs no gigabyte to become 8x8.
LONGEST_SIDE = 1024

# Images whose brightest and darkest pixel are closer than this are blank.
FAINTEST_CONTRAST = 1 / 32


class Images(NamedTuple):
    """What a file held: x (N, H, W, 1) from 0 to 1, and what was done to it, in words."""

    x: Array
    notes: tuple[str, ...] = ()


def read_images(path: Path, height: int, width: int) -> Images:
    """Read a picture (PNG or JPEG) or a NumPy array (NPY) as images of `height` x `width`.

    An array must already be what the network takes, but for its range: 0..1, 0..16 or 0..255, told
    apart by the largest value. Its shape is (H, W), (N, H, W) or (N, H, W, 1). A picture may have
    any size and mode: it is turned to grey, inverted if its border is bright, cropped to the
    strokes if they do not fill its height, resized, and stretched to 0..1.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds something else: names the path and what is wrong.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder: expected a PNG or NPY file")
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file: expected a PNG or NPY file")
    with path.open("rb") as file:
        is_array = file.read(6) == b"\x93NUMPY"
    if is_array:
        return Images(_read_array(path, height, width))
    return _read_picture(path, height, width)


def _read_array(path: Path, height: int, width: int) -> Array:
    try:
        # Mapped: a header that promises more than the file holds is refused, not allocated.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged or not a plain NPY file: {error}") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"{path} has dtype {array.dtype}: expected numbers")
    if array.shape == (height, width):
        array = array[np.newaxis]
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.shape[1:] != (height, width, 1) or not len(array):
        raise ValueError(
            f"{path} has shape {array.shape}: expected ({height}, {width}), "
            f"(N, {height}, {width}) or (N, {height}, {width}, 1)"
        )
    low, high = float(array.min()), float(array.max())
    if not 0 <= low <= high <= 255:
        raise ValueError(
            f"{path} has values from {low:g} to {high:g}: expected 0..1, 0..16 or 0..255"
        )
    scale = next(limit for limit in (1, 16, 255) if high <= limit)
    scaled: Array = (array / np.float32(scale)).astype(np.float32)
    return scaled


def _read_picture(path: Path, height: int, width: int) -> Images:
    grey = _grey(path)
    low, high = float(grey.min()), float(grey.max())
    if high - low < FAINTEST_CONTRAST:
        raise ValueError(f"{path} is blank: every pixel has almost the same brightness")
    grey = (grey - low) / (high - low)
    notes = []
    if _border(grey).mean() > 0.5:
        grey = 1 - grey
        notes.append("dark on light: inverted")
    cropped = _fill_height(grey)
    if cropped is not grey:
        notes.append("cropped to the strokes")
    x = _resize(cropped, height, width)
    return Images((x / x.max())[np.newaxis, :, :, np.newaxis], tuple(notes))


def _grey(path: Path) -> Array:
    """Brightness from 0 to 1 of a picture of any mode, (H, W)."""
    pillow = _pillow()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=["PNG", "JPEG"]) as image:
                return _flatten(image)
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        raise ValueError(f"{path} has too many pixels") from None
    except PermissionError:
        raise
    except Exception as error:  # a damaged file raises almost anything in the decoders
        text = str(error).replace(repr(str(path)), "the file")
        raise ValueError(f"{path} is not a readable PNG, JPEG or NPY file: {text}") from None


def _flatten(image: Any) -> Array:
    """Lay a picture with transparency on whichever of black and white its strokes differ from."""
    if image.mode.startswith("I"):  # 16 bits of grey
        return np.asarray(image, np.float32) / np.float32(65535)
    rgba = image.convert("RGBA")
    rgba = rgba.reduce(max(1, max(rgba.size) // LONGEST_SIDE))
    grey: Array = np.asarray(rgba.convert("L"), np.float32) / np.float32(255)
    alpha: Array = np.asarray(rgba.getchannel("A"), np.float32) / np.float32(255)
    if alpha.min() == 1:
        return grey
    strokes_are_bright = float((grey * alpha).sum()) > 0.5 * float(alpha.sum())
    ground = np.float32(0 if strokes_are_bright else 1)
    return alpha * grey + (1 - alpha) * ground


def _border(grey: Array) -> Array:
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _fill_height(grey: Array) -> Array:
    """Cut a square around the strokes, unless they fill the height of a square already.

    The digits of the data set reach from the first row to the last.
    """
    rows, columns = np.flatnonzero((grey > STROKE).any(1)), np.flatnonzero((grey > STROKE).any(0))
    top, left = rows[0], columns[0]
    height, width = rows[-1] + 1 - top, columns[-1] + 1 - left
    if grey.shape == (height, height):
        return grey
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    y, x = (side - height) // 2, (side - width) // 2
    square[y : y + height, x : x + width] = grey[top : top + height, left : left + width]
    return square


def _resize(grey: Array, height: int, width: int) -> Array:
    """Average over boxes, as the data set was made from larger bitmaps."""
    pillow = _pillow()
    image = pillow.fromarray(grey).resize((width, height), pillow.Resampling.BOX)
    return np.asarray(image, np.float32)


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('pictures are read with Pillow: pip install "rot180[train]"') from error
    return Image
