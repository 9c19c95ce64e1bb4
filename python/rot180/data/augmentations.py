"""Changes of images that leave their labels as they are, drawn anew for each batch."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import FloatArray, as_array, real_number
from rot180.functional.affine2d import affine2d
from rot180.functional.results import new_array
from rot180.geometry import IntOrPair, int_pair

Array: TypeAlias = npt.NDArray[Any]

# Images that are looked at together where a whole data set is summed up.
CHUNK = 256


class Augmentation(ABC):
    """Base of all: ``augmentation(x, rng)`` returns a batch like x, each image changed by chance.

    x is a batch of images (N, H, W, C), float32 or float64, and may be changed in place: it belongs
    to the `Dataset` that has gathered it. The same state of the generator gives the same bits. With
    None instead of a generator, as for validation, nothing is left to chance: `plain` is called.

    One of your own defines `augmented`, or is any function of x and rng.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> class Noise(rot180.data.Augmentation):
    ...     def augmented(self, x, rng):
    ...         return x + 0.1 * rng.standard_normal(x.shape, x.dtype)
    >>> x, y = np.zeros((6, 8, 8, 1), np.float32), np.arange(6)
    >>> dataset = rot180.data.Dataset(x, y, [Noise()])
    >>> dataset.batch([0, 1], np.random.default_rng(0))[0].std().round(1)
    np.float32(0.1)
    >>> dataset.batch([0, 1])[0].std()
    np.float32(0.0)
    """

    def __call__(self, x: FloatArray, rng: np.random.Generator | None) -> FloatArray:
        """Return the changed batch."""
        if x.ndim != 4:
            raise ValueError(f"{self!r} takes images (N, H, W, C), got shape {x.shape}")
        return self.plain(x) if rng is None else self.augmented(x, rng)

    @abstractmethod
    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Return the batch that the network is trained on."""

    def plain(self, x: FloatArray) -> FloatArray:
        """Return the batch that it is evaluated on: x itself, unless overridden."""
        return x

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


class RandomFlip(Augmentation):
    """Mirrors images, left to right.

    Parameters
    ----------
    probability
        With which each image is.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import RandomFlip
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> RandomFlip(probability=1)(x, np.random.default_rng(0)).ravel().tolist()
    [1.0, 0.0, 3.0, 2.0]
    """

    def __init__(self, probability: float = 0.5) -> None:
        self.probability = real_number("probability", probability, below=1 + 1e-9)

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Mirror some."""
        chosen = np.flatnonzero(rng.random(len(x)) < self.probability)
        x[chosen] = x[chosen][:, :, ::-1]
        return x


class RandomCrop(Augmentation):
    """Cuts a window out of each image, anywhere in it; for evaluation, out of the middle.

    Parameters
    ----------
    size
        Height and width of the window, or one number for both.
    padding
        Pixels of zeros that are first put around the image. ``RandomCrop(32, padding=4)`` is what
        networks for CIFAR are usually trained with.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import RandomCrop
    >>> x = np.ones((1, 40, 40, 3))
    >>> RandomCrop(32)(x, np.random.default_rng(0)).shape
    (1, 32, 32, 3)
    """

    def __init__(self, size: IntOrPair, padding: int = 0) -> None:
        self.size = int_pair("size", size)
        self.padding, _ = int_pair("padding", padding, smallest=0)

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Cut windows out at random places."""
        down, across = self._room(x)
        return self._cut(x, rng.integers(0, down + 1, len(x)), rng.integers(0, across + 1, len(x)))

    def plain(self, x: FloatArray) -> FloatArray:
        """Cut all windows out of the middle."""
        down, across = self._room(x)
        return self._cut(x, np.full(len(x), down // 2), np.full(len(x), across // 2))

    def _room(self, x: FloatArray) -> tuple[int, int]:
        """How far the window can be moved down and to the right."""
        down, across = (
            size + 2 * self.padding - window
            for size, window in zip(x.shape[1:3], self.size, strict=True)
        )
        if down < 0 or across < 0:
            raise ValueError(f"{self!r} does not fit into images of {x.shape[1:3]} pixels")
        return down, across

    def _cut(self, x: FloatArray, tops: Array, lefts: Array) -> FloatArray:
        batch, height, width, channels = x.shape
        around = self.padding
        padded = x
        if around:
            shape = (batch, height + 2 * around, width + 2 * around, channels)
            padded = new_array(shape, x.dtype)
            padded[...] = 0
            padded[:, around : around + height, around : around + width] = x
        rows, columns = self.size
        y = new_array((batch, rows, columns, channels), x.dtype)
        for image, window, top, left in zip(padded, y, tops.tolist(), lefts.tolist(), strict=True):
            window[...] = image[top : top + rows, left : left + columns]
        return y


class RandomShift(Augmentation):
    """Moves images by whole pixels; zeros come in.

    Parameters
    ----------
    pixels
        The farthest, in each of the four directions.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import RandomShift
    >>> x = np.arange(1.0, 7.0).reshape(1, 2, 3, 1)
    >>> RandomShift(1)(x, np.random.default_rng(2))[0, ..., 0].tolist()
    [[0.0, 4.0, 5.0], [0.0, 0.0, 0.0]]
    """

    def __init__(self, pixels: int) -> None:
        self.pixels, _ = int_pair("pixels", pixels, smallest=0)

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Move each."""
        return RandomCrop(x.shape[1:3], self.pixels).augmented(x, rng)


class RandomAffine(Augmentation):
    """Turns, moves and scales images, all in one bilinear interpolation; zeros come in.

    Parameters
    ----------
    degrees
        The farthest that they are turned, either way.
    shift
        The farthest that they are moved in each of the four directions, in pixels and parts of
        them.
    zoom
        The most by which they are made larger or smaller: 0.1 is by a tenth.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import RandomAffine
    >>> x = np.zeros((1, 8, 8, 1))
    >>> x[:, :4] = 1
    >>> turned = RandomAffine(degrees=15, shift=0.5)(x, np.random.default_rng(0))
    >>> turned.shape, bool((turned != x).any())
    ((1, 8, 8, 1), True)
    """

    def __init__(self, degrees: float = 0.0, shift: float = 0.0, zoom: float = 0.0) -> None:
        self.degrees = real_number("degrees", degrees)
        self.shift = real_number("shift", shift)
        self.zoom = real_number("zoom", zoom)

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Turn, move and scale each around its middle."""
        angle = np.radians(self.degrees) * rng.uniform(-1, 1, len(x))
        scale = (1 + self.zoom) ** rng.uniform(-1, 1, len(x))
        moved = self.shift * rng.uniform(-1, 1, (len(x), 2))
        sine, cosine = scale * np.sin(angle), scale * np.cos(angle)
        turn = np.array([[cosine, -sine], [sine, cosine]]).transpose(2, 0, 1)
        middle = (np.array(x.shape[1:3]) - 1) / 2
        matrix = np.empty((len(x), 2, 3))
        matrix[:, :, :2] = turn
        matrix[:, :, 2] = middle - turn @ middle + moved
        return affine2d(x, matrix)


class Cutout(Augmentation):
    """Blanks a square of each image, anywhere in it (DeVries and Taylor, 2017).

    Its middle is a pixel of the image, so that it may lie partly outside. Zeros are put there,
    which after `Normalise` are the mean.

    Parameters
    ----------
    size
        Side of the square in pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import Cutout
    >>> Cutout(3)(np.ones((1, 9, 9, 1)), np.random.default_rng(0)).sum()
    np.float64(72.0)
    """

    def __init__(self, size: int) -> None:
        self.size, _ = int_pair("size", size)

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Blank a square of each."""
        _, height, width, _ = x.shape
        tops = rng.integers(0, height, len(x)) - self.size // 2
        lefts = rng.integers(0, width, len(x)) - self.size // 2
        for image, top, left in zip(x, tops.tolist(), lefts.tolist(), strict=True):
            image[max(top, 0) : top + self.size, max(left, 0) : left + self.size] = 0
        return x


class Normalise(Augmentation):
    """Subtracts a mean from each channel and divides by a standard deviation, always.

    Parameters
    ----------
    mean, std
        A number for each channel, or one for all.

    Raises
    ------
    ValueError
        If a number is not finite, or a standard deviation is not above 0.

    Examples
    --------
    >>> import numpy as np
    >>> from rot180.data import Normalise
    >>> images = np.array([0, 51, 102, 255], np.uint8).reshape(4, 1, 1, 1)
    >>> Normalise.of(images)
    Normalise(mean=[0.4], std=[0.3741657386773941])
    >>> Normalise(mean=[0.5], std=[0.25])(np.ones((1, 1, 1, 1)), None).item()
    2.0
    """

    def __init__(self, mean: npt.ArrayLike, std: npt.ArrayLike) -> None:
        self.mean, self.std = (_numbers(n, value) for n, value in (("mean", mean), ("std", std)))
        if len(self.mean) != len(self.std):
            raise ValueError(f"mean has {len(self.mean)} numbers and std has {len(self.std)}")
        if min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {self.std}")

    @classmethod
    def of(cls, x: npt.ArrayLike) -> Normalise:
        """Take the mean and the standard deviation of the images that are to be trained on.

        Parameters
        ----------
        x
            (N, H, W, C); uint8 counts from 0 to 255 for 0 to 1, as in a `Dataset`. A channel that
            is the same everywhere is divided by 1.
        """
        images = as_array("x", x)
        if images.ndim != 4 or not images.size:
            raise ValueError(f"x has shape {images.shape}, expected images (N, H, W, C)")
        mean = _mean_of_channels(images, lambda rows: rows)
        means = np.tile(mean, images.shape[1] * images.shape[2])
        std = np.sqrt(_mean_of_channels(images, lambda rows: (rows - means) ** 2))
        scale = 255 if images.dtype == np.uint8 else 1
        return cls(mean / scale, np.where(std > 0, std / scale, 1))

    def augmented(self, x: FloatArray, rng: np.random.Generator) -> FloatArray:
        """As `plain`."""
        return self.plain(x)

    def plain(self, x: FloatArray) -> FloatArray:
        """Subtract and divide."""
        batch, height, width, channels = x.shape
        if len(self.mean) not in (1, channels):
            raise ValueError(f"{self!r} has {len(self.mean)} channels, the images have {channels}")
        # Whole rows at a time: NumPy is slow where the last axis is short.
        rows = x.reshape(batch * height, width * channels)
        repeats = width * channels // len(self.mean)
        rows -= np.tile(np.array(self.mean, x.dtype), repeats)
        rows /= np.tile(np.array(self.std, x.dtype), repeats)
        return rows.reshape(x.shape)


def _numbers(name: str, value: npt.ArrayLike) -> list[float]:
    array = np.atleast_1d(as_array(name, value))
    if array.dtype.kind not in "iuf" or array.ndim != 1 or not array.size:
        raise TypeError(f"{name} must be a number for each channel, got {value!r}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, got {value!r}")
    return [float(number) for number in array]


def _mean_of_channels(images: Array, function: Callable[[Array], Array]) -> Array:
    """Mean of a function of the pixels, a few images at a time: as float64 all may be too many."""
    rows = images.reshape(len(images), -1)
    total = np.zeros(rows.shape[1])
    for start in range(0, len(rows), CHUNK):
        total += function(rows[start : start + CHUNK].astype(np.float64)).sum(axis=0)
    mean: Array = total.reshape(-1, images.shape[-1]).sum(axis=0) / math.prod(images.shape[:-1])
    return mean
