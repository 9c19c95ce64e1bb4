"""Picture files, by Pillow."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rot180.data.files import regular_file_size
from rot180.io import PathLike

FORMATS = ("PNG", "JPEG", "BMP", "PPM", "WEBP")
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".pgm", ".webp")

# EXIF's orientations from 5 on exchange width and height.
EXIF_ORIENTATION = 0x0112
FIRST_TURNED = 5

Result = TypeVar("Result")


def open_picture(path: PathLike, use: Callable[[Any], Result]) -> Result:
    """Apply a function to a picture file, opened as a `PIL.Image.Image`.

    Raises
    ------
    FileNotFoundError, PermissionError
        If there is no such file, or it may not be read.
    ValueError
        If it is something else, damaged, or has more pixels than Pillow thinks sensible.
    ImportError
        If Pillow is not installed.
    """
    pillow = _import_pillow()
    regular_file_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=FORMATS) as image:
                return use(image)
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError):
        raise ValueError(f"{path} has too many pixels") from None
    except PermissionError:
        raise
    except Exception as error:  # a damaged file raises almost anything in the decoders
        text = str(error).replace(repr(str(path)), "the file")
        names = ", ".join(FORMATS)
        raise ValueError(f"{path} is not a readable picture ({names}): {text}") from None


def has_colour(image: Any) -> bool:
    """Whether a picture may hold anything but shades of grey."""
    return image.mode not in ("1", "L", "LA", "La", "F") and not image.mode.startswith("I")


def upright_size(image: Any) -> tuple[int, int]:
    """Width and height of a picture as it is to be looked at, without decoding it."""
    width, height = image.size
    turned = image.getexif().get(EXIF_ORIENTATION, 1) >= FIRST_TURNED
    return (height, width) if turned else (width, height)


def fit(image: Any, height: int, width: int, channels: int) -> npt.NDArray[np.uint8]:
    """Cut the largest part of the right proportions out of the middle and make it the right size.

    Averages over boxes where that makes it smaller: a picture that was enlarged by repeating its
    pixels comes out as it was.

    Parameters
    ----------
    image
        A `PIL.Image.Image`.
    height, width
        Of the result.
    channels
        1 for grey, 3 for colour. Transparency is dropped.

    Returns
    -------
    Array
        uint8 (height, width, channels).
    """
    from PIL import ImageOps

    pillow = _import_pillow()
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip to 8
        image = pillow.fromarray((np.asarray(image) // 257).astype(np.uint8))
    if image.format == "JPEG":
        # Decodes large pictures at a half to an eighth of their size, which takes less time.
        image.draft(None, (2 * max(width, height),) * 2)
    image = ImageOps.exif_transpose(image)  # which way up it was taken
    image = image.convert("RGB" if channels == 3 else "L")
    smaller = image.width >= width and image.height >= height
    method = pillow.Resampling.BOX if smaller else pillow.Resampling.BILINEAR
    return np.asarray(ImageOps.fit(image, (width, height), method)).reshape(height, width, channels)


def _import_pillow() -> Any:
    """Return the module `PIL.Image`, or say how to install it."""
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('pictures are read with Pillow: pip install "rot180[train]"') from error
    return Image
