"""Progress bars of a training."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

# Seconds between two looks at the figures: to write them costs as much as a small step.
PAUSE = 0.1


class Bars:
    """Makes one progress bar for each epoch, or none.

    Parameters
    ----------
    progress
        True shows bars on stderr, as widgets in a notebook; False does not; None shows them if
        stderr is a terminal, or in a notebook, and tqdm is installed.
    epochs
        How many there will be.

    Raises
    ------
    ImportError
        If ``progress=True`` and tqdm is not installed.

    Examples
    --------
    >>> from rot180.training.progress import Bars
    >>> with Bars(False, epochs=3).epoch(1, batches=20) as bar:
    ...     bar.advance(lambda: {"loss": 0.5})  # shows nothing
    """

    def __init__(self, progress: bool | None, epochs: int) -> None:
        self._epochs = epochs
        self._tqdm: Any = None
        if progress or (progress is None and (sys.stderr.isatty() or in_notebook())):
            try:
                from tqdm.auto import tqdm
            except ImportError:
                if progress:
                    raise ImportError(
                        'the progress bar needs tqdm: pip install "rot180[train]"'
                    ) from None
            else:
                self._tqdm = tqdm

    @contextmanager
    def epoch(self, epoch: int, batches: int, done: int = 0) -> Iterator[Bar]:
        """Show an epoch's bar, of which some batches may be done, until the block has ended."""
        if self._tqdm is None:
            yield Bar(None)
            return
        with self._tqdm(
            total=batches,
            initial=done,
            desc=f"epoch {epoch}/{self._epochs}",
            unit="batch",
            file=sys.stderr,
        ) as bar:
            yield Bar(bar)


class Bar:
    """One epoch's bar, or nothing."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar
        self._next_look = 0.0

    def advance(self, logs: Callable[[], Mapping[str, float]]) -> None:
        """Count one more batch, and now and then ask for the figures to show beside it."""
        if self._bar is not None:
            now = time.monotonic()
            if now >= self._next_look:
                self._next_look = now + PAUSE
                self._bar.set_postfix(_shown(logs()), refresh=False)
            self._bar.update()

    def show(self, logs: Mapping[str, float]) -> None:
        """Show these figures now."""
        if self._bar is not None:
            self._bar.set_postfix(_shown(logs))


def in_notebook() -> bool:
    """Whether this is the kernel of a notebook, such as Jupyter's."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and "IPKernelApp" in shell.config


def _shown(logs: Mapping[str, float]) -> dict[str, str]:
    return {name: f"{number:.4f}" for name, number in logs.items() if name != "seconds"}
