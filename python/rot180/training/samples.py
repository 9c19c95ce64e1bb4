"""The samples that a training takes from its data set, batch by batch."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.arguments import real_number
from rot180.data import Dataset, batches_ahead

if TYPE_CHECKING:
    from rot180.training.position import Position

Array: TypeAlias = npt.NDArray[Any]


class Samples:
    """A data set, or the part of it that has been chosen.

    Parameters
    ----------
    dataset
        Where the samples come from.
    chosen
        Their indices; None for all.

    Examples
    --------
    >>> import numpy as np, rot180
    >>> from rot180.training.samples import Samples
    >>> samples = Samples(rot180.data.Dataset(np.eye(5), np.arange(5)), np.array([1, 2, 4]))
    >>> [y.tolist() for x, y in samples.in_order(2)]
    [[1, 2], [4]]
    """

    def __init__(self, dataset: Dataset, chosen: Array | None = None) -> None:
        self.dataset = dataset
        self.chosen = chosen

    def __len__(self) -> int:
        return len(self.dataset) if self.chosen is None else len(self.chosen)

    def in_order(self, batch_size: int) -> Iterator[tuple[Array, Array]]:
        """Yield all of them, as they are evaluated: in order and without chance."""
        for start in range(0, len(self), batch_size):
            part = slice(start, start + batch_size)
            yield self.dataset.batch(part if self.chosen is None else self.chosen[part])

    def to_train_on(self, position: Position) -> Generator[tuple[Array, Array], None, None]:
        """Yield the batches of an epoch that come after the position."""
        order: Iterable[Array] = position.batches()
        if self.chosen is not None:
            order = map(self.chosen.__getitem__, order)
        if self.dataset.augmentations:
            return batches_ahead(self.dataset, order, position.generators())
        # To make a generator takes longer than to gather a small batch.
        return batches_ahead(self.dataset, order, repeat(None, position.batches_left))


def split(dataset: Dataset, validation_split: float, seed: int) -> tuple[Samples, Samples]:
    """Draw the samples to hold out, the same ones from the same seed.

    Returns
    -------
    tuple
        Those to train on, and those that are held out.

    Raises
    ------
    ValueError
        If the share is not between 0 and 1, or leaves no sample on one of the sides.
    """
    share = real_number("validation_split", validation_split, below=1.0)
    held_out = round(share * len(dataset))
    if not 1 <= held_out < len(dataset):
        raise ValueError(
            f"validation_split={share:g} of {len(dataset)} samples holds out {held_out}: "
            "expected at least one on each side"
        )
    order = np.random.default_rng([seed, 0]).permutation(len(dataset))  # epochs count from 1
    return (
        Samples(dataset, np.sort(order[held_out:])),
        Samples(dataset, np.sort(order[:held_out])),
    )
