"""What `Trainer.fit` returns: the figures of every epoch."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.io import PathLike, atomic_write


class History(Mapping[str, list[float]]):
    """A mapping from names to lists with one number for each epoch.

    The names are ``"loss"`` and those of the metrics, with validation data the same ones after
    ``"val_"``, and ``"seconds"``.

    Parameters
    ----------
    names
        Of the lists, as far as they are known before the first epoch.

    Examples
    --------
    >>> import rot180
    >>> history = rot180.History()
    >>> history.append({"loss": 2.0, "seconds": 0.5})
    >>> history.append({"loss": 1.0, "seconds": 0.5})
    >>> history["loss"]
    [2.0, 1.0]
    >>> history.epochs
    2
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._columns: dict[str, list[float]] = {name: [] for name in names}
        self.epochs = 0

    def append(self, logs: Mapping[str, float]) -> None:
        """Add the figures of one more epoch, with the same names as those before.

        Raises
        ------
        ValueError
            If the names differ.
        """
        if self._columns and set(logs) != set(self._columns):
            raise ValueError(f"the epoch has {sorted(logs)}, expected {sorted(self._columns)}")
        for name, number in logs.items():
            self._columns.setdefault(name, []).append(float(number))
        self.epochs += 1

    def state_dict(self) -> dict[str, Any]:
        """Return the lists as arrays, to be kept in a checkpoint."""
        columns: dict[str, npt.NDArray[np.float64]] = {
            name: np.array(column, np.float64) for name, column in self._columns.items()
        }
        return {"names": list(columns), "columns": columns}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned, in place of what was there.

        Raises
        ------
        ValueError
            If it is no such state.
        """
        names, columns = state.get("names"), state.get("columns")
        if (
            not isinstance(names, list)
            or not isinstance(columns, Mapping)
            or not all(isinstance(name, str) for name in names)
            or sorted(names) != sorted(columns)
            or not all(
                isinstance(column, np.ndarray) and column.ndim == 1 and column.dtype == np.float64
                for column in columns.values()
            )
            or len({len(column) for column in columns.values()}) > 1
        ):
            raise ValueError("the state is not that of a history: lists of one length by name")
        self._columns = {name: columns[name].tolist() for name in names}
        self.epochs = max(map(len, self._columns.values()), default=0)

    def to_csv(self, path: PathLike) -> None:
        """Write one row an epoch, with the epoch's number first; whole or not at all.

        Parameters
        ----------
        path
            The file, replaced if it exists.

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import pathlib, tempfile, rot180
        >>> history = rot180.History()
        >>> history.append({"loss": 2.0, "seconds": 0.5})
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "history.csv"
        ...     history.to_csv(path)
        ...     path.read_text().splitlines()
        ['epoch,loss,seconds', '1,2.0,0.5']
        """
        with atomic_write(path, "w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["epoch", *self._columns])
            columns = [range(1, self.epochs + 1), *self._columns.values()]
            writer.writerows(zip(*columns, strict=True))

    def plot(self, path: PathLike | None = None) -> Any:
        """Draw the curves, see `rot180.plots.plot_history`.

        Parameters
        ----------
        path
            The PNG file, replaced if it exists; None writes none.

        Returns
        -------
        matplotlib.figure.Figure
            The picture. A notebook shows it where ``%matplotlib inline`` is on.

        Raises
        ------
        ValueError
            If there is no epoch to draw.
        ImportError
            If matplotlib is not installed.
        """
        from rot180.plots import plot_history

        return plot_history(self, path)

    def __getitem__(self, name: str) -> list[float]:
        return self._columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)

    def __repr__(self) -> str:
        last = ", ".join(
            f"{name}={column[-1]:.4g}" for name, column in self._columns.items() if column
        )
        return f"History({self.epochs} epochs" + (f", last: {last})" if last else ")")
