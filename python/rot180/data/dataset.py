"""Samples and their targets, handed out in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import FLOAT32, as_array
from rot180.functional.results import new_array

Array: TypeAlias = npt.NDArray[Any]
Indices: TypeAlias = npt.ArrayLike | slice

# Called with a batch, which it may change in place, and a generator, or None where the data are
# evaluated and nothing may be left to chance. Returns the batch that the network gets.
BatchFunction: TypeAlias = Callable[[Array, np.random.Generator | None], Array]


class Dataset:
    """Samples x and targets y, of which a batch at a time is put together.

    Images may be kept as uint8, as files hold them: a batch of them comes out as float32 from 0
    to 1, so that the whole set takes a quarter of the memory. Everything else keeps its dtype.

    Parameters
    ----------
    x
        Samples, (N, ...). Kept without a copy if C-contiguous.
    y
        Targets, (N, ...): labels (N,) for `rot180.losses.CrossEntropy`. None: each batch is its
        own target, which an autoencoder is to give back.
    augmentations
        Functions of a batch x and a generator, applied in order, see
        `rot180.data.augmentations`. They change x only.

    Raises
    ------
    TypeError
        If x or y is not an array of numbers.
    ValueError
        If there are no samples, or not as many targets.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> images = np.arange(0, 240, 10, dtype=np.uint8).reshape(6, 2, 2, 1)
    >>> dataset = rot180.data.Dataset(images, np.arange(6))
    >>> x, y = dataset.batch([5, 0])
    >>> x.dtype, x.shape, y.tolist()
    (dtype('float32'), (2, 2, 2, 1), [5, 0])
    >>> x[0].ravel() * 255
    array([200., 210., 220., 230.], dtype=float32)
    """

    def __init__(
        self,
        x: npt.ArrayLike,
        y: npt.ArrayLike | None = None,
        augmentations: Sequence[BatchFunction] = (),
    ) -> None:
        self.x = _rows("x", x)
        self.y = self.x if y is None else _rows("y", y)
        self._own_target = y is None
        self.augmentations = tuple(augmentations)
        if len(self.x) != len(self.y):
            raise ValueError(
                f"x has {len(self.x)} samples and y has {len(self.y)}, expected as many"
            )

    def __len__(self) -> int:
        return len(self.x)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample as the network gets it, without the batch axis."""
        return self.batch(slice(1))[0].shape[1:]

    def batch(
        self, indices: Indices, rng: np.random.Generator | None = None
    ) -> tuple[Array, Array]:
        """Gather some samples and their targets.

        Parameters
        ----------
        indices
            Which, each from 0 to N - 1; or a slice, which makes no copy where none is needed.
        rng
            What the augmentations draw from: the same state gives the same bits. None leaves them
            out, but for those that an evaluation needs too (`rot180.data.Normalise`).

        Returns
        -------
        tuple
            x (n, ...) and y (n, ...). Change neither in place: a slice may share the memory of the
            data set.

        Raises
        ------
        TypeError
            If `indices` are not integers.
        ValueError
            If they are not one-dimensional, or one of them is out of range.
        """
        chosen = indices if isinstance(indices, slice) else _checked_indices(indices, len(self))
        x = as_floats(_rows_at(self.x, chosen))
        if self.augmentations and np.may_share_memory(x, self.x):
            x = _copy(x)  # they change what they get in place
        for augmentation in self.augmentations:
            x = augmentation(x, rng)
        return x, x if self._own_target else _rows_at(self.y, chosen)

    def __repr__(self) -> str:
        samples = f"{len(self)} samples of shape {self.x.shape[1:]}, {self.x.dtype}"
        return f"Dataset({samples}, augmentations={list(self.augmentations)})"


def as_floats(x: Array) -> Array:
    """Return bytes as float32 from 0 to 1, and anything else as it is."""
    if x.dtype != np.uint8:
        return x
    return np.divide(x, np.float32(255), out=new_array(x.shape, FLOAT32))


def _rows(name: str, value: npt.ArrayLike) -> Array:
    array = as_array(name, value)
    if array.dtype.kind not in "buif":
        raise TypeError(f"{name} has dtype {array.dtype}, expected numbers")
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: expected at least one sample along the first axis"
        )
    # Rows are gathered in place; from anything else NumPy would copy the whole array each time.
    known = np.dtype(array.dtype.char)  # native, and the object that layers know at first sight
    return np.require(array, known, ["C", "A"]).view(known)


def _checked_indices(indices: npt.ArrayLike, count: int) -> npt.NDArray[np.intp]:
    array = as_array("indices", indices)
    if array.ndim != 1:
        raise ValueError(f"indices has shape {array.shape}, expected one axis")
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(f"indices has dtype {array.dtype}, expected integers")
    if array.size and not (array.min() >= 0 and array.max() < count):
        first = int(np.flatnonzero((array < 0) | (array >= count))[0])
        raise ValueError(f"indices[{first}] is {array[first]}, expected 0 to {count - 1}")
    return array.astype(np.intp, copy=False)


def _rows_at(array: Array, chosen: npt.NDArray[np.intp] | slice) -> Array:
    if isinstance(chosen, slice):
        return array[chosen]
    out = new_array((len(chosen), *array.shape[1:]), array.dtype)
    # With the default mode NumPy would gather into fresh memory first.
    return array.take(chosen, axis=0, out=out, mode="clip")


def _copy(array: Array) -> Array:
    out = new_array(array.shape, array.dtype)
    out[...] = array
    return out
