"""Ctrl-C during a training: noted, and acted on where the training can be stopped."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


class Interrupts:
    """A context in which Ctrl-C is held back until `deliver`, so that no step is half taken.

    A second Ctrl-C before that acts at once. The handler is set when the context is entered, not
    for each step. In threads other than the main one, which signals do not reach, and where Ctrl-C
    is ignored, nothing is changed.

    Attributes
    ----------
    pending : bool
        Whether Ctrl-C waits to be delivered.

    Examples
    --------
    >>> import signal
    >>> from rot180.training.interrupts import Interrupts
    >>> with Interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     print("the step ends first")
    ...     try:
    ...         interrupts.deliver()
    ...     except KeyboardInterrupt:
    ...         print("then it stops")
    the step ends first
    then it stops
    """

    def __init__(self) -> None:
        self.pending = False
        self._previous: Callable[[int, Any], Any] | None = None

    def deliver(self) -> None:
        """Do what Ctrl-C does outside: raise KeyboardInterrupt, unless somebody changed that."""
        self.pending = False
        if self._previous is not None:
            self._previous(signal.SIGINT, None)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            previous = signal.getsignal(signal.SIGINT)
            if callable(previous):  # neither ignored nor set by other than Python
                self._previous = previous
                signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
        if self.pending and error is None:  # it came after the last look
            self.deliver()

    def _note(self, number: int, frame: Any) -> None:
        if self.pending:
            self.deliver()
        self.pending = True
