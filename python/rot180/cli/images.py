"""Images from files, as a network takes them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.data import Normalise
from rot180.data.files import regular_file_size
from rot180.data.pictures import fit, open_picture
from rot180.models.options import ImageShape

Array: TypeAlias = npt.NDArray[Any]

# Where a stroke begins, from 0 (ground) to 1 (the brightest pixel).
STROKE = 0.25

# Longer pictures are first made smaller: a photograph needs no gigabyte to become 8x8.
LONGEST_SIDE = 1024

# Images whose brightest and darkest pixel are closer than this are blank.
FAINTEST_CONTRAST = 1 / 32

# MNIST's digits were scaled into a box of 20 of 28 pixels, and centred by their mass.
MNIST_BOX = 20 / 28
MNIST_BOXES = (0.6, 0.85)  # those of a picture that has been made like them already


class Inputs(NamedTuple):
    """What a network takes: images of a shape, black and white at the ends of a range."""

    shape: ImageShape
    range: tuple[float, float]
    pictures: str  # a key of READERS
    normalise: Normalise | None

    def from_bytes(self, images: Array) -> Array:
        """Return images of 0 to 255 as they were trained on."""
        low, high = self.range
        return self.prepared(low + (high - low) * (images.astype(np.float32) / np.float32(255)))

    def prepared(self, x: Array) -> Array:
        """Return float images as the network takes them."""
        x = np.ascontiguousarray(x, np.float32)
        return x if self.normalise is None else self.normalise(x.copy(), None)


class Images(NamedTuple):
    """What a file held: x (N, H, W, C) for the network, and what was done to it, in words."""

    x: Array
    notes: tuple[str, ...] = ()


def read_images(path: Path, inputs: Inputs) -> Images:
    """Read a picture or a NumPy array (NPY) as images for a network.

    An array must already be what the network takes, but for its range: integers are taken to lie
    from 0 to 255. Its shape is (H, W, C) or (N, H, W, C), where one channel may be left out. A
    picture may have any size and mode.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it holds something else: names the path and what is wrong.
    """
    regular_file_size(path)
    with path.open("rb") as file:
        is_array = file.read(6) == b"\x93NUMPY"
    if is_array:
        return Images(_read_array(path, inputs))
    return READERS[inputs.pictures](path, inputs)


def _read_array(path: Path, inputs: Inputs) -> Array:
    try:
        # Mapped: a header that promises more than the file holds is refused, not allocated.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path} is damaged or not a plain NPY file: {error}") from None
    if array.dtype.kind not in "buif":
        raise ValueError(f"{path} has dtype {array.dtype}: expected numbers")
    images = _as_images(path, array, inputs.shape)
    low, high = float(images.min()), float(images.max())
    if inputs.pictures == "digits":
        if not 0 <= low <= high <= 255:
            raise ValueError(
                f"{path} has values from {low:g} to {high:g}: expected 0..1, 0..16 or 0..255"
            )
        scale = next(limit for limit in (1, 16, 255) if high <= limit)
        return inputs.prepared(images / np.float32(scale))
    if array.dtype.kind == "f":
        if not np.isfinite((low, high)).all():
            raise ValueError(f"{path} holds NaN or infinite numbers")
        return inputs.prepared(images)
    if not 0 <= low <= high <= 255:
        raise ValueError(f"{path} has integers from {low:g} to {high:g}: expected 0 to 255")
    return inputs.from_bytes(images)


def _as_images(path: Path, array: Array, shape: ImageShape) -> Array:
    height, width, channels = shape
    images = array[np.newaxis] if array.shape in (shape, shape[:2]) else array
    if images.ndim == 3 and channels == 1:
        images = images[..., np.newaxis]
    if images.shape[1:] != shape or not len(images):
        without = f"({height}, {width}), (N, {height}, {width}), " if channels == 1 else ""
        raise ValueError(
            f"{path} has shape {array.shape}: expected {without}{shape} or "
            f"(N, {height}, {width}, {channels})"
        )
    return images


def _read_fitted(path: Path, inputs: Inputs) -> Images:
    """As `rot180.data.load_image_folder` does it."""
    height, width, channels = inputs.shape
    if channels not in (1, 3):
        raise ValueError(
            f"{path} is a picture, and the network takes {channels} channels: pass an NPY file"
        )
    image = open_picture(path, lambda picture: fit(picture, height, width, channels))
    return Images(inputs.from_bytes(image[np.newaxis]))


def _read_digit(path: Path, inputs: Inputs, cut: Callable[[Array], Array]) -> Images:
    """Make bright strokes on a dark ground of a picture, and cut it as its data set was cut.

    One of the network's size, or enlarged from it, is cut already: by whoever made the data.
    """
    grey = open_picture(path, _flatten)
    low, high = float(grey.min()), float(grey.max())
    if high - low < FAINTEST_CONTRAST:
        raise ValueError(f"{path} is blank: every pixel has almost the same brightness")
    grey = (grey - low) / (high - low)
    notes = []
    if _border(grey).mean() > 0.5:
        grey = 1 - grey
        notes.append("dark on light: inverted")
    height, width, _ = inputs.shape
    cropped = grey if _is_enlarged(grey, height, width) else cut(grey)
    if cropped is not grey:
        notes.append("cropped to the strokes")
    x = _resize(cropped, height, width)
    return Images(inputs.prepared((x / x.max())[np.newaxis, :, :, np.newaxis]), tuple(notes))


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


def _is_enlarged(grey: Array, height: int, width: int) -> bool:
    """Whether each pixel of a picture of that size has become a square of so many, or is one."""
    scale = max(1, grey.shape[0] // height)
    if grey.shape != (scale * height, scale * width):
        return False
    squares = grey.reshape(height, scale, width, scale)
    return bool((squares == squares[:, :1, :, :1]).all())


def _border(grey: Array) -> Array:
    return np.concatenate([grey[0], grey[-1], grey[1:-1, 0], grey[1:-1, -1]])


def _strokes(grey: Array) -> tuple[int, int, int, int]:
    """Return top, left, height and width of the strokes."""
    rows, columns = np.flatnonzero((grey > STROKE).any(1)), np.flatnonzero((grey > STROKE).any(0))
    top, left = int(rows[0]), int(columns[0])
    return top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left


def _fill_height(grey: Array) -> Array:
    """Cut a square around the strokes, unless they fill the height of a square already.

    The digits of scikit-learn's data set reach from the first row to the last.
    """
    top, left, height, width = _strokes(grey)
    if grey.shape == (height, height):
        return grey
    side = max(height, width)
    strokes = grey[top : top + height, left : left + width]
    return _in_square(strokes, side, (side - height) // 2, (side - width) // 2)


def _centre(grey: Array) -> Array:
    """Cut a square around the strokes that is as much larger as MNIST's, unless it is already.

    The middle of their mass comes to lie in the middle of the square.
    """
    top, left, height, width = _strokes(grey)
    smallest, largest = (share * grey.shape[0] for share in MNIST_BOXES)
    if grey.shape[0] == grey.shape[1] and smallest <= max(height, width) <= largest:
        return grey
    side = max(3, round(max(height, width) / MNIST_BOX))
    strokes = grey[top : top + height, left : left + width]
    rows, columns = np.indices(strokes.shape)
    places = (
        int(np.clip(round(side / 2 - float((axis * strokes).sum() / strokes.sum()) - 0.5), 0, room))
        for axis, room in ((rows, side - height), (columns, side - width))
    )
    return _in_square(strokes, side, *places)


def _in_square(strokes: Array, side: int, top: int, left: int) -> Array:
    square = np.zeros((side, side), np.float32)
    height, width = strokes.shape
    square[top : top + height, left : left + width] = strokes
    return square


def _resize(grey: Array, height: int, width: int) -> Array:
    """Average over boxes, as the data sets were made from larger bitmaps."""
    from PIL import Image

    image = Image.fromarray(grey).resize((width, height), Image.Resampling.BOX)
    return np.asarray(image, np.float32)


# How images are made of picture files, by the name that stands in the weights file.
READERS: dict[str, Callable[[Path, Inputs], Images]] = {
    "digits": lambda path, inputs: _read_digit(path, inputs, _fill_height),
    "mnist": lambda path, inputs: _read_digit(path, inputs, _centre),
    "picture": _read_fitted,
}
